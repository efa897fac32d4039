/** A queue of commands in guest memory, as every IOMMU has one; only how its ends are written differs. */
import { hex, IoPgtableError } from '@io-pgtable/core'
import { le64, type QtestClient } from '../machine/index.ts'

export interface RingShape {
  readonly base: bigint
  readonly entries: number
  readonly entryBytes: number
  /** Indices run from 0 to this, exclusive: the number of entries, or twice that where a bit tells wraps. */
  readonly indices: number
  /** Tells the IOMMU of the new end. */
  readonly ring: (index: number) => void
  /** The index up to which the IOMMU has consumed commands. @throws (rejects) when it reports an error */
  readonly consumed: () => Promise<number>
}

export class CommandRing {
  readonly #qtest: QtestClient
  readonly #shape: RingShape
  #end = 0

  constructor(qtest: QtestClient, shape: RingShape) {
    this.#qtest = qtest
    this.#shape = shape
  }

  /** Queues a command; models consume it before the next access of ours. */
  push(...words: readonly (bigint | number)[]): void {
    const { base, entries, entryBytes, indices, ring } = this.#shape
    const bytes = new Uint8Array(entryBytes)
    bytes.set(le64(...words))
    void this.#qtest.write(base + BigInt((this.#end % entries) * entryBytes), bytes)
    this.#end = (this.#end + 1) % indices
    ring(this.#end)
  }

  /** @throws (rejects) `EBUSY` when commands are left */
  async settled(): Promise<void> {
    const consumed = await this.#shape.consumed()
    if (consumed !== this.#end) {
      throw new IoPgtableError('EBUSY', 'commands', `consumed up to ${hex(consumed)} of ${hex(this.#end)}`, { value: consumed })
    }
  }
}
