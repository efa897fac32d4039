/** Trimming: tables that translate nothing any more leave the tree. Page by page unmaps never free a table. */

import type { HotNode } from '../compile/hot-node.ts'
import { type AddressRange, inputRanges } from '../read/walk.ts'
import { checkedRange } from '../request/arguments.ts'
import { bindGather } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { slotsOf, windowsOf } from '../tree/leaf-range.ts'
import { detachAt, removeTable } from '../tree/prune.ts'

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
  for (const { first, last } of windowsOf(t, range)) bytes += trimTable({ r, range }, t.root, t.rootWord, first, last)
  return bytes
}

interface Trim {
  readonly r: Request
  readonly range: AddressRange
}

function trimTable(trim: Trim, node: HotNode, table: number, first: bigint, last: bigint): number {
  const { t } = trim.r
  const child = node.child
  if (child === undefined) return 0
  let bytes = 0
  for (const { at, iova } of slotsOf(node, table, first, last)) {
    if (!t.isTable(node, at)) continue
    const end = iova + (1n << BigInt(node.shift)) - 1n
    const below = t.tableOf(node, at)
    if (covers(trim, iova, end) && !t.hasLeaves(child, below)) bytes += take(trim, node, at, iova)
    else bytes += trimTable(trim, child, below, iova < first ? first : iova, end > last ? last : end)
  }
  return bytes
}

/** Whether all addresses of the slot that a device can use are in the range. */
function covers({ r: { t }, range }: Trim, first: bigint, last: bigint): boolean {
  return inputRanges(t.compiled.geometry).every((window) => {
    const from = first > window.first ? first : window.first
    const to = last < window.last ? last : window.last
    return from > to || (from >= range.first && to <= range.last)
  })
}

/** Takes one table out as the flush order wants it. Returns the bytes of it and of those below. */
function take({ r }: Trim, node: HotNode, at: number, iova: bigint): number {
  const { t } = r
  let bytes = 0
  if (node.child !== undefined) t.forEachTable(node.child, t.tableOf(node, at), (_, { tableBytes }) => void (bytes += tableBytes))
  if (t.compiled.policy.flushOrder === 'range') detachAt(t, node, at, iova, r.rangeGather())
  else removeTable(t, node, at, iova, r.gather)
  return bytes
}
