/** Trimming: tables that translate nothing any more leave the tree. Page by page unmaps never free a table. */

import type { HotNode } from '../compile/hot-node.ts'
import { join } from '../hot/lanes.ts'
import { type AddressRange, inputRanges } from '../read/walk.ts'
import { checkedRange } from '../request/arguments.ts'
import { bindGather } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { sweep } from '../tree/leaf-range.ts'
import { detachAt, removeTable } from '../tree/prune.ts'
import type { Tree } from '../tree/tree.ts'

/** See `IoPageTable.trim`. */
export function trim(own: Request, wanted: AddressRange | undefined, gather: IotlbGather | undefined): number {
  const r = own.openChange('trim')
  const { t } = r
  bindGather('trim', gather, t)
  const range = checkedRange('trim', wanted)
  r.gather = gather
  const bytes = held(r, 'trim', () => trimTables(r, range), range)
  r.finishGather()
  return bytes
}

/**
 * Takes out every table, with the tables in it, that lies wholly in the range and holds no leaf.
 * @returns bytes of those tables
 */
function trimTables(r: Request, range: AddressRange): number {
  const { t } = r
  let bytes = 0
  sweep(t, range, {
    enters: (node, at, hi, lo) => {
      const child = node.child as HotNode
      const iova = join(hi, lo)
      if (!covers(t, range, iova, iova + BigInt(node.slotBytes) - 1n) || t.hasLeaves(child, t.tableOf(node, at)))
        return child.child !== undefined
      bytes += take(r, node, at, iova)
      return false
    },
  })
  return bytes
}

/** Whether all addresses of the slot that a device can use are in the range. */
function covers(t: Tree, range: AddressRange, first: bigint, last: bigint): boolean {
  return inputRanges(t.compiled.geometry).every((window) => {
    const from = first > window.first ? first : window.first
    const to = last < window.last ? last : window.last
    return from > to || (from >= range.first && to <= range.last)
  })
}

/** Takes one table out as the flush order wants it. Returns the bytes of it and of those below. */
function take(r: Request, node: HotNode, at: number, iova: bigint): number {
  const { t } = r
  let bytes = 0
  if (node.child !== undefined) t.forEachTable(node.child, t.tableOf(node, at), (_, { tableBytes }) => void (bytes += tableBytes))
  if (t.compiled.policy.flushOrder === 'range') detachAt(t, node, at, iova, r.rangeGather())
  else removeTable(t, node, at, iova, r.gather)
  return bytes
}
