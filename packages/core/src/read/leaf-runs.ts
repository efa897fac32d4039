/** Leaves of a walk, merged. */
import { slotBytes } from '../format/format.ts'
import { type DecodedLeaf, entrySpan } from './decode.ts'
import type { EntryPlace } from './walk.ts'

/** Merges the leaves of a walk into runs: contiguous in both spaces, equal in kind, size and attributes. */
export class LeafRuns<A> {
  readonly runs: { iova: bigint; paddr: bigint; size: bigint; leaf: DecodedLeaf & EntryPlace; attributes: A; count: number }[] = []
  readonly #same: (a: A, b: A) => boolean
  constructor(same: (a: A, b: A) => boolean) {
    this.#same = same
  }
  /** Adds the next leaf, in the order of the walk. */
  add(leaf: DecodedLeaf & EntryPlace, attributes: A): void {
    const last = this.runs.at(-1)
    const span = BigInt(slotBytes(leaf.node))
    // An entry of a repeated mapping points to the mapping's start; its own bytes lie at its own offset in it.
    const paddr = leaf.paddr | (leaf.iova & BigInt(entrySpan(leaf.node, leaf.size) - 1))
    const joins =
      last !== undefined &&
      last.leaf.kind === leaf.kind &&
      last.leaf.size === leaf.size &&
      last.iova + last.size === leaf.iova &&
      last.paddr + last.size === paddr &&
      this.#same(last.attributes, attributes)
    if (joins) {
      last.size += span
      last.count++
    } else this.runs.push({ iova: leaf.iova, paddr, size: span, leaf, attributes, count: 1 })
  }
}
