/** Blocks of all sizes on the pool's bookkeeping: allocation, release, accounting. It locks nothing and knows no memory but `meta`. */
import { BitTree, lowestBit } from './bit-tree.ts'
import { Buddy } from './buddy.ts'
import * as L from './layout.ts'
import { BLOCK, CHUNKS, KIND, MIN_SHIFT, MIXED, PAGE, PAGE_SHIFT, SHIFT_AT, SHIFT_MASK } from './layout.ts'

/** The state of a block of one page. */
const ONE_PAGE = BLOCK | (PAGE_SHIFT << SHIFT_AT)
const FRESH_AT = 9
const FRESH_MASK = 0x7f
/** Below this, a record has no room for the owner of each chunk. */
const OWNERS_INSIDE = 10

/** Called for each live block. */
export type LiveVisitor = (ptr: number, shift: number, owner: number) => void

export class Arena {
  /** Bytes from the start of the block that `take` gave last which may not be zero. */
  dirty = 0
  readonly #meta: Int32Array
  readonly #tags: Uint16Array
  readonly #buddy: Buddy
  /** Pages with room, by log2 of the chunk's size. */
  readonly #rooms: readonly BitTree[]
  readonly #records: number
  readonly #side: number
  readonly #bias: number

  constructor(meta: Int32Array, layout: L.Layout) {
    this.#meta = meta
    this.#tags = new Uint16Array(meta.buffer, meta.byteOffset, meta.length * 2)
    this.#buddy = new Buddy(meta, layout)
    this.#rooms = layout.classes.map((at) => new BitTree(meta, at, layout.pages))
    this.#records = layout.records
    this.#side = layout.side
    this.#bias = layout.bias
  }

  /** Writes the header and makes all pages free. `ceiling` in bytes; `zeroed`: never-used memory is known to be zero. */
  init(layout: L.Layout, ceiling: number, zeroed: boolean): void {
    const meta = this.#meta
    meta[L.MAGIC] = L.MAGIC_VALUE
    meta[L.PAGES] = layout.pages
    meta[L.BIAS] = layout.bias
    meta[L.ZEROED] = zeroed ? 1 : 0
    meta[L.CEILING] = Math.floor(ceiling / L.UNIT)
    meta[L.OWNERS] = 1
    this.#buddy.init(layout.pages)
  }

  /** A block of 2^shift bytes that ends at `limit` or before, or -1. Sets `dirty`. */
  take(shift: number, limit: number, owner: number): number {
    if (!this.fitsCeiling(shift)) return -1
    const ptr = shift < PAGE_SHIFT ? this.#takeChunk(shift, limit, owner) : this.#takeBlock(shift, limit, owner)
    if (ptr >= 0) this.#countAllocation(shift)
    return ptr
  }

  /** Whether the ceiling leaves room for a block of 2^shift bytes. */
  fitsCeiling(shift: number): boolean {
    return this.#meta[L.LIVE]! + (1 << (shift - MIN_SHIFT)) <= this.#meta[L.CEILING]!
  }

  /** Frees the block that starts at `ptr`. @returns log2 of its size; 0, and nothing changed, when none does. */
  release(ptr: number): number {
    const shift = this.shiftAt(ptr)
    if (shift === 0) return 0
    const page = ptr >>> PAGE_SHIFT
    const record = this.#records + page * L.RECORD_WORDS
    if (shift < PAGE_SHIFT) this.#putChunk(page, record, shift, (ptr & (PAGE - 1)) >>> shift)
    else {
      this.#meta[record] = 0
      this.#buddy.give(page, shift - PAGE_SHIFT)
    }
    this.#meta[L.LIVE] = this.#meta[L.LIVE]! - (1 << (shift - MIN_SHIFT))
    this.#meta[L.CLASS_LIVE + shift] = this.#meta[L.CLASS_LIVE + shift]! - 1
    return shift
  }

