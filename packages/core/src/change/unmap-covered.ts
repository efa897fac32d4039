/**
 * Unmapping by the policy `covered`: mapping by mapping up to the first hole, whatever sizes they have; a larger leaf goes whole when the
 * range starts at its head, and tables that the range covers go with what is in them.
 */

import type { HotNode } from '../compile/hot-node.ts'
import { advanceHi, advanceLo } from '../hot/lanes.ts'
import { type DecodedLeaf, decode } from '../read/decode.ts'
import { partStays } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import { type Gathered, gatheredOf, type IotlbGather } from '../tlb/gather.ts'
import { detachTable } from '../tree/prune.ts'
import { slotIndex, type Tree } from '../tree/tree.ts'

/** Takes down what is left of a request: less at a hole, or at a part of a larger leaf; more when the last mapping is larger than the rest. */
export function unmapCovered(r: Request): number {
  const bytes = r.left
  held(r, 'unmapPages', sweep)
  r.finishGather()
  if (r.stop === 'part') r.warn(partStays('unmapPages', r.iova, r.t.compiled.granule))
  return bytes - r.left
}

function sweep(r: Request): void {
  const { t, hi, lo, left } = r
  if (t.beyondRoot(hi, lo)) return
  const { granule } = t.compiled
  const gather = r.rangeGather()
  const gathered = gatheredOf(gather)
  let taken = left
  try {
    taken = sweepTable({ r, t, gather, gathered }, t.root, t.rootWord, hi, lo, left)
  } finally {
    // All of the range, where the memory's `sync` hook threw: how far it came is not known.
    if (taken > 0) gathered.note(hi, lo, granule, taken / granule)
  }
  r.advance(taken)
}

/** What every step of a sweep needs; the request's `stop` ends it. */
interface Sweep {
  readonly r: Request
  readonly t: Tree
  readonly gather: IotlbGather
  readonly gathered: Gathered
}

/** Takes down what the table translates from the address on, at most `bytes` but for a last larger leaf. Returns the bytes taken. */
function sweepTable(sweep: Sweep, node: HotNode, table: number, hi: number, lo: number, bytes: number): number {
  const slotBytes = node.slotBytes
  const slots = (node.indexMask + 1) | 0
  let taken = 0
  for (let index = slotIndex(node, hi, lo); index < slots && taken < bytes && sweep.r.stop === ''; ) {
    const at = table + (index << node.entryLg)
    const entryHi = advanceHi(hi, lo, taken)
    const entryLo = advanceLo(lo, taken)
    if (sweep.t.isTable(node, at)) {
      taken += sweepChild(sweep, node, at, entryHi, entryLo, bytes - taken)
      index++
      continue
    }
    const most = Math.min(slots - index, Math.floor((bytes - taken) / slotBytes))
    const run = sweepRun(sweep, node, at, most, entryHi, entryLo) || sweepLeaf(sweep, node, at, entryHi, entryLo)
    taken += run * slotBytes
    index += run
  }
  return taken
}

/** Clears whole mappings of one size, of as many as there are in `most` slots; returns the slots. */
function sweepRun({ t, gathered }: Sweep, node: HotNode, at: number, most: number, hi: number, lo: number): number {
  for (const plan of node.leaves) {
    if (!plan.simple || most < plan.slots || offsetIn(hi, lo, plan.pgsize) !== 0) continue
    const n = t.leafPrefix(plan, at, most) & -plan.slots
    if (n === 0) continue
    gathered.leafLevels |= 1 << node.node.level
    t.clear(node, at, n)
    return n
  }
  return 0
}

/** What lies below a table; the table itself when the range covers it (larger leaves may reach beyond the range) and everything in it went. */
function sweepChild(sweep: Sweep, node: HotNode, at: number, hi: number, lo: number, bytes: number): number {
  const { t, gather } = sweep
  const child = node.child
  if (child === undefined) return 0
  const slotBytes = node.slotBytes
  const rest = slotBytes - offsetIn(hi, lo, slotBytes)
  if (child.child === undefined && rest === slotBytes && bytes >= slotBytes && isFull(sweep, child, t.tableOf(node, at))) {
    detachTable(t, node, at, hi, lo, gather)
    return slotBytes
  }
  const taken = sweepTable(sweep, child, t.tableOf(node, at), hi, lo, Math.min(bytes, rest))
  if (sweep.r.stop === '' && bytes >= slotBytes && taken === slotBytes) detachTable(t, node, at, hi, lo, gather)
  return taken
}

/** Whether a table of the last level is full of leaves of one size: it then goes as it is, since nothing is left in it that could stop there. */
function isFull({ t, gathered }: Sweep, node: HotNode, table: number): boolean {
  const slots = (node.indexMask + 1) | 0
  for (const plan of node.leaves) {
    if (!plan.simple || t.leafPrefix(plan, table, slots) !== slots) continue
    gathered.leafLevels |= 1 << node.node.level
    return true
  }
  return false
}

/** One leaf of any size, from its head; otherwise the sweep ends here. Returns the slots. */
function sweepLeaf(sweep: Sweep, node: HotNode, at: number, hi: number, lo: number): number {
  const { r, t, gathered } = sweep
  const entry = decode(t.compiled.geometry, node.node, t.rawAt(node, at))
  const head = entry.type === 'leaf' && offsetIn(hi, lo, entry.size.pgsize) === 0
  if (!head) {
    r.stop = entry.type === 'leaf' ? 'part' : 'hole'
    return 0
  }
  const { slots } = (entry as DecodedLeaf).size
  // It may reach beyond the range.
  gathered.note(hi, lo, t.compiled.granule, (slots * node.slotBytes) / t.compiled.granule)
  gathered.leafLevels |= 1 << node.node.level
  t.clear(node, at, slots)
  return slots
}

/** How far into an aligned block of `size` bytes the address is; `size` is a power of two. */
function offsetIn(hi: number, lo: number, size: number): number {
  if (size <= 0x1_0000_0000) return (lo >>> 0) % size
  return ((hi >>> 0) % (size / 0x1_0000_0000)) * 0x1_0000_0000 + (lo >>> 0)
}
