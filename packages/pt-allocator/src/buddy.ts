/** Page blocks of 2^order pages, naturally aligned in physical addresses; freed buddies merge. The state is in `meta`. */
import { BitTree } from './bit-tree.ts'
import { blocksOf, type Layout } from './layout.ts'

export class Buddy {
  readonly #free: readonly BitTree[]
  readonly #bias: number
  readonly #maxOrder: number

  constructor(meta: Int32Array, layout: Layout) {
    const { pages, bias, maxOrder, orders } = layout
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

  /**
   * Takes a block: of the smallest order that has one, the lowest, so that large blocks and high addresses are left whole.
   * @returns its first page, at most `maxPage`; or -1
   */
  take(order: number, maxPage: number): number {
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

  /** Gives a block back. */
  give(page: number, order: number): void {
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
