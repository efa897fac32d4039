/** Taking tables out of a tree: clear, sync, flush, free, in the order that the format's policy and the driver's callbacks need. */

import type { PtPtr } from '@io-pgtable/pt-allocator'
import type { HotNode } from '../compile/hot-node.ts'
import { highOf, lowOf } from '../hot/lanes.ts'
import { AdoptedMemory } from '../memory/adopted-memory.ts'
import { rootSpare } from '../memory/table-memory.ts'
import { inputRanges } from '../read/walk.ts'
import { IotlbGather } from '../tlb/gather.ts'
import type { Tree } from './tree.ts'

/**
 * Takes the table in the entry at `at` out of the tree: clear, sync, flush, free. With a gather its memory waits for the sync. Should
 * the driver's `flushWalk`, or the `sync` hook, throw, the memory is kept (a walker may still be in it) until this worker frees the table.
 */
export function removeTable(t: Tree, node: HotNode, at: number, iova: bigint, gather: IotlbGather | undefined): void {
  const child = node.child
  if (child === undefined) throw new Error(`node ${node.node.id} has no tables`)
  const table = t.tableOf(node, at)
  const unlink = (): void => {
    t.pool.bumpGeneration()
    t.clear(node, at, 1)
    t.call(() => t.tlb.flushWalk(iova, node.slotBytes, t.compiled.granule))
  }
  if (gather !== undefined) {
    t.forEachTable(child, table, (ptr) => gather.defer(ptr))
    unlink()
    return
  }
  const tables = t.newFreeList()
  t.listTables(child, table, tables)
  try {
    unlink()
  } catch (error) {
    t.stranded.push(tables)
    throw error
  }
  t.freed(tables)
}

/** Takes an emptied, or replaced, table out of the tree for a flush order of `range`: its memory waits in the gather. */
export function detachTable(t: Tree, node: HotNode, at: number, hi: number, lo: number, gather: IotlbGather): void {
  const child = node.child
  if (child === undefined) throw new Error(`node ${node.node.id} has no tables`)
  // in steps of the smallest page: below the table there may be others, which a driver that steps by the granule must reach as well
  const { granule } = t.compiled
  gather.note(hi, lo, granule, node.slotBytes / granule)
  const table = t.tableOf(node, at)
  gather.tableLevels |= 1 << node.node.level
  if (child.child === undefined) gather.defer((table * 4) as PtPtr)
  else
    t.forEachTable(child, table, (ptr, made) => {
      gather.defer(ptr)
      gather.tableLevels |= 1 << (made.parent ?? node).node.level
    })
  t.pool.bumpGeneration()
  t.clear(node, at, 1)
}

/** {@link detachTable} for an address that is a bigint. */
export function detachAt(t: Tree, node: HotNode, at: number, iova: bigint, gather: IotlbGather): void {
  detachTable(t, node, at, highOf(iova), lowOf(iova), gather)
}

/** Syncs a gather that ends with its call. Should the driver's `sync` throw, the tables stay allocated until the whole table is freed. */
export function syncOwn(t: Tree, own: IotlbGather): void {
  try {
    own.sync()
  } catch (error) {
    strand(t, own)
    throw error
  }
}

/** Ends a call's own gather after a callback threw: a walker may still be in its tables, so that they stay until the whole table is freed. */
export function strand(t: Tree, own: IotlbGather): void {
  const tables = own.abandon()
  if (tables !== undefined) t.stranded.push(tables)
}

/** Tells the driver that everything goes, in the way of the flush order. */
export function flushEverything(t: Tree): void {
  if (t.compiled.policy.flushOrder === 'range') flushRange(t)
  else t.call(() => t.tlb.flushAll())
}

function flushRange(t: Tree): void {
  const gather = new IotlbGather()
  gather.bind(t)
  const { granule, geometry, chain } = t.compiled
  for (const { first, last } of inputRanges(geometry)) gather.addRange(first, granule, Number((last - first + 1n) / BigInt(granule)))
  for (const { node } of chain) {
    gather.leafLevels |= 1 << node.level
    if (node !== t.last.node) gather.tableLevels |= 1 << node.level
  }
  t.syncGather(gather)
}

/**
 * Takes the pool's tables out of an adopted table's others, which stay where they are and must lead nowhere when those are freed. They are
 * freed with what is stranded.
 */
export function unlinkOwn(t: Tree): void {
  if (!(t.pool instanceof AdoptedMemory)) return
  const { foreign } = t.pool
  const own = t.newFreeList()
  t.stranded.push(own)
  const visit = (node: HotNode, table: number): void => {
    const { child } = node
    if (child === undefined) return
    for (let at = table; at < table + ((node.indexMask + 1) << node.entryLg); at += 1 << node.entryLg) {
      if (!t.isTable(node, at)) continue
      const below = t.tableOf(node, at)
      if (foreign.has(below * 4) || !foreign.has(table * 4)) {
        visit(child, below)
        continue
      }
      t.forEachTable(child, below, (ptr) => own.add(ptr))
      t.clear(node, at, 1)
    }
  }
  visit(t.root, t.rootWord)
  t.pool.bumpGeneration()
}

/** Frees everything; the state is dead by then. */
export function freeTree(t: Tree): void {
  for (const list of t.stranded.splice(0)) t.freed(list)
  if (t.pool instanceof AdoptedMemory && t.pool.foreign.has(t.rootWord * 4)) return
  const tables = t.newFreeList()
  t.listTables(t.root, t.rootWord, tables)
  t.freed(tables)
  if (t.root === t.compiled.root) t.account(rootSpare(t.root))
}
