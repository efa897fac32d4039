/** Dirty tracking: which leaves a device wrote to, by the bits that the format's policy names. */

import { LaneMatch } from '../compile/lane-node.ts'
import { hex, IoPgtableError } from '../errors.ts'
import { join } from '../hot/lanes.ts'
import { explainRange } from '../request/arguments.ts'
import { bindGather } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { eachRun, type LeafRun } from '../tree/leaf-range.ts'
import { reportLeaves, withGather } from '../tree/report.ts'
import type { Tree } from '../tree/tree.ts'

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
  if (typeof visit !== 'function') throw new IoPgtableError('EINVAL', 'readAndClearDirty', `visit ${String(visit)}: a function expected`)
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
  const match = new LaneMatch(dirty.dirty)
  let next = iova
  const last = iova + BigInt(size) - 1n
  const each = (run: LeafRun): boolean => {
    const start = join(run.hi, run.lo)
    if (start > next) return false
    next = start + BigInt(run.count * run.size)
    visitDirty(t, run, match, (index) => {
      const at = start + BigInt(index) * BigInt(run.size)
      t.call(() => visit(at, run.size))
      if ((flags & ReadDirty.NO_CLEAR) !== 0) return
      const cleanLeaf = (): void => clean(t, run, index, dirty)
      if (gather === undefined) cleanLeaf()
      else cleanAndReport(t, run, at, gather, cleanLeaf)
    })
    return true
  }
  eachRun(t, { first: iova, last }, each)
  if (next <= last) throw new IoPgtableError('EINVAL', 'readAndClearDirty', `nothing is mapped at ${hex(next)}`, { value: next })
}

/** Calls `take` with the index of each leaf of a run that is dirty: one of whose entries is. */
function visitDirty(t: Tree, { node, at, slots, count }: LeafRun, match: LaneMatch, take: (index: number) => void): void {
  for (let i = 0; i < count * slots; i++) {
    const word = at + (i << node.entryLg)
    if (!match.holds(t.words[word]!, node.entryLg === 1 ? t.words[word + 1]! : 0)) continue
    const index = Math.floor(i / slots)
    take(index)
    i = (index + 1) * slots - 1
  }
}

/** A TLB may hold the leaf as writable: without its invalidation the next write would not be seen. */
function cleanAndReport(t: Tree, { node, slots, size }: LeafRun, first: bigint, gather: IotlbGather, cleanLeaf: () => void): void {
  withGather(t, gather, { first, last: first + BigInt(size) - 1n }, () => {
    cleanLeaf()
    reportLeaves(t, node, first, slots, gather)
  })
}

/** The hardware may write to the entry at the same time: only an exchange loses nothing. */
function clean(t: Tree, { node, at, slots }: LeafRun, index: number, dirty: { clear: bigint; set: bigint }): void {
  for (let slot = index * slots; slot < (index + 1) * slots; slot++) {
    const word = at + (slot << node.entryLg)
    for (;;) {
      const raw = t.rawAt(node, word)
      if (t.exchange(node, word, raw, (raw & ~dirty.clear) | dirty.set)) break
    }
    t.synced(word, 1 << node.entryLg)
  }
}
