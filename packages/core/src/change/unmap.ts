/** Unmapping: any run of consecutive mappings, whatever calls made them. */

import type { LeafPlan } from '../compile/leaf-plan.ts'
import { isKernelRun, type RunKernel } from '../hot/accelerator.ts'
import { fullPrefix32, fullPrefix64, prefix32, prefix64 } from '../hot/hot.ts'
import { advanceHi, advanceLo, join } from '../hot/lanes.ts'
import { decode } from '../read/decode.ts'
import { NOOP_FLUSH_OPS } from '../tlb/flush.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { removeTable } from '../tree/prune.ts'
import { BLOCKED, slotIndex, type Tree } from '../tree/tree.ts'

/**
 * Unmaps up to `count` mappings of the plan's size; a slot that holds a table is taken down whole and counted whole.
 * @returns how many, up to the first hole or, with `t.stoppedAtLeaf` set, the first part of a larger leaf
 */
export function unmapRun(t: Tree, plan: LeafPlan, iovaHi: number, iovaLo: number, count: number, gather: IotlbGather | undefined): number {
  const node = plan.node
  let hi = iovaHi
  let lo = iovaLo
  let left = count
  t.stoppedAtLeaf = false
  for (;;) {
    const table = t.findTable(node, hi, lo)
    if (table < 0) {
      t.stoppedAtLeaf = table === BLOCKED
      return count - left
    }
    const index = slotIndex(node, hi, lo)
    let n = ((node.runMask + 1 - (index & node.runMask)) | 0) >> plan.slotsLg
    if (left < n) n = left
    const at = (table + (index << node.entryLg)) | 0
    const slots = n << plan.slotsLg
    if (plan.simple && clearLeaves(t, plan, at, slots)) {
      reportPages(t, plan, hi, lo, slots, gather)
    } else {
      const whole = unmapMixed(t, plan, at, n, hi, lo, gather)
      if (whole < n) return count - left + whole
    }
    left -= n
    if (left === 0) return count
    hi = advanceHi(hi, lo, n * plan.pgsize)
    lo = advanceLo(lo, n * plan.pgsize)
  }
}

/** Clears the entries where all of them surely are this leaf; otherwise none. */
function clearLeaves(t: Tree, plan: LeafPlan, at: number, slots: number): boolean {
  if (t.kernel !== undefined && clearWhole(t, t.kernel, plan, at, slots)) return true
  if (leafPrefix(t, plan, at, slots) !== slots) return false
  t.clear(plan.node, at, slots)
  return true
}

/** The same by the accelerator; false when it cannot. */
function clearWhole(t: Tree, kernel: RunKernel, plan: LeafPlan, at: number, slots: number): boolean {
  const { node, matchMask, matchValue } = plan
  const words = slots << node.entryLg
  if (!isKernelRun(t, words) || plan.checkEmpty) return false
  const wide = node.entryLg
  const maskHi = wide === 1 ? plan.matchMaskHi : matchMask
  const valueHi = wide === 1 ? plan.matchValueHi : matchValue
  const emptyHi = wide === 1 ? node.emptyHi : node.emptyLo
  if (kernel(at, words, matchMask, maskHi, matchValue, valueHi, node.emptyLo, emptyHi, 0, wide) === 0) return false
  if (t.pool.sync !== undefined) t.synced(at, words)
  return true
}

/** How many of the entries from `at` on surely are this leaf, for a `simple` plan. */
export function leafPrefix(t: Tree, plan: LeafPlan, at: number, slots: number): number {
  const { node, matchMask, matchValue } = plan
  if (node.entryLg === 0)
    return plan.checkEmpty
      ? fullPrefix32(t.words, at, slots, matchMask, matchValue, node.emptyMask, node.emptyValue)
      : prefix32(t.words, at, slots, matchMask, matchValue)
  const n = plan.checkEmpty
    ? fullPrefix64(t.words, at, slots, matchMask, matchValue, node.emptyMask, node.emptyValue)
    : prefix64(t.words, at, slots, matchMask, matchValue)
  return plan.matchMaskHi === 0 ? n : prefix64(t.words, at + 1, n, plan.matchMaskHi, plan.matchValueHi)
}

