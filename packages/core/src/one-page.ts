/**
 * The short way for one page a call, which callers do as often as they map many: *tries* that either do the whole job or nothing, in which
 * case the general code runs, and finds the missing table, the conflict or the error. They serve the smallest page where it is told by masks
 * and holds its address in place or in a few moved pieces, in a table that the walk cache knows. Everything they read is an int32 of one
 * object, and no loop, second size or message is in them: they stay below the size that V8 inlines.
 */
import type { Compiled } from './compile.ts'
import { isBelow64, join, lanes, split, splitOne } from './lanes.ts'
import { ATTR_READY, type LeafPlan } from './leaf-plan.ts'
import { decodeHigh, decodeLow, encodeHigh, encodeLow, type Moves } from './moves.ts'
import type { Tree } from './tree.ts'

/** What {@link onePageOf} looks at. */
export type OnePageParts = Pick<Compiled, 'outputMaskLo' | 'outputMaskHi' | 'plans' | 'last' | 'pagesFit'>

/** The smallest page of a configuration, as int32 constants. */
export class OnePage {
  readonly plan: LeafPlan
  /** Bits that an input, and an output, address must have zero, by lane. The input window is proved by the walk cache's tag. */
  readonly offsetLo: number
  readonly badLo: number
  readonly badHi: number
  readonly shift: number
  readonly indexMask: number
  readonly entryLg: number
  readonly emptyMask: number
  readonly emptyValue: number
  readonly emptyLo: number
  readonly emptyHi: number
  readonly addressLo: number
  readonly addressHi: number
  /** How the address moves, where it is not at its own place. */
  readonly moves: Moves | undefined
  readonly matchMask: number
  readonly matchValue: number
  readonly matchMaskHi: number
  readonly matchValueHi: number
  readonly attrLo: Int32Array
  readonly attrHi: Int32Array
  readonly attrState: Uint8Array

  constructor(c: OnePageParts, plan: LeafPlan) {
    const { node } = plan
    this.plan = plan
    this.offsetLo = plan.offsetLo
    this.badLo = plan.unfitLo | c.outputMaskLo
    this.badHi = plan.unfitHi | c.outputMaskHi
    this.shift = node.shift
    this.indexMask = node.indexMask
    this.entryLg = node.entryLg
    this.emptyMask = node.emptyMask
    this.emptyValue = node.emptyValue
    this.emptyLo = node.emptyLo
    this.emptyHi = node.emptyHi
    this.addressLo = plan.addressLo & ~plan.offsetLo
    this.addressHi = node.entryLg === 1 ? plan.addressHi : 0
    this.moves = plan.plain ? undefined : plan.moves
    this.matchMask = plan.matchMask
    this.matchValue = plan.matchValue
    this.matchMaskHi = plan.matchMaskHi
    this.matchValueHi = plan.matchValueHi
    this.attrLo = plan.attrLo
    this.attrHi = plan.attrHi
    this.attrState = plan.attrState
  }
}

/** The short way's constants, or undefined where the smallest page is not of its shape. */
export function onePageOf(c: OnePageParts): OnePage | undefined {
  const plan = c.plans[0]
  const fits =
    plan !== undefined &&
    plan.node === c.last &&
    plan.slots === 1 &&
    (plan.plain || plan.moves !== undefined) &&
    plan.simple &&
    plan.offsetHi === 0 &&
    c.pagesFit
  return fits ? new OnePage(c, plan) : undefined
}

/** Maps one page; false, with nothing done, when the general way must. */
export function mapOne(t: Tree, one: OnePage, iova: bigint, paddr: bigint, prot: number): boolean {
  if (typeof iova !== 'bigint' || typeof paddr !== 'bigint') return false
  split(iova, paddr)
  const lo = lanes[0]!
  const hi = lanes[1]!
  const pLo = lanes[2]!
  const pHi = lanes[3]!
  if (!isBelow64(iova, hi) || !isBelow64(paddr, pHi)) return false
  if (((lo & one.offsetLo) | (pLo & one.badLo) | (pHi & one.badHi)) !== 0 || one.attrState[prot] !== ATTR_READY) return false
  // a typed array takes '3' for 3
  if (typeof prot !== 'number') return false
  const table = t.cached(hi, lo)
  if (table < 0) return false
  const words = t.words
  const at = (table + (((lo >>> one.shift) & one.indexMask) << one.entryLg)) | 0
  if ((words[at]! & one.emptyMask) !== one.emptyValue) return false
  if (one.moves !== undefined) return writeMoved(words, at, one, one.moves, pHi, pLo, prot)
  if (one.entryLg === 1) words[at + 1] = one.attrHi[prot]! | (pHi & one.addressHi)
  words[at] = one.attrLo[prot]! | (pLo & one.addressLo)
  return true
}

function writeMoved(words: Int32Array, at: number, one: OnePage, moves: Moves, pHi: number, pLo: number, prot: number): true {
  if (one.entryLg === 1) words[at + 1] = one.attrHi[prot]! | encodeHigh(moves, pHi)
  words[at] = one.attrLo[prot]! | encodeLow(moves, pHi, pLo)
  return true
}

/** Clears one page, and reports nothing yet; false, with nothing done, when the general way must. */
export function unmapOne(t: Tree, one: OnePage, iova: bigint): boolean {
  if (typeof iova !== 'bigint') return false
  splitOne(iova)
  const lo = lanes[0]!
  const hi = lanes[1]!
  if (!isBelow64(iova, hi)) return false
  const at = (lo & one.offsetLo) === 0 ? leafOf(t, one, hi, lo) : -1
  if (at < 0) return false
  const words = t.words
  words[at] = one.emptyLo
  if (one.entryLg === 1) words[at + 1] = one.emptyHi
  return true
}

/** Translates an address in a page; undefined when the general way must, which includes that nothing is mapped. */
export function translateOne(t: Tree, one: OnePage, iova: bigint): bigint | undefined {
  if (typeof iova !== 'bigint') return undefined
  splitOne(iova)
  const lo = lanes[0]!
  const hi = lanes[1]!
  if (!isBelow64(iova, hi)) return undefined
  const table = t.cached(hi, lo)
  if (table < 0) return undefined
  const words = t.words
  const at = (table + (((lo >>> one.shift) & one.indexMask) << one.entryLg)) | 0
  const d = words[at]!
  if ((d & one.matchMask) !== one.matchValue || (d & one.emptyMask) === one.emptyValue) return undefined
  // With 32-bit entries the masks of the high lane are zero.
  const high = words[at + one.entryLg]!
  if ((high & one.matchMaskHi) !== one.matchValueHi) return undefined
  const moves = one.moves
  if (moves !== undefined) return join(decodeHigh(moves, high, d), decodeLow(moves, d) | (lo & one.offsetLo))
  return join(high & one.addressHi, (d & one.addressLo) | (lo & one.offsetLo))
}

/** The word index of the page's entry, or -1 when the cache does not know its table or it is no such page. */
function leafOf(t: Tree, one: OnePage, hi: number, lo: number): number {
  const table = t.cached(hi, lo)
  if (table < 0) return -1
  const at = (table + (((lo >>> one.shift) & one.indexMask) << one.entryLg)) | 0
  const d = t.words[at]!
  const same = (d & one.matchMask) === one.matchValue && (d & one.emptyMask) !== one.emptyValue
  return same && (t.words[at + one.entryLg]! & one.matchMaskHi) === one.matchValueHi ? at : -1
}
