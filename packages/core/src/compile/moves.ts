/**
 * An address that does not stand in the descriptor where it stands in the address, as a fixed number of rotations: what the loops over pieces
 * of `lane-pieces` do, without the loop. It serves what hardware has: the low lane holds one piece of the address' low lane (moved as a whole)
 * and at most two of its high one, the high lane one piece of the high one. RISC-V and DART move all of it, large addresses of LPAE one piece,
 * MediaTek two.
 */
import type { LanePieces } from './lane-pieces.ts'

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

interface Move {
  readonly rotate: number
  readonly mask: number
}

const NOTHING: Move = { rotate: 0, mask: 0 }

/** V8 makes one instruction of it. */
export const rotate = (lane: number, bits: number): number => {
  return (lane << bits) | (lane >>> (32 - bits))
}

/** The moves of pieces, without the address bits of an offset in the low lane; undefined where they do not fit the fixed form. */
export function movesOf(pieces: LanePieces, offsetLo: number): Moves | undefined {
  const low = movesBetween(pieces, 0, 0, offsetLo)
  const across = movesBetween(pieces, 0, 1, 0)
  const high = movesBetween(pieces, 1, 1, 0)
  if (low.length > 1 || across.length > 2 || high.length > 1 || movesBetween(pieces, 1, 0, offsetLo).length > 0) return undefined
  return new Moves(low[0] ?? NOTHING, across[0] ?? NOTHING, across[1] ?? NOTHING, high[0] ?? NOTHING)
}

/** The moves from a lane of the address to one of the descriptor; pieces that rotate alike are one. */
function movesBetween(pieces: LanePieces, lane: number, addressLane: number, offset: number): Move[] {
  const masks = new Map<number, number>()
  for (let i = 0; i < pieces.length; i += 5) {
    const [to = 0, bit = 0, ones = 0, from = 0, addressBit = 0] = pieces.subarray(i, i + 5)
    const own = (ones << addressBit) & ~offset
    if (to !== lane || from !== addressLane || own === 0) continue
    const by = (bit - addressBit) & 31
    masks.set(by, (masks.get(by) ?? 0) | rotate(own, by))
  }
  return [...masks].map(([by, mask]) => ({ rotate: by, mask }))
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