/** A run that is not made of equal leaves: with tables, smaller leaves of the same node, or an end. Returns the mappings taken down. */
function unmapMixed(t: Tree, plan: LeafPlan, at: number, n: number, hi: number, lo: number, gather: IotlbGather | undefined): number {
  let whole = 0
  while (whole < n) {
    const mappings = wholeMappings(t, plan, at + ((whole << plan.slotsLg) << plan.node.entryLg), n - whole)
    if (mappings === 0) break
    whole += mappings
  }
  const slots = whole << plan.slotsLg
  if (slots === 0) return 0
  if (t.compiled.policy.flushOrder === 'walks-first') {
    removeTables(t, plan, at, slots, join(hi, lo), gather)
    t.clear(plan.node, at, slots)
    reportPages(t, plan, hi, lo, slots, gather)
  } else clearInOrder(t, plan, at, slots, hi, lo, gather)
  return whole
}

/**
 * How many mappings' places, of at most `n`, hold something there that goes as one: one, or those of a larger leaf of the same node that
 * somebody else marked and that is never mapped as such.
 */
function wholeMappings(t: Tree, plan: LeafPlan, at: number, n: number): number {
  if (isWhole(t, plan, at)) return 1
  if (!t.stoppedAtLeaf) return 0
  const entry = decode(t.compiled.geometry, plan.node.node, t.rawAt(plan.node, at))
  if (entry.type !== 'leaf' || entry.size.encode !== false) return 0
  const { slots } = entry.size
  const isHead = (at & ((slots << plan.node.entryLg) - 1)) === 0
  if (!isHead || slots > n << plan.slotsLg) return 0
  t.stoppedAtLeaf = false
  return slots >> plan.slotsLg
}

/** Whether all entries of one mapping's place hold something that an unmap of this size may take down. */
function isWhole(t: Tree, plan: LeafPlan, at: number): boolean {
  for (let slot = 0; slot < plan.slots; slot++) {
    const word = at + (slot << plan.node.entryLg)
    if (t.isTable(plan.node, word)) {
      if (t.compiled.policy.freeTables === 'never') return false
    } else if (!t.isLeafWithin(plan, word)) {
      t.stoppedAtLeaf = !t.isEmpty(plan.node, word)
      return false
    }
  }
  return true
}

function removeTables(t: Tree, plan: LeafPlan, at: number, slots: number, iova: bigint, gather: IotlbGather | undefined): void {
  for (let slot = 0; slot < slots; slot++) {
    const word = at + (slot << plan.node.entryLg)
    if (t.isTable(plan.node, word)) removeTable(t, plan.node, word, iova + BigInt(slot) * BigInt(plan.slotBytes), gather)
  }
}

/** Leaves are cleared and reported in runs, tables one by one, in the order of their slots. */
function clearInOrder(t: Tree, plan: LeafPlan, at: number, slots: number, hi: number, lo: number, gather: IotlbGather | undefined): void {
  const node = plan.node
  for (let slot = 0; slot < slots; ) {
    const word = at + (slot << node.entryLg)
    const bytes = slot * plan.slotBytes
    const slotHi = advanceHi(hi, lo, bytes)
    const slotLo = advanceLo(lo, bytes)
    if (t.isTable(node, word)) {
      removeTable(t, node, word, join(slotHi, slotLo), gather)
      slot++
      continue
    }
    let end = slot + 1
    while (end < slots && !t.isTable(node, at + (end << node.entryLg))) end++
    t.clear(node, word, end - slot)
    reportPages(t, plan, slotHi, slotLo, end - slot, gather)
    slot = end
  }
}

/** Tells the driver, or the gather itself where the driver has no `addPages`, about `slots` entries from the address on. */
export function reportPages(t: Tree, plan: LeafPlan, hi: number, lo: number, slots: number, gather: IotlbGather | undefined): void {
  if (gather === undefined ? !t.compiled.policy.addPagesWithoutGather : gather.queued) return
  if (t.tlb === NOOP_FLUSH_OPS) return
  if (t.tlb.addPages === undefined) {
    gather?.note(hi, lo, plan.slotBytes, slots)
    return
  }
  const iova = join(hi, lo)
  const outer = t.inCallback
  t.inCallback = true
  try {
    t.tlb.addPages(gather, iova, plan.slotBytes, slots)
  } finally {
    t.inCallback = outer
  }
}