  /**
   * Frees up to `count` blocks of one page each that follow one another, as larger blocks: most of what a page costs by itself is its merging.
   * @returns how many, up to the first that is no such block
   */
  releasePages(ptr: number, count: number): number {
    const meta = this.#meta
    const page = ptr >>> PAGE_SHIFT
    let record = (this.#records + page * L.RECORD_WORDS) | 0
    let n = 0
    for (; n < count && meta[record] === ONE_PAGE; n = (n + 1) | 0) {
      meta[record] = 0
      record = (record + L.RECORD_WORDS) | 0
    }
    if (n === 0) return 0
    if (n === 1) this.#buddy.give(page, 0)
    else this.#buddy.giveRun(page, n)
    meta[L.LIVE] = meta[L.LIVE]! - (n << (PAGE_SHIFT - MIN_SHIFT))
    meta[L.CLASS_LIVE + PAGE_SHIFT] = meta[L.CLASS_LIVE + PAGE_SHIFT]! - n
    return n
  }

  /** log2 of the size of the live block that starts at `ptr`, an offset in the pool; 0 when none does. */
  shiftAt(ptr: number): number {
    const record = this.#records + (ptr >>> PAGE_SHIFT) * L.RECORD_WORDS
    const state = this.#meta[record]!
    const kind = state & KIND
    const shift = (state >>> SHIFT_AT) & SHIFT_MASK
    const offset = ptr & (PAGE - 1)
    if (kind === BLOCK) return offset === 0 ? shift : 0
    if (kind !== CHUNKS || (offset & ((1 << shift) - 1)) !== 0) return 0
    const chunk = offset >>> shift
    return ((this.#meta[record + 3 - (chunk >> 5)]! >>> (chunk & 31)) & 1) === 0 ? shift : 0
  }

  /** Start of the live block that `ptr` lies in, or -1. */
  blockAround(ptr: number): number {
    const page = ptr >>> PAGE_SHIFT
    const state = this.#meta[this.#records + page * L.RECORD_WORDS]!
    if ((state & KIND) === CHUNKS) {
      const start = ((ptr >>> 0) - (ptr & ((1 << ((state >>> SHIFT_AT) & SHIFT_MASK)) - 1))) >>> 0
      return this.shiftAt(start) === 0 ? -1 : start
    }
    for (let order = 0; order <= L.MAX_SHIFT - PAGE_SHIFT; order++) {
      const head = (((page + this.#bias) >> order) << order) - this.#bias
      if (head < 0) return -1
      const shift = this.shiftAt((head << PAGE_SHIFT) >>> 0)
      if (shift >= order + PAGE_SHIFT) return (head << PAGE_SHIFT) >>> 0
    }
    return -1
  }

  /** Calls `visit` for each live block, by rising address. */
  forEachLive(visit: LiveVisitor): void {
    const end = this.#meta[L.MARK]!
    for (let page = 0; page < end; page++) {
      const record = this.#records + page * L.RECORD_WORDS
      const state = this.#meta[record]!
      const shift = (state >>> SHIFT_AT) & SHIFT_MASK
      if ((state & KIND) === BLOCK) visit((page << PAGE_SHIFT) >>> 0, shift, this.#tags[this.#tagAt(record, page, shift, 0)]!)
      if ((state & KIND) === CHUNKS) this.#forEachChunk(page, record, shift, visit)
    }
  }

  #forEachChunk(page: number, record: number, shift: number, visit: LiveVisitor): void {
    for (let chunk = 0; chunk << shift < PAGE; chunk++) {
      const ptr = ((page << PAGE_SHIFT) | (chunk << shift)) >>> 0
      if (this.shiftAt(ptr) !== 0) visit(ptr, shift, this.#tags[this.#tagAt(record, page, shift, chunk)]!)
    }
  }

  #takeBlock(shift: number, limit: number, owner: number): number {
    const order = shift - PAGE_SHIFT
    const page = this.#takePages(order, Math.floor(limit / PAGE) - (1 << order))
    if (page < 0) return -1
    const record = this.#records + page * L.RECORD_WORDS
    this.#meta[record] = BLOCK | (shift << SHIFT_AT)
    this.#tags[this.#tagAt(record, page, shift, 0)] = owner
    return (page << PAGE_SHIFT) >>> 0
  }

  /** Pages at `maxPage` or below, or -1. */
  #takePages(order: number, maxPage: number): number {
    const page = this.#buddy.take(order, maxPage)
    if (page < 0) return -1
    const pages = 1 << order
    const mark = this.#meta[L.MARK]!
    const used = this.#meta[L.ZEROED] === 1 ? Math.min(Math.max(mark - page, 0), pages) : pages
    if (page + pages > mark) this.#meta[L.MARK] = page + pages
    this.dirty = used * PAGE
    return page
  }

  #takeChunk(shift: number, limit: number, owner: number): number {
    const rooms = this.#rooms[shift]!
    let page = rooms.first()
    // the lowest chunk of the lowest page is the lowest of all: when it is beyond the limit, only a fresh page may help
    if (page < 0 || this.#lowestChunk(page, shift) + (1 << shift) > limit) page = this.#openPage(shift, limit, owner)
    if (page < 0) return -1
    const ptr = this.#lowestChunk(page, shift)
    const chunk = (ptr & (PAGE - 1)) >>> shift
    const record = this.#records + page * L.RECORD_WORDS
    const bits = record + 3 - (chunk >> 5)
    this.#meta[bits] = this.#meta[bits]! & ~(1 << (chunk & 31))
    if (this.#isFull(record, shift)) rooms.delete(page)
    this.#useChunk(record, shift, chunk)
    this.#setOwner(record, page, shift, chunk, owner)
    return ptr
  }

  /** Makes a page of free chunks. */
  #openPage(shift: number, limit: number, owner: number): number {
    const page = this.#takePages(0, Math.floor((limit - (1 << shift)) / PAGE))
    if (page < 0) return -1
    const record = this.#records + page * L.RECORD_WORDS
    const fresh = this.dirty === 0 ? 0 : PAGE >> shift
    this.#tags[this.#tagAt(record, page, shift, 0)] = owner
    this.#meta[record + 3] = lowChunks(shift)
    if (shift === MIN_SHIFT) this.#meta[record + 2] = -1
    this.#meta[record] = CHUNKS | (shift << SHIFT_AT) | (fresh << FRESH_AT)
    this.#rooms[shift]!.add(page)
    return page
  }

  #lowestChunk(page: number, shift: number): number {
    const record = this.#records + page * L.RECORD_WORDS
    const low = this.#meta[record + 3]!
    const chunk = low !== 0 ? lowestBit(low) : 32 + lowestBit(this.#meta[record + 2]!)
    return ((page << PAGE_SHIFT) | (chunk << shift)) >>> 0
  }

  #isFull(record: number, shift: number): boolean {
    return this.#meta[record + 3] === 0 && (shift !== MIN_SHIFT || this.#meta[record + 2] === 0)
  }

  /** Chunks are first used in order, so one number tells those of a fresh page that need no zeroing. */
  #useChunk(record: number, shift: number, chunk: number): void {
    const state = this.#meta[record]!
    const fresh = chunk >= ((state >>> FRESH_AT) & FRESH_MASK)
    this.dirty = fresh ? 0 : 1 << shift
    if (fresh) this.#meta[record] = (state & ~(FRESH_MASK << FRESH_AT)) | ((chunk + 1) << FRESH_AT)
  }

  #putChunk(page: number, record: number, shift: number, chunk: number): void {
    const meta = this.#meta
    const bits = record + 3 - (chunk >> 5)
    if (this.#isFull(record, shift)) this.#rooms[shift]!.add(page)
    meta[bits] = meta[bits]! | (1 << (chunk & 31))
    if (meta[record + 3] !== lowChunks(shift) || (shift === MIN_SHIFT && meta[record + 2] !== -1)) return
    if ((meta[record]! & MIXED) !== 0) meta[L.SIDE_BYTES] = meta[L.SIDE_BYTES]! - sideBytes(shift)
    this.#rooms[shift]!.delete(page)
    meta[record] = 0
    this.#buddy.give(page, 0)
  }

  /** Where the owner's tag of a block is, in 16-bit units. */
  #tagAt(record: number, page: number, shift: number, chunk: number): number {
    if (shift >= OWNERS_INSIDE) return (record + 1) * 2 + chunk
    if ((this.#meta[record]! & MIXED) !== 0) return this.#side + page * L.SIDE_TAGS + chunk
    return (record + 1) * 2
  }

  #setOwner(record: number, page: number, shift: number, chunk: number, owner: number): void {
    const tags = this.#tags
    if (shift >= OWNERS_INSIDE) tags[(record + 1) * 2 + chunk] = owner
    else {
      if ((this.#meta[record]! & MIXED) === 0) {
        const common = tags[(record + 1) * 2]!
        if (common === owner) return
        this.#meta[record] = this.#meta[record]! | MIXED
        this.#meta[L.SIDE_BYTES] = this.#meta[L.SIDE_BYTES]! + sideBytes(shift)
        const at = this.#side + page * L.SIDE_TAGS
        for (let i = 0; i << shift < PAGE; i++) tags[at + i] = common
      }
      tags[this.#tagAt(record, page, shift, chunk)] = owner
    }
  }

  #countAllocation(shift: number): void {
    const meta = this.#meta
    const live = meta[L.LIVE]! + (1 << (shift - MIN_SHIFT))
    const blocks = meta[L.CLASS_LIVE + shift]! + 1
    meta[L.LIVE] = live
    meta[L.CLASS_LIVE + shift] = blocks
    if (live > meta[L.PEAK]!) meta[L.PEAK] = live
    if (blocks > meta[L.CLASS_PEAK + shift]!) meta[L.CLASS_PEAK + shift] = blocks
    const low = (meta[L.ALLOCS_LO]! + 1) | 0
    meta[L.ALLOCS_LO] = low
    if (low === 0) meta[L.ALLOCS_HI] = meta[L.ALLOCS_HI]! + 1
  }
}

/** The free bits of chunks 0..31 when all are free. */
export function lowChunks(shift: number): number {
  return PAGE >> shift >= 32 ? -1 : (1 << (PAGE >> shift)) - 1
}

/** Bytes of the side record of a page. */
export function sideBytes(shift: number): number {
  return (PAGE >> shift) * 2
}
