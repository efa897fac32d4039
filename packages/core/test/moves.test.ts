/** Addresses as rotations are the addresses as pieces. */
import { describe, expect, test } from 'vitest'
import { encodeLane, lanePieces, movesOf } from '../src/compile/lane-pieces.ts'
import type { Piece } from '../src/format/bits.ts'
import { decodeHigh, decodeLow, encodeHigh, encodeLow } from '../src/hot/moves.ts'

/** As hardware has them: [highest bit, lowest bit, address bit at the lowest]. */
const CODECS: Record<string, { pieces: Piece[]; offset: number }> = {
  'in place': { pieces: [[51, 12, 12]], offset: 0xfff },
  'a number of a page at bit 10, as RISC-V': { pieces: [[53, 10, 12]], offset: 0xfff },
  'the same in 32 bits': { pieces: [[31, 10, 12]], offset: 0xfff },
  'bits 51:48 in 15:12, as LPAE with 64K': {
    pieces: [
      [47, 16, 16],
      [15, 12, 48],
    ],
    offset: 0xffff,
  },
  'bits 51:50 in 9:8, as LPA2': {
    pieces: [
      [49, 12, 12],
      [9, 8, 50],
    ],
    offset: 0xfff,
  },
  'shifted by 4, as DART': { pieces: [[37, 10, 14]], offset: 0x3fff },
  'bits 32, and 34:33, as MediaTek': {
    pieces: [
      [31, 12, 12],
      [9, 9, 32],
      [5, 4, 33],
    ],
    offset: 0xfff,
  },
}

describe.each(Object.entries(CODECS))('%s', (_, { pieces, offset }) => {
  const lanes = lanePieces(pieces)
  const moves = movesOf(lanes, offset)
  if (moves === undefined) throw new Error('these moves are of the fixed form')
  const carried = pieces.reduce((mask, [hi, lo, at]) => mask | (((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(at)), 0n) & ~BigInt(offset)

  test('every bit goes to its place and back', () => {
    for (let bit = 0n; bit < 64n; bit++) {
      const address = (1n << bit) & carried
      const lo = Number(BigInt.asIntN(32, address))
      const hi = Number(BigInt.asIntN(32, address >> 32n))
      const low = encodeLow(moves, hi, lo)
      const high = encodeHigh(moves, hi)
      expect([low, high]).toEqual([encodeLane(lanes, 0, hi, lo), encodeLane(lanes, 1, hi, lo)])
      // every other bit of the descriptor is something else's
      const noise = (mask: number): number => ~mask & 0x5a5a_5a5a
      const all = [encodeLow(moves, -1, -1), encodeHigh(moves, -1)] as const
      expect(decodeLow(moves, low | noise(all[0]))).toBe(lo)
      expect(decodeHigh(moves, high | noise(all[1]), low | noise(all[0]))).toBe(hi)
    }
  })
})

test.each([
  [
    'two pieces of the low lane that move differently',
    [
      [31, 20, 20],
      [11, 4, 12],
    ],
  ],
  [
    'three of the high lane',
    [
      [31, 12, 12],
      [1, 1, 32],
      [4, 4, 34],
      [9, 9, 36],
    ],
  ],
  [
    'low address bits in the high lane',
    [
      [31, 16, 16],
      [55, 52, 12],
    ],
  ],
] as [string, Piece[]][])('other forms have none: %s', (_, pieces) => {
  expect(movesOf(lanePieces(pieces), 0xfff)).toBeUndefined()
})
