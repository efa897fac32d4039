/** Taking tables out of a tree: clear, sync, flush, free, in the order that the format's policy and the driver's callbacks need. */

import type { PtPtr } from '@io-pgtable/pt-allocator'
import type { HotNode } from '../compile/hot-node.ts'
import { highOf, lowOf } from '../hot/lanes.ts'
import { AdoptedMemory } from '../memory/adopted-memory.ts'
import { oweWalk, syncOwn } from '../memory/owed.ts'
import { rootSpare } from '../memory/table-memory.ts'
import { inputRanges } from '../read/walk.ts'
import { gatheredOf, IotlbGather } from '../tlb/gather.ts'
import type { Tree } from './tree.ts'

/**
 * Takes the table in the entry at `at` out of the tree: clear, sync, flush, free. With a gather its memory waits for the sync. Should
 * the driver's `flushWalk`, or the `sync` hook, throw, it waits for the next gather, with which the driver is told again.
 */
export function removeTable(t: Tree, node: HotNode, at: number, iova: bigint, gather: IotlbGather | undefined): void {
  const child = node.child
  if (child === undefined) throw new Error(`node ${node.node.id} has no tables`)
  const table = t.tableOf(node, at)
  const unlink = (): void => {
    t.pool.bumpGeneration()
    try {
      t.clear(node, at, 1)
      t.call(() => t.tlb.flushWalk(iova, node.slotBytes, t.compiled.granule))
    } catch (error) {
      oweWalk(t, iova, node.slotBytes)
      throw error
    }
  }
  if (gather !== undefined) {
    t.forEachTable(child, table, (ptr) => gatheredOf(gather).defer(ptr))
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
  t.freed([tables])
}

/** Takes an emptied, or replaced, table out of the tree for a flush order of `range`: its memory waits in the gather. */
export function detachTable(t: Tree, node: HotNode, at: number, hi: number, lo: number, gather: IotlbGather): void {
  const child = node.child
  if (child === undefined) throw new Error(`node ${node.node.id} has no tables`)
  // in steps of the smallest page: below the table there may be others, which a driver that steps by the granule must reach as well
  const { granule } = t.compiled
  const gathered = gatheredOf(gather)
  gathered.note(hi, lo, granule, node.slotBytes / granule)
  const table = t.tableOf(node, at)
  gathered.tableLevels |= 1 << node.node.level
  if (child.child === undefined) gathered.defer((table * 4) as PtPtr)
  else
    t.forEachTable(child, table, (ptr, made) => {
      gathered.defer(ptr)
      gathered.tableLevels |= 1 << (made.parent ?? node).node.level
    })
  t.pool.bumpGeneration()
  t.clear(node, at, 1)
}

/** {@link detachTable} for an address that is a bigint. */
export function detachAt(t: Tree, node: HotNode, at: number, iova: bigint, gather: IotlbGather): void {
  detachTable(t, node, at, highOf(iova), lowOf(iova), gather)
}

/** Tells the driver that everything goes, in the way of the flush order. */
export function flushEverything(t: Tree): void {
  if (t.compiled.policy.flushOrder === 'range') flushRange(t)
  else t.call(() => t.tlb.flushAll())
  t.owed = undefined
}

function flushRange(t: Tree): void {
  const gather = new IotlbGather()
  const gathered = gatheredOf(gather)
  const { granule, geometry, chain } = t.compiled
  for (const { first, last } of inputRanges(geometry)) gathered.addRange(first, granule, Number((last - first + 1n) / BigInt(granule)))
  for (const { node } of chain) {
    gathered.leafLevels |= 1 << node.level
    if (node !== t.last.node) gathered.tableLevels |= 1 << node.level
  }
  syncOwn(t, gather)
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
  const lists = t.stranded.splice(0)
  if (!(t.pool instanceof AdoptedMemory && t.pool.foreign.has(t.rootWord * 4))) {
    const tables = t.newFreeList()
    t.listTables(t.root, t.rootWord, tables)
    lists.unshift(tables)
    if (t.root === t.compiled.root) t.account(rootSpare(t.root))
  }
  t.freed(lists)
}
