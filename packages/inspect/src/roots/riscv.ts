/**
 * From a RISC-V IOMMU's ddtp to the tables of every device: RISC-V IOMMU Architecture Specification 1.0.1, 3.1 device directory table
 * (3.1.1 non-leaf entry, 3.1.2 and 3.1.3 base- and extended-format device context), 3.2 process directory table, 5.3 capabilities, 5.6 ddtp.
 */
import { extract, hex, IoPgtableError, type Piece, type ReadMemory } from '@io-pgtable/core'
import { type FormatSet, type Stage, type StreamScan, StreamScanner, type StreamStructure, shown } from './streams.ts'
import type { Layout, Structure } from './structures.ts'
import { throughTables } from './through.ts'

export interface RiscvIommuRegisters {
  /** ddtp, as the hardware holds it. */
  readonly ddtp: bigint
  /** capabilities: MSI_FLAT says whether a device context has 64 bytes or 32. With the wrong size every device has another's number. */
  readonly capabilities: bigint
}

const PPN: readonly Piece[] = [[53, 10, 12]]
const VALID: readonly Piece[] = [[0, 0, 0]]
/** Of capabilities. */
const MSI_FLAT: readonly Piece[] = [[22, 22, 0]]
const DDTP: Layout<'mode' | 'PPN'> = { mode: [[3, 0, 0]], PPN }
/** Device context: tc, iohgatp, ta, fsc. */
const DC: Layout<'V' | 'PDTV' | 'SXL' | 'iohgatp' | 'fsc'> = {
  V: VALID,
  PDTV: [[5, 5, 0]],
  SXL: [[11, 11, 0]],
  iohgatp: [[127, 64, 0]],
  fsc: [[255, 192, 0]],
}
/** Process context: ta, fsc. */
const PC: Layout<'V' | 'fsc'> = { V: VALID, fsc: [[127, 64, 0]] }
/** iohgatp, iosatp and pdtp: MODE 63:60, PPN 43:0. */
const MODE: readonly Piece[] = [[63, 60, 0]]
const ATP_PPN: readonly Piece[] = [[43, 0, 12]]
const PC_BYTES = 16
/** Bits of the device_id by level of the directory: base format, extended format. The last level of three is cut off at 24 bits. */
const DDI = { base: [7, 9, 8], extended: [6, 9, 9] } as const
/** Bits of the process_id by level, and levels by pdtp.MODE (PD8, PD17, PD20). */
const PDI = [8, 9, 3] as const
const MODES_32 = 8n

/** Finds every device's tables by reading the whole device directory. @throws `EINVAL` for a reserved mode */
export function scanRiscvIommu(registers: RiscvIommuRegisters, read: ReadMemory, formats: FormatSet): StreamScan {
  return new RiscvIommuScanner(registers, read, formats).run()
}

/** The same, to be run again after a page miss: `image.loading(() => scanner.run())`. */
export class RiscvIommuScanner extends StreamScanner {
  readonly #extended: boolean

