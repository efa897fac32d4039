/**
 * The walk cache: which table of the last node translates an address. One direct-mapped cache serves all tables of a thread. Its arrays
 * are constants of this module, so that V8 has their places and lengths in the code, and checks neither: arrays of each table's own cost every
 * look-up a dozen instructions more. An idle table takes nothing of it.
 */

const ENTRIES = 4096
export const CACHE_INDEX = 4095
/**
 * An entry: the table's first address (two lanes, with the stamp's high bits below), the stamp's low bits, the table's word index. They stand in
 * an array each, so that one check of the index serves all.
 */
export const cacheTagLo: Int32Array = new Int32Array(ENTRIES)
export const cacheTagHi: Int32Array = new Int32Array(ENTRIES)
export const cacheStamp: Int32Array = new Int32Array(ENTRIES)
export const cacheTable: Int32Array = new Int32Array(ENTRIES)

/** Bits of an address that the tag of a table has zero at least, and that hold the stamp's high bits. */
export const TAG_SPARE_BITS = 16

/** Odd, so that every low half comes up; and one that takes neighbours far apart in the cache. */
const STEP = 0x9e37_79b1 | 0
let stampLow = 0
let stampHigh = 0

/**
 * Stamps tell entries of one table, seen in one generation of its pool's memory, from all others: an entry whose stamp is not its reader's
 * is none. There are 2^48, so that giving out one every 100 ns takes a year to come to the same again. An unused entry's, zero, comes last.
 */
export function newStamp(): { low: number; high: number } {
  stampLow = (stampLow + STEP) | 0
  if (stampLow === 0) stampHigh = (stampHigh + 1) & (2 ** TAG_SPARE_BITS - 1)
  return { low: stampLow, high: stampHigh }
}
