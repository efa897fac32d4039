/**
 * From the AMD IOMMU's device table to the tables of every device: AMD I/O Virtualization Technology (IOMMU) Specification, publication
 * 48882, revision 3: 2.2.2.1 device table entry, 2.2.6 guest CR3 tables, 3.4.1 Device Table Base Address Register (MMIO offset 0000h).
 */
import { extract, hex, type Piece, type ReadMemory } from '@io-pgtable/core'
import { type FormatSet, type Stage, type StreamScan, StreamScanner, type StreamStructure, shown } from './streams.ts'
import type { Layout, Structure } from './structures.ts'
import { throughTables } from './through.ts'

export interface AmdViRegisters {
  /** Device Table Base Address Register, as the hardware holds it: base in bits 51:12, size in bits 8:0. */
  readonly devtab: bigint
}

const DEVTAB: Layout<'base' | 'size'> = { base: [[51, 12, 12]], size: [[8, 0, 0]] }
const DTE_BYTES = 32
/** Device table entry, 2.2.2.1. */
const DTE: Layout<'V' | 'TV' | 'IR' | 'IW' | 'Mode' | 'GIoV' | 'GV' | 'GLX' | 'GCR3' | 'GuestPagingMode'> = {
  V: [[0, 0, 0]],
  TV: [[1, 1, 0]],
  Mode: [[11, 9, 0]],
  IR: [[61, 61, 0]],
  IW: [[62, 62, 0]],
  GIoV: [[54, 54, 0]],
  GV: [[55, 55, 0]],
  GLX: [[57, 56, 0]],
  GCR3: [
    [60, 58, 12],
    [95, 80, 15],
    [127, 107, 31],
  ],
  GuestPagingMode: [[183, 182, 0]],
}
/** An entry of a guest CR3 table, of any level. */
const GCR3: Layout<'V' | 'pointer'> = { V: [[0, 0, 0]], pointer: [[51, 12, 12]] }
const GCR3_ENTRIES = 512
const PAE = 1n << 5n
const LA57 = 1n << 12n
const ONE: readonly Piece[] = [[63, 0, 0]]

/** Finds every device's tables by reading the whole device table. */
export function scanAmdVi(registers: AmdViRegisters, read: ReadMemory, formats: FormatSet): StreamScan {
  return new AmdViScanner(registers, read, formats).run()
}

/** The same, to be run again after a page miss: `image.loading(() => scanner.run())`. */
export class AmdViScanner extends StreamScanner {
  /** @param only the one stream that is looked at */
  constructor({ devtab }: AmdViRegisters, read: ReadMemory, formats: FormatSet, only?: number) {
    super(read, formats, only)
    const count = ((Number(extract(devtab, DEVTAB.size)) + 1) * 4096) / DTE_BYTES
    if (only !== undefined && only >= count) this.absent(`ILLEGAL_DEV_TABLE_ENTRY: the device table has ${hex(count)} entries`)
    const array = { base: extract(devtab, DEVTAB.base), bytes: DTE_BYTES, count, only }
    if (only === undefined || only < count) this.each('device table', read, array, (entry) => this.#device(entry))
  }

  /** V = 0: nothing of the device is translated. V = 1, TV = 0: its table fields are not valid, and its requests abort. */
  #device({ index: sid, address, raw }: Structure): void {
    const structures = [shown('DTE', address, raw, DTE_BYTES)]
    const isValid = extract(raw, DTE.V) === 1n
    if (!isValid || extract(raw, DTE.TV) === 0n) {
      // tables are full of them: they are told where one is asked for
      if (this.only === undefined) return
      if (isValid) this.blocked(sid, 'DTE.TV is clear: requests abort', structures)
      else this.add({ sid, stages: [], structures })
      return
    }
    const mode = extract(raw, DTE.Mode)
    if (mode === 7n) {
      this.finding('error', 'bad-dte', `stream ${sid}`, 'paging mode 7 is reserved (Mode)', raw)
      return
    }
    const dte = extract(raw, ONE)
    const host: readonly Stage[] = mode === 0n ? [] : [{ stage: 2, role: 'amd-host', registers: { dte } }]
    const guests = extract(raw, DTE.GV) === 1n
    // Without GIoV requests that have no PASID are translated by the host's tables alone
    const isShut = host.length === 0 && extract(raw, DTE.IR) === 0n && extract(raw, DTE.IW) === 0n
    if (!guests && isShut) this.blocked(sid, 'DTE.Mode 0 with IR and IW clear: no reads and no writes', structures)
    else if (!guests || extract(raw, DTE.GIoV) === 0n) this.add({ sid, stages: host, structures })
    if (guests) this.#guests(sid, raw, host, structures)
  }

  /** The guest CR3 tables: one to three levels. They are at guest physical addresses, where the host's tables translate. */
  #guests(sid: number, raw: bigint, host: readonly Stage[], structures: readonly StreamStructure[]): void {
    const levels = Number(extract(raw, DTE.GLX))
    const paging = extract(raw, DTE.GuestPagingMode)
    if (levels === 3 || paging > 1n) {
      this.finding('error', 'bad-dte', `stream ${sid}`, `GLX ${levels} with guest paging mode ${paging} is reserved`, raw)
      return
    }
    const tables = host[0] && this.tablesOf(`stream ${sid}`, host[0], this.read)[0]
    if (host.length > 0 && tables === undefined) return
    const read = tables === undefined ? this.read : throughTables(tables)
    const cr4 = paging === 1n ? PAE | LA57 : PAE
    const found = (pasid: number, cr3: bigint): void => {
      this.add({ sid, pasid, stages: [{ stage: 1, role: 'x86-first-stage', registers: { cr3, cr4 } }, ...host], structures })
    }
    this.#level(sid, read, extract(raw, DTE.GCR3), levels, 0, found)
  }

  #level(sid: number, read: ReadMemory, base: bigint, level: number, first: number, found: (pasid: number, cr3: bigint) => void): void {
    this.each(`stream ${sid}, guest CR3 table`, read, { base, bytes: 8, count: GCR3_ENTRIES }, ({ index, raw }) => {
      if (extract(raw, GCR3.V) === 0n) return
      const pointer = extract(raw, GCR3.pointer)
      const pasid = (first + index) * (level === 0 ? 1 : GCR3_ENTRIES)
      // A PASID has 20 bits
      if (pasid >= 2 ** 20) return
      if (level === 0) found(pasid, pointer)
      else this.#level(sid, read, pointer, level - 1, pasid, found)
    })
  }
}
