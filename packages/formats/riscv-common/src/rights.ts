/**
 * Who may do what: Privileged Architecture, "Virtual Address Translation Process", "Sv32, Addressing and Memory Protection" (U, R, W, X, A,
 * D), Svpbmt, Svade and Svadu; "Supervisor Status Register" (SUM, MXR); the exception codes of scause. Tables take nothing away.
 */
import {
  type AccessFault,
  type AccessKind,
  type AccessState,
  type ArchFault,
  type Assuming,
  forAll,
  type Meaning,
  type MemoryType,
  meaning,
  type Regime,
  Right,
  type Rights,
  type Traps,
  trapAll,
  type Updates,
} from '@io-pgtable/core'
import { A, D } from './bits.ts'
import type { RiscvExtension } from './descriptors.ts'

/** What gives entries their meaning, beside the entry. */
export interface RiscvRegime extends Assuming {
  /** menvcfg.ADUE, or henvcfg's: hardware sets A and D (Svadu). Without it an access to a page without them faults (Svade). */
  readonly adue: boolean
  /** SUM and MXR, where the status register was given. */
  readonly state?: AccessState
}

const ADUE = 1n << 61n
const PBMTE = 1n << 62n
const SUM = 1n << 18n
const MXR = 1n << 19n

/** What menvcfg says, or henvcfg for tables of VS-mode; left out: Svade, and Svpbmt as `extensions` have it. */
export function riscvRegime(envcfg: bigint | undefined, status?: bigint): RiscvRegime {
  const state = status === undefined ? {} : { state: { SUM: (status & SUM) !== 0n, MXR: (status & MXR) !== 0n } }
  if (envcfg === undefined) return { adue: false, ...state, assumed: ['menvcfg.ADUE 0'] }
  return { adue: (envcfg & ADUE) !== 0n, ...state, assumed: [] }
}

/** S-mode's registers, and those of VS-mode. */
export const RISCV_REGIMES: Readonly<Record<string, Regime>> = {
  s: { registers: { menvcfg: 'envcfg', mstatus: 'status', sstatus: 'status' } },
  vs: { registers: { vsatp: 'satp', henvcfg: 'envcfg', vsstatus: 'status' } },
}

/** The extensions that are there and switched on: PBMTE is Svpbmt's. */
export function enabledExtensions(extensions: readonly RiscvExtension[], envcfg: bigint | undefined): readonly RiscvExtension[] {
  return envcfg === undefined || (envcfg & PBMTE) !== 0n ? extensions : extensions.filter((extension) => extension !== 'Svpbmt')
}

/** A page of user mode: S-mode never executes it, and reads and writes it where SUM is set. */
function ofPage(all: Rights, U: number): Rights {
  return U === 1 ? all & ~(Right.PRIVILEGED & Right.EXECUTE) : all & Right.PRIVILEGED
}

export const RISCV_GRANTS: Meaning<Rights> = meaning(['R', 'W', 'X', 'U'], ({ R = 0, W = 0, X = 0, U = 0 }) =>
  ofPage((R && Right.READ) | (W && Right.WRITE) | (X && Right.EXECUTE), U),
)

/** A shadow stack is read by ordinary accesses (Zicfiss); other stores than its own fault. */
export const RISCV_SHADOW_GRANTS: Meaning<Rights> = meaning(['U'], ({ U = 0 }) => ofPage(Right.READ, U))

/** Every access of a guest counts as one of user mode. */
export const RISCV_G_GRANTS: Meaning<Rights> = meaning(['R', 'W', 'X'], ({ R = 0, W = 0, X = 0 }) =>
  forAll((R && Right.READ) | (W && Right.WRITE) | (X && Right.EXECUTE)),
)

/** Of a leaf, and of all below a pointer. */
export const RISCV_GLOBAL: Meaning<boolean> = meaning(['G'], ({ G }) => G === 1)

