/** Dirty tracking: which leaves a device wrote to, by the bits that the format's policy names. */

import type { HotNode } from '../compile/hot-node.ts'
import { hex, IoPgtableError } from '../errors.ts'
import { matches } from '../format/bits.ts'
import { highOf, lowOf } from '../hot/lanes.ts'
import { type DecodedLeaf, decode } from '../read/decode.ts'
import { explainRange } from '../request/arguments.ts'
import { bindGather } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { slotIndex, type Tree } from '../tree/tree.ts'
import { reportLeaves, withGather } from './report-leaves.ts'

/** Flags of `readAndClearDirty`, with Linux's values. */
export const ReadDirty = {
  /** Only look: leave the leaves dirty. */
  NO_CLEAR: 1,
} as const
export type ReadDirtyFlags = number

/** Called with a dirty leaf: its first address, and its bytes. */
export type VisitDirty = (iova: bigint, pgsize: number) => void

/** See `IoPageTable.readAndClearDirty`. */
export function readAndClearDirty(
  own: Request,
  iova: bigint,
  size: number,
  visit: VisitDirty,
  flags: ReadDirtyFlags,
  gather: IotlbGather | undefined,
): void {
  const r = own.openChange('readAndClearDirty')
  const { t } = r
  const wrong = explainRange(t.compiled, 'readAndClearDirty', iova, undefined, size, t.compiled.granule)
  if (wrong !== undefined) throw wrong
  bindGather('readAndClearDirty', gather, t)
  const range = { first: iova, last: iova + BigInt(size) - 1n }
  held(r, 'readAndClearDirty', () => readDirty(t, iova, size, visit, flags, gather), range)
}

/**
 * Visits the dirty leaves of a range, in order, and makes them clean. A hole ends it, after the leaves before it were visited.
 * @throws `EINVAL` when the configuration has no dirty tracking, or at a hole.
 */
function readDirty(t: Tree, iova: bigint, size: number, visit: VisitDirty, flags: ReadDirtyFlags, gather: IotlbGather | undefined): void {
  const dirty = t.compiled.policy.dirty
  if (dirty === undefined) throw new IoPgtableError('EINVAL', 'readAndClearDirty', 'the configuration has no dirty tracking')
  const end = iova + BigInt(size)
  for (let at = iova; at < end; ) {
    const leaf = leafAt(t, at)
    if (leaf === undefined) throw new IoPgtableError('EINVAL', 'readAndClearDirty', `nothing is mapped at ${hex(at)}`, { value: at })
    const { entry, node, first, slots } = leaf
    const start = at - (at % BigInt(entry.size.pgsize))
    if (anyDirty(t, node, first, slots, dirty.dirty)) {
      t.call(() => visit(start, entry.size.pgsize))
      if ((flags & ReadDirty.NO_CLEAR) === 0) {
        // A TLB may hold the leaf as writable: without its invalidation the next write would not be seen.
        const cleaned = (): void => clean(t, node, first, slots, dirty)
        if (gather === undefined) cleaned()
        else
          withGather(t, gather, { first: start, last: start + BigInt(entry.size.pgsize) - 1n }, () => {
            cleaned()
            reportLeaves(t, node, start, slots, gather)
          })
      }
    }
    at = start + BigInt(entry.size.pgsize)
  }
}

/** The leaf that translates an address: its entries, all of those that one mapping takes. */
function leafAt(t: Tree, iova: bigint): { entry: DecodedLeaf; node: HotNode; first: number; slots: number } | undefined {
  const lo = lowOf(iova)
  const hi = highOf(iova)
  if (t.beyondRoot(hi, lo)) return undefined
  let node = t.root
  let table = t.rootWord
  for (;;) {
    const index = slotIndex(node, hi, lo)
    const at = table + (index << node.entryLg)
    if (!t.isTable(node, at) || node.child === undefined) {
      const entry = decode(t.compiled.geometry, node.node, t.rawAt(node, at))
      if (entry.type !== 'leaf') return undefined
      const first = table + ((index & ~(entry.size.slots - 1)) << node.entryLg)
      return { entry, node, first, slots: entry.size.slots }
    }
    table = t.tableOf(node, at)
    node = node.child
  }
}

function anyDirty(t: Tree, node: HotNode, first: number, slots: number, match: Parameters<typeof matches>[1]): boolean {
  for (let slot = 0; slot < slots; slot++) if (matches(t.rawAt(node, first + (slot << node.entryLg)), match)) return true
  return false
}

/** The hardware may write to the entry at the same time: only an exchange loses nothing. */
function clean(t: Tree, node: HotNode, first: number, slots: number, dirty: { clear: bigint; set: bigint }): void {
  for (let slot = 0; slot < slots; slot++) {
    const at = first + (slot << node.entryLg)
    for (let raw = t.rawAt(node, at); !t.exchange(node, at, raw, (raw & ~dirty.clear) | dirty.set); raw = t.rawAt(node, at));
    t.synced(at, 1 << node.entryLg)
  }
}
