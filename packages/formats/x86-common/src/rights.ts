/**
 * Who may do what: SDM 4.6 (access rights), 4.7 (page-fault exceptions), 4.8 (accessed and dirty flags), 4.9 (memory typing), 11.12 (PAT);
 * APM 5.6, and 15.25 for nested paging; VT-d 3.6 and 9.6 for SRE, ERE, WPE, NXE and SMEP of a PASID entry.
 */
import {
  type AccessFault,
  type AccessState,
  type ArchFault,
  forAll,
  type Meaning,
  type MemoryType,
  meaning,
  PARTIES,
  type Parties,
  Right,
  type Rights,
  type Updates,
} from '@io-pgtable/core'
import type { X86Context } from './context.ts'

/** Of a leaf, and what a table leaves: what is present can be read. Where NXE is clear XD is reserved, and such an entry faults. */
export const X86_GRANTS: Meaning<Rights> = meaning(
  ['R/W', 'U/S', 'XD'],
  ({ 'R/W': writable, 'U/S': user, XD }) =>
    (user ? Right.ALL : Right.PRIVILEGED) & ~(writable ? 0 : Right.WRITE) & ~(XD ? Right.EXECUTE : 0),
)

/** The same of entries that have no XD: those of 32-bit paging. */
export const X86_GRANTS_NO_XD: Meaning<Rights> = meaning(
  ['R/W', 'U/S'],
  ({ 'R/W': writable, 'U/S': user }) => (user ? Right.ALL : Right.PRIVILEGED) & ~(writable ? 0 : Right.WRITE),
)

/** G counts where CR4.PGE is set: all address spaces share the page. */
export const X86_SHARED: Meaning<boolean, X86Context> = meaning(['G'], ({ G }, { pge }) => pge && G === 1)

export function x86Parties({ nested }: X86Context): Parties {
  return nested ? ['all'] : PARTIES
}

/** WP, SMEP, and what a PASID entry allows; with a state, SMAP too, which the flag AC suspends. */
export function x86Regime(context: X86Context, state?: AccessState): (path: Rights) => Rights {
  const { wp, smep, smap, nested, allowed } = context
  if (nested) return (path) => forAll(path)
  return (path) => {
    let rights = path
    if (!wp && (rights & Right.PRIVILEGED & Right.READ) !== 0) rights |= Right.PRIVILEGED & Right.WRITE
    const user = (path & Right.USER & Right.READ) !== 0
    if (user && smep) rights &= ~(Right.PRIVILEGED & Right.EXECUTE)
    if (user && smap && state !== undefined && !state.AC) rights &= ~(Right.PRIVILEGED & (Right.READ | Right.WRITE))
    return rights & allowed
  }
}

/** What takes a supervisor's right to a user page, or a write, away. */
export function x86Denies(
  { smep, smap, allowed }: X86Context,
  { path, needed, state }: { readonly path: Rights; readonly needed: Rights; readonly state: AccessState },
): string | undefined {
  if ((needed & allowed) === 0) return 'the PASID entry (SRE, ERE)'
  const ofUser = (path & Right.USER & Right.READ) !== 0 && (needed & Right.PRIVILEGED) !== 0
  if (ofUser && (needed & Right.EXECUTE) !== 0 && smep) return 'CR4.SMEP, with a user page,'
  if (ofUser && smap && !state.AC) return 'CR4.SMAP, with a user page and EFLAGS.AC clear,'
  return undefined
}

const TYPES: Readonly<Record<number, MemoryType>> = {
  0: { name: 'UC', caching: 'device' },
  1: { name: 'WC', caching: 'uncached' },
  4: { name: 'WT', caching: 'cached' },
  5: { name: 'WP', caching: 'cached' },
  6: { name: 'WB', caching: 'cached' },
  7: { name: 'UC-', caching: 'device' },
}
const RESERVED: MemoryType = { name: 'reserved', caching: 'unknown' }

/** By the PAT; what an MTRR takes away is not known. Memory without the C-bit, where there is one, is shared with devices or the host. */
export function x86Memory(encrypted: boolean): Meaning<MemoryType, X86Context> {
  return encrypted ? ENCRYPTED : PLAIN
}
const typeOf = ({ PAT = 0, PCD = 0, PWT = 0 }: Readonly<Record<string, number>>, { pat }: X86Context): MemoryType =>
  TYPES[Number((pat >> BigInt((PAT * 4 + PCD * 2 + PWT) * 8)) & 7n)] ?? RESERVED
const PLAIN: Meaning<MemoryType, X86Context> = meaning(['PAT', 'PCD', 'PWT'], typeOf)
const ENCRYPTED: Meaning<MemoryType, X86Context> = meaning(['PAT', 'PCD', 'PWT', 'C'], (values, context) => {
  const type = typeOf(values, context)
  return values.C ? type : { name: `${type.name}, not encrypted`, caching: 'device' }
})

const A = 1n << 5n
const D = 1n << 6n

/** A in every entry of the way, D in the leaf: no register switches that off in a CPU. */
export function x86Updates(): Updates {
  return { accessed: { clear: 0n, set: A }, dirty: { clear: 0n, set: D } }
}

/**
 * The page-fault error code: P, W/R, U/S, RSVD, I/D (SDM 4.7); of an address that is not canonical, a general protection. I/D tells
 * instruction fetches only where NXE or SMEP is set.
 */
export function x86Fault({ type, access, privileged, onWalk }: AccessFault, { nested, nx, smep }: X86Context): ArchFault {
  if (type === 'not-canonical') return { name: '#GP, or #SS for the stack', codes: { vector: 13, error: 0 } }
  const present = type === 'permission' || type === 'reserved' ? 1 : 0
  const error =
    present |
    (access === 'write' ? 2 : 0) |
    (privileged && !nested ? 0 : 4) |
    (type === 'reserved' ? 8 : 0) |
    (access === 'execute' && (nx || (smep && !nested)) ? 16 : 0)
  // APM 15.25.6: bit 32, the final address; bit 33, a table of the guest's
  const stage = onWalk === undefined ? 0 : onWalk ? 0x2_0000_0000 : 0x1_0000_0000
  return nested
    ? { name: '#VMEXIT(NPF)', codes: { exitcode: 0x400, exitinfo1: error + stage } }
    : { name: '#PF', codes: { vector: 14, error } }
}
