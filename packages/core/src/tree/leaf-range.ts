/**
 * The leaves of a range of the engine's own tree: what visiting, protecting, cutting, dirty tracking and snapshots stand on. They come as
 * runs, told apart by lanes. A mapping of several entries is one leaf; where its entries do not agree (somebody else wrote them), each is one
 * by itself.
 */

import type { HotNode } from '../compile/hot-node.ts'
import { type LaneLeaf, type LaneNode, laneNodeOf } from '../compile/lane-node.ts'
import { advanceHi, advanceLo, highOf, join, lowOf } from '../hot/lanes.ts'
import { type DecodedLeaf, decode } from '../read/decode.ts'
import { type AddressRange, inputRanges } from '../read/walk.ts'
import { slotIndex, type Tree } from './tree.ts'

/** Leaves of one kind and size that follow one another in a table; their addresses and attributes may be any. */
export interface LeafRun {
  readonly node: HotNode
  readonly leaf: LaneLeaf
  readonly count: number
  /** Word index of the first entry. */
  readonly at: number
  /** Entries of one leaf. */
  readonly slots: number
  /** Bytes of one leaf. */
  readonly size: number
  /** The first input address, by lane. */
  readonly hi: number
  readonly lo: number
}

/** One leaf and where its entries are. */
export interface LeafPlace {
  readonly node: HotNode
  /** Word index of its first entry. */
  readonly at: number
  /** Its entries. */
  readonly slots: number
  readonly iova: bigint
  readonly paddr: bigint
  /** Bytes. */
  readonly size: number
  /** Its first entry. */
  readonly entry: DecodedLeaf
}

/** What is done with the leaves of a run; false ends the visit. */
export type VisitRun = (run: LeafRun) => boolean | undefined | void

/** The parts of a range that a table of this geometry can translate, in order. */
function windowsOf(t: Tree, range: AddressRange): AddressRange[] {
  const reach = t.compiled.grows ? (1n << BigInt(t.root.shift + t.root.node.bits)) - 1n : undefined
  return inputRanges(t.compiled.geometry)
    .map(({ first, last }) => ({ first: max(first, range.first), last: min(min(last, range.last), reach ?? last) }))
    .filter(({ first, last }) => first <= last)
}

/**
 * Calls `visit` for the leaves that touch the range, in order and whole. The leaves that were visited may change before it returns, and so may
 * their table's memory; not the tables above.
 * @returns false when the visitor ended it
 */
export function eachRun(t: Tree, range: AddressRange, run: VisitRun): boolean {
  return sweep(t, range, { enters: () => true, run })
}

/** The leaf that translates an address, or undefined. */
export function leafAt(t: Tree, iova: bigint): LeafPlace | undefined {
  let found: LeafPlace | undefined
  eachRun(t, { first: iova, last: iova }, (run) => {
    found = placeOf(t, run, 0)
  })
  return found
}

/** One leaf of a run. */
export function placeOf(t: Tree, { node, leaf, at: first, slots, size, hi, lo }: LeafRun, index: number): LeafPlace {
  const at = first + ((index * slots) << node.entryLg)
  const entry = decode(t.compiled.geometry, node.node, t.rawAt(node, at)) as DecodedLeaf
  const iova = join(hi, lo) + BigInt(index) * BigInt(size)
  return { node, at, slots, iova, paddr: entry.paddr | (iova & BigInt(leaf.span - 1)), size, entry }
}

/** The addresses that a leaf translates. */
export function rangeOf(leaf: LeafPlace): AddressRange {
  return { first: leaf.iova, last: leaf.iova + BigInt(leaf.size) - 1n }
}

/** What a {@link sweep} calls. */
export interface Visitor {
  /** For each table in the range, by the place and first address of its entry, which may go: whether what is below it is wanted. */
  enters(node: HotNode, at: number, hi: number, lo: number): boolean
  /** For the leaves. */
  readonly run?: VisitRun
}

/** Goes over the entries that touch a range, in the order of the addresses. @returns false when the visitor ended it */
export function sweep(t: Tree, wanted: AddressRange, visitor: Visitor): boolean {
  return windowsOf(t, wanted).every(({ first, last }) => {
    const range = { firstHi: highOf(first), firstLo: lowOf(first), lastHi: highOf(last), lastLo: lowOf(last) }
    return sweepTable(t, visitor, t.root, t.rootWord, range)
  })
}

/** A range that lies in one table, by lane. */
interface Lanes {
  readonly firstHi: number
  readonly firstLo: number
  readonly lastHi: number
  readonly lastLo: number
}

