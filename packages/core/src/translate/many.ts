/** Translation of many addresses. */
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { IoPgtableError } from '../errors.ts'
import { type Moves, rotate } from '../hot/moves.ts'
import { CACHE_INDEX, cacheStamp, cacheTable, cacheTagHi, cacheTagLo } from '../memory/walk-cache.ts'
import { explainOne, inWindow } from '../request/arguments.ts'
import type { Request } from '../request/request.ts'
import { slotIndex, type Tree } from '../tree/tree.ts'
import { lookup, translateBy } from './one.ts'

/** See `IoPageTable.iovaToPhysMany`. */
export function iovaToPhysMany(own: Request, iovas: BigUint64Array, out: BigUint64Array): number {
  const r = own.open('iovaToPhysMany')
  if (!(iovas instanceof BigUint64Array) || !(out instanceof BigUint64Array) || out.length < iovas.length) {
    const text = `out must be a BigUint64Array of at least ${iovas?.length} elements`
    throw new IoPgtableError('EINVAL', 'iovaToPhysMany', text, { value: Number(out?.length) })
  }
  if (overlapApart(iovas, out)) {
    const text = 'out overlaps iovas at another offset: the same array, or memory apart from it, expected'
    throw new IoPgtableError('EINVAL', 'iovaToPhysMany', text)
  }
  return translateMany(r, iovas, out)
}

function translateMany(r: Request, iovas: BigUint64Array, out: BigUint64Array): number {
  const { t } = r
  const from = new Int32Array(iovas.buffer, iovas.byteOffset, iovas.length * 2)
  const to = new Int32Array(out.buffer, out.byteOffset, iovas.length * 2)
  const outside = firstOutside(t, from)
  if (outside < iovas.length) throw explainOne(t.compiled, 'iovaToPhysMany', iovas[outside]!)
  if (from.length === 0) return 0
  let hits = 0
  const plan = t.last.leaves[0]
  const shaped = t.spanLg > 0 && plan !== undefined && plan.simple && plan.keepHi === 0
  const plain = shaped && isPlainest(plan)
  for (let i = 0; i < from.length; i = (i + 2 * CHUNK) | 0) {
    const end = Math.min(i + 2 * CHUNK, from.length)
    let misses: number
    if (plain) misses = translatePlain(t, plan, from, to, i, end)
    else if (shaped && plan.moves !== undefined) misses = translateMoved(t, plan, from, to, i, end)
    else misses = queueAll(i, end)
    hits += ((end - i) >> 1) - misses + translateMisses(r, from, to, misses)
  }
  return hits
}

/** Whether the low lane alone recognises a leaf, and its address stands unmoved: the shape for which {@link translatePlain} is written. */
function isPlainest(plan: LeafPlan): boolean {
  return plan.plain && !plan.checkEmpty && plan.matchMaskHi === 0
}

/**
 * Addresses are taken in chunks. What the quick loops cannot do waits for the chunk's end: once the entries of all who wait are known, they
 * are read one after the other, by loads that depend on nothing. A processor has dozens of these under way, where each would wait for its walk.
 */
const CHUNK = 64
/** The misses of a chunk are queued: the place of each in the batch. */
const missAt = new Int32Array(CHUNK)
/** The word index of each miss's entry, or -1 where no table of the last node is on the way. */
const missPlace = new Int32Array(CHUNK)
/** That entry's low lane. */
const missLow = new Int32Array(CHUNK)

function queueAll(start: number, end: number): number {
  let misses = 0
  for (let i = start; i < end; i += 2) missAt[misses++] = i
  return misses
}

/** Resolves the misses that are queued, in three passes so that their loads overlap; returns how many are mapped. */
function translateMisses(r: Request, from: Int32Array, to: Int32Array, misses: number): number {
  const { t } = r
  const last = t.last
  const words = t.words
  for (let j = 0; j < misses; j = (j + 1) | 0) {
    const i = missAt[j]!
    const lo = from[i]!
    const hi = from[(i + 1) | 0]!
    const table = t.findTable(last, hi, lo)
    missPlace[j] = table < 0 ? -1 : table + (slotIndex(last, hi, lo) << last.entryLg)
  }
  for (let j = 0; j < misses; j = (j + 1) | 0) {
    const at = missPlace[j]!
    missLow[j] = at < 0 ? 0 : words[at]!
  }
  let hits = 0
  for (let j = 0; j < misses; j = (j + 1) | 0) {
    const i = missAt[j]!
    r.lo = from[i]!
    r.hi = from[(i + 1) | 0]!
    const at = missPlace[j]!
    const hit = at < 0 ? lookup(r) : translateBy(r, last, at, missLow[j]!)
    to[i] = hit ? r.paddrLo : -1
    to[(i + 1) | 0] = hit ? r.paddrHi : -1
    if (hit) hits = (hits + 1) | 0
  }
  return hits
}

/**
 * {@link lookup} written out for the commonest shape, with everything constant in locals: the walk cache's entry, the leaf, the address.
 * The generation is read once a chunk: callers hold their ranges, so that what was valid stays valid. Returns how many wait.
 */
