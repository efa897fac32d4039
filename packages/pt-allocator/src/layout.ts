/**
 * Where the bookkeeping of a pool lies in its `meta` array. Everything that workers must agree on is here; what is never touched stays
 * uncommitted, so a pool may be far larger than its use.
 *
 * header · one free set for each order of page block · one set of pages with room for each sub-page class · page records · side records
 */
import { BitTree } from './bit-tree.ts'

export const PAGE_SHIFT = 12
export const PAGE = 4096
/** log2 of the smallest and of the largest block. */
export const MIN_SHIFT = 6
export const MAX_SHIFT = 32

/** Byte totals are kept in units of the smallest block: 4 GiB are 2^26 of them, which an int32 holds. */
export const UNIT = 64

// Header words. The lock and the generation have cache lines of their own: one is hammered by allocations, the other read by every walk.
export const MAGIC = 0
export const PAGES = 1
export const BIAS = 2
/** 1: memory that was never handed out is known to be zero. */
export const ZEROED = 3
/** Most units that may be live. */
export const CEILING = 4
/** Owner tags given out, tag 0 (no owner) included. */
export const OWNERS = 5
export const LOCK = 16
/** Units live, and the most that ever were. */
export const LIVE = 17
export const PEAK = 18
/** Allocations ever made: low and high 32 bits. */
export const ALLOCS_LO = 19
export const ALLOCS_HI = 20
/** Pages below this were handed out at some time. */
export const MARK = 21
/** Bytes of side records in use. */
export const SIDE_BYTES = 22
/** A free page that is kept out of the free sets, plus 1; 0 when there is none. */
export const SPARE = 23
/** Index in `meta` of the generation, a word that changes whenever a table is freed or replaced: what was cached of tables is then void. */
export const GENERATION = 32
/** Live blocks by log2 of their size, then the most that ever were. */
export const CLASS_LIVE = 48
export const CLASS_PEAK: number = CLASS_LIVE + MAX_SHIFT + 1
export const HEADER_WORDS = 128

/** Tells a pool's bookkeeping, of this layout, from other memory. */
export const MAGIC_VALUE = 0x50_74_50_01

// A record's state: bits 1:0 what starts at the page, 7:2 log2 of its block size, 8 chunks have several owners, 15:9 first chunk never used.
export const BLOCK = 1
export const CHUNKS = 2
export const KIND = 3
export const SHIFT_AT = 2
export const SHIFT_MASK = 63
export const MIXED = 0x100

/** Words of a page's record: state, owners, owners or free chunks 32..63, free chunks 0..31. */
export const RECORD_WORDS = 4
/** Owner tags of a page's side record, one for each 64-byte chunk. */
export const SIDE_TAGS = 64

export interface Layout {
  readonly pages: number
  /** Page number of the pool's first page modulo the largest block: what makes blocks aligned in physical addresses. */
  readonly bias: number
  /** log2 of the pages of the largest block. */
  readonly maxOrder: number
  /** Word index of the free set of each order. */
  readonly orders: readonly number[]
  /** Word index of the set of pages with room, by log2 of the chunk's size. */
  readonly classes: readonly number[]
  readonly records: number
  /** Index in 16-bit units. */
  readonly side: number
  readonly words: number
}

export function layoutOf(size: number, base: bigint): Layout {
  const pages = size / PAGE
  const maxOrder = 31 - Math.clz32(pages)
  const bias = Number((base >> BigInt(PAGE_SHIFT)) & BigInt(2 ** maxOrder - 1))
  let words = HEADER_WORDS
  const orders: number[] = []
  for (let order = 0; order <= maxOrder; order++) {
    orders.push(words)
    words += BitTree.wordsFor(blocksOf(pages, bias, order))
  }
  const classes: number[] = new Array(MIN_SHIFT).fill(0)
  for (let shift = MIN_SHIFT; shift < PAGE_SHIFT; shift++) {
    classes.push(words)
    words += BitTree.wordsFor(pages)
  }
  const records = words
  const sideWords = records + pages * RECORD_WORDS
  return { pages, bias, maxOrder, orders, classes, records, side: sideWords * 2, words: sideWords + (pages * SIDE_TAGS) / 2 }
}

/** Naturally aligned blocks of an order that the pool touches. */
export function blocksOf(pages: number, bias: number, order: number): number {
  return ((pages - 1 + bias) >> order) - (bias >> order) + 1
}
