/** Sv39, Sv48 and Sv57 as the manual's "Virtual Address Translation Process" tells it, step by step, without the declaration. */
import type { ReadMemory } from '@io-pgtable/core'

/** The physical address of `va`; undefined where the process stops with a page fault, for a load in user mode. */
export function translate(satp: bigint, read: ReadMemory, va: bigint): bigint | undefined {
  const levels = Number(satp >> 60n) - 5
  if (BigInt.asUintN(64, BigInt.asIntN(12 + 9 * levels, va)) !== va) return undefined
  let a = (satp & 0xfff_ffff_ffffn) << 12n
  for (let i = levels - 1; i >= 0; i--) {
    const shift = BigInt(12 + 9 * i)
    const pte = read64(read, a + ((va >> shift) & 511n) * 8n)
    const [v, r, w, x, u, accessed] = [0n, 1n, 2n, 3n, 4n, 6n].map((bit) => (pte >> bit) & 1n)
    if (v === 0n || (r === 0n && w === 1n) || ((pte >> 54n) & 0x7fn) !== 0n) return undefined
    const ppn = (pte >> 10n) & 0xfff_ffff_ffffn
    const n = pte >> 63n
    if (r === 0n && x === 0n) {
      if (n !== 0n) return undefined
      a = ppn << 12n
      continue
    }
    const napot = n === 1n ? 16n : 1n
    if (n === 1n && (i > 0 || ppn % 16n !== 8n)) return undefined
    const span = (1n << shift) * napot
    const base = n === 1n ? ppn - 8n : ppn
    if ((base << 12n) % span !== 0n || u === 0n || r === 0n || accessed === 0n) return undefined
    return (base << 12n) | (va % span)
  }
  return undefined
}

function read64(read: ReadMemory, paddr: bigint): bigint {
  const bytes = read(paddr, 8)
  if (bytes === undefined) throw new Error(`no memory at 0x${paddr.toString(16)}`)
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}
