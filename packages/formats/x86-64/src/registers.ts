/** Control registers: SDM 2.5, 4.5.2 (use of CR3); APM 3.1. What PASID entries and guest CR3 tables hold has CR3's layout. */
import { type Assuming, type FoundRoot, hex, IoPgtableError, ones, Right, type Rights } from '@io-pgtable/core'

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

/** Registers that give entries their meaning: a CPU's, or what a PASID entry has in their place (WPE, SMEP). */
export interface X8664Context extends Assuming {
  /** IA32_PAT: eight memory types of 8 bits, which PAT, PCD and PWT choose from. */
  readonly pat: bigint
  /** The C-bit; 0: none. */
  readonly encryptionBit: number
  /** CR0.WP: supervisor writes obey R/W. */
  readonly wp: boolean
  /** CR4.SMEP: a supervisor fetches no instructions from user pages. */
  readonly smep: boolean
  /** CR4.SMAP: nor does it access their data, unless the state has AC. */
  readonly smap: boolean
  /** Nested paging: every access of a guest counts as one of user mode (APM 15.25.5). */
  readonly nested: boolean
  /** What a device may do at all, by its PASID entry (SRE, ERE). A CPU: everything. */
  readonly allowed: Rights
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
  /** CR0, for WP; WPE of a PASID entry. Default: set. */
  readonly cr0?: bigint
  /** IA32_EFER, for NXE; NXE of a PASID entry. Default: set. */
  readonly efer?: bigint
  /** The tables are those of nested paging: cr3 is the nCR3 of a VMCB. Default false. */
  readonly nested?: boolean
  /** SRE and ERE of a PASID entry: requests with supervisor privilege, and for execution. Default: what a CPU may. */
  readonly requests?: { readonly supervisor: boolean; readonly execute: boolean }
}

const PAE = 1n << 5n
const LA57 = 1n << 12n
const SMEP = 1n << 20n
const SMAP = 1n << 21n
const WP = 1n << 16n
const NXE = 1n << 11n

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
  const { efer = NXE, nested = false } = registers
  const nx = (efer & NXE) !== 0n
  const window = nested ? 'low' : 'sign-extended'
  const params: X8664Params = { levels, ias: 12 + 9 * levels, oas: maxPhyAddr, window, encryptionBit, nx }
  // Below: PCID, or PWT and PCD; above: linear-address masking (LAM), and the encryption bit.
  const root = cr3 & ones(maxPhyAddr - 1, 12)
  const last = nested ? ones(params.ias - 1) : ones(63)
  return [{ name: 'cr3', params, roots: [root], first: 0n, last, context: contextOf(registers, pat, encryptionBit) }]
}

function contextOf({ cr0, cr4, efer, nested = false, requests }: X8664Hardware, pat: bigint, encryptionBit: number): X8664Context {
  const allowed =
    requests === undefined ? Right.ALL : (requests.supervisor ? Right.ALL : Right.USER) & (requests.execute ? Right.ALL : ~Right.EXECUTE)
  return {
    ...{ pat, encryptionBit, nested, allowed },
    ...{ wp: ((cr0 ?? WP) & WP) !== 0n, smep: (cr4 & SMEP) !== 0n, smap: (cr4 & SMAP) !== 0n },
    assumed: [...(cr0 === undefined ? ['CR0.WP 1'] : []), ...(efer === undefined ? ['EFER.NXE 1'] : [])],
  }
}

/** Of tables of ours, of which no register is known but those that `regs` gives. */
export function assumedContext(pat: bigint, encryptionBit: number): X8664Context {
  return contextOf({ cr3: 0n, cr4: PAE }, pat, encryptionBit)
}

function bad(name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}
