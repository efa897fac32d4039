/** Unmapping: any run of consecutive mappings, whatever calls made them. */

import type { LeafPlan } from '../compile/leaf-plan.ts'
import { hex } from '../errors.ts'
import { isKernelRun, type RunKernel } from '../hot/accelerator.ts'
import { advanceHi, advanceLo, highOf, join, lowOf } from '../hot/lanes.ts'
import { unmapOne } from '../hot/one-page.ts'
import { oweLeaves, strand } from '../memory/owed.ts'
import { decode } from '../read/decode.ts'
import { explainPages, explainRange, isCount, isInput, isInputRange, planOf } from '../request/arguments.ts'
import { bindGather, noSizes, partStays } from '../request/errors.ts'
import { pickPages } from '../request/pgsize.ts'
import { held, type Request, type Stop } from '../request/request.ts'
import { gatheredOf, IotlbGather } from '../tlb/gather.ts'
import { removeTable } from '../tree/prune.ts'
import { reportPages } from '../tree/report.ts'
import { BLOCKED, slotIndex, type Tree } from '../tree/tree.ts'
import { unmapCovered } from './unmap-covered.ts'

/**
 * See `IoPageTable.unmapPages`. One function, and of more than 460 bytes of bytecode: V8 does not inline it into the fast path before it, which
 * is then small enough to be inlined into its callers.
 */
export function unmapPages(own: Request, iova: bigint, pgsize: number, pgcount: number, gather: IotlbGather | undefined): number {
  const { t } = own
  const c = t.compiled
  const { one } = own.hooks
  if (gather !== undefined && one !== undefined && pgcount === 1 && pgsize === one.pgsize && t.inCallback === false) {
    bindGather('unmapPages', gather, t)
    if (unmapOne(t, one, iova)) {
      if (c.policy.flushOrder === 'range') {
        const gathered = gatheredOf(gather)
        gathered.addRange(iova, c.granule, 1)
        gathered.leafLevels |= 1 << t.last.node.level
      } else reportPages(t, c.plans[0] as LeafPlan, highOf(iova), lowOf(iova), 1, gather)
      return pgsize
    }
  }
  const r = own.openChange('unmapPages')
  const size = planOf(c, pgsize)
  if (size === undefined || !isCount(size, pgcount) || !r.enter(iova, iova))
    throw explainPages(c, 'unmapPages', iova, undefined, pgsize, pgcount)
  r.want(size, pgcount)
  if (!isInput(r)) throw explainPages(c, 'unmapPages', iova, undefined, pgsize, pgcount)
  bindGather('unmapPages', gather, r.t)
  r.gather = gather
  r.left = pgsize * pgcount
  if (c.policy.freeTables === 'covered') return unmapCovered(r)
  held(r, 'unmapPages', unmapRun)
  if (r.stop === 'part') r.warn(partStays('unmapPages', r.iova, pgsize))
  return pgsize * pgcount - r.left
}

/** See `IoPageTable.unmapRange`. */
export function unmapRange(own: Request, iova: bigint, bytes: number, gather: IotlbGather | undefined): number {
  const r = own.openChange('unmapRange')
  const c = r.t.compiled
  if (!r.enter(iova, iova) || !isInputRange(r, bytes)) {
    const wrong = explainRange(c, 'unmapRange', iova, undefined, bytes, c.granule)
    if (wrong !== undefined) throw wrong
  }
  if (c.plans.length === 0) throw noSizes('unmapRange')
  bindGather('unmapRange', gather, r.t)
  r.gather = gather
  r.left = bytes
  if (c.policy.freeTables === 'covered') return unmapCovered(r)
  held(r, 'unmapPages', unmapRuns)
  if (r.stop === 'part') r.warn(partStays('unmapPages', r.iova, r.size.pgsize))
  return bytes - r.left
}

/** See `IoPageTable.unmap`. */
export function unmap(own: Request, iova: bigint, bytes: number, gather: IotlbGather | undefined): number {
  const unmapped = gather === undefined ? unmapSynced(own, iova, bytes) : unmapRange(own, iova, bytes, gather)
  if (own.stop !== 'part') return unmapped
  throw partStays('unmap', own.iova, own.left, unmapped === 0 ? '' : `; the ${hex(unmapped)} bytes before it are unmapped`)
}

/** Unmaps a range with a gather of its own. */
function unmapSynced(own: Request, iova: bigint, bytes: number): number {
  const used = new IotlbGather()
  try {
    const unmapped = unmapRange(own, iova, bytes, used)
    used.sync()
    return unmapped
  } catch (error) {
    // It is bound once the arguments were found to be good.
    if (gatheredOf(used).owner !== undefined) {
      oweLeaves(own.t, iova, bytes)
      strand(own.t, used)
    }
    throw error
  }
}

