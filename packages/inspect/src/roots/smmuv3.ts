/**
 * From an SMMUv3's registers to the tables of every stream: Arm System Memory Management Unit Architecture Specification, SMMU
 * architecture version 3 (IHI 0070), 3.3.1 (stream table lookup), 3.3.2 (context descriptors), chapter 5 (data structures), chapter 6.
 */
import { extract, hex, IoPgtableError, type Piece, type ReadMemory } from '@io-pgtable/core'
import { stage1Of, stage2Of } from './smmuv3-context.ts'
import { type FormatSet, type Stage, type StreamScan, StreamScanner, type StreamStructure, shown } from './streams.ts'
import { type Layout, readStructure, type Structure } from './structures.ts'
import { throughTables } from './through.ts'

/** The registers that say where the stream table is, as the hardware holds them. */
export interface Smmuv3Registers {
  readonly strtabBase: bigint
  readonly strtabBaseCfg: bigint
  /** SMMU_IDR1, whose SIDSIZE limits StreamIDs. Without it 32 bits. */
  readonly idr1?: bigint
}

/** SMMU_STRTAB_BASE and SMMU_STRTAB_BASE_CFG, decoded. */
export interface StreamTable {
  readonly base: bigint
  readonly format: 'linear' | '2-level'
  /** StreamID bits that index a second-level array; 0 for a linear table. */
  readonly split: number
  /** StreamID bits that the table covers. */
  readonly sidBits: number
}

/** What an STE does with its stream's transactions (STE.V, STE.Config, 5.2). */
export type StreamEntry = 'invalid' | 'abort' | 'bypass' | 'stage 1' | 'stage 2' | 'nested'

const STREAM_ENTRIES: Readonly<Record<number, StreamEntry>> = { 4: 'bypass', 5: 'stage 1', 6: 'stage 2', 7: 'nested' }

/** Of an STE, and of a context descriptor. */
const STE_BYTES = 64
/** Of a level 1 descriptor, of either table. */
const L1_BYTES = 8

const ADDRESS: readonly Piece[] = [[55, 6, 6]]
/** Level 1 Stream Table Descriptor, 5.1. */
const SPAN: readonly Piece[] = [[4, 0, 0]]
/** Level 1 Context Descriptor, 5.3. */
const L1CD: Layout<'V' | 'L2Ptr'> = { V: [[0, 0, 0]], L2Ptr: [[55, 12, 12]] }
/** Stream Table Entry, 5.2. */
const STE: Layout<'V' | 'Config' | 'S1Fmt' | 'S1ContextPtr' | 'S1CDMax' | 'S1DSS'> = {
  V: [[0, 0, 0]],
  Config: [[3, 1, 0]],
  S1Fmt: [[5, 4, 0]],
  S1ContextPtr: ADDRESS,
  S1CDMax: [[63, 59, 0]],
  S1DSS: [[65, 64, 0]],
}
/** SubstreamID bits that a leaf of a 2-level table of context descriptors holds, by S1Fmt. */
const CD_SPLIT: Readonly<Record<number, number>> = { 1: 6, 2: 10 }

/**
 * Decodes SMMU_STRTAB_BASE and SMMU_STRTAB_BASE_CFG.
 * @throws `EINVAL` for reserved values of FMT and SPLIT, and for more StreamID bits than any SMMU has.
 */
export function streamTable({ strtabBase, strtabBaseCfg, idr1 }: Smmuv3Registers): StreamTable {
  const log2size = Number(strtabBaseCfg & 0x3fn)
  const fmt = Number((strtabBaseCfg >> 16n) & 3n)
  const split = Number((strtabBaseCfg >> 6n) & 0x1fn)
  if (fmt > 1) throw refused(`FMT ${fmt} is reserved; 0 is linear, 1 is 2-level`, strtabBaseCfg)
  if (fmt === 1 && ![6, 8, 10].includes(split)) throw refused(`SPLIT ${split} is reserved; 6, 8 and 10 are not`, strtabBaseCfg)
  if (log2size > 32) throw refused(`LOG2SIZE ${log2size} is more than the 32 bits of a StreamID`, strtabBaseCfg)
  const sidBits = Math.min(log2size, idr1 === undefined ? 32 : Number(idr1 & 0x3fn))
  const bytes = fmt === 1 ? L1_BYTES * 2 ** Math.max(0, sidBits - split) : STE_BYTES * 2 ** sidBits
  // The base is aligned to the table, at least to 64 bytes: lower bits are taken as zero
  const base = extract(strtabBase, ADDRESS) & -BigInt(bytes)
  return { base, format: fmt === 1 ? '2-level' : 'linear', split: fmt === 1 ? split : 0, sidBits }
}

