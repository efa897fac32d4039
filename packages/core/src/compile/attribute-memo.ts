/** What follows from a leaf's bits beside its address, worked out once for each pattern of them: leaves of a table have few. */

import { join } from '../hot/lanes.ts'
import type { LaneLeaf } from './lane-node.ts'

/** Patterns that are kept: the commonest tables have one to four. */
const KEPT = 16

interface Pattern<T> {
  readonly leaf: LaneLeaf
  readonly lo: number
  readonly hi: number
  readonly value: T
}

export class AttributeMemo<T> {
  readonly #make: (leaf: LaneLeaf, raw: bigint) => T
  readonly #patterns: Pattern<T>[] = []
  #last: Pattern<T> | undefined = undefined
  #next = 0

  /** @param make what is remembered of a descriptor, which must not depend on its address */
  constructor(make: (leaf: LaneLeaf, raw: bigint) => T) {
    this.#make = make
  }

  of(leaf: LaneLeaf, lo: number, hi: number): T {
    const last = this.#last
    if (last !== undefined && last.leaf === leaf && ((last.lo ^ lo) & ~leaf.addressLo) === 0 && ((last.hi ^ hi) & ~leaf.addressHi) === 0)
      return last.value
    return this.#find(leaf, lo, hi)
  }

  #find(leaf: LaneLeaf, lo: number, hi: number): T {
    let pattern = this.#patterns.find(
      (one) => one.leaf === leaf && ((one.lo ^ lo) & ~leaf.addressLo) === 0 && ((one.hi ^ hi) & ~leaf.addressHi) === 0,
    )
    if (pattern === undefined) {
      pattern = { leaf, lo, hi, value: this.#make(leaf, join(hi, lo)) }
      this.#patterns[this.#next++ % KEPT] = pattern
    }
    this.#last = pattern
    return pattern.value
  }
}
