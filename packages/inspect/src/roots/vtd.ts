/**
 * From a VT-d unit's registers to the tables of every device: Intel Virtualization Technology for Directed I/O, Architecture Specification
 * (revision 4.1), 3.4 (root and context tables, legacy and scalable mode), 9.1 root entry, 9.2 scalable-mode root entry, 9.3 context entry,
 * 9.4 scalable-mode context entry, 9.5 PASID directory entry, 9.6 PASID table entry; 11.4.5 RTADDR_REG.
 */
import { extract, IoPgtableError, type Piece, type ReadMemory } from '@io-pgtable/core'
import { type FormatSet, type Stage, type StreamScan, StreamScanner, type StreamStructure, shown } from './streams.ts'
import type { Layout, Structure } from './structures.ts'

/** The registers that say where the root table is and what the unit can do, as the hardware holds them. */
export interface VtdRegisters {
  readonly rtaddr: bigint
  /** CAP_REG: the address widths that it does not support are findings. */
  readonly cap?: bigint
  /** GSTS_REG: translation that is off is a finding. */
  readonly gsts?: bigint
}

/** What a present context entry of legacy mode does with untranslated requests (TT, 9.3). */
export type ContextEntry = 'second stage' | 'second stage, device TLB' | 'pass-through' | 'reserved'

const CONTEXT_ENTRIES = ['second stage', 'second stage, device TLB', 'pass-through', 'reserved'] as const

const PRESENT: readonly Piece[] = [[0, 0, 0]]
const POINTER: readonly Piece[] = [[63, 12, 12]]
/** RTADDR_REG.TTM: 0 legacy, 1 scalable, 3 abort-DMA. GSTS_REG.TES. CAP_REG.SAGAW: by the code of AW, which a unit supports. */
const TTM: readonly Piece[] = [[11, 10, 0]]
const TES: readonly Piece[] = [[31, 31, 0]]
const SAGAW: readonly Piece[] = [[12, 8, 0]]

/** Context entry, 9.3. */
const CONTEXT: Layout<'TT' | 'SSPTPTR' | 'AW'> = { TT: [[3, 2, 0]], SSPTPTR: POINTER, AW: [[66, 64, 0]] }
/** Scalable-mode root entry, 9.2. */
const ROOT: Layout<'LP' | 'LCTP' | 'UP' | 'UCTP'> = { LP: PRESENT, LCTP: POINTER, UP: [[64, 64, 0]], UCTP: [[127, 76, 12]] }
/** Scalable-mode context entry, 9.4. */
const SCALABLE: Layout<'PDTS' | 'PASIDDIRPTR' | 'RID_PASID' | 'PASIDE'> = {
  PASIDE: [[3, 3, 0]],
  PDTS: [[11, 9, 0]],
  PASIDDIRPTR: POINTER,
  RID_PASID: [[83, 64, 0]],
}
/** PASID table entry, 9.6. */
const PASID: Layout<'AW' | 'PGTT' | 'SSPTPTR' | 'SRE' | 'ERE' | 'FSPM' | 'WPE' | 'NXE' | 'SMEP' | 'FSPTPTR'> = {
  AW: [[4, 2, 0]],
  PGTT: [[8, 6, 0]],
  SSPTPTR: POINTER,
  SRE: [[128, 128, 0]],
  ERE: [[129, 129, 0]],
  FSPM: [[131, 130, 0]],
  WPE: [[132, 132, 0]],
  NXE: [[133, 133, 0]],
  SMEP: [[134, 134, 0]],
  FSPTPTR: [[191, 140, 12]],
}
const CONTEXT_BYTES = 16
const SCALABLE_BYTES = 32
const PASID_BYTES = 64
/** Entries of a PASID table. */
const PASIDS = 64
/** CR4.PAE and CR4.LA57: what a CPU would have for the same tables. */
const PAE = 1n << 5n
const LA57 = 1n << 12n
/** What the flags of a PASID table entry are in a CPU: CR4.SMEP, CR0.WP, EFER.NXE. */
const SMEP = 1n << 20n
const WP = 1n << 16n
const NXE = 1n << 11n

