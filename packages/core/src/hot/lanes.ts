/** 64-bit values as int32 lanes, by way of a scratch array: the cheapest way between bigints and int32 that V8 has. */

/** The scratch array: what is stored here is read as {@link lanes}. */
export const lanes64: BigUint64Array = new BigUint64Array(2)

/** Lanes of the two values of {@link lanes64}: low and high of the first, low and high of the second. Little-endian hosts only. */
export const lanes: Int32Array = new Int32Array(lanes64.buffer)

/** The low lane of a value below 2^64. */
export const lowOf = (value: bigint): number => {
  lanes64[0] = value
  return lanes[0]!
}

/** The high lane of a value below 2^64. */
export const highOf = (value: bigint): number => {
  lanes64[0] = value
  return lanes[1]!
}

/** Two addresses by lane. */
export interface AddressLanes {
  hi: number
  lo: number
  paddrHi: number
  paddrLo: number
}

/** Puts two values below 2^64 where their lanes are kept. */
export const enterLanes = (to: AddressLanes, iova: bigint, paddr: bigint): void => {
  const scratch = lanes64
  scratch[0] = iova
  scratch[1] = paddr
  const four = lanes
  to.lo = four[0]!
  to.hi = four[1]!
  to.paddrLo = four[2]!
  to.paddrHi = four[3]!
}

/**
 * Whether a bigint is below 2^64. V8 compares bigints as int64 until it meets one that is none, in that comparison, and by calls from then on.
 * Those of the upper half (TTBR1, sign-extended spaces) are therefore compared here, and all others where they are used: the upper half does not
 * slow down the tables that have none.
 */
export const isUpper64 = (value: bigint): boolean => {
  return BigInt.asUintN(64, value) === value
}

/** Whether a bigint is below 2^64; `hi` is its high lane. */
export const isBelow64 = (value: bigint, hi: number): boolean => {
  return hi >= 0 ? BigInt.asUintN(64, value) === value : isUpper64(value)
}

/** The value of two lanes. */
export const join = (hi: number, lo: number): bigint => {
  lanes[0] = lo
  lanes[1] = hi
  return lanes64[0]!
}

/** The low lane of a 64-bit address plus `bytes`; `bytes` is below 2^53. */
export function advanceLo(lo: number, bytes: number): number {
  return ((lo >>> 0) + bytes) | 0
}

/** The high lane of a 64-bit address plus `bytes`. */
export function advanceHi(hi: number, lo: number, bytes: number): number {
  return (hi + Math.floor(((lo >>> 0) + bytes) / 0x1_0000_0000)) | 0
}

/** Whether the first of two addresses is lower. */
export function isBelow(hi: number, lo: number, otherHi: number, otherLo: number): boolean {
  return hi === otherHi ? (lo ^ MIN) < (otherLo ^ MIN) : (hi ^ MIN) < (otherHi ^ MIN)
}

/** Flipping the top bit makes int32s compare as unsigned. */
const MIN = -0x8000_0000
