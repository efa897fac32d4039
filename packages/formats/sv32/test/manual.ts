/** Sv32 as the manual's "Virtual Address Translation Process" tells it, step by step, without the declaration. */
import type { ReadMemory } from '@io-pgtable/core'

/** The 34-bit physical address of `va`; undefined where the process stops with a page fault, for a load in user mode. */
export function translate(satp: bigint, read: ReadMemory, va: bigint): bigint | undefined {
  let a = (satp & 0x3f_ffffn) * 4096n
  for (const i of [1n, 0n]) {
    const vpn = (va >> (12n + 10n * i)) & 1023n
    const pte = read32(read, a + vpn * 4n)
    const [v, r, w, x, u, accessed] = [0n, 1n, 2n, 3n, 4n, 6n].map((bit) => (pte >> bit) & 1n)
    if (v === 0n || (r === 0n && w === 1n)) return undefined
    const ppn = pte >> 10n
    if (r === 0n && x === 0n) {
      a = ppn * 4096n
      continue
    }
    if ((i === 1n && ppn % 1024n !== 0n) || u === 0n || r === 0n || accessed === 0n) return undefined
    return i === 1n ? ((ppn >> 10n) << 22n) | (va & 0x3f_ffffn) : (ppn << 12n) | (va & 0xfffn)
  }
  return undefined
}

function read32(read: ReadMemory, paddr: bigint): bigint {
  const bytes = read(paddr, 4)
  if (bytes === undefined) throw new Error(`no memory at 0x${paddr.toString(16)}`)
  return BigInt(new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true))
}
