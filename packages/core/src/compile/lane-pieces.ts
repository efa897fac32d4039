/** Bit pieces of 64-bit descriptors as shifts and masks of int32 lanes: made once per configuration, read by the hot loops. */
import { ones, type Piece } from '../format/bits.ts'
import { type Move, Moves, rotate } from '../hot/moves.ts'

/**
 * Low 32 bits of a bigint as an int32. `| 0`: V8 makes a double of the bigints -2^31 and 2^31 - 1, and one format with such a mask would make
 * the field that holds it slower for all.
 */
export function laneLo(value: bigint): number {
  return Number(BigInt.asIntN(32, value)) | 0
}

/** Bits 63:32 of a bigint as an int32. */
export function laneHi(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n)) | 0
}

/**
 * An address codec as int32 quintuples: [descriptor lane, its lowest bit, mask, address lane, its lowest bit]. Lane 0 is the low one.
 */
export type LanePieces = Int32Array

/** Splits pieces at lane borders of both sides. */
export function lanePieces(pieces: readonly Piece[]): LanePieces {
  const out: number[] = []
  for (const [hi, lo, at] of pieces) {
    for (let bit = lo; bit <= hi; ) {
      const address = at + bit - lo
      const width = Math.min(hi - bit + 1, 32 - (bit % 32), 32 - (address % 32))
      out.push(bit >> 5, bit % 32, laneLo(ones(width - 1)), address >> 5, address % 32)
      bit += width
    }
  }
  return Int32Array.from(out)
}

/** One lane of a descriptor, 0 for the low one: the bits of the address in it. */
export function encodeLane(pieces: LanePieces, lane: number, hi: number, lo: number): number {
  let raw = 0
  for (let i = 0; i < pieces.length; i += 5) {
    if (pieces[i] !== lane) continue
    const from = pieces[i + 3] === 0 ? lo : hi
    raw |= ((from >>> pieces[i + 4]!) & pieces[i + 2]!) << pieces[i + 1]!
  }
  return raw
}

/** One lane of an address, 0 for the low one: its bits in a descriptor. */
export function decodeLane(pieces: LanePieces, lane: number, high: number, low: number): number {
  let address = 0
  for (let i = 0; i < pieces.length; i += 5) {
    if (pieces[i + 3] !== lane) continue
    const from = pieces[i] === 0 ? low : high
    address |= ((from >>> pieces[i + 1]!) & pieces[i + 2]!) << pieces[i + 4]!
  }
  return address
}

/** What one page more adds to the low lane, and the low address bits in which that holds without a carry out of its piece. */
export function stepOf(pieces: readonly Piece[], stepLg: number): { lo: number; window: number } {
  for (const [hi, lo, at] of pieces) {
    const top = Math.min(at + Math.min(hi, 31) - lo + 1, 32)
    if (lo > 31 || stepLg < at || stepLg >= top) continue
    return { lo: laneLo(1n << BigInt(lo + stepLg - at)), window: laneLo(ones(top - 1)) }
  }
  return { lo: 0, window: 0 }
}

export interface LaneShift {
  readonly mask: number
  readonly left: number
  readonly right: number
}

/** How the low 32 bits of a table's address stand in each lane of its descriptor; at most one piece a lane. */
export function lowAddress(pieces: readonly Piece[]): [LaneShift, LaneShift] {
  const found: [LaneShift, LaneShift] = [
    { mask: 0, left: 0, right: 0 },
    { mask: 0, left: 0, right: 0 },
  ]
  const lanes = lanePieces(pieces)
  for (let i = 0; i < lanes.length; i += 5) {
    const [lane, bit, mask, addressLane, addressBit] = lanes.subarray(i, i + 5) as unknown as [0 | 1, number, number, number, number]
    if (addressLane !== 0) continue
    if (found[lane].mask !== 0) throw new Error('a table address has two pieces of its low 32 bits in one lane')
    found[lane] = { mask: (mask << bit) | 0, left: Math.max(addressBit - bit, 0), right: Math.max(bit - addressBit, 0) }
  }
  return found
}

const NOTHING: Move = { rotate: 0, mask: 0 }

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
