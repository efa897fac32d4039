/**
 * The leaves of a range of the engine's own tree, one after the other: what visiting, protecting, cutting and snapshots stand on. A mapping
 * of several entries is one leaf; where its entries do not agree (somebody else wrote them), each is one by itself.
 */

import type { HotNode } from '../compile/hot-node.ts'
import { highOf, lowOf } from '../hot/lanes.ts'
import { type DecodedLeaf, decode, entrySpan } from '../read/decode.ts'
import { type AddressRange, inputRanges } from '../read/walk.ts'
import { slotIndex, type Tree } from './tree.ts'

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

/** The parts of a range that a table of this geometry can translate, in order. */
export function windowsOf(t: Tree, range: AddressRange): AddressRange[] {
  const reach = t.compiled.grows ? (1n << BigInt(t.root.shift + t.root.node.bits)) - 1n : undefined
  return inputRanges(t.compiled.geometry)
    .map(({ first, last }) => ({ first: max(first, range.first), last: min(min(last, range.last), reach ?? last) }))
    .filter(({ first, last }) => first <= last)
}

/**
 * Calls `visit` for each leaf that touches the range, in order and whole, and ends when it returns false. Between two calls the leaf that
 * was visited may change, and so may its table's memory; not the tables above.
 * @returns false when the visitor ended it
 */
export function eachLeaf(t: Tree, range: AddressRange, visit: (leaf: LeafPlace) => boolean | undefined | void): boolean {
  return windowsOf(t, range).every(({ first, last }) => leavesOf(t, t.root, t.rootWord, first, last, visit))
}

/** The leaf that translates an address, or undefined. */
export function leafAt(t: Tree, iova: bigint): LeafPlace | undefined {
  let found: LeafPlace | undefined
  eachLeaf(t, { first: iova, last: iova }, (leaf) => {
    found = leaf
  })
  return found
}

/** The addresses that a leaf translates. */
export function rangeOf(leaf: LeafPlace): AddressRange {
  return { first: leaf.iova, last: leaf.iova + BigInt(leaf.size) - 1n }
}

/** The slots of a table from one address in it to another. */
export function* slotsOf(node: HotNode, table: number, first: bigint, last: bigint): Generator<{ at: number; iova: bigint }> {
  const span = 1n << BigInt(node.shift)
  let iova = first - (first % span)
  for (let at = table + (indexAt(node, first) << node.entryLg); iova <= last; at += 1 << node.entryLg, iova += span) yield { at, iova }
}

function leavesOf(t: Tree, node: HotNode, table: number, first: bigint, last: bigint, visit: (leaf: LeafPlace) => unknown): boolean {
  const span = 1n << BigInt(node.shift)
  const from = first - (first % span)
  const index = indexAt(node, first)
  const slots = Number((last - from) / span) + 1
  for (let i = 0; i < slots; ) {
    const at = table + ((index + i) << node.entryLg)
    const empty = t.emptyPrefix(node, at, slots - i)
    i += empty
    if (empty > 0) continue
    const iova = from + BigInt(i) * span
    if (node.child !== undefined && t.isTable(node, at)) {
      if (!leavesOf(t, node.child, t.tableOf(node, at), max(first, iova), min(last, iova + span - 1n), visit)) return false
      i++
      continue
    }
    const leaf = leafIn(t, node, at, index + i, iova)
    if (leaf !== undefined && visit(leaf) === false) return false
    i = leaf === undefined ? i + 1 : Number((leaf.iova - from) / span) + leaf.slots
  }
  return true
}

function indexAt(node: HotNode, iova: bigint): number {
  return slotIndex(node, highOf(iova), lowOf(iova))
}

/** The leaf that an entry belongs to; undefined for an entry that is none. */
function leafIn(t: Tree, node: HotNode, at: number, index: number, iova: bigint): LeafPlace | undefined {
  const entry = decode(t.compiled.geometry, node.node, t.rawAt(node, at))
  if (entry.type !== 'leaf') return undefined
  const { slots, pgsize } = entry.size
  const before = index & (slots - 1)
  const first = at - (before << node.entryLg)
  const head = before === 0 ? entry : decode(t.compiled.geometry, node.node, t.rawAt(node, first))
  if (head.type === 'leaf' && index - before + slots <= node.indexMask + 1 && agree(t, node, first, head)) {
    const start = iova - BigInt(before) * (1n << BigInt(node.shift))
    return { node, at: first, slots, iova: start, paddr: addressOf(node, head, start), size: pgsize, entry: head }
  }
  return { node, at, slots: 1, iova, paddr: addressOf(node, entry, iova), size: node.slotBytes, entry }
}

/** What an entry translates the first address of its slot to: an entry of a repeated mapping points to the mapping's start. */
function addressOf(node: HotNode, entry: DecodedLeaf, iova: bigint): bigint {
  return entry.paddr | (iova & BigInt(entrySpan(node.node, entry.size) - 1))
}

/** Whether the entries after the first one of a mapping are those that it should have. */
function agree(t: Tree, node: HotNode, first: number, head: DecodedLeaf): boolean {
  const step = head.size.stepsAddress === true ? 1n << BigInt(node.shift) : 0n
  const base = head.paddr & ~BigInt(head.size.pgsize - 1)
  if (head.paddr !== base) return false
  for (let slot = 1; slot < head.size.slots; slot++) {
    const entry = decode(t.compiled.geometry, node.node, t.rawAt(node, first + (slot << node.entryLg)))
    if (entry.type !== 'leaf' || entry.kind !== head.kind || entry.size !== head.size) return false
    if (entry.paddr !== base + BigInt(slot) * step) return false
  }
  return true
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
