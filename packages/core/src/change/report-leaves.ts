/** Telling the driver that leaves changed, or gave way to others, while they stayed mapped. */

import type { HotNode } from '../compile/hot-node.ts'
import { IotlbGather } from '../tlb/gather.ts'
import { strand, syncOwn } from '../tree/prune.ts'
import type { Tree } from '../tree/tree.ts'

/** Notes `slots` entries of a node in a gather, in the way of the format's flush order. */
export function reportLeaves(t: Tree, node: HotNode, iova: bigint, slots: number, gather: IotlbGather): void {
  if (gather.queued) return
  const granule = node.slotBytes
  const byRange = t.compiled.policy.flushOrder === 'range'
  if (byRange) gather.leafLevels |= 1 << node.node.level
  if (byRange || t.tlb.addPages === undefined) gather.addRange(iova, granule, slots)
  else t.call(() => t.tlb.addPages?.(gather, iova, granule, slots))
}

/** Runs a change with the caller's gather, or with one of its own that is synced at the end. */
export function withGather<T>(t: Tree, given: IotlbGather | undefined, change: (gather: IotlbGather) => T): T {
  if (given !== undefined) return change(given)
  const own = new IotlbGather()
  own.bind(t)
  let result: T
  try {
    result = change(own)
  } catch (error) {
    strand(t, own)
    throw error
  }
  syncOwn(t, own)
  return result
}
