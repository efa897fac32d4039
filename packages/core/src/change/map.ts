/** Mapping: a call is checked, and then done run by run of equal pages, table by table. */

import type { HotNode } from '../compile/hot-node.ts'
import { encodeLane } from '../compile/lane-pieces.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { hex, IoPgtableError } from '../errors.ts'
import type { Prot } from '../format/prot.ts'
import { isKernelRun, type RunKernel } from '../hot/accelerator.ts'
import { fill32, fill64, fillDoubles } from '../hot/hot.ts'
import { advanceHi, advanceLo } from '../hot/lanes.ts'
import { settle } from '../memory/owed.ts'
import { NoTableMemory } from '../memory/table-memory.ts'
import {
  explainPages,
  explainProt,
  explainRange,
  isCount,
  isExpressible,
  isInputRange,
  isMappable,
  isOutputRange,
  isProt,
  planOf,
} from '../request/arguments.ts'
import { busy, failed, noSizes } from '../request/errors.ts'
import { pickPages } from '../request/pgsize.ts'
import { held, type MapResult, type Request } from '../request/request.ts'
import { detachAt, removeTable } from '../tree/prune.ts'
import { slotIndex, type Tree } from '../tree/tree.ts'

/** See `IoPageTable.mapPages`. */
export function mapPages(own: Request, iova: bigint, paddr: bigint, pgsize: number, pgcount: number, prot: Prot): MapResult {
  const r = own.open('mapPages')
  const c = r.t.compiled
  const size = planOf(c, pgsize)
  if (size === undefined || !isCount(size, pgcount) || !r.enter(iova, paddr))
    return failed(0, explainPages(c, 'mapPages', iova, paddr, pgsize, pgcount))
  r.want(size, pgcount)
  if (!isMappable(r)) return failed(0, explainPages(c, 'mapPages', iova, paddr, pgsize, pgcount))
  if (!isProt(c, prot)) return failed(0, explainProt(c, 'mapPages', prot))
  r.prot = prot
  if (!isExpressible(r)) return failed(0, explainProt(c, 'mapPages', prot))
  if (r.nested) return failed(0, busy('mapPages'))
  r.left = pgsize * pgcount
  held(r, 'mapPages', mapRun)
  return answer(r, pgsize * pgcount)
}

/** See `IoPageTable.mapRange`. */
export function mapRange(own: Request, iova: bigint, paddr: bigint, bytes: number, prot: Prot): MapResult {
  const r = own.open('mapRange')
  const c = r.t.compiled
  if (!r.enter(iova, paddr) || !isInputRange(r, bytes) || !isOutputRange(r, bytes)) {
    const wrong = explainRange(c, 'mapRange', iova, paddr, bytes, c.granule)
    if (wrong !== undefined) return failed(0, wrong)
  }
  if (!isProt(c, prot)) return failed(0, explainProt(c, 'mapRange', prot))
  if (c.plans.length === 0) return failed(0, noSizes('mapRange'))
  r.prot = prot
  r.left = bytes
  held(r, 'mapPages', mapRuns)
  return answer(r, bytes)
}

/** Maps what is left, a run of equal pages after the other. */
function mapRuns(r: Request): void {
  while (r.left > 0 && r.stop === '') {
    pickPages(r)
    r.cause = refusal(r)
    if (r.cause === undefined) mapRun(r)
    else r.stop = 'refused'
  }
}

/** Why the run that was chosen must not be mapped: what can be expressed depends on the size of its pages. */
function refusal(r: Request): IoPgtableError | undefined {
  const { size, count } = r
  if (!isMappable(r)) return explainPages(r.t.compiled, 'mapPages', r.iova, r.paddr, size.pgsize, count)
  if (!isExpressible(r)) return explainProt(r.t.compiled, 'mapPages', r.prot)
  return r.nested ? busy('mapPages') : undefined
}

/** Ends a map of `bytes`. */
function answer(r: Request, bytes: number): MapResult {
  const mapped = bytes - r.left
  const result = r.stop === '' ? succeeded(r, mapped) : failed(mapped, errorOf(r))
  if (r.t.compiled.finishes) r.finish()
  return result
}

/** The last answer again where it says the same. */
function succeeded(r: Request, mapped: number): MapResult {
  if (r.success.mapped !== mapped) r.success = Object.freeze({ mapped, error: undefined })
  return r.success
}

function errorOf(r: Request): IoPgtableError {
  const { stop, cause, iova: value, size } = r
  if (stop === 'refused' && cause !== undefined) return cause
  if (stop === 'no-memory')
    return new IoPgtableError('ENOMEM', 'mapPages', `no memory for a table at iova ${hex(value)}: ${cause?.message}`, { value, cause })
  const text = `a mapping is in the way of ${hex(size.pgsize)} bytes at iova ${hex(value)} (or of the run that starts there)`
  const error = new IoPgtableError('EEXIST', 'mapPages', text, { value })
  r.warn(error)
  return error
}

/** Maps the pages that the request wants, table by table, and goes on behind those that are mapped: fewer where it stops, or ends with a table. */
function mapRun(r: Request): void {
  const { size } = r
  const { single } = r.hooks
  if (r.t.owed !== undefined) settle(r.t, r.t.owed)
  try {
    for (let left = r.count; left > 0; ) {
      const done = mapInTable(r, left)
      left -= done
      r.advance(done * size.pgsize)
      if (r.stop !== '' || single) return
    }
  } catch (error) {
    if (!(error instanceof NoTableMemory)) throw error
    r.stop = 'no-memory'
    r.cause = error.cause
  }
}

