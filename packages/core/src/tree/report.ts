/**
 * Telling the driver what its TLB must forget: leaves that were unmapped, and leaves that changed, or gave way to others, while they stayed
 * mapped. Tables that leave the tree are told by `prune`.
 */

import type { HotNode } from '../compile/hot-node.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { join } from '../hot/lanes.ts'
import { oweLeaves, strand, syncOwn } from '../memory/owed.ts'
import type { AddressRange } from '../read/walk.ts'
import { NOOP_FLUSH_OPS } from '../tlb/flush.ts'
import { gatheredOf, IotlbGather } from '../tlb/gather.ts'
import type { Tree } from './tree.ts'

/** Tells the driver, or the gather itself where the driver has no `addPages`, about `slots` entries from the address on. */
export function reportPages(t: Tree, plan: LeafPlan, hi: number, lo: number, slots: number, gather: IotlbGather | undefined): void {
  if (gather === undefined ? !t.compiled.policy.addPagesWithoutGather : gather.queued) return
  if (t.tlb === NOOP_FLUSH_OPS) return
  if (t.tlb.addPages === undefined) {
    if (gather !== undefined) gatheredOf(gather).note(hi, lo, plan.slotBytes, slots)
    return
  }
  const iova = join(hi, lo)
  const outer = t.inCallback
  t.inCallback = true
  try {
    t.tlb.addPages(gather, iova, plan.slotBytes, slots)
  } catch (error) {
    oweLeaves(t, iova, slots * plan.slotBytes)
    throw error
  } finally {
    t.inCallback = outer
  }
  if (t.words.length === 0) t.regain('addPages')
}

/** Notes `slots` entries of a node in a gather, in the way of the format's flush order. */
export function reportLeaves(t: Tree, node: HotNode, iova: bigint, slots: number, gather: IotlbGather): void {
  if (gather.queued) return
  const granule = node.slotBytes
  const byRange = t.compiled.policy.flushOrder === 'range'
  if (byRange) gatheredOf(gather).leafLevels |= 1 << node.node.level
  if (byRange || t.tlb.addPages === undefined) gather.addRange(iova, granule, slots)
  else t.call(() => t.tlb.addPages?.(gather, iova, granule, slots))
}

/**
 * Runs a change of leaves in a range with the caller's gather, or with one of its own that is synced at the end. Should a callback throw, the
 * whole range is owed: the leaves may have changed, and who asks again finds nothing to change.
 */
export function withGather<T>(
  t: Tree,
  given: IotlbGather | undefined,
  { first, last }: AddressRange,
  change: (gather: IotlbGather) => T,
): T {
  const gather = given ?? new IotlbGather()
  gatheredOf(gather).bind(t)
  try {
    const result = change(gather)
    if (given === undefined) syncOwn(t, gather)
    return result
  } catch (error) {
    oweLeaves(t, first, Number(last - first + 1n))
    if (given === undefined) strand(t, gather)
    throw error
  }
}
