/** Tables that left a tree, but that a hardware walker may still read: they go back to the pool together, when the TLB is flushed. */
import { IoPgtableError } from './errors.ts'
import { PAGE } from './layout.ts'
import type { PtPool, PtPtr } from './pool.ts'

export class PtFreeList {
  readonly #pool: PtPool
  // Runs of pages that follow one another, as tables made together do, or single blocks of other sizes: first block and number of blocks.
  #starts: PtPtr[] = []
  #counts: number[] = []
  /** Where the next page of the last run would be, or -1. */
  #next = -1
  #bytes = 0

  /** Made by `pool.freeList()`. */
  constructor(pool: PtPool) {
    this.#pool = pool
  }

  /** Blocks that wait. */
  get size(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Puts a live block on the list; it stays allocated, and unchanged, until {@link PtFreeList.putBack}. @throws `EFAULT` as `pool.free` */
  add(ptr: PtPtr): void {
    const bytes = this.#pool.sizeOf(ptr)
    if (bytes === PAGE) {
      this.#addPages(ptr, 1)
      return
    }
    this.#starts.push(ptr)
    this.#counts.push(1)
    this.#next = -1
    this.#bytes += bytes
  }

  /**
   * Puts `count` live blocks of `bytes` each on the list that follow one another. Whether they are such blocks may turn out in `putBack` only.
   * @internal
   */
  addRun(first: PtPtr, count: number, bytes: number): void {
    if (bytes === PAGE && first + count * PAGE <= this.#pool.size) this.#addPages(first, count)
    else for (let i = 0; i < count; i++) this.add((first + i * bytes) as PtPtr)
  }

  #addPages(first: PtPtr, count: number): void {
    const counts = this.#counts
    if (first === this.#next) counts[counts.length - 1] = counts[counts.length - 1]! + count
    else {
      this.#starts.push(first)
      counts.push(count)
    }
    this.#next = first + count * PAGE
    this.#bytes += count * PAGE
  }

  /**
   * Frees all that was added, under one lock, as one change of the generation. The list is then empty and may be used again.
   * @throws `EFAULT` when a block was freed since, or added twice; all others are freed all the same. `EBUSY`: the list is as it was
   */
  putBack(): void {
    if (this.#counts.length === 0) return
    const starts = this.#starts
    const counts = this.#counts
    const bytes = this.#bytes
    this.#become([], [], 0)
    try {
      this.#pool.freeRuns(starts, counts)
    } catch (error) {
      // nothing was freed without the lock
      if (error instanceof IoPgtableError && error.code === 'EBUSY') this.#become(starts, counts, bytes)
      throw error
    }
  }

  #become(starts: PtPtr[], counts: number[], bytes: number): void {
    this.#starts = starts
    this.#counts = counts
    this.#next = -1
    this.#bytes = bytes
  }
}
