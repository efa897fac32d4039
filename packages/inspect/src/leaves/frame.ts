/** One table on a walk's way. */

import type { LaneNode } from '@io-pgtable/core/compiled'
import type { Chunk } from '../image/page-cache.ts'
import type { Inherited } from './inherited.ts'
import type { TableMemo } from './table-memo.ts'
import type { TableWords } from './table-words.ts'

/** The other half of an entry. */
export interface OtherHalf {
  readonly node: LaneNode
  readonly table: number
  /** The input address of the table's entry 0. */
  readonly base: number
  readonly inherited: Inherited
  /** What stands behind it in turn. */
  readonly other: OtherHalf | undefined
}

export class Frame {
  readonly node: LaneNode
  readonly table: number
  /** The input address of entry 0. */
  readonly base: number
  readonly inherited: Inherited
  /** The entries that are looked at, and the next one of them; of a table that is remembered: its items. */
  readonly from: number
  to: number
  at: number
  /** The words of its entries, entry `from` at `word`. */
  words: Int32Array = NO_WORDS
  word = 0
  /** Entries that are known. */
  known: number
  #chunk: Chunk | undefined = undefined
  #key = -1
  /** What is remembered of it: it is gone through in place of the words. */
  replay: TableMemo | undefined = undefined
  /** Tables from the root on, itself included. */
  depth = 1
  /** It was gone through before: what is wrong with it was told. */
  again = false
  /** What is to be remembered. */
  memo: TableMemo | undefined = undefined
  /** The key under which the walk remembers it; -1 for a part of a table. */
  key = -1
  /** Leaf runs given before it. */
  before = 0
  /** Where ways through the table that pass go on: the other half of the entry above it. */
  other: OtherHalf | undefined = undefined
  /** The part of its addresses that is wanted, where it is the other half of an entry. */
  first = 0
  end: number = Number.POSITIVE_INFINITY

  constructor(node: LaneNode, table: number, base: number, inherited: Inherited, from: number, to: number) {
    this.node = node
    this.table = table
    this.base = base
    this.inherited = inherited
    this.from = from
    this.to = to
    this.known = to
    this.at = from
  }

  /** Reads the words. @throws what reading throws */
  read(memory: TableWords): void {
    const known = memory.find(this.node.node, this.table, this.from, this.to)
    this.words = memory.words
    this.word = memory.at
    this.#chunk = memory.chunk
    this.#key = memory.key
    this.known = this.from + known
  }

  /** Reads the words again, if the cache has taken their place for others. */
  refresh(memory: TableWords): void {
    if (this.#chunk !== undefined && this.#chunk.key !== this.#key) this.read(memory)
  }
}

const NO_WORDS = new Int32Array(0)
