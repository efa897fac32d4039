/** What a walk of leaves may do, and what it gives. */

import type { LaneKind, LaneLeaf, LaneNode } from '@io-pgtable/core/compiled'
import type { Inherited } from './inherited.ts'

/** What a walk may do. */
export interface WalkLimits {
  /** First and last input address that are wanted. Default: all that the root translates. */
  readonly first?: bigint
  readonly last?: bigint
  /** Descriptors and remembered leaves that may be gone through again, in tables that were read before. Default 2^26. */
  readonly work?: number
  /** Called for each table that is read, with the number of them so far: for progress. False ends the walk. */
  readonly onTable?: (tables: number) => boolean | undefined | void
}

/** Takes the leaves: `count` of them from `iova` on, each with its address risen. */
export interface LeafTaker {
  leaves(leaf: LaneLeaf, iova: number, paddr: number, count: number, lo: number, hi: number, inherited: Inherited): void
  /** A table that is read for the first time at this level. */
  table?(node: LaneNode, table: number): void
  /** Entries that are no leaf and no table, of such a table. */
  other?(node: LaneNode, kind: LaneKind, count: number): void
}
