/** Tables that left a tree, but that a hardware walker may still read: they go back to the pool together, when the TLB is flushed. */
import type { PtPool, PtPtr } from './pool.ts'

export class PtFreeList {
  readonly #pool: PtPool
  #ptrs: PtPtr[] = []
  #bytes = 0

  /** Made by `pool.freeList()`. */
  constructor(pool: PtPool) {
    this.#pool = pool
  }

  /** Blocks that wait. */
  get size(): number {
    return this.#ptrs.length
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Puts a live block on the list; it stays allocated, and unchanged, until {@link PtFreeList.putBack}. @throws `EFAULT` as `pool.free` */
  add(ptr: PtPtr): void {
    this.#bytes += this.#pool.sizeOf(ptr)
    this.#ptrs.push(ptr)
  }

  /**
   * Frees all that was added, under one lock, as one change of the generation. The list is then empty and may be used again.
   * @throws `EFAULT` when a block was freed since, or added twice; all others are freed all the same
   */
  putBack(): void {
    const ptrs = this.#ptrs
    this.#ptrs = []
    this.#bytes = 0
    if (ptrs.length > 0) this.#pool.freeAll(ptrs)
  }
}
