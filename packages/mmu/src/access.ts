/** What is asked, and where the answer stands. */
import { FAULT_TYPES, type FaultType, IoPgtableError, type MemoryType } from '@io-pgtable/core'

/**
 * What an access does: the sum of one of READ, WRITE, EXECUTE and ATOMIC, and PRIVILEGED or nothing. An atomic access reads and writes;
 * where it faults, it faults as a write.
 */
export const Access = {
  READ: 0b0001,
  WRITE: 0b0010,
  ATOMIC: 0b0011,
  EXECUTE: 0b0100,
  PRIVILEGED: 0b1000,
} as const

/** Bit n: n is an access. */
const ACCESSES = 0b0001_1110_0001_1110

/** The rights that an access needs. @throws `EINVAL` for what is no access */
export function neededRights(access: number): number {
  if (access !== (access & 15) || ((ACCESSES >>> access) & 1) === 0) throw badAccess(access)
  return (access & 7) << (3 & -(access >>> 3))
}

function badAccess(access: number): IoPgtableError {
  const text = `${access}: one of Access.READ, WRITE, EXECUTE and ATOMIC expected, with PRIVILEGED or without`
  return new IoPgtableError('EINVAL', 'access', text, { value: Number(access) })
}

/**
 * The answer of the last access, of whichever Mmu: int32 by the names of {@link Lane}. It stands until the next access, so it is read at once.
 */
export const lanes: Int32Array = new Int32Array(18)

/** The places of {@link lanes}. The first five hold after an access that gets through, the sixth always, the others after one that faults. */
export const Lane = {
  PADDR_HI: 0,
  PADDR_LO: 1,
  /** What the path grants at this moment: six bits, and bit 6, which is clear where every address space shares the entry. */
  RIGHTS: 2,
  /** log2 of the bytes around the address that are translated alike. */
  SIZE_LG: 3,
  /** The memory type: `memoryOf` says which. */
  MEMORY: 4,
  /** 0, or a fault: `faultType` says which. SPARSE where there is neither memory nor a fault. */
  FAULT: 5,
  LEVEL: 6,
  STAGE: 7,
  /** 1 where stage 2 faulted on the fetch of a table of stage 1. */
  ON_WALK: 8,
  IPA_HI: 9,
  IPA_LO: 10,
  IOVA_HI: 11,
  IOVA_LO: 12,
  /** The rights that the access needs. */
  NEED: 13,
  /** Bits of the descriptor that fault, where some do. */
  BITS_HI: 14,
  BITS_LO: 15,
  /** After an access that gets through: the path's rights before the regime, with bit 6 as in RIGHTS; and rights that no trap closes. */
  PATH: 16,
  OPEN: 17,
} as const

/** The level of a fault that happens before any table is read. */
export const NO_LEVEL = -128

/** The numbers of faults in the lanes. */
export function faultCode(type: FaultType): number {
  return FAULT_TYPES.indexOf(type) + 1
}

/** The fault of a number in the lanes; undefined for 0. */
export function faultType(code: number): FaultType | undefined {
  return FAULT_TYPES[code - 1]
}

/** In the place of a fault: the path ends in an entry that has no memory, and no fault either. */
export const SPARSE = 255

export const UNKNOWN_MEMORY: number = faultCode('unknown-memory')
export const PERMISSION: number = faultCode('permission')
export const TRANSLATION: number = faultCode('translation')

/** Memory types by their numbers in the lanes; 0 is none. */
const memoryTypes: (MemoryType | undefined)[] = [undefined]
const memoryNumbers = new Map<string, number>()

export function memoryNumber(memory: MemoryType | undefined): number {
  if (memory === undefined) return 0
  const key = `${memory.caching} ${memory.name}`
  let number = memoryNumbers.get(key)
  if (number === undefined) memoryNumbers.set(key, (number = memoryTypes.push(memory) - 1))
  return number
}

export function memoryOf(number: number): MemoryType | undefined {
  return memoryTypes[number]
}
