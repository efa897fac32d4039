/**
 * What the manual says an entry is, written from its prose ("Virtual Address Translation Process", steps 3 to 5, and the extensions),
 * without the declaration.
 */
import type { RiscvScheme } from '../src/index.ts'

export type Verdict =
  | { readonly is: 'empty' | 'fault' }
  | { readonly is: 'pointer'; readonly next: bigint }
  | { readonly is: 'leaf' | 'shadow stack'; readonly paddr: bigint; readonly bytes: number }

function bits(value: bigint, hi: number, lo: number): bigint {
  return (value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n)
}

/** Steps 3 to 5 for an entry of level i, with the G-stage's user-mode check; what the access wants is left out. */
export function verdictOf(scheme: RiscvScheme, i: number, pte: bigint): Verdict {
  const [v, r, w, x, u] = [0, 1, 2, 3, 4].map((bit) => bits(pte, bit, bit) === 1n) as [boolean, boolean, boolean, boolean, boolean]
  if (!v) return { is: 'empty' }
  const shadow = !r && w && !x && scheme.extensions.includes('Zicfiss') && !scheme.gStage
  if (!r && w && !shadow) return { is: 'fault' }
  const wide = scheme.entryBytes === 8
  const ppn = wide ? bits(pte, 53, 10) : bits(pte, 31, 10)
  if (!r && !w && !x) return i === 0 ? { is: 'fault' } : { is: 'pointer', next: ppn << 12n }
  if (scheme.gStage && !u) return { is: 'fault' }
  const is = shadow ? 'shadow stack' : 'leaf'
  const vpnBits = wide ? 9n : 10n
  if (wide && scheme.extensions.includes('Svnapot') && bits(pte, 63, 63) === 1n) {
    // The table of encodings: at i = 0 the lowest set PPN bit must be bit 3.
    const range = i === 0 && (ppn & -ppn) === 8n
    return range ? { is, paddr: (ppn - 8n) << 12n, bytes: 0x1_0000 } : { is: 'fault' }
  }
  const low = 1n << (vpnBits * BigInt(i))
  return ppn % low === 0n ? { is, paddr: ppn << 12n, bytes: Number(low) * 4096 } : { is: 'fault' }
}

/** Bits that must be zero in this entry, or else an access faults. */
export function reservedOf(scheme: RiscvScheme, leaf: boolean): bigint {
  let mask = leaf ? 0n : 0b1101_0000n
  if (scheme.entryBytes === 4) return mask
  const has = (extension: RiscvScheme['extensions'][number]) => scheme.extensions.includes(extension)
  mask |= 0b1_1111n << 54n
  if (!has('Svrsw60t59b')) mask |= 3n << 59n
  if (!leaf || !has('Svpbmt')) mask |= 3n << 61n
  if (!leaf || !has('Svnapot')) mask |= 1n << 63n
  return mask
}
