/** Mapping: one run of equal pages, table by table. */

import type { HotNode } from '../compile/hot-node.ts'
import { encodeLane } from '../compile/lane-pieces.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { isKernelRun, type RunKernel } from '../hot/accelerator.ts'
import { fill32, fill64, fillDoubles } from '../hot/hot.ts'
import { advanceHi, advanceLo, join } from '../hot/lanes.ts'
import { detachAt, rangeGather, removeTable } from '../tree/prune.ts'
import { EMPTY, NO_MEMORY, slotIndex, type Tree } from '../tree/tree.ts'

/**
 * Maps `count` pages of the plan's size. Addresses are lanes, aligned and in range.
 * @param single end at a table's end, as one kernel call does
 * @returns pages mapped; fewer than asked when `t.mapStop` says why, or by `single`
 */
export function mapRun(
  t: Tree,
  plan: LeafPlan,
  iovaHi: number,
  iovaLo: number,
  paddrHi: number,
  paddrLo: number,
  count: number,
  prot: number,
  single: boolean,
): number {
  const node = plan.node
  let hi = iovaHi
  let lo = iovaLo
  let pHi = paddrHi
  let pLo = paddrLo
  let left = count
  t.mapStop = ''
  for (;;) {
    const index = slotIndex(node, hi, lo)
    let n = ((node.runMask + 1 - (index & node.runMask)) | 0) >> plan.slotsLg
    if (left < n) n = left
    const slots = n << plan.slotsLg
    const filled = slots > node.indexMask ? mapTable(t, plan, hi, lo, pHi, pLo, n, prot) : EMPTY
    const table = filled === EMPTY ? t.tableFor(node, hi, lo) : filled
    if (table < 0) {
      t.mapStop = table === NO_MEMORY ? 'ENOMEM' : 'EEXIST'
      return count - left
    }
    const at = (table + (index << node.entryLg)) | 0
    let free = n
    if (filled !== EMPTY) {
      // mapTable has done it
    } else if (t.kernel === undefined || !mapWhole(t, t.kernel, plan, at, n, pHi, pLo, prot)) {
      if (slots === 1 ? (t.words[at]! & node.emptyMask) !== node.emptyValue : t.emptyPrefix(node, at, slots) !== slots)
        free = clearWay(t, plan, at, n, join(hi, lo))
      if (slots === 1 && free === 1) writeOne(t, plan, at, pHi, pLo, prot)
      else if (free > 0) writeRun(t, plan, at, free, pHi, pLo, prot)
    }
    left -= free
    if (free < n) {
      t.mapStop = 'EEXIST'
      return count - left
    }
    if (left === 0 || single) return count - left
    const bytes = n * plan.pgsize
    hi = advanceHi(hi, lo, bytes)
    lo = advanceLo(lo, bytes)
    pHi = advanceHi(pHi, pLo, bytes)
    pLo = advanceLo(pLo, bytes)
  }
}

/**
 * Maps the pages of a whole table where there is none yet: it is filled before it is linked, and need not be cleared or looked at.
 * @returns its word index; EMPTY, and nothing is done, where there is a table, where its memory is synced or shared, or what else the general way
 * must find out; NO_MEMORY
 */
function mapTable(t: Tree, plan: LeafPlan, hi: number, lo: number, pHi: number, pLo: number, n: number, prot: number): number {
  const node = plan.node
  const parent = node.parent
  if (parent === undefined || t.root.shift <= node.shift || t.pool.sync !== undefined || t.pool.shared) return EMPTY
  if (node === t.last && t.cached(hi, lo) >= 0) return EMPTY
  t.beginWalk()
  const above = t.tableFor(parent, hi, lo)
  if (above < 0) return above === NO_MEMORY ? NO_MEMORY : EMPTY
  const at = (above + (slotIndex(parent, hi, lo) << parent.entryLg)) | 0
  if ((t.words[at]! & parent.emptyMask) !== parent.emptyValue) return EMPTY
  const made = t.allocBare(node)
  if (made === undefined) return NO_MEMORY
  const table = made >>> 2
  writeRun(t, plan, table, n, pHi, pLo, prot)
  t.link(parent, at, made)
  if (node === t.last) t.remember(hi, lo, table)
  return table
}

/**
 * Checks and writes a whole run by the accelerator; false, with nothing done, when it cannot: it takes runs whose addresses rise in the low
 * lane alone, over entries that are all empty.
 */
function mapWhole(t: Tree, kernel: RunKernel, plan: LeafPlan, at: number, n: number, hi: number, lo: number, prot: number): boolean {
  const { entryLg: wide, emptyMask, emptyValue } = plan.node
  const words = n << wide
  if (!isKernelRun(t, words) || plan.slots > 1 || n > roomOf(plan, lo)) return false
  const low = plan.attrs[prot << 2]! | (plan.plain ? lo & plan.addressLo : encodeLane(plan.pieces, 0, hi, lo))
  const high = wide === 0 ? low : plan.attrs[(prot << 2) | 1]! | (plan.plain ? hi & plan.addressHi : encodeLane(plan.pieces, 1, hi, lo))
  const maskHi = wide === 1 ? 0 : emptyMask
  if (kernel(at, words, emptyMask, maskHi, emptyValue, emptyValue & maskHi, low, high, plan.stepLo, wide) === 0) return false
  if (t.pool.sync !== undefined) t.synced(at, words)
  return true
}

