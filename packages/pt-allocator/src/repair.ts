/** The bookkeeping of a pool made anew, after a thread was terminated in the middle of changing it. */
import { lowChunks, sideBytes } from './arena.ts'
import { BitTree } from './bit-tree.ts'
import { Buddy } from './buddy.ts'
import * as L from './layout.ts'

/**
 * Makes everything anew that follows from the pages' records: free sets and sums. A record says what starts at its page in one word, which is written
 * last and cleared first, so that a block is either there or free. No other thread may be in a call.
 */
export function repair(meta: Int32Array, layout: L.Layout): void {
  meta.fill(0, L.HEADER_WORDS, layout.records)
  for (const word of [L.LIVE, L.SIDE_BYTES, L.SPARE]) meta[word] = 0
  meta.fill(0, L.CLASS_LIVE, L.CLASS_LIVE + L.MAX_SHIFT + 1)
  const buddy = new Buddy(meta, layout)
  let free = 0
  for (let page = 0; page < layout.pages; ) {
    const taken = page < meta[L.MARK]! ? countPage(meta, layout, page) : 0
    if (taken === 0) {
      page++
      free++
      continue
    }
    buddy.giveRun(page - free, free)
    free = 0
    page += taken
  }
  buddy.giveRun(layout.pages - free, free)
}

/** Counts what starts at a page. @returns the pages that it takes; 0 for a free one */
function countPage(meta: Int32Array, layout: L.Layout, page: number): number {
  const record = layout.records + page * L.RECORD_WORDS
  const state = meta[record]!
  const shift = (state >>> L.SHIFT_AT) & L.SHIFT_MASK
  if ((state & L.KIND) === L.BLOCK) {
    count(meta, shift, 1)
    return 2 ** (shift - L.PAGE_SHIFT)
  }
  if ((state & L.KIND) !== L.CHUNKS) return 0
  const chunks = L.PAGE >> shift
  const live = chunks - ones(meta[record + 3]! & lowChunks(shift)) - (shift === L.MIN_SHIFT ? ones(meta[record + 2]!) : 0)
  if (live === 0) {
    meta[record] = 0
    return 0
  }
  count(meta, shift, live)
  if ((state & L.MIXED) !== 0) meta[L.SIDE_BYTES] = meta[L.SIDE_BYTES]! + sideBytes(shift)
  if (live < chunks) new BitTree(meta, layout.classes[shift]!, layout.pages).add(page)
  return 1
}

function count(meta: Int32Array, shift: number, blocks: number): void {
  meta[L.LIVE] = meta[L.LIVE]! + blocks * 2 ** (shift - L.MIN_SHIFT)
  meta[L.CLASS_LIVE + shift] = meta[L.CLASS_LIVE + shift]! + blocks
}

/** How many bits of a word are set. */
function ones(word: number): number {
  let bits = 0
  for (let left = word; left !== 0; left &= left - 1) bits++
  return bits
}
