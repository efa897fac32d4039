/** Descriptor bits as pieces: cold bigint code, written for reading. The engine compiles pieces into shifts and masks of 32-bit lanes. */

/** Descriptor bits `hi..lo` hold the value's bits from bit `at` on: `[hi, lo, at]`. */
export type Piece = readonly [hi: number, lo: number, at: number]

/** A test on a raw descriptor: it holds when `(raw & mask) === value`. */
export interface Match {
  readonly mask: bigint
  readonly value: bigint
}

/** Bits `hi..lo`, all ones. */
export function ones(hi: number, lo = 0): bigint {
  return ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo)
}

/** The value that `pieces` of a descriptor hold. */
export function extract(raw: bigint, pieces: readonly Piece[]): bigint {
  let value = 0n
  for (const [hi, lo, at] of pieces) value |= ((raw & ones(hi, lo)) >> BigInt(lo)) << BigInt(at)
  return value
}

/** The descriptor bits that hold `value`; bits of the value that no piece carries are lost. */
export function deposit(value: bigint, pieces: readonly Piece[]): bigint {
  let raw = 0n
  for (const [hi, lo, at] of pieces) raw |= ((value >> BigInt(at)) << BigInt(lo)) & ones(hi, lo)
  return raw
}

/** All descriptor bits that `pieces` take. */
export function bitsOf(pieces: readonly Piece[]): bigint {
  return pieces.reduce((mask, [hi, lo]) => mask | ones(hi, lo), 0n)
}

/** The bits of a 64-bit value that no piece carries: {@link deposit} loses them. */
export function uncarried(pieces: readonly Piece[]): bigint {
  const carried = pieces.reduce((mask, [hi, lo, at]) => mask | ones(at + hi - lo, at), 0n)
  return BigInt.asUintN(64, ~carried)
}

/** The lowest bit that is set, as a power of two; 2^64 where none of a 64-bit value is. */
export function lowestBit(value: bigint): bigint {
  return value === 0n ? 1n << 64n : value & -value
}

/** Whether `raw` passes the test. */
export function matches(raw: bigint, match: Match): boolean {
  return (raw & match.mask) === match.value
}

/** A named part of a descriptor, as the manual names and numbers it. */
export interface Field {
  readonly name: string
  /** Where its bits are; `at` numbers the bits of the field's value. */
  readonly pieces: readonly Piece[]
  /** What it means, in a few words. */
  readonly doc: string
  /** The manual's section. */
  readonly section?: string
  /** Meanings of its values. */
  readonly values?: Readonly<Record<number, string>>
  /**
   * Reserved, and what a set bit does: `ignored`, hardware does not look at it; `zero`, it wants zero and the manual does not promise what
   * happens otherwise; `faults`, a walk that meets it ends.
   */
  readonly reserved?: 'ignored' | 'zero' | 'faults'
  /** Values that the manual reserves. Where an access to them faults, the kind's `traps` say it. */
  readonly reservedValues?: readonly number[]
}

/** A field of consecutive bits. */
export function field(
  name: string,
  hi: number,
  lo: number,
  doc: string,
  more: Partial<Pick<Field, 'section' | 'values' | 'reserved' | 'reservedValues'>> = {},
): Field {
  return { name, pieces: [[hi, lo, 0]], doc, ...more }
}

/** A field of bits that lie apart. */
export function splitField(
  name: string,
  pieces: readonly Piece[],
  doc: string,
  more: Partial<Pick<Field, 'section' | 'values' | 'reserved' | 'reservedValues'>> = {},
): Field {
  return { name, pieces, doc, ...more }
}

/** A match on a mask and a value. */
export function when(mask: bigint, value: bigint): Match {
  return { mask, value }
}

/** Matches every descriptor: for the last kind of a node, and the last size of a kind. */
export const ALWAYS: Match = { mask: 0n, value: 0n }
