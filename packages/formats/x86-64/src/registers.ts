/** Control registers: SDM 2.5, 4.5.2 (use of CR3); APM 3.1. What PASID entries and guest CR3 tables hold has CR3's layout. */
import { type FoundRoot, hex, IoPgtableError, ones } from '@io-pgtable/core'

/** What a CPU, a PASID entry (FSPTPTR, FSPM) or a device's guest CR3 table gets. */
export interface X8664Regs {
  /** The root's physical address, with the encryption bit. PCID, PWT and PCD are 0. */
  readonly cr3: bigint
  /** What CR4 must have: PAE, and LA57 for 5 levels. */
  readonly cr4: bigint
  /** 4 or 5. */
  readonly levels: 4 | 5
}

export interface X8664Params {
  readonly levels: 4 | 5
  readonly ias: number
  /** MAXPHYADDR. */
  readonly oas: number
  readonly window: 'low' | 'sign-extended'
  /** The C-bit; 0: none. */
  readonly encryptionBit: number
}

export interface X8664Context {
  /** IA32_PAT: eight memory types of 8 bits, which PAT, PCD and PWT choose from. */
  readonly pat: bigint
  /** The C-bit; 0: none. */
  readonly encryptionBit: number
}

/** Raw registers, and what CPUID tells. */
export interface X8664Hardware {
  readonly cr3: bigint
  readonly cr4: bigint
  /** IA32_PAT. Default: its value after reset. */
  readonly pat?: bigint
  /** MAXPHYADDR, 32 to 52. Default 52, or the encryption bit's number. */
  readonly maxPhyAddr?: number
  /** The C-bit. Default 0: none. */
  readonly encryptionBit?: number
}

const PAE = 1n << 5n
const LA57 = 1n << 12n

export function packRegs({ levels }: X8664Params, cr3: bigint): X8664Regs {
  return { cr3, cr4: levels === 5 ? PAE | LA57 : PAE, levels }
}

/** @throws `EINVAL` for paging of other formats, and for numbers that no CPUID tells */
export function rootsFromRegs(registers: X8664Hardware, resetPat: bigint): readonly FoundRoot<X8664Params, X8664Context>[] {
  const { cr3, cr4, pat = resetPat, encryptionBit = 0, maxPhyAddr = encryptionBit === 0 ? 52 : encryptionBit } = registers
  if ((cr4 & PAE) === 0n) throw bad('cr4', cr4, 'PAE expected: without it, paging has 32-bit entries')
  if (!Number.isInteger(maxPhyAddr) || maxPhyAddr < 32 || maxPhyAddr > 52) throw bad('maxPhyAddr', maxPhyAddr, '32 to 52 expected')
  if (encryptionBit !== 0 && !(Number.isInteger(encryptionBit) && encryptionBit >= maxPhyAddr && encryptionBit < 52))
    throw bad('encryptionBit', encryptionBit, `0 or ${maxPhyAddr} (maxPhyAddr) to 51 expected`)
  const levels = cr4 & LA57 ? 5 : 4
  const params: X8664Params = { levels, ias: 12 + 9 * levels, oas: maxPhyAddr, window: 'sign-extended', encryptionBit }
  // Below: PCID, or PWT and PCD; above: linear-address masking (LAM), and the encryption bit.
  const root = cr3 & ones(maxPhyAddr - 1, 12)
  return [{ name: 'cr3', params, roots: [root], first: 0n, last: (1n << 64n) - 1n, context: { pat, encryptionBit } }]
}

function bad(name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}
