/**
 * An address that does not stand in the descriptor where it stands in the address, as a fixed number of rotations: what the loops over the
 * pieces of an address (`compile/lane-pieces.ts`, which finds the rotations) do, without the loop. It serves what hardware has: the low lane
 * holds one piece of the address' low lane (moved as a whole) and at most two of its high one, the high lane one piece of the high one. RISC-V
 * and DART move all of it, large addresses of LPAE one piece, MediaTek two.
 */

/**
 * Rotations to the left and masks: from address to descriptor and, `back` and `own`, from descriptor to address. Offset bits are in no mask.
 */
export class Moves {
  readonly low: number
  readonly lowMask: number
  readonly backLow: number
  readonly ownLow: number
  readonly first: number
  readonly firstMask: number
  readonly backFirst: number
  readonly ownFirst: number
  readonly second: number
  readonly secondMask: number
  readonly backSecond: number
  readonly ownSecond: number
  readonly high: number
  readonly highMask: number
  readonly backHigh: number
  readonly ownHigh: number

  constructor(low: Move, first: Move, second: Move, high: Move) {
    this.low = low.rotate
    this.lowMask = low.mask
    this.backLow = back(low)
    this.ownLow = rotate(low.mask, this.backLow)
    this.first = first.rotate
    this.firstMask = first.mask
    this.backFirst = back(first)
    this.ownFirst = rotate(first.mask, this.backFirst)
    this.second = second.rotate
    this.secondMask = second.mask
    this.backSecond = back(second)
    this.ownSecond = rotate(second.mask, this.backSecond)
    this.high = high.rotate
    this.highMask = high.mask
    this.backHigh = back(high)
    this.ownHigh = rotate(high.mask, this.backHigh)
  }
}

function back({ rotate: by }: Move): number {
  return (32 - by) & 31
}

/** One rotation, and the bits that it brings to their place. */
export interface Move {
  readonly rotate: number
  readonly mask: number
}

/** V8 makes one instruction of it. */
export const rotate = (lane: number, bits: number): number => {
  return (lane << bits) | (lane >>> (32 - bits))
}

/** The address bits of a descriptor's lanes. */
export const encodeLow = (m: Moves, hi: number, lo: number): number => {
  return (rotate(lo, m.low) & m.lowMask) | (rotate(hi, m.first) & m.firstMask) | (rotate(hi, m.second) & m.secondMask)
}

export const encodeHigh = (m: Moves, hi: number): number => {
  return rotate(hi, m.high) & m.highMask
}

/** The lanes of a descriptor's address. */
export const decodeLow = (m: Moves, d: number): number => {
  return rotate(d, m.backLow) & m.ownLow
}

export const decodeHigh = (m: Moves, high: number, d: number): number => {
  return (rotate(high, m.backHigh) & m.ownHigh) | (rotate(d, m.backFirst) & m.ownFirst) | (rotate(d, m.backSecond) & m.ownSecond)
}
