/**
 * A level as its walk reads it: where a descriptor stands, and two memos, the last pattern of a table and of a leaf that were met here. What
 * counts in a descriptor beside its address is one mask; the pattern is its bits, and all that they mean is kept with it. A table that is
 * changed has another pattern, so that nothing here is ever stale. Fields, not rows of an array: each is one load.
 */
import type { DecodedTable, LevelNode } from '@io-pgtable/core'
import type { KindPatterns } from './kinds.ts'

/** What descriptors mean that are alike in all that counts. All of them are of this one shape. */
export class Pattern {
  /** Which bits count, and what they are. Nothing matches the default. */
  maskLo = 0
  maskHi = 0
  valueLo = 1
  valueHi = 0
  /** What the table above it says; 0 where nothing below asks for that. */
  above = 0
  fault = 0
  /** The bits that fault. */
  bitsLo = 0
  bitsHi = 0
  /** Only the cold walk knows what to do. */
  cold = false
  leaf = false
  /** What a leaf gives, or a table leaves, and {@link LOCAL}. */
  rights = 0
  memory = 0
  /** Rights whose accesses trap, of both parties; and how, by read, write, execute. */
  traps = 0
  trapRead = 0
  trapWrite = 0
  trapExecute = 0
  /** Rights that an entry of a TLB may let through: none that traps, no write that has still to be marked. */
  open = 127
  /** The address: rotations and masks from the low lane to the low one, from the high to the high, and twice across. */
  low = 0
  lowMask = 0
  high = 0
  highMask = 0
  across = 0
  acrossMask = 0
  second = 0
  secondMask = 0
  /** Bits of the input address that a leaf keeps. */
  keepLo = 0
  keepHi = 0
  sizeLg = 0
  /** Bits that hardware sets and clears: of any access, and of a write. */
  accessedSetLo = 0
  accessedSetHi = 0
  accessedClearLo = 0
  accessedClearHi = 0
  dirtySetLo = 0
  dirtySetHi = 0
  dirtyClearLo = 0
  dirtyClearHi = 0
  /** Of a table: the next level, and what this entry is to it. */
  child: Level | undefined = undefined
  up = 0
}

/** Beside the six rights: set where the entry does not make the translation global. ANDed over the path as they are. */
export const LOCAL = 64

/** Patterns of one level that are kept, a power of two. */
export const KEPT = 64

export class Level {
  readonly node: LevelNode
  readonly level: number
  /** The offset of a descriptor in its table: both lanes of the input address rotated, then masked. */
  readonly rotate: number
  readonly maskLo: number
  readonly maskHi: number
  /** 1 where an entry has two words. */
  readonly wide: number
  /** The last table: its mask and value, what it leaves, its address, its child. */
  tableMaskLo = 0
  tableMaskHi = 0
  tableValueLo = 1
  tableValueHi = 0
  limits = 127
  low = 0
  lowMask = 0
  high = 0
  highMask = 0
  across = 0
  acrossMask = 0
  second = 0
  secondMask = 0
  up = 0
  next: Level
  /** The last leaf. */
  leaf: Pattern
  readonly known: Pattern[]
  kinds: readonly KindPatterns[] = []
  /** What tables above may say: by number, an entry that says it. */
  readonly aboves: (DecodedTable | undefined)[] = [undefined]
  /** Whether tables of this level mean something else below other entries: then there is no memo. */
  tablesLookUp = false
  /** Memos that missed, and patterns that were made. */
  misses = 0
  made = 0

  constructor(node: LevelNode, lg: number, masks: readonly [number, number], rotate: number) {
    this.node = node
    this.level = node.level
    this.wide = lg === 3 ? 1 : 0
    this.rotate = rotate
    this.maskLo = masks[0]
    this.maskHi = masks[1]
    this.next = this
    this.leaf = NOTHING
    this.known = Array.from({ length: KEPT }, () => NOTHING)
  }
}

const NOTHING = new Pattern()
