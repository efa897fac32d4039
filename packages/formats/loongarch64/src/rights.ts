/** Who may do what: LoongArch Reference Manual, volume 1, 5.4.2 and 5.4.4. Directories take nothing away. */
import { type Meaning, type MemoryType, meaning, Right, type Rights } from '@io-pgtable/core'

type Values = Readonly<Record<string, number>>

const USER_LEVEL = 3

/** A page of level 3 is everybody's, one of level 0 the kernel's; with RPLV it is its own level's alone. Nobody here runs at levels 1 and 2. */
function rightsOf({ PLV = 0, RPLV, D, NR, NX }: Values): Rights {
  const who = (PLV === USER_LEVEL ? Right.USER : 0) | (RPLV && PLV !== 0 ? 0 : Right.PRIVILEGED)
  return who & ~(NR ? Right.READ : 0) & ~(D ? 0 : Right.WRITE) & ~(NX ? Right.EXECUTE : 0)
}

export const LOONGARCH_GRANTS: Meaning<Rights> = meaning(['D', 'PLV', 'NR', 'NX', 'RPLV'], rightsOf)

/** Of a page by its raw value. */
export function loongArchRightsOf(raw: bigint): Rights {
  const bits = (at: bigint, mask = 1n): number => Number((raw >> at) & mask)
  return rightsOf({ D: bits(1n), PLV: bits(2n, 3n), NR: bits(61n), NX: bits(62n), RPLV: bits(63n) })
}

const TYPES: Readonly<Record<number, MemoryType>> = {
  0: { name: 'SUC', caching: 'device' },
  1: { name: 'CC', caching: 'cached' },
  2: { name: 'WUC', caching: 'uncached' },
}
const RESERVED: MemoryType = { name: 'reserved', caching: 'unknown' }

export const LOONGARCH_MEMORY: Meaning<MemoryType> = meaning(['MAT'], ({ MAT = 0 }) => TYPES[MAT] ?? RESERVED)

/** Of a page by its raw value. */
export function loongArchMemoryOf(raw: bigint): MemoryType {
  return TYPES[Number((raw >> 4n) & 3n)] ?? RESERVED
}
