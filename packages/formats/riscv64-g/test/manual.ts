/**
 * Sv39x4, Sv48x4 and Sv57x4 as the manual tells them ("Guest Physical Address Translation": the process of Sv32 with hgatp for satp, two more
 * bits of index at the root, and every access checked as one of user mode), without the declaration.
 */
import type { ReadMemory } from '@io-pgtable/core'

/** The supervisor physical address of a guest physical one; undefined where a load takes a guest-page fault. */
export function translate(hgatp: bigint, read: ReadMemory, gpa: bigint): bigint | undefined {
  const levels = Number(hgatp >> 60n) - 5
  if (gpa >> BigInt(14 + 9 * levels) !== 0n) return undefined
  let a = (hgatp & 0xfff_ffff_ffffn) << 12n
  for (let i = levels - 1; i >= 0; i--) {
    const shift = BigInt(12 + 9 * i)
    const vpn = (gpa >> shift) & (i === levels - 1 ? 2047n : 511n)
    const pte = read64(read, a + vpn * 8n)
    const [v, r, w, x, u, accessed] = [0n, 1n, 2n, 3n, 4n, 6n].map((bit) => (pte >> bit) & 1n)
    if (v === 0n || (r === 0n && w === 1n) || ((pte >> 54n) & 0x7fn) !== 0n) return undefined
    const ppn = (pte >> 10n) & 0xfff_ffff_ffffn
    const n = pte >> 63n
    if (r === 0n && x === 0n) {
      if (n !== 0n) return undefined
      a = ppn << 12n
      continue
    }
    if (n === 1n && (i > 0 || ppn % 16n !== 8n)) return undefined
    const span = (1n << shift) * (n === 1n ? 16n : 1n)
    const base = n === 1n ? ppn - 8n : ppn
    if ((base << 12n) % span !== 0n || u === 0n || r === 0n || accessed === 0n) return undefined
    return (base << 12n) | (gpa % span)
  }
  return undefined
}

function read64(read: ReadMemory, paddr: bigint): bigint {
  const bytes = read(paddr, 8)
  if (bytes === undefined) throw new Error(`no memory at 0x${paddr.toString(16)}`)
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}