/** Maps as many of `most` pages as one table has place for. Returns how many it mapped. */
function mapInTable(r: Request, most: number): number {
  const { t, size, hi, lo } = r
  const node = size.node
  const index = slotIndex(node, hi, lo)
  let n = ((node.runMask + 1 - (index & node.runMask)) | 0) >> size.slotsLg
  if (most < n) n = most
  const slots = n << size.slotsLg
  if (slots > node.indexMask && mapTable(r, n)) return n
  const table = t.tableFor(node, hi, lo)
  if (table < 0) {
    r.stop = 'exists'
    return 0
  }
  const at = (table + (index << node.entryLg)) | 0
  if (t.kernel !== undefined && mapWhole(r, t.kernel, at, n)) return n
  let free = n
  if (slots === 1 ? (t.words[at]! & node.emptyMask) !== node.emptyValue : t.emptyPrefix(node, at, slots) !== slots)
    free = clearWay(r, at, n)
  if (slots === 1 && free === 1) writeOne(r, at)
  else if (free > 0) writeRun(r, at, free)
  if (free < n) r.stop = 'exists'
  return free
}

/**
 * Maps the pages of a whole table where there is none yet: it is filled before it is linked, and need not be cleared or looked at. False, with
 * nothing done, where there is a table, where its memory is synced or shared, or whatever else the slow path must find out.
 */
function mapTable(r: Request, n: number): boolean {
  const { t, size, hi, lo } = r
  const node = size.node
  const parent = node.parent
  if (parent === undefined || t.root.shift <= node.shift || t.pool.sync !== undefined || t.pool.shared) return false
  if (node === t.last && t.cached(hi, lo) >= 0) return false
  t.beginWalk()
  const above = t.tableFor(parent, hi, lo)
  if (above < 0) return false
  const at = (above + (slotIndex(parent, hi, lo) << parent.entryLg)) | 0
  if ((t.words[at]! & parent.emptyMask) !== parent.emptyValue) return false
  const made = t.allocBare(node)
  const table = made >>> 2
  writeRun(r, table, n)
  t.link(parent, at, made)
  if (node === t.last) t.remember(hi, lo, table)
  return true
}

/**
 * Checks and writes a whole run by the accelerator; false, with nothing done, when it cannot: it takes runs whose addresses rise in the low
 * lane alone, over entries that are all empty.
 */
function mapWhole(r: Request, kernel: RunKernel, at: number, n: number): boolean {
  const { t, size, prot, paddrHi: hi, paddrLo: lo } = r
  const { entryLg: wide, emptyMask, emptyValue } = size.node
  const words = n << wide
  if (!isKernelRun(t, words) || size.slots > 1 || n > roomOf(size, lo)) return false
  const low = size.attrs[prot << 2]! | (size.plain ? lo & size.addressLo : encodeLane(size.pieces, 0, hi, lo))
  const high = wide === 0 ? low : size.attrs[(prot << 2) | 1]! | (size.plain ? hi & size.addressHi : encodeLane(size.pieces, 1, hi, lo))
  const maskHi = wide === 1 ? 0 : emptyMask
  if (kernel(at, words, emptyMask, maskHi, emptyValue, emptyValue & maskHi, low, high, size.stepLo, wide) === 0) return false
  if (t.pool.sync !== undefined) t.synced(at, words)
  return true
}

/** How many mappings from an address on differ in the low lane alone, by equal steps. */
function roomOf(plan: LeafPlan, lo: number): number {
  return plan.stepLo === 0 ? 1 : (((plan.windowMask & ~lo) >>> plan.stepLg) + 1) | 0
}

/** Writes one entry: a call for one page is as frequent as one for many, and loops have a price to enter. */
function writeOne(r: Request, at: number): void {
  const { t, size: plan, prot, paddrHi, paddrLo } = r
  const attrLo = plan.attrs[prot << 2]!
  const attrHi = plan.attrs[(prot << 2) | 1]!
  if (plan.node.entryLg === 1)
    t.words[at + 1] = attrHi | (plan.plain ? paddrHi & plan.addressHi : encodeLane(plan.pieces, 1, paddrHi, paddrLo))
  t.words[at] = attrLo | (plan.plain ? paddrLo & plan.addressLo : encodeLane(plan.pieces, 0, paddrHi, paddrLo))
  if (t.pool.sync !== undefined) t.synced(at, 1 << plan.node.entryLg)
}

/** Writes `n` mappings from word `at` on, and syncs them. Runs end where the low lane of the address would carry. */
function writeRun(r: Request, at: number, n: number): void {
  const { t, size: plan, prot, paddrHi, paddrLo } = r
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
function clearWay(r: Request, at: number, n: number): number {
  const { t, size: plan } = r
  const step = t.compiled.policy.conflict === 'entry' ? 1 : n
  for (let done = 0; done < n; done += step) {
    const from = done << plan.slotsLg
    const slots = step << plan.slotsLg
    if (!replaceable(t, plan.node, at, from, slots)) return done
    replaceTables(r, at, from, slots)
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

function replaceTables(r: Request, at: number, from: number, slots: number): void {
  const { t, size: plan, iova } = r
  for (let slot = from; slot < from + slots; slot++) {
    const word = at + (slot << plan.node.entryLg)
    if (!t.isTable(plan.node, word)) continue
    const slotIova = iova + BigInt(slot) * BigInt(plan.slotBytes)
    if (t.compiled.policy.flushOrder === 'range') detachAt(t, plan.node, word, slotIova, r.rangeGather())
    else removeTable(t, plan.node, word, slotIova, undefined)
  }
}