/** Finds every stream by reading the whole stream table. @throws `EINVAL` as {@link streamTable} */
export function scanSmmuv3(registers: Smmuv3Registers, read: ReadMemory, formats: FormatSet): StreamScan {
  return new Smmuv3Scanner(registers, read, formats).run()
}

/** The same, to be run again after a page miss: `image.loading(() => scanner.run())`. */
export class Smmuv3Scanner extends StreamScanner {
  readonly table: StreamTable
  readonly #entryCounts: Record<StreamEntry, number> = { invalid: 0, abort: 0, bypass: 0, 'stage 1': 0, 'stage 2': 0, nested: 0 }

  /** @param only the one stream that is looked at */
  constructor(registers: Smmuv3Registers, read: ReadMemory, formats: FormatSet, only?: number) {
    super(read, formats, only)
    this.table = streamTable(registers)
    const { base, format, sidBits } = this.table
    const wanted = extract(registers.strtabBase, ADDRESS)
    if (wanted !== base)
      this.finding(
        'warning',
        'misaligned-base',
        'STRTAB_BASE',
        `${hex(wanted)} is not aligned to the table: it is read at ${hex(base)}`,
        wanted,
      )
    if (only !== undefined && only >= 2 ** sidBits) {
      this.absent(`C_BAD_STREAMID: the stream table has ${hex(2 ** sidBits)} entries`)
      return
    }
    if (format === 'linear') this.#entries(base, 0, 2 ** sidBits)
    else this.#level1()
  }

  /** Stream table entries looked at so far, by what they do. */
  get entries(): Readonly<Record<StreamEntry, number>> {
    return { ...this.#entryCounts }
  }

  /** 3.3.1.2: StreamID bits above SPLIT index descriptors, whose Span says how many STEs follow. */
  #level1(): void {
    const { base, split, sidBits } = this.table
    const only = this.only === undefined ? undefined : Math.floor(this.only / 2 ** split)
    const array = { base, bytes: L1_BYTES, count: 2 ** Math.max(0, sidBits - split), only }
    this.each('level 1 stream table', this.read, array, ({ index, raw }) => {
      const span = Number(extract(raw, SPAN))
      // 12 to 31 behave as 0
      const count = span === 0 || span > 11 ? 0 : 2 ** (span - 1)
      if (this.only !== undefined && this.only - index * 2 ** split >= count) {
        this.absent(`C_BAD_STREAMID: level 1 descriptor ${index} has ${count} entries`)
        return
      }
      if (count === 0) return
      const place = `level 1 stream table descriptor ${index}`
      if (span > split + 1) this.finding('error', 'bad-span', place, `Span ${span} is more than SPLIT + 1 (${split + 1})`, raw)
      else this.#entries(extract(raw, ADDRESS) & -BigInt(count * STE_BYTES), index * 2 ** split, Math.min(count, 2 ** sidBits))
    })
  }

  #entries(base: bigint, firstSid: number, count: number): void {
    const only = this.only === undefined ? undefined : this.only - firstSid
    this.each('stream table', this.read, { base, bytes: STE_BYTES, count, only }, (ste) => this.#ste(firstSid + ste.index, ste))
  }

