/** A driver's TLB maintenance that only counts what it is asked for. */
import type { IotlbGather, TlbFlushOps } from '@io-pgtable/core'

export interface FlushCounts {
  readonly all: number
  readonly walks: number
  /** Leaves, one by one. */
  readonly pages: number
  readonly syncs: number
}

export class FlushCount implements TlbFlushOps {
  #counts: FlushCounts = { all: 0, walks: 0, pages: 0, syncs: 0 }

  get counts(): FlushCounts {
    return this.#counts
  }

  flushAll(): void {
    this.#counts = { ...this.#counts, all: this.#counts.all + 1 }
  }

  flushWalk(): void {
    this.#counts = { ...this.#counts, walks: this.#counts.walks + 1 }
  }

  addPages(_gather: IotlbGather | undefined, _iova: bigint, _granule: number, count: number): void {
    this.#counts = { ...this.#counts, pages: this.#counts.pages + count }
  }

  sync(): void {
    this.#counts = { ...this.#counts, syncs: this.#counts.syncs + 1 }
  }
}
