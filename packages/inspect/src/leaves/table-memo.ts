/** What a walk remembers of a table that it comes to in several ways: its leaves and tables, in the order of its entries. */
import type { LaneLeaf, LaneTable } from '@io-pgtable/core/compiled'

export type MemoItem =
  | { readonly leaf: LaneLeaf; readonly index: number; readonly count: number; readonly lo: number; readonly hi: number }
  | { readonly leaf: undefined; readonly table: LaneTable; readonly index: number; readonly lo: number; readonly hi: number }

export class TableMemo {
  readonly items: MemoItem[] = []
  /** All items are here. */
  isComplete = false
}