  #ste(sid: number, { address, raw }: Structure): void {
    const config = Number(extract(raw, STE.Config))
    // Config 0b0xx: abort
    const entry = extract(raw, STE.V) === 0n ? 'invalid' : (STREAM_ENTRIES[config] ?? 'abort')
    this.#entryCounts[entry]++
    const structures = [shown('STE', address, raw, STE_BYTES)]
    if (entry === 'invalid' || entry === 'abort') {
      // tables are full of them: they are told where one is asked for
      if (this.only !== undefined)
        this.blocked(sid, entry === 'abort' ? 'STE.Config: aborted, and no event is recorded' : 'C_BAD_STE: STE.V is clear', structures)
      return
    }
    const stage2 = config & 2 ? this.#stage2(sid, raw) : []
    if (stage2 === undefined) return
    if (config & 1) this.#contexts(sid, raw, structures, stage2)
    else this.add({ sid, stages: stage2, structures })
  }

  #stage2(sid: number, ste: bigint): readonly Stage[] | undefined {
    const stage = stage2Of(ste)
    if (typeof stage !== 'string') return [stage]
    this.finding('error', 'bad-ste', `stream ${sid}`, stage, ste)
    return undefined
  }

  /** The context descriptors of an STE: one, an array by SubstreamID, or two levels of them. With stage 2 all are at its input addresses. */
  #contexts(sid: number, ste: bigint, structures: readonly StreamStructure[], stage2: readonly Stage[]): void {
    const read = this.#behind(sid, stage2)
    if (read === undefined) return
    const max = Number(extract(ste, STE.S1CDMax))
    const pointer = extract(ste, STE.S1ContextPtr)
    const split = CD_SPLIT[Number(extract(ste, STE.S1Fmt))]
    const visit = (ssid: number | undefined, cd: Structure): void => this.#cd(sid, ssid, cd, structures, stage2)
    const place = `stream ${sid}, context descriptors`
    if (max > 20) this.finding('error', 'bad-ste', `stream ${sid}`, `S1CDMax ${max} is more than the 20 bits of a SubstreamID`, ste)
    else if (max === 0) this.later(() => this.#single(sid, pointer, read, visit))
    else if (split === undefined) {
      const array = { base: pointer & -BigInt(STE_BYTES * 2 ** max), bytes: STE_BYTES, count: 2 ** max }
      this.each(place, read, array, (cd) => visit(cd.index, cd))
    } else {
      const count = 2 ** Math.max(0, max - split)
      const leaf = Math.min(2 ** split, 2 ** max)
      this.each(place, read, { base: pointer & -BigInt(L1_BYTES * count), bytes: L1_BYTES, count }, ({ index, raw }) => {
        if (extract(raw, L1CD.V) === 0n) return
        const base = extract(raw, L1CD.L2Ptr) & -BigInt(STE_BYTES * 2 ** split)
        this.each(place, read, { base, bytes: STE_BYTES, count: leaf }, (cd) => visit(index * 2 ** split + cd.index, cd))
      })
    }
  }

  /** Memory as the context descriptors' addresses mean it. */
  #behind(sid: number, [stage2]: readonly Stage[]): ReadMemory | undefined {
    if (stage2 === undefined) return this.read
    const tables = this.tablesOf(`stream ${sid}`, stage2, this.read)[0]
    return tables && throughTables(tables)
  }

  #single(sid: number, address: bigint, read: ReadMemory, visit: (ssid: undefined, cd: Structure) => void): void {
    const raw = readStructure(read, address, STE_BYTES)
    if (raw === undefined)
      this.finding('error', 'unknown-memory', `stream ${sid}`, `the context descriptor at ${hex(address)} is not in the image`, address)
    else visit(undefined, { index: 0, address, raw })
  }

  /** Of a table of context descriptors, those that are not valid are just not in use. */
  #cd(sid: number, ssid: number | undefined, cd: Structure, before: readonly StreamStructure[], stage2: readonly Stage[]): void {
    const stage1 = stage1Of(cd.raw)
    const structures = [...before, shown('CD', cd.address, cd.raw, STE_BYTES)]
    const pasid = ssid === undefined ? {} : { pasid: ssid }
    if (typeof stage1 !== 'string') this.add({ sid, ...pasid, stages: [stage1, ...stage2], structures })
    else if (ssid === undefined || cd.raw !== 0n) this.finding('error', 'bad-cd', `stream ${sid}`, stage1, cd.raw)
  }
}

function refused(message: string, value: bigint): IoPgtableError {
  return new IoPgtableError('EINVAL', 'STRTAB_BASE_CFG', `${message}, got ${hex(value)}`, { value })
}
