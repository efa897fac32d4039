/**
 * A set of small integers inside the pool's bookkeeping: bitmaps over bitmaps, 32 to 1, so that the lowest member is found and any member
 * added or removed in at most four steps for 2^20. An untouched set is all zero and commits no memory.
 */
export class BitTree {
  readonly #meta: Int32Array
  /** Word index of each level, the members' own bits first. */
  readonly #levels: Int32Array
  readonly #depth: number
  readonly #count: number

  /** The set of integers below `count`, in `wordsFor(count)` words of `meta` from `at` on. */
  constructor(meta: Int32Array, at: number, count: number) {
    const levels: number[] = []
    let bits = count
    do {
      levels.push(at)
      bits = (bits + 31) >>> 5
      at += bits
    } while (bits > 1)
    this.#meta = meta
    this.#levels = Int32Array.from(levels)
    this.#depth = levels.length
    this.#count = count
  }

  /** Words that a set of integers below `count` takes. */
  static wordsFor(count: number): number {
    let words = 0
    do {
      count = (count + 31) >>> 5
      words += count
    } while (count > 1)
    return words
  }

  /** Whether `i` is a member; false for any integer out of range. */
  has(i: number): boolean {
    return i >= 0 && i < this.#count && ((this.#meta[this.#levels[0]! + (i >>> 5)]! >>> (i & 31)) & 1) === 1
  }

  /** The lowest member, or -1. */
  first(): number {
    let at = 0
    for (let level = this.#depth - 1; level >= 0; level--) {
      const word = this.#meta[this.#levels[level]! + at]!
      if (word === 0) return -1
      at = (at << 5) | lowestBit(word)
    }
    return at
  }

  add(i: number): void {
    for (let level = 0; level < this.#depth; level++) {
      const at = this.#levels[level]! + (i >>> 5)
      const word = this.#meta[at]!
      this.#meta[at] = word | (1 << (i & 31))
      if (word !== 0) return
      i >>>= 5
    }
  }

  delete(i: number): void {
    for (let level = 0; level < this.#depth; level++) {
      const at = this.#levels[level]! + (i >>> 5)
      const word = this.#meta[at]! & ~(1 << (i & 31))
      this.#meta[at] = word
      if (word !== 0) return
      i >>>= 5
    }
  }
}

/** Index of the lowest bit that is set; `word` is not 0. */
export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}