/** How many mappings from an address on differ in the low lane alone, by equal steps. */
function roomOf(plan: LeafPlan, lo: number): number {
  return plan.stepLo === 0 ? 1 : (((plan.windowMask & ~lo) >>> plan.stepLg) + 1) | 0
}

/** Writes one entry: a call for one page is as frequent as one for many, and loops have a price to enter. */
function writeOne(t: Tree, plan: LeafPlan, at: number, paddrHi: number, paddrLo: number, prot: number): void {
  const attrLo = plan.attrs[prot << 2]!
  const attrHi = plan.attrs[(prot << 2) | 1]!
  if (plan.node.entryLg === 1)
    t.words[at + 1] = attrHi | (plan.plain ? paddrHi & plan.addressHi : encodeLane(plan.pieces, 1, paddrHi, paddrLo))
  t.words[at] = attrLo | (plan.plain ? paddrLo & plan.addressLo : encodeLane(plan.pieces, 0, paddrHi, paddrLo))
  if (t.pool.sync !== undefined) t.synced(at, 1 << plan.node.entryLg)
}

/** Writes `n` mappings from word `at` on, and syncs them. Runs end where the low lane of the address would carry. */
function writeRun(t: Tree, plan: LeafPlan, at: number, n: number, paddrHi: number, paddrLo: number, prot: number): void {
  const words = ((n << plan.slotsLg) << plan.node.entryLg) | 0
  const attrLo = plan.attrs[prot << 2]!
  const attrHi = plan.attrs[(prot << 2) | 1]!
  let hi = paddrHi
  let lo = paddrLo
  let left = n
  let word = at
  for (;;) {
    const k = Math.min(left, roomOf(plan, lo))
    if (plan.plain) fillRun(t, plan, word, k, attrLo | (lo & plan.addressLo), attrHi | (hi & plan.addressHi))
    else fillRun(t, plan, word, k, attrLo | encodeLane(plan.pieces, 0, hi, lo), attrHi | encodeLane(plan.pieces, 1, hi, lo))
    left -= k
    if (left === 0) break
    word += (k << plan.slotsLg) << plan.node.entryLg
    hi = advanceHi(hi, lo, k * plan.pgsize)
    lo = advanceLo(lo, k * plan.pgsize)
  }
  if (t.pool.sync !== undefined) t.synced(at, words)
}

/** Entries from which on a run is worth the preparation of {@link fillDoubles}. */
const LONG = 16

function fillRun(t: Tree, plan: LeafPlan, at: number, n: number, lo: number, hi: number): void {
  const words = t.words
  if (plan.slots > 1) fillRepeated(words, plan, at, n, lo, hi)
  else if (plan.node.entryLg === 1) {
    if (n < LONG || !fillDoubles(t.doubles, words, at, n, lo, hi, plan.stepLo)) fill64(words, at, n, lo, hi, plan.stepLo)
  } else fill32(words, at, n, lo, plan.stepLo)
}

/** Every mapping takes `slots` entries: equal ones, or ones that step through the addresses. */
function fillRepeated(words: Int32Array, plan: LeafPlan, at: number, n: number, lo: number, hi: number): void {
  const stride = plan.slots << plan.node.entryLg
  let d = lo
  for (let i = 0; i < n; i++) {
    if (plan.node.entryLg === 1) fill64(words, at + i * stride, plan.slots, d, hi, plan.slotStep)
    else fill32(words, at + i * stride, plan.slots, d, plan.slotStep)
    d = (d + plan.stepLo) | 0
  }
}

/**
 * What a run of `n` mappings meets, where not all entries are empty: empty tables are replaced and freed, anything else is in the way.
 * By policy the run is checked as a whole, so that nothing is written on a conflict, or mapping by mapping.
 * @returns how many mappings may be written
 */
function clearWay(t: Tree, plan: LeafPlan, at: number, n: number, iova: bigint): number {
  const step = t.compiled.policy.conflict === 'entry' ? 1 : n
  for (let done = 0; done < n; done += step) {
    const from = done << plan.slotsLg
    const slots = step << plan.slotsLg
    if (!replaceable(t, plan.node, at, from, slots)) return done
    replaceTables(t, plan, at, from, slots, iova)
  }
  return n
}

function replaceable(t: Tree, node: HotNode, at: number, from: number, slots: number): boolean {
  for (let slot = from; slot < from + slots; slot++) {
    const word = at + (slot << node.entryLg)
    if ((t.words[word]! & node.emptyMask) === node.emptyValue) continue
    if (node.child === undefined || t.compiled.policy.freeTables === 'never' || !t.isTable(node, word)) return false
    if (t.hasLeaves(node.child, t.tableOf(node, word))) return false
  }
  return true
}

function replaceTables(t: Tree, plan: LeafPlan, at: number, from: number, slots: number, iova: bigint): void {
  for (let slot = from; slot < from + slots; slot++) {
    const word = at + (slot << plan.node.entryLg)
    if (!t.isTable(plan.node, word)) continue
    const slotIova = iova + BigInt(slot) * BigInt(plan.slotBytes)
    if (t.compiled.policy.flushOrder === 'range') detachAt(t, plan.node, word, slotIova, rangeGather(t, undefined))
    else removeTable(t, plan.node, word, slotIova, undefined)
  }
}
