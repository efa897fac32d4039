/** Registers that give entries their meaning: SDM 2.5 control registers, 4.1.3; APM 15.25 for nested paging. */
import { type Assuming, hex, IoPgtableError, Right, type Rights } from '@io-pgtable/core'

/** A CPU's, or what a PASID entry of VT-d has in their place (WPE, NXE, SMEP). */
export interface X86Context extends Assuming {
  /** IA32_PAT: eight memory types of 8 bits, which PAT, PCD and PWT choose from. */
  readonly pat: bigint
  /** The C-bit; 0: none. */
  readonly encryptionBit: number
  /** CR0.WP: supervisor writes obey R/W. */
  readonly wp: boolean
  /** EFER.NXE: XD is a flag, and the error code tells instruction fetches. */
  readonly nx: boolean
  /** CR4.SMEP: a supervisor fetches no instructions from user pages. */
  readonly smep: boolean
  /** CR4.PGE: there are global pages. */
  readonly pge: boolean
  /** CR4.SMAP: nor does it access their data, unless the state has AC. */
  readonly smap: boolean
  /** Nested paging: every access of a guest counts as one of user mode (APM 15.25.5). */
  readonly nested: boolean
  /** What a device may do at all, by its PASID entry (SRE, ERE). A CPU: everything. */
  readonly allowed: Rights
}

/** Raw registers of a CPU that {@link X86Context} follows from. */
export interface X86Controls {
  readonly cr4: bigint
  /** CR0, for WP. Default: set. */
  readonly cr0?: bigint | undefined
  /** IA32_EFER, for NXE. Default: set. */
  readonly efer?: bigint | undefined
  /** IA32_PAT. Default: its value after reset. */
  readonly pat?: bigint | undefined
}

/** Where the root is: one of the two. */
export interface X86Roots {
  readonly cr3?: bigint | undefined
  /** nCR3 of a VMCB (offset 0xb0): the tables are those of nested paging. */
  readonly ncr3?: bigint | undefined
}

/** The PAT after reset (SDM 11.12.4): entry 0 write-back, 3 uncacheable. */
export const X86_RESET_PAT = 0x0007_0406_0007_0406n

const WP = 1n << 16n
const NXE = 1n << 11n
const PGE = 1n << 7n
const SMEP = 1n << 20n
const SMAP = 1n << 21n

/** Nested paging looks at none of WP, SMEP and SMAP. */
export function x86Context(
  { cr0, cr4, efer, pat = X86_RESET_PAT }: X86Controls,
  { nested = false, encryptionBit = 0, allowed = Right.ALL }: Partial<Pick<X86Context, 'nested' | 'encryptionBit' | 'allowed'>> = {},
): X86Context {
  const has = (register: bigint, bit: bigint): boolean => (register & bit) !== 0n
  return {
    ...{ pat, encryptionBit, nested, allowed, smep: has(cr4, SMEP), pge: has(cr4, PGE) && !nested, smap: has(cr4, SMAP) },
    ...{ wp: has(cr0 ?? WP, WP), nx: has(efer ?? NXE, NXE) },
    assumed: [...(cr0 === undefined && !nested ? ['CR0.WP 1'] : []), ...(efer === undefined ? ['EFER.NXE 1'] : [])],
  }
}

/** The register that holds the root. @throws `EINVAL` for none, and for both */
export function x86Root({ cr3, ncr3 }: X86Roots): { readonly name: 'cr3' | 'ncr3'; readonly value: bigint; readonly nested: boolean } {
  if (cr3 !== undefined && ncr3 === undefined) return { name: 'cr3', value: cr3, nested: false }
  if (ncr3 !== undefined && cr3 === undefined) return { name: 'ncr3', value: ncr3, nested: true }
  const got = cr3 === undefined ? 'neither' : `cr3 ${hex(cr3)} and ncr3 ${hex(ncr3 ?? 0n)}`
  throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${got}: cr3, or ncr3 of nested paging, expected`, { value: cr3 ?? 0n })
}
