/**
 * The fast path for one page a call, which is as common as a call for many. Each *try* does the whole job or nothing. When it does nothing, the
 * slow path runs, and finds the missing table, the conflict or the error. The tries serve the smallest page where masks recognise it
 * and holds its address in place or in a few moved pieces, in a table that the walk cache knows. Everything they read is an int32 of one
 * object, and no loop, second size or message is in them: they stay below the size that V8 inlines.
 */
import { isUpper64, join, lanes, lanes64 } from './lanes.ts'
import { decodeHigh, decodeLow, encodeHigh, encodeLow, type Moves } from './moves.ts'

/** Tables whose places are known: what the tries ask of a tree. */
export interface KnownTables {
  readonly words: Int32Array
  /** The word index of the last table on the way of an address, or -1 where it is not known. */
  cached(hi: number, lo: number): number
}

/** The smallest page of a configuration, as int32 constants. */
export interface OnePage {
  readonly pgsize: number
  /** What a map of one page returns. */
  readonly mapped: { readonly mapped: number; readonly error: undefined }
  /**
   * Bits that an input, and an output, address must have zero, by lane; the highest is among those of an output address. The input window is
   * proved by the walk cache's tag.
   */
  readonly offsetLo: number
  readonly badLo: number
  readonly badHi: number
  /** From the low lane of an address to the word of its entry. */
  readonly wordShift: number
  readonly wordMask: number
  readonly entryLg: number
  readonly emptyMask: number
  readonly emptyValue: number
  readonly emptyLo: number
  readonly emptyHi: number
  readonly addressLo: number
  readonly addressHi: number
  /** How the address moves, where it is not at its own place. */
  readonly moves: Moves | undefined
  readonly matchMask: number
  readonly matchValue: number
  readonly matchMaskHi: number
  readonly matchValueHi: number
  /** Attribute bits by prot, as `LeafPlan` has them. */
  readonly attrs: Int32Array
}

/** The word index of the empty entry that a page may be mapped in, whose addresses are then in the lanes; -1 when the slow path must. */
const emptyPlace = (t: KnownTables, one: OnePage, iova: bigint, paddr: bigint, prot: number): number => {
  if (typeof iova !== 'bigint' || typeof paddr !== 'bigint' || typeof prot !== 'number') return -1
  const iova64 = BigInt.asUintN(64, iova)
  const paddr64 = BigInt.asUintN(64, paddr)
  const scratch = lanes64
  scratch[0] = iova64
  scratch[1] = paddr64
  const four = lanes
  const lo = four[0]!
  const hi = four[1]!
  if (((lo & one.offsetLo) | (four[2]! & one.badLo) | (four[3]! & one.badHi)) !== 0) return -1
  if (hi < 0) {
    if (!isUpper64(iova)) return -1
  } else if (iova64 !== iova) return -1
  if (paddr64 !== paddr) return -1
  if (one.attrs[(prot << 2) | 2] !== prot) return -1
  const table = t.cached(hi, lo)
  if (table < 0) return -1
  const at = (table + ((lo >>> one.wordShift) & one.wordMask)) | 0
  // Exactly what an unmap writes: memory that is gone has no such word. The general way takes all that the format calls empty.
  return t.words[at] === one.emptyLo ? at : -1
}

/** Maps one page whose address stands in the descriptor as it is; false, with nothing done, when the slow path must. */
export const mapOne = (t: KnownTables, one: OnePage, iova: bigint, paddr: bigint, prot: number): boolean => {
  const at = emptyPlace(t, one, iova, paddr, prot)
  if (at < 0) return false
  const words = t.words
  const attrs = one.attrs
  const attr = prot << 2
  const four = lanes
  if (one.entryLg === 1) words[(at + 1) | 0] = attrs[attr | 1]! | (four[3]! & one.addressHi)
  words[at] = attrs[attr]! | (four[2]! & one.addressLo)
  return true
}

/** Maps one page whose address bits move in the descriptor. It stands apart, since both in one function need more registers than there are. */
export const mapOneMoved = (t: KnownTables, one: OnePage, iova: bigint, paddr: bigint, prot: number): boolean => {
  const moves = one.moves as Moves
  const at = emptyPlace(t, one, iova, paddr, prot)
  if (at < 0) return false
  const words = t.words
  const attrs = one.attrs
  const attr = prot << 2
  if (one.entryLg === 1) words[(at + 1) | 0] = attrs[attr | 1]! | encodeHigh(moves, lanes[3]!)
  words[at] = attrs[attr]! | encodeLow(moves, lanes[3]!, lanes[2]!)
  return true
}

/** Clears one page, and reports nothing yet; false, with nothing done, when the slow path must. */
export const unmapOne = (t: KnownTables, one: OnePage, iova: bigint): boolean => {
  if (typeof iova !== 'bigint') return false
  const iova64 = BigInt.asUintN(64, iova)
  lanes64[0] = iova64
  const lo = lanes[0]!
  const hi = lanes[1]!
  if ((lo & one.offsetLo) !== 0) return false
  if (hi < 0) {
    if (!isUpper64(iova)) return false
  } else if (iova64 !== iova) return false
  const table = t.cached(hi, lo)
  if (table < 0) return false
  const words = t.words
  const at = (table + ((lo >>> one.wordShift) & one.wordMask)) | 0
  const d = words[at]!
  if ((d & one.matchMask) !== one.matchValue || (d & one.emptyMask) === one.emptyValue) return false
  // With 32-bit entries the masks of the high lane are zero.
  if ((words[(at + one.entryLg) | 0]! & one.matchMaskHi) !== one.matchValueHi) return false
  words[at] = one.emptyLo
  if (one.entryLg === 1) words[(at + 1) | 0] = one.emptyHi
  return true
}

/** Translates an address in a page; undefined when the slow path must, which includes that nothing is mapped. */
export const translateOne = (t: KnownTables, one: OnePage, iova: bigint): bigint | undefined => {
  if (typeof iova !== 'bigint') return undefined
  const iova64 = BigInt.asUintN(64, iova)
  lanes64[0] = iova64
  const lo = lanes[0]!
  const hi = lanes[1]!
  if (hi < 0) {
    if (!isUpper64(iova)) return undefined
  } else if (iova64 !== iova) return undefined
  const table = t.cached(hi, lo)
  if (table < 0) return undefined
  const words = t.words
  const at = (table + ((lo >>> one.wordShift) & one.wordMask)) | 0
  const d = words[at]!
  if ((d & one.matchMask) !== one.matchValue || (d & one.emptyMask) === one.emptyValue) return undefined
  const high = words[(at + one.entryLg) | 0]!
  if ((high & one.matchMaskHi) !== one.matchValueHi) return undefined
  const moves = one.moves
  if (moves !== undefined) return join(decodeHigh(moves, high, d), decodeLow(moves, d) | (lo & one.offsetLo))
  return join(high & one.addressHi, (d & one.addressLo) | (lo & one.offsetLo))
}
