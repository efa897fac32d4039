/** Telling the driver that leaves changed, or gave way to others, while they stayed mapped. */

import type { HotNode } from '../compile/hot-node.ts'
import { oweLeaves, strand, syncOwn } from '../memory/owed.ts'
import type { AddressRange } from '../read/walk.ts'
import { gatheredOf, IotlbGather } from '../tlb/gather.ts'
import type { Tree } from '../tree/tree.ts'

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
