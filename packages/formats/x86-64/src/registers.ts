/** Control registers: SDM 2.5, 4.5.2 (use of CR3); APM 3.1. What PASID entries and guest CR3 tables hold has CR3's layout. */
import { type FoundRoot, hex, IoPgtableError, ones, Right } from '@io-pgtable/core'
import { type X86Context, type X86Controls, type X86Roots, x86Context, x86Root } from '@io-pgtable/x86-common'

export type X8664Context = X86Context

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
  /** EFER.NXE: XD is a flag, and not reserved. Default true. */
  readonly nx?: boolean
}

/**
 * Raw registers, and what CPUID tells: cr3 of a CPU, or ncr3 of a VMCB with the CR4 and EFER of its host. A PASID entry of VT-d has WPE and NXE in
 * the place of cr0 and efer.
 */
export interface X8664Hardware extends X86Controls, X86Roots {
  /** MAXPHYADDR, 32 to 52. Default 52, or the encryption bit's number. */
  readonly maxPhyAddr?: number
  /** The C-bit. Default 0: none. */
  readonly encryptionBit?: number
  /** SRE and ERE of a PASID entry: requests with supervisor privilege, and for execution. Default: what a CPU may. */
  readonly requests?: { readonly supervisor: boolean; readonly execute: boolean }
}

const PAE = 1n << 5n
const LA57 = 1n << 12n
const NXE = 1n << 11n

export function packRegs({ levels }: X8664Params, cr3: bigint): X8664Regs {
  return { cr3, cr4: levels === 5 ? PAE | LA57 : PAE, levels }
}

/** @throws `EINVAL` for paging of other formats, and for numbers that no CPUID tells */
export function rootsFromRegs(registers: X8664Hardware): readonly FoundRoot<X8664Params, X8664Context>[] {
  const { cr4, efer = NXE, encryptionBit = 0, maxPhyAddr = encryptionBit === 0 ? 52 : encryptionBit, requests } = registers
  const { name, value, nested } = x86Root(registers)
  if ((cr4 & PAE) === 0n) throw bad('cr4', cr4, 'PAE expected: without it, paging has 32-bit entries')
  if (!Number.isInteger(maxPhyAddr) || maxPhyAddr < 32 || maxPhyAddr > 52) throw bad('maxPhyAddr', maxPhyAddr, '32 to 52 expected')
  if (encryptionBit !== 0 && !(Number.isInteger(encryptionBit) && encryptionBit >= maxPhyAddr && encryptionBit < 52))
    throw bad('encryptionBit', encryptionBit, `0 or ${maxPhyAddr} (maxPhyAddr) to 51 expected`)
  const levels = cr4 & LA57 ? 5 : 4
  // a guest's physical addresses have no sign
  const window = nested ? 'low' : 'sign-extended'
  const params: X8664Params = { levels, ias: 12 + 9 * levels, oas: maxPhyAddr, window, encryptionBit, nx: (efer & NXE) !== 0n }
  // Below: PCID, or PWT and PCD; above: linear-address masking (LAM), and the encryption bit.
  const root = value & ones(maxPhyAddr - 1, 12)
  const last = nested ? ones(params.ias - 1) : ones(63)
  const context = x86Context(registers, { nested, encryptionBit, allowed: allowedTo(requests) })
  return [{ name, params, roots: [root], first: 0n, last, context }]
}

function allowedTo(requests: X8664Hardware['requests']): number {
  if (requests === undefined) return Right.ALL
  return (requests.supervisor ? Right.ALL : Right.USER) & (requests.execute ? Right.ALL : ~Right.EXECUTE)
}

/** Of tables of ours, of which no register is known but those that `regs` gives. */
export function assumedContext(encryptionBit: number): X8664Context {
  return x86Context({ cr4: PAE }, { encryptionBit })
}

function bad(name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}