function translatePlain(t: Tree, plan: LeafPlan, from: Int32Array, to: Int32Array, start: number, end: number): number {
  t.beginWalk()
  // `| 0`, since what V8 takes for a tagged value it would untag in every round.
  const words = t.words
  const spanLg = t.spanLg | 0
  const tagMask = t.tagMask | 0
  const shift = t.last.shift | 0
  const indexMask = t.last.indexMask | 0
  const matchMask = plan.matchMask | 0
  const matchValue = plan.matchValue | 0
  const entryLg = t.last.entryLg | 0
  // An entry of 32 bits has no high lane: its low one is read again, for nothing.
  const addressHi = entryLg === 1 ? plan.addressHi | 0 : 0
  const keepLo = plan.keepLo | 0
  const addressLo = plan.addressLo & ~keepLo
  const stamp = t.stamp | 0
  const stampHigh = t.stampHigh | 0
  const upLg = t.upLg | 0
  const stop = end | 0
  let misses = 0
  for (let i = start | 0; i < stop; i = (i + 2) | 0) {
    const lo = from[i]!
    const hi = from[(i + 1) | 0]!
    const c = ((lo >>> spanLg) ^ (hi << upLg) ^ stamp) & CACHE_INDEX
    const known = ((cacheStamp[c]! ^ stamp) | (cacheTagHi[c]! ^ hi) | (cacheTagLo[c]! ^ ((lo & tagMask) | stampHigh))) === 0
    const at = (cacheTable[c]! + (((lo >>> shift) & indexMask) << entryLg)) | 0
    if (known) {
      const d = words[at]!
      if ((d & matchMask) === matchValue) {
        to[(i + 1) | 0] = words[(at + entryLg) | 0]! & addressHi
        to[i] = (d & addressLo) | (lo & keepLo)
        continue
      }
    }
    missAt[misses] = i
    misses = (misses + 1) | 0
  }
  return misses
}

/**
 * {@link translatePlain} for leaves that need more: a test of the high lane, or for empty entries, or an address that moves. Apart, since the
 * dozen more values that this loop keeps would cost that one its registers. What `moves.ts` has as functions is written out: its constants are
 * locals then, which is 8 % faster.
 */
function translateMoved(t: Tree, plan: LeafPlan, from: Int32Array, to: Int32Array, start: number, end: number): number {
  t.beginWalk()
  const words = t.words
  const spanLg = t.spanLg | 0
  const tagMask = t.tagMask | 0
  const { shift, indexMask, entryLg, emptyMask, emptyValue } = t.last
  const { matchMask, matchValue, matchMaskHi, matchValueHi, keepLo } = plan
  const { backLow, ownLow, backFirst, ownFirst, backSecond, ownSecond, backHigh, ownHigh } = plan.moves as Moves
  const stamp = t.stamp | 0
  const stampHigh = t.stampHigh | 0
  const upLg = t.upLg | 0
  const stop = end | 0
  let misses = 0
  for (let i = start | 0; i < stop; i = (i + 2) | 0) {
    const lo = from[i]!
    const hi = from[(i + 1) | 0]!
    const c = ((lo >>> spanLg) ^ (hi << upLg) ^ stamp) & CACHE_INDEX
    const known = ((cacheStamp[c]! ^ stamp) | (cacheTagHi[c]! ^ hi) | (cacheTagLo[c]! ^ ((lo & tagMask) | stampHigh))) === 0
    const at = (cacheTable[c]! + (((lo >>> shift) & indexMask) << entryLg)) | 0
    if (known) {
      const d = words[at]!
      const high = words[(at + entryLg) | 0]!
      const other = ((d & matchMask) ^ matchValue) | ((high & matchMaskHi) ^ matchValueHi)
      if (other === 0 && (d & emptyMask) !== emptyValue) {
        to[(i + 1) | 0] = (rotate(high, backHigh) & ownHigh) | (rotate(d, backFirst) & ownFirst) | (rotate(d, backSecond) & ownSecond)
        to[i] = (rotate(d, backLow) & ownLow) | (lo & keepLo)
        continue
      }
    }
    missAt[misses] = i
    misses = (misses + 1) | 0
  }
  return misses
}

/** The index of the first address that is not in the input window, or their number. */
function firstOutside(t: Tree, from: Int32Array): number {
  const { inputMaskHi, inputMaskLo, inputHi, inputLo } = t.compiled
  const length = from.length | 0
  const bulk = (length - 4) | 0
  let i = 0
  // two at a time, as long as all are in the window that begins lowest
  for (; i <= bulk; i = (i + 4) | 0) {
    const high = ((from[(i + 1) | 0]! & inputMaskHi) ^ inputHi) | ((from[(i + 3) | 0]! & inputMaskHi) ^ inputHi)
    if ((((from[i]! & inputMaskLo) ^ inputLo) | ((from[(i + 2) | 0]! & inputMaskLo) ^ inputLo) | high) !== 0) break
  }
  for (; i < length; i = (i + 2) | 0) if (!inWindow(t.compiled, from[(i + 1) | 0]!, from[i]!)) break
  return i >> 1
}

/** Whether two arrays share memory, but do not start together: what is written to one then destroys what is not yet read of the other. */
function overlapApart(a: BigUint64Array, b: BigUint64Array): boolean {
  if (a.buffer !== b.buffer || a.byteOffset === b.byteOffset) return false
  return a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
}