function sweepTable(t: Tree, visitor: Visitor, node: HotNode, table: number, range: Lanes): boolean {
  const { firstHi, firstLo, lastHi, lastLo } = range
  const kinds = laneNodeOf(t.compiled.geometry, node.node)
  const from = slotIndex(node, firstHi, firstLo)
  const end = slotIndex(node, lastHi, lastLo) + 1
  for (let i = from; i < end; ) {
    const at = table + (i << node.entryLg)
    const empty = t.emptyPrefix(node, at, end - i)
    i += empty
    if (empty > 0) continue
    const bytes = (i - from) * node.slotBytes
    const hi = advanceHi(firstHi & ~node.offsetHi, firstLo & ~node.offsetLo, bytes)
    const lo = advanceLo(firstLo & ~node.offsetLo, bytes)
    if (node.child !== undefined && t.isTable(node, at)) {
      i++
      if (!visitor.enters(node, at, hi, lo)) continue
      const below = {
        firstHi: i - 1 === from ? firstHi : hi,
        firstLo: i - 1 === from ? firstLo : lo,
        lastHi: i === end ? lastHi : hi | node.offsetHi,
        lastLo: i === end ? lastLo : lo | node.offsetLo,
      }
      if (!sweepTable(t, visitor, node.child, t.tableOf(node, at), below)) return false
      continue
    }
    const leaf = visitor.run && leafOf(t, kinds, at)
    if (leaf === undefined) {
      i++
      continue
    }
    const run = (leaf.size.slots > 1 ? wholeRun : plainRun)(t, node, leaf, { kinds, table, index: i, end, hi, lo })
    if (visitor.run?.(run) === false) return false
    i = ((run.at - table) >> node.entryLg) + run.count * run.slots
  }
  return true
}

/** The leaf that an entry is: its kind and size. */
function leafOf(t: Tree, kinds: LaneNode, at: number): LaneLeaf | undefined {
  return kinds.leaf(t.words[at]!, kinds.words === 2 ? t.words[at + 1]! : 0)
}

/** Where an entry is, and where the range ends in its table. */
interface Slot {
  readonly kinds: LaneNode
  readonly table: number
  readonly index: number
  readonly end: number
  /** Its input address, by lane. */
  readonly hi: number
  readonly lo: number
}

/** Leaves of one entry each. */
function plainRun(t: Tree, node: HotNode, leaf: LaneLeaf, { kinds, table, index, end, hi, lo }: Slot): LeafRun {
  const at = table + (index << node.entryLg)
  const most = end - index
  let count = 1
  while (count < most && leafOf(t, kinds, at + (count << node.entryLg)) === leaf) count++
  return { node, leaf, count, at, slots: 1, size: node.slotBytes, hi, lo }
}

/** Leaves of several entries each, from the one on that an entry belongs to; or that entry alone. */
function wholeRun(t: Tree, node: HotNode, leaf: LaneLeaf, { kinds, table, index, end, hi, lo }: Slot): LeafRun {
  const { slots, pgsize } = leaf.size
  const first = index & ~(slots - 1)
  const wordOf = (slot: number): number => table + (slot << node.entryLg)
  let count = 0
  while (
    first + count * slots < end &&
    first + (count + 1) * slots <= node.indexMask + 1 &&
    agree(t, node, kinds, wordOf(first + count * slots), leaf)
  )
    count++
  if (count === 0) return { node, leaf, count: 1, at: wordOf(index), slots: 1, size: node.slotBytes, hi, lo }
  const start = join(hi, lo) & -BigInt(pgsize)
  return { node, leaf, count, at: wordOf(first), slots, size: pgsize, hi: highOf(start), lo: lowOf(start) }
}

/** Whether the entries of a mapping are those that it should have. */
function agree(t: Tree, node: HotNode, kinds: LaneNode, first: number, leaf: LaneLeaf): boolean {
  const { slots, pgsize, stepsAddress } = leaf.size
  const step = stepsAddress === true ? node.slotBytes : 0
  let baseHi = 0
  let baseLo = 0
  for (let slot = 0; slot < slots; slot++) {
    const at = first + (slot << node.entryLg)
    const d = t.words[at]!
    const high = node.entryLg === 1 ? t.words[at + 1]! : 0
    if (kinds.leaf(d, high) !== leaf) return false
    const hi = leaf.high(d, high) & ~leaf.keepHi
    const lo = leaf.low(d, high) & ~leaf.keepLo
    if (slot === 0) {
      if (((hi >>> 0) * 0x1_0000_0000 + (lo >>> 0)) % pgsize !== 0) return false
      baseHi = hi
      baseLo = lo
    } else if (hi !== advanceHi(baseHi, baseLo, slot * step) || lo !== advanceLo(baseLo, slot * step)) return false
  }
  return true
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