/** A clear: any access. D clear: a write to what may be written to. A reserved memory type faults. */
export function riscvTraps(writable: readonly string[], pbmt: boolean): Meaning<Traps | undefined, RiscvRegime | undefined> {
  return meaning(['A', 'D', ...writable, ...(pbmt ? ['PBMT'] : [])], ({ A = 0, D = 0, W = 0, PBMT = 0 }, regime) => {
    if (PBMT === 3) return trapAll('reserved')
    if (regime?.adue) return undefined
    if (A === 0) return trapAll('access-flag')
    return W === 1 && D === 0 ? { write: 'access-flag' } : undefined
  })
}

const TYPES: readonly MemoryType[] = [
  { name: 'PMA', caching: 'cached' },
  { name: 'NC', caching: 'uncached' },
  { name: 'IO', caching: 'device' },
  { name: 'reserved', caching: 'unknown' },
]
export const RISCV_MEMORY: Meaning<MemoryType> = meaning(['PBMT'], ({ PBMT = 0 }) => TYPES[PBMT] as MemoryType)

/** Svadu. */
export function riscvUpdates(context: unknown): Updates {
  if (!(context as RiscvRegime | undefined)?.adue) return {}
  return { accessed: { clear: 0n, set: A }, dirty: { clear: 0n, set: A | D } }
}

/** SUM and MXR of sstatus (of vsstatus, for tables of VS-mode). Without a state both stay out of a path's rights. */
export function riscvSupervisor(state: AccessState | undefined): (path: Rights) => Rights {
  return (path) => {
    if (state === undefined) return path
    const seen = state.MXR ? readable(path) : path
    return (seen & Right.USER) !== 0 && !state.SUM ? seen & Right.USER : seen
  }
}

/** What takes S-mode's right to a page of user mode away. */
export function riscvDenies({
  path,
  needed,
  state,
}: {
  readonly path: Rights
  readonly needed: Rights
  readonly state: AccessState
}): string | undefined {
  const ofUser = (path & Right.USER) !== 0 && (needed & Right.PRIVILEGED & ~Right.EXECUTE) !== 0
  return ofUser && !state.SUM ? 'sstatus.SUM, which is clear, with a page of user mode,' : undefined
}

/** MXR: what may be executed may be read. S-mode never executes pages of user mode, but reads them so. */
function readable(path: Rights): Rights {
  const execute = path & Right.EXECUTE
  const user = (path & Right.USER) !== 0 && (execute & Right.USER) !== 0
  return path | (execute >> 2) | (user ? Right.READ : 0)
}

/** MXR of the status register that governs the second stage. */
export function riscvGuest(state: AccessState | undefined): (path: Rights) => Rights {
  return (path) => (state?.MXR ? path | ((path & Right.EXECUTE) >> 2) : path)
}

const PAGE_FAULT: Readonly<Record<AccessKind, number>> = { execute: 12, read: 13, write: 15 }
const GUEST_PAGE_FAULT: Readonly<Record<AccessKind, number>> = { execute: 20, read: 21, write: 23 }
const ACCESS_FAULT: Readonly<Record<AccessKind, number>> = { execute: 1, read: 5, write: 7 }

/** The exception code of scause; of a guest-page fault htval, too. Memory that is not there is an access fault; all else is a page fault. */
export function riscvFault({ type, access, ipa }: AccessFault, gStage: boolean): ArchFault {
  const isAccess = type === 'address-size' || type === 'walk-abort' || type === 'unknown-memory'
  const codes = isAccess ? ACCESS_FAULT : gStage ? GUEST_PAGE_FAULT : PAGE_FAULT
  const who = access === 'read' ? 'load' : access === 'write' ? 'store/AMO' : 'instruction'
  const what = isAccess ? 'access fault' : gStage ? 'guest-page fault' : 'page fault'
  return { name: `${who} ${what}`, codes: { cause: codes[access], ...(ipa !== undefined && !isAccess && { htval: Number(ipa >> 2n) }) } }
}
