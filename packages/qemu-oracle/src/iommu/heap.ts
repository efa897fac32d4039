/** Guest memory for an IOMMU's own structures, given out from the bottom, zeroed. */
import type { QtestClient } from '../machine/index.ts'

export class GuestHeap {
  readonly #qtest: QtestClient
  #next: bigint

  constructor(qtest: QtestClient, base: bigint) {
    this.#qtest = qtest
    this.#next = base
  }

  /** @param bytes a power of two: the block is aligned to it, at least to 4096 */
  take(bytes = 4096): bigint {
    const align = BigInt(Math.max(bytes, 4096))
    const block = ((this.#next + align - 1n) / align) * align
    this.#next = block + align
    void this.#qtest.fill(block, bytes, 0)
    return block
  }
}