/** Unmaps what is left, a run of equal pages after the other. */
function unmapRuns(r: Request): void {
  while (r.left > 0 && r.stop === '') {
    pickPages(r)
    unmapRun(r)
  }
}

/** Unmaps mappings of the size that is wanted, up to the first hole or part of a larger leaf; a slot that holds a table is taken down whole. */
function unmapRun(r: Request): void {
  const { size } = r
  let left = r.count
  try {
    while (left > 0 && r.stop === '') {
      const done = unmapInTable(r, left)
      left -= done
      r.advance(done * size.pgsize)
    }
  } catch (error) {
    // Some of it may be unmapped, and who asks again would be told that nothing is there.
    oweLeaves(r.t, r.iova, left * size.pgsize)
    throw error
  }
}

/** Unmaps as many of `most` mappings as one table has. Returns how many it unmapped. */
function unmapInTable(r: Request, most: number): number {
  const { t, size, hi, lo } = r
  const node = size.node
  const table = t.findTable(node, hi, lo)
  if (table < 0) {
    r.stop = table === BLOCKED ? 'part' : 'hole'
    return 0
  }
  const index = slotIndex(node, hi, lo)
  let n = ((node.runMask + 1 - (index & node.runMask)) | 0) >> size.slotsLg
  if (most < n) n = most
  const at = (table + (index << node.entryLg)) | 0
  const slots = n << size.slotsLg
  if (!size.simple || !clearLeaves(t, size, at, slots)) return unmapMixed(r, at, n)
  reportPages(t, size, hi, lo, slots, r.gather)
  return n
}

/** Clears the entries where all of them surely are this leaf; otherwise none. */
function clearLeaves(t: Tree, plan: LeafPlan, at: number, slots: number): boolean {
  if (t.kernel !== undefined && clearWhole(t, t.kernel, plan, at, slots)) return true
  if (t.leafPrefix(plan, at, slots) !== slots) return false
  t.clear(plan.node, at, slots)
  return true
}

/** Clears the run by the accelerator; false when it cannot, and nothing is done then. */
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

/** A run that is not made of equal leaves: with tables, smaller leaves of the same node, or an end. Returns the mappings taken down. */
function unmapMixed(r: Request, at: number, n: number): number {
  const { t, size, hi, lo, gather } = r
  let whole = 0
  while (whole < n && r.stop === '') whole += wholeMappings(r, at + ((whole << size.slotsLg) << size.node.entryLg), n - whole)
  const slots = whole << size.slotsLg
  if (slots === 0) return 0
  if (t.compiled.policy.flushOrder === 'walks-first') {
    removeTables(r, at, slots)
    t.clear(size.node, at, slots)
    reportPages(t, size, hi, lo, slots, gather)
  } else clearInOrder(r, at, slots)
  return whole
}

/**
 * How many mappings' places, of at most `n`, hold something there that goes as one: one, or those of a larger leaf of the same node that
 * somebody else marked and that is never mapped as such. None, and the request stops.
 */
function wholeMappings(r: Request, at: number, n: number): number {
  const { t, size: plan } = r
  const end = endOf(r, at)
  if (end === '') return 1
  if (end === 'part') {
    const entry = decode(t.compiled.geometry, plan.node.node, t.rawAt(plan.node, at))
    if (entry.type === 'leaf' && entry.size.encode === false) {
      const { slots } = entry.size
      const isHead = (at & ((slots << plan.node.entryLg) - 1)) === 0
      if (isHead && slots <= n << plan.slotsLg) return slots >> plan.slotsLg
    }
  }
  r.stop = end
  return 0
}

/** Why an unmap ends at one mapping's place; '' where all of its entries hold something that it may take down. */
function endOf({ t, size: plan }: Request, at: number): Stop {
  for (let slot = 0; slot < plan.slots; slot++) {
    const word = at + (slot << plan.node.entryLg)
    if (t.isTable(plan.node, word)) {
      if (t.compiled.policy.freeTables === 'never') return 'hole'
    } else if (!t.isLeafWithin(plan, word)) return t.isEmpty(plan.node, word) ? 'hole' : 'part'
  }
  return ''
}

function removeTables(r: Request, at: number, slots: number): void {
  const { t, size: plan, iova, gather } = r
  for (let slot = 0; slot < slots; slot++) {
    const word = at + (slot << plan.node.entryLg)
    if (t.isTable(plan.node, word)) removeTable(t, plan.node, word, iova + BigInt(slot) * BigInt(plan.slotBytes), gather)
  }
}

/** Leaves are cleared and reported in runs, tables one by one, in the order of their slots. */
function clearInOrder(r: Request, at: number, slots: number): void {
  const { t, size: plan, hi, lo, gather } = r
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
