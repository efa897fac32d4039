/**
 * The walk cache: which table of the last node translates an address. One direct-mapped array serves all tables of a thread. It is a
 * constant of this module, so that V8 has its place and length in the code, and checks neither: an array of each table's own costs every look-up
 * a dozen instructions more. An idle table takes nothing of it.
 */

/** A mask: one less than the entries. */
export const CACHE_INDEX = 4095
/** Entries of four words: the table's first address (two lanes, with the stamp's high bits below), its word index, the stamp's low bits. */
export const walkCache: Int32Array = new Int32Array(16_384)

/** Bits of an address that the tag of a table has zero at least, and that hold the stamp's high bits. */
export const TAG_SPARE_BITS = 20

/** Odd, so that every low half comes up; and one that takes neighbours far apart in the cache. */
const STEP = 0x9e37_79b1 | 0
let stampLow = 0
let stampHigh = 0

/**
 * Stamps tell entries of one table, seen in one generation of its pool's memory, from all others: an entry whose stamp is not its reader's
 * is none. There are 2^52: a new one every 100 ns would last for 14 years. The empty array's, zero, is never given out.
 */
export function newStamp(): { low: number; high: number } {
  stampLow = (stampLow + STEP) | 0
  if (stampLow === 0) stampHigh = (stampHigh + 1) & (2 ** TAG_SPARE_BITS - 1)
  return { low: stampLow, high: stampHigh }
}