/** Finds every device's tables by reading all root and context tables. @throws `EINVAL` for a reserved translation table mode */
export function scanVtd(registers: VtdRegisters, read: ReadMemory, formats: FormatSet): StreamScan {
  return new VtdScanner(registers, read, formats).run()
}

/** The same, to be run again after a page miss: `image.loading(() => scanner.run())`. */
export class VtdScanner extends StreamScanner {
  /** Physical address of the root table. */
  readonly root: bigint
  readonly #entries: Record<ContextEntry, number> = { 'second stage': 0, 'second stage, device TLB': 0, 'pass-through': 0, reserved: 0 }
  readonly #cap: bigint | undefined
  #buses = 0

  /** @param only the one stream that is looked at */
  constructor({ rtaddr, cap, gsts }: VtdRegisters, read: ReadMemory, formats: FormatSet, only?: number) {
    super(read, formats, only)
    this.#cap = cap
    this.root = extract(rtaddr, POINTER)
    const mode = extract(rtaddr, TTM)
    if (mode > 1n)
      throw new IoPgtableError('EINVAL', 'RTADDR', `TTM ${mode}: 0 (legacy) or 1 (scalable) expected; 3 aborts all requests`, {
        value: rtaddr,
      })
    if (gsts !== undefined && extract(gsts, TES) === 0n)
      this.finding('warning', 'translation-off', 'GSTS', 'translation is off (TES)', gsts)
    if (only !== undefined && only > 0xffff) this.absent('a source-id has 16 bits')
    const roots = { base: this.root, bytes: CONTEXT_BYTES, count: 256, only: only === undefined ? undefined : only >> 8 }
    this.each('root table', read, roots, ({ index, raw }) => (mode === 0n ? this.#legacy(index, raw) : this.#scalable(index, raw)))
  }

  /** Legacy mode: present context entries so far, by what they do. */
  get entries(): Readonly<Record<ContextEntry, number>> {
    return { ...this.#entries }
  }

  /** Legacy mode: present root entries so far. */
  get buses(): number {
    return this.#buses
  }

  #legacy(bus: number, root: bigint): void {
    if (extract(root, PRESENT) === 0n) {
      this.absent('fault reason 0x1: the root entry is not present')
      return
    }
    this.#buses++
    const only = this.only === undefined ? undefined : this.only & 0xff
    const array = { base: extract(root, POINTER), bytes: CONTEXT_BYTES, count: 256, only }
    this.each(`context table of bus ${bus}`, this.read, array, (context) => this.#context(bus * 256 + context.index, context))
  }

  #context(sid: number, { address, raw }: Structure): void {
    if (extract(raw, PRESENT) === 0n) {
      this.absent('fault reason 0x2: the context entry is not present')
      return
    }
    const structures = [shown('context entry', address, raw, CONTEXT_BYTES)]
    const entry = CONTEXT_ENTRIES[Number(extract(raw, CONTEXT.TT))] ?? 'reserved'
    this.#entries[entry]++
    if (entry === 'reserved') this.finding('error', 'bad-context', `stream ${sid}`, 'a reserved translation type (TT 3)', raw)
    else if (entry === 'pass-through') this.add({ sid, stages: [], structures })
    else {
      const stage2 = this.#secondStage(sid, extract(raw, CONTEXT.SSPTPTR), extract(raw, CONTEXT.AW))
      if (stage2 !== undefined) this.add({ sid, stages: [stage2], structures })
    }
  }

  #secondStage(sid: number, ssptptr: bigint, aw: bigint): Stage | undefined {
    if (this.#cap !== undefined && ((extract(this.#cap, SAGAW) >> aw) & 1n) === 0n) {
      this.finding('error', 'bad-context', `stream ${sid}`, `address width ${aw} (AW) is none that the unit supports (CAP.SAGAW)`, aw)
      return undefined
    }
    return { stage: 2, role: 'vtd-second-stage', registers: { ssptptr, aw: Number(aw) } }
  }

  /** A bus has two context tables, of devices 0 to 15 and 16 to 31. */
  #scalable(bus: number, root: bigint): void {
    const half = (present: bigint, base: bigint, first: number): void => {
      const only = this.only === undefined ? undefined : (this.only & 0xff) - first
      if (only !== undefined && (only < 0 || only > 127)) return
      if (present === 0n) {
        this.absent('fault reason 0x39: the root entry is not present')
        return
      }
      const place = `context table of bus ${bus}, device ${first / 8} and up`
      this.each(place, this.read, { base, bytes: SCALABLE_BYTES, count: 128, only }, (context) =>
        this.#scalableContext(bus * 256 + first + context.index, context),
      )
    }
    half(extract(root, ROOT.LP), extract(root, ROOT.LCTP), 0)
    half(extract(root, ROOT.UP), extract(root, ROOT.UCTP), 128)
  }

