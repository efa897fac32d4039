/**
 * Who may do what, and what stops an access: the words in which formats say it. A format declares what its fields mean; `AccessRules`
 * (../read/rights.ts) reads a whole path by that.
 */
import type { Match } from './bits.ts'
import { Prot } from './prot.ts'

/**
 * Six bits: user read, write, execute (0 to 2), privileged read, write, execute (3 to 5). What a path grants is the AND of what its tables
 * leave (`limits`) and its leaf gives (`grants`); then the regime's registers have their say. Where there is one party, both halves are equal.
 */
export type Rights = number

/** Masks of {@link Rights}: `Right.USER & Right.WRITE` is one bit. */
export const Right = {
  READ: 0b001_001,
  WRITE: 0b010_010,
  EXECUTE: 0b100_100,
  USER: 0b000_111,
  PRIVILEGED: 0b111_000,
  ALL: 0b111_111,
} as const

/** Who accesses: the names of the lower and the upper three bits of {@link Rights}, or one name for both. */
export type Parties = readonly [all: string] | readonly [user: string, privileged: string]

/** Of a format that does not say `parties`. */
export const PARTIES: Parties = ['user', 'privileged']

/** Rights by party, as `rwx`: `{ user: 'r-x', privileged: 'rw-' }`, or `{ all: 'rw-' }`. */
export function rightsByParty(rights: Rights, parties: Parties = PARTIES): Readonly<Record<string, string>> {
  return Object.fromEntries(parties.map((party, i) => [party, letters(rights >> (3 * i))]))
}

function letters(rights: number): string {
  return [...'rwx'].map((letter, i) => ((rights >> i) & 1 ? letter : '-')).join('')
}

/** The rights of one party, given to both. */
export function forAll(rights: Rights): Rights {
  return (rights & Right.USER) | ((rights & Right.USER) << 3)
}

/** Kinds of access. */
export const ACCESS_KINDS = ['read', 'write', 'execute'] as const
export type AccessKind = (typeof ACCESS_KINDS)[number]

/** The right that an access needs. */
export function neededRight(access: AccessKind, privileged: boolean): Rights {
  return 1 << (ACCESS_KINDS.indexOf(access) + (privileged ? 3 : 0))
}

/** Why an access fails: one list for all packages. The last three are of streams, before any table. */
export const FAULT_TYPES = [
  'translation',
  'not-canonical',
  'access-flag',
  'domain',
  'permission',
  'address-size',
  'reserved',
  'misconfigured',
  'misaligned',
  'walk-abort',
  'unknown-memory',
  'blocked',
  'bad-stream',
  'bad-config',
] as const
export type FaultType = (typeof FAULT_TYPES)[number]

/** Accesses that fault though the entry translates, and how. */
export type Traps = Readonly<Partial<Record<AccessKind, FaultType>>>

/** Every access faults so. */
export function trapAll(type: FaultType): Traps {
  return { read: type, write: type, execute: type }
}

/** What the memory is that a leaf translates to, in the manual's words. */
export interface MemoryType {
  readonly name: string
  /** `cached`: by any policy; `device`: accesses have side effects, and are not merged; `unknown`: the tables do not tell. */
  readonly caching: 'cached' | 'uncached' | 'device' | 'unknown'
}

/** What hardware writes into an entry when it is used, where `when` holds. */
export interface HardwareUpdate {
  readonly when?: Match
  readonly clear: bigint
  readonly set: bigint
}

/** Of an access (`accessed`), and of a write (`dirty`). */
export interface Updates {
  readonly accessed?: HardwareUpdate
  readonly dirty?: HardwareUpdate
}

/**
 * A meaning of a few fields together, at most 10 bits. `^Domain` names the field `Domain` of the entry of the table above. A function of
 * these values and of the decode context alone: it is compiled to a table.
 */
export interface Meaning<T, D = unknown> {
  readonly fields: readonly string[]
  of(values: Readonly<Record<string, number>>, context: D): T
}

/** A meaning; `of` gets the values by their names in `fields`. */
export function meaning<T, D = unknown>(
  fields: readonly string[],
  of: (values: Readonly<Record<string, number>>, context: D) => T,
): Meaning<T, D> {
  return { fields, of }
}

/** Bits that the fields of one meaning may have together. */
export const MEANING_BITS = 10

/** State of the moment, by the manual's names (PAN, SUM, MXR, AC): it decides an access, and is not part of a path's rights. */
export type AccessState = Readonly<Record<string, boolean>>

/** Why no access, or not this one, gets through. */
export interface WalkFault {
  readonly type: FaultType
  /** The manual's number of the level; undefined where none is known. */
  readonly level: number | undefined
  /** For people: the entry and the bits that say so. */
  readonly reason: string
  /** The bits of the descriptor that fault, where some do. */
  readonly bits?: bigint
}

/** The fault of one access. */
export interface AccessFault extends WalkFault {
  readonly access: AccessKind
  readonly privileged: boolean
  /** Of stage 2: the address that it was given. */
  readonly ipa?: bigint
  /** Of stage 2: it was to fetch a table of stage 1. */
  readonly onWalk?: boolean
}

/** How hardware reports a fault. */
export interface ArchFault {
  /** The manual's words. */
  readonly name: string
  /** Register fields or record fields by their names, as numbers. */
  readonly codes: Readonly<Record<string, number>>
}

/** The decode context of a format whose rights depend on registers: which of them were not given. */
export interface Assuming {
  /** Registers, or their fields, that were not given, each with the usual value that was taken: `SCTLR_EL1.WXN 0`. */
  readonly assumed: readonly string[]
}

/** The state that registers of a decode context tell (SUM of a given mstatus); none where they tell none. */
export function stateOf(context: unknown): AccessState {
  if (typeof context !== 'object' || context === null || !('state' in context)) return {}
  return (context as { readonly state?: AccessState }).state ?? {}
}

/** The registers and fields that a decode context had to assume. */
export function assumedOf(context: unknown): readonly string[] {
  if (typeof context !== 'object' || context === null || !('assumed' in context)) return []
  return (context as Assuming).assumed
}

/**
 * What `Prot` says of rights, before the regime, and of a memory type. READ and WRITE: what a user may do, or, where users get at no data, what
 * the privileged may (PRIV). NOEXEC: nobody executes.
 */
export function protOfRights(rights: Rights, memory: MemoryType | undefined): Prot {
  const user = rights & Right.USER
  const privileged = rights >> 3
  const data = (user & 3) !== 0 ? user : privileged
  const priv = (user & 3) === 0 && ((privileged & 3) !== 0 || (user === 0 && privileged !== 0))
  return (
    (data & 1 ? Prot.READ : 0) |
    (data & 2 ? Prot.WRITE : 0) |
    (rights & Right.EXECUTE ? 0 : Prot.NOEXEC) |
    (priv ? Prot.PRIV : 0) |
    (memory === undefined ? 0 : protOfMemory(memory))
  )
}

/** CACHE or MMIO, never both: they follow from the memory type. */
export function protOfMemory({ caching }: MemoryType): Prot {
  return caching === 'cached' ? Prot.CACHE : caching === 'device' ? Prot.MMIO : 0
}
