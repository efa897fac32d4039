/** A walker as the manual describes it (48882, 2.2.3), written apart from the declaration, and the memory that it reads. */
import type { ReadMemory } from '@io-pgtable/core'

export interface Found {
  readonly paddr: bigint
  readonly pgsize: bigint
  /** Reads and writes that the device table entry and every entry on the way allow. */
  readonly ir: boolean
  readonly iw: boolean
}

function quadword(read: ReadMemory, paddr: bigint): bigint {
  const bytes = read(paddr, 8)
  if (bytes === undefined) throw new Error(`no memory at 0x${paddr.toString(16)}`)
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}

/** Sets bits of the entry of an address at a level of the walk: what an IOMMU does with A and D. */
export function setBits(read: ReadMemory, paddr: bigint, bits: bigint): void {
  const bytes = read(paddr, 8)
  if (bytes === undefined) throw new Error('no memory')
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  view.setBigUint64(0, view.getBigUint64(0, true) | bits, true)
}

/** Bits that the index of a table of a level begins at. */
const shiftOf = (level: bigint): bigint => 12n + 9n * (level - 1n)

/** Translates an address; undefined where the IOMMU would raise IO_PAGE_FAULT. */
export function translate(dte: bigint, read: ReadMemory, iova: bigint): Found | undefined {
  if ((dte & 3n) !== 3n) throw new Error('V and TV must be set')
  let level = (dte >> 9n) & 7n
  let entry = dte
  let ir = true
  let iw = true
  if (iova >> shiftOf(level + 1n) !== 0n) return undefined
  for (;;) {
    ir &&= ((entry >> 61n) & 1n) === 1n
    iw &&= ((entry >> 62n) & 1n) === 1n
    const index = (iova >> shiftOf(level)) & 0x1ffn
    entry = quadword(read, (entry & 0x000f_ffff_ffff_f000n) + 8n * index)
    if ((entry & 1n) === 0n) return undefined
    const next = (entry >> 9n) & 7n
    if (next === 0n || next === 7n) break
    if (next >= level) return undefined
    // the address bits of the levels that are skipped must be zero
    if (((iova >> shiftOf(next + 1n)) & ((1n << (shiftOf(level) - shiftOf(next + 1n))) - 1n)) !== 0n) return undefined
    level = next
  }
  let lg = shiftOf(level)
  if (((entry >> 9n) & 7n) === 7n) {
    lg = 13n
    while ((entry >> (lg - 1n)) & 1n) lg++
    if (lg <= shiftOf(level) || lg >= shiftOf(level + 1n)) return undefined
  }
  ir &&= ((entry >> 61n) & 1n) === 1n
  iw &&= ((entry >> 62n) & 1n) === 1n
  const offset = (1n << lg) - 1n
  return { paddr: (entry & 0x000f_ffff_ffff_f000n & ~offset) | (iova & offset), pgsize: 1n << lg, ir, iw }
}
