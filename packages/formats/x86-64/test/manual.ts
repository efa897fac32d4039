/** 4-level and 5-level paging as SDM 4.5 tells it, entry by entry, without the declaration. */
import type { ReadMemory } from '@io-pgtable/core'

/** The physical address of a linear one; undefined where a user-mode read takes a page fault. `reserved`: address bits that must be zero. */
export function translate(cr3: bigint, cr4: bigint, read: ReadMemory, linear: bigint, reserved = 0n): bigint | undefined {
  const levels = (cr4 >> 12n) & 1n ? 5 : 4
  if (BigInt.asUintN(64, BigInt.asIntN(12 + 9 * levels, linear)) !== linear) return undefined
  const address = ((1n << 52n) - 0x1000n) & ~reserved
  let table = cr3 & address
  for (let shift = 12n + 9n * BigInt(levels - 1); ; shift -= 9n) {
    const entry = read64(read, table + ((linear >> shift) & 511n) * 8n)
    if ((entry & 1n) === 0n || (entry & 4n) === 0n) return undefined
    const size = (entry >> 7n) & 1n
    if (size === 1n && shift > 30n) return undefined
    if (shift === 12n || size === 1n) {
      const offset = (1n << shift) - 1n
      if (shift > 12n && (entry & offset & ~0x1fffn) !== 0n) return undefined
      return (entry & address & ~offset) | (linear & offset)
    }
    table = entry & address
  }
}

function read64(read: ReadMemory, paddr: bigint): bigint {
  const bytes = read(paddr, 8)
  if (bytes === undefined) throw new Error(`no memory at 0x${paddr.toString(16)}`)
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}
