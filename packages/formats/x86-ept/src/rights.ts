/** Who may do what: SDM volume 3C, 29.3.3 (violations and misconfigurations), 29.3.5 (accessed and dirty flags), 29.3.7 (memory type). */
import { type Meaning, type MemoryType, meaning, Right, type Rights, type Traps, trapAll, type Updates } from '@io-pgtable/core'
import type { EptContext } from './registers.ts'

export const R: bigint = 1n << 0n
export const W: bigint = 1n << 1n
export const X: bigint = 1n << 2n
export const A: bigint = 1n << 8n
const D = 1n << 9n
export const XU: bigint = 1n << 10n

type Values = Readonly<Record<string, number>>

function plain({ R: read, W: write, X: execute }: Values): Rights {
  return (read ? Right.READ : 0) | (write ? Right.WRITE : 0) | (execute ? Right.EXECUTE : 0)
}
function byMode(values: Values): Rights {
  const { X: supervisor, XU: user } = values
  const execute = (supervisor ? Right.EXECUTE & Right.PRIVILEGED : 0) | (user ? Right.EXECUTE & Right.USER : 0)
  return (plain(values) & ~Right.EXECUTE) | execute
}

const PLAIN: Meaning<Rights> = meaning(['R', 'W', 'X'], plain)
const BY_MODE: Meaning<Rights> = meaning(['R', 'W', 'X', 'XU'], byMode)

/** Of a leaf, and what a table leaves. */
export function eptGrants(mbec: boolean): Meaning<Rights> {
  return mbec ? BY_MODE : PLAIN
}

/** Of a leaf, by its raw value. */
export function eptRightsOf(raw: bigint, mbec: boolean): Rights {
  const values = { R: raw & R ? 1 : 0, W: raw & W ? 1 : 0, X: raw & X ? 1 : 0, XU: raw & XU ? 1 : 0 }
  return mbec ? byMode(values) : plain(values)
}

const TYPES: Readonly<Record<number, MemoryType>> = {
  0: { name: 'UC', caching: 'device' },
  1: { name: 'WC', caching: 'uncached' },
  4: { name: 'WT', caching: 'cached' },
  5: { name: 'WP', caching: 'cached' },
  6: { name: 'WB', caching: 'cached' },
}
const RESERVED: MemoryType = { name: 'reserved', caching: 'unknown' }

function typeOf({ EMT = 0, IPAT }: Values): MemoryType {
  const type = TYPES[EMT] ?? RESERVED
  return IPAT ? { ...type, name: `${type.name}, IPAT` } : type
}

/** The type that EPT gives. Without IPAT the guest's PAT may make it stricter. */
export const eptMemory: Meaning<MemoryType> = meaning(['EMT', 'IPAT'], typeOf)

/** Of a leaf, by its raw value. */
export function eptMemoryOf(raw: bigint): MemoryType {
  return typeOf({ EMT: Number((raw >> 3n) & 7n), IPAT: Number((raw >> 6n) & 1n) })
}

/** Memory types that are reserved are misconfigurations, whatever the access. */
export const eptTraps: Meaning<Traps | undefined> = meaning(['EMT'], ({ EMT = 0 }) =>
  TYPES[EMT] === undefined ? trapAll('misconfigured') : undefined,
)

/** A in every entry of the way, D in the leaf, where EPTP enables them. */
export function eptUpdates({ ad }: EptContext): Updates {
  return ad ? { accessed: { clear: 0n, set: A }, dirty: { clear: 0n, set: D } } : {}
}