  /** The PASID directory of a device: requests without a PASID use RID_PASID. */
  #scalableContext(sid: number, { address, raw }: Structure): void {
    if (extract(raw, PRESENT) === 0n) {
      this.absent('fault reason 0x41: the context entry is not present')
      return
    }
    const before = [shown('scalable-mode context entry', address, raw, SCALABLE_BYTES)]
    const array = { base: extract(raw, SCALABLE.PASIDDIRPTR), bytes: 8, count: 2 ** (Number(extract(raw, SCALABLE.PDTS)) + 7) }
    this.each(`stream ${sid}, PASID directory`, this.read, array, ({ index, raw: entry }) => {
      if (extract(entry, PRESENT) === 0n) return
      const table = { base: extract(entry, POINTER), bytes: PASID_BYTES, count: PASIDS }
      this.each(`stream ${sid}, PASID table`, this.read, table, (pasid) => this.#pasid(sid, index * PASIDS + pasid.index, pasid, before))
    })
  }

  #pasid(sid: number, pasid: number, { address, raw }: Structure, before: readonly StreamStructure[]): void {
    if (extract(raw, PRESENT) === 0n) return
    const structures = [...before, shown('PASID table entry', address, raw, PASID_BYTES)]
    const type = Number(extract(raw, PASID.PGTT))
    const stages: (Stage | undefined)[] = []
    if (type === 1 || type === 3) stages.push(this.#firstStage(sid, raw))
    if (type === 2 || type === 3) stages.push(this.#secondStage(sid, extract(raw, PASID.SSPTPTR), extract(raw, PASID.AW)))
    const whole = stages.filter((stage) => stage !== undefined)
    if (type === 0 || type > 4)
      this.finding('error', 'bad-pasid', `stream ${sid}, pasid ${pasid}`, `translation type ${type} (PGTT) is reserved`, raw)
    else if (whole.length === stages.length) this.add({ sid, pasid, stages: whole, structures })
  }

  #firstStage(sid: number, raw: bigint): Stage | undefined {
    const mode = extract(raw, PASID.FSPM)
    if (mode > 1n) {
      this.finding('error', 'bad-pasid', `stream ${sid}`, `first-stage paging mode ${mode} (FSPM) is reserved`, raw)
      return undefined
    }
    const flag = (name: 'SRE' | 'ERE' | 'WPE' | 'NXE' | 'SMEP'): boolean => extract(raw, PASID[name]) === 1n
    const registers = {
      cr3: extract(raw, PASID.FSPTPTR),
      cr4: (mode === 1n ? PAE | LA57 : PAE) | (flag('SMEP') ? SMEP : 0n),
      cr0: flag('WPE') ? WP : 0n,
      efer: flag('NXE') ? NXE : 0n,
      requests: { supervisor: flag('SRE'), execute: flag('ERE') },
    }
    return { stage: 1, role: 'x86-first-stage', registers }
  }
}