  /** @param only the one stream that is looked at */
  constructor({ ddtp, capabilities }: RiscvIommuRegisters, read: ReadMemory, formats: FormatSet, only?: number) {
    super(read, formats, only)
    this.#extended = extract(capabilities, MSI_FLAT) === 1n
    const mode = Number(extract(ddtp, DDTP.mode))
    if (mode > 4) throw new IoPgtableError('EINVAL', 'ddtp', `iommu_mode ${mode} of ${hex(ddtp)}: 0 to 4 expected`, { value: ddtp })
    // 0 is Off, 1 is Bare: neither has a directory
    if (mode === 0) this.absent('cause 256: all inbound transactions are disallowed (ddtp is Off)')
    if (mode === 1 && only !== undefined) this.add({ sid: only, stages: [], structures: [] })
    if (mode < 2) return
    const reach = DDI[this.#extended ? 'extended' : 'base'].slice(0, mode - 1).reduce((bits, each) => bits + each, 0)
    if (only !== undefined && only >= 2 ** reach) this.absent(`cause 260: the device_id is wider than the ${reach} bits of the directory`)
    else this.#directory(extract(ddtp, DDTP.PPN), mode - 2, 0)
  }

  #directory(base: bigint, level: number, first: number): void {
    const bits = DDI[this.#extended ? 'extended' : 'base']
    const bytes = level > 0 ? 8 : this.#extended ? 64 : 32
    const below = bits.slice(0, level).reduce((sum, each) => sum + each, 0)
    const only = this.only === undefined ? undefined : Math.floor(this.only / 2 ** below) % 2 ** (bits[level] ?? 0)
    const array = { base, bytes, count: 2 ** (bits[level] ?? 0), only }
    this.each(`device directory, level ${level}`, this.read, array, (entry) => {
      const id = first + entry.index
      if (extract(entry.raw, VALID) === 0n) {
        this.absent(`cause 258: entry ${entry.index} of the device directory, level ${level}, is not valid`)
        return
      }
      if (level === 0) this.#device(id, entry, bytes)
      else this.#directory(extract(entry.raw, PPN), level - 1, id * 2 ** (bits[level - 1] ?? 0))
    })
  }

  #device(sid: number, { address, raw }: Structure, bytes: number): void {
    const structures = [shown('DC', address, raw, bytes)]
    const hgatp = extract(raw, DC.iohgatp)
    const host: readonly Stage[] = extract(hgatp, MODE) === 0n ? [] : [{ stage: 2, role: 'riscv-stage2', registers: { hgatp } }]
    const fsc = extract(raw, DC.fsc)
    const is32 = extract(raw, DC.SXL) === 1n
    if (extract(raw, DC.PDTV) === 0n) this.#context({ sid }, fsc, is32, host, structures)
    else this.#processes(sid, fsc, is32, host, structures)
  }

  /** First-stage context: iosatp. Bare leaves the stage out. */
  #context(
    id: { readonly sid: number; readonly pasid?: number },
    fsc: bigint,
    is32: boolean,
    host: readonly Stage[],
    structures: readonly StreamStructure[],
  ): void {
    const mode = extract(fsc, MODE)
    const place = id.pasid === undefined ? `stream ${id.sid}` : `stream ${id.sid}, pasid ${id.pasid}`
    if (mode === 0n) this.add({ ...id, stages: host, structures })
    else if (!is32) this.add({ ...id, stages: [{ stage: 1, role: 'riscv-stage1', registers: { satp: fsc } }, ...host], structures })
    else if (mode !== MODES_32) this.finding('error', 'bad-context', place, `iosatp.MODE ${mode} is reserved with SXL`, fsc)
    else {
      // satp of RV32: MODE in bit 31, PPN in 21:0
      const satp = (1n << 31n) | (fsc & 0x3f_ffffn)
      this.add({ ...id, stages: [{ stage: 1, role: 'riscv32-stage1', registers: { satp } }, ...host], structures })
    }
  }

  /** The process directory: at guest physical addresses, where the second stage translates. */
  #processes(sid: number, pdtp: bigint, is32: boolean, host: readonly Stage[], structures: readonly StreamStructure[]): void {
    const mode = Number(extract(pdtp, MODE))
    if (mode > 3) this.finding('error', 'bad-context', `stream ${sid}`, `pdtp.MODE ${mode} is reserved`, pdtp)
    // Bare: no process_id is accepted, and the stage is left out
    if (mode === 0) this.add({ sid, stages: host, structures })
    if (mode === 0 || mode > 3) return
    const tables = host[0] && this.tablesOf(`stream ${sid}`, host[0], this.read)[0]
    if (host.length > 0 && tables === undefined) return
    const read = tables === undefined ? this.read : throughTables(tables)
    const found = (pasid: number, { address, raw }: Structure): void =>
      this.#context({ sid, pasid }, extract(raw, PC.fsc), is32, host, [...structures, shown('PC', address, raw, PC_BYTES)])
    this.#processLevel(sid, read, extract(pdtp, ATP_PPN), mode - 1, 0, found)
  }

  #processLevel(
    sid: number,
    read: ReadMemory,
    base: bigint,
    level: number,
    first: number,
    found: (pasid: number, context: Structure) => void,
  ): void {
    const array = { base, bytes: level > 0 ? 8 : PC_BYTES, count: 2 ** (PDI[level] ?? 0) }
    this.each(`stream ${sid}, process directory, level ${level}`, read, array, (entry) => {
      const id = first + entry.index
      if (extract(entry.raw, PC.V) === 0n) return
      if (level === 0) found(id, entry)
      else this.#processLevel(sid, read, extract(entry.raw, PPN), level - 1, id * 2 ** (PDI[level - 1] ?? 0), found)
    })
  }
}
