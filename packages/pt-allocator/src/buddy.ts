/**
 * Page blocks of 2^order pages, naturally aligned in physical addresses; freed buddies merge, at once but for one page: a table that comes
 * and goes would otherwise split a large block and merge it again each time. The state is in `meta`.
 */
import { BitTree } from './bit-tree.ts'
import { blocksOf, type Layout, SPARE } from './layout.ts'

export class Buddy {
  readonly #meta: Int32Array
  readonly #free: readonly BitTree[]
  readonly #bias: number
  readonly #maxOrder: number

  constructor(meta: Int32Array, layout: Layout) {
    const { pages, bias, maxOrder, orders } = layout
    this.#meta = meta
    this.#free = orders.map((at, order) => new BitTree(meta, at, blocksOf(pages, bias, order)))
    this.#bias = bias
    this.#maxOrder = maxOrder
  }

  /** Makes all pages free: by the one that creates the pool, once. */
  init(pages: number): void {
    for (let page = 0; page < pages; ) {
      let order = this.#maxOrder
      while (((page + this.#bias) & ((1 << order) - 1)) !== 0 || page + (1 << order) > pages) order--
      this.#free[order]!.add(this.#indexOf(page, order))
      page += 1 << order
    }
  }

  /** Takes a block. @returns its first page, at most `maxPage`; or -1 */
  take(order: number, maxPage: number): number {
    const spare = this.#meta[SPARE]! - 1
    if (spare < 0) return this.#takeFree(order, maxPage)
    if (order === 0 && spare <= maxPage) {
      this.#meta[SPARE] = 0
      return spare
    }
    const page = this.#takeFree(order, maxPage)
    if (page >= 0) return page
    // the spare page may be what a larger block lacks
    this.#meta[SPARE] = 0
    this.#merge(spare, 0)
    return this.#takeFree(order, maxPage)
  }

  /** Gives a block back. */
  give(page: number, order: number): void {
    if (order === 0 && this.#meta[SPARE] === 0) this.#meta[SPARE] = page + 1
    else this.#merge(page, order)
  }

  /** Gives pages that follow one another back, as the largest blocks that they make. */
  giveRun(first: number, count: number): void {
    for (let page = first, left = count; left > 0; ) {
      const at = page + this.#bias
      const aligned = at === 0 ? this.#maxOrder : 31 - Math.clz32(at & -at)
      const order = Math.min(aligned, 31 - Math.clz32(left), this.#maxOrder)
      this.#merge(page, order)
      page += 1 << order
      left -= 1 << order
    }
  }

  /** Of the smallest order that has a block the lowest, so that large blocks and high addresses are left whole. */
  #takeFree(order: number, maxPage: number): number {
    for (let k = order; k <= this.#maxOrder; k++) {
      const index = this.#free[k]!.first()
      if (index < 0) continue
      const page = ((index + (this.#bias >> k)) << k) - this.#bias
      if (page > maxPage) continue
      this.#free[k]!.delete(index)
      while (k > order) {
        k--
        this.#free[k]!.add(this.#indexOf(page + (1 << k), k))
      }
      return page
    }
    return -1
  }

  #merge(page: number, order: number): void {
    const bias = this.#bias
    let at = page + bias
    let k = order
    for (; k < this.#maxOrder; k++) {
      const buddy = ((at >> k) ^ 1) - (bias >> k)
      const free = this.#free[k]!
      if (!free.has(buddy)) break
      free.delete(buddy)
      at &= ~(1 << k)
    }
    this.#free[k]!.add((at >> k) - (bias >> k))
  }

  #indexOf(page: number, order: number): number {
    return ((page + this.#bias) >> order) - (this.#bias >> order)
  }
}
