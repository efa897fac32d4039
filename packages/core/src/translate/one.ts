/** Translation of one address: the software walk of the engine's own tables. */
import type { HotNode } from '../compile/hot-node.ts'
import { decodeLane } from '../compile/lane-pieces.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import type { ReadMemory } from '../format/hardware.ts'
import { highOf, lowOf } from '../hot/lanes.ts'
import { type Decoded, decode, entrySpan } from '../read/decode.ts'
import { type EntryPlace, walkAddress } from '../read/walk.ts'
import { explainOne, inWindow } from '../request/arguments.ts'
import { held, type Request } from '../request/request.ts'
import { rootView } from '../tree/root-view.ts'
import { BLOCKED, slotIndex } from '../tree/tree.ts'

/** See `IoPageTable.iovaToPhys`. */
export function iovaToPhys(own: Request, iova: bigint): bigint | undefined {
  const r = own.open('iovaToPhys')
  const c = r.t.compiled
  if (!r.enter(iova, iova) || !inWindow(c, r.hi, r.lo)) throw explainOne(c, 'iovaToPhys', iova)
  r.left = 1
  return held(r, 'iovaToPhys', lookup) ? r.paddr : undefined
}

/** See `IoPageTable.walk`. */
export function walk(own: Request, iova: bigint, read: ReadMemory): readonly (Decoded & EntryPlace)[] {
  const r = own.open('walk')
  const wrong = explainOne(r.t.compiled, 'walk', iova)
  if (wrong !== undefined) throw wrong
  const { geometry, roots } = rootView(r.t)
  return held(r, 'walk', () => walkAddress(geometry, roots, read, iova), { first: iova, last: iova })
}

/** Translates the address in range that the request stands at; false where nothing is mapped. */
export function lookup(r: Request): boolean {
  const { t, hi, lo } = r
  const table = t.findTable(t.last, hi, lo)
  if (table >= 0) {
    const at = table + (slotIndex(t.last, hi, lo) << t.last.entryLg)
    return translateBy(r, t.last, at, t.words[at]!)
  }
  return table === BLOCKED && lookupBlock(r)
}

/** A leaf above the last node is on the way. */
function lookupBlock(r: Request): boolean {
  const { t, hi, lo } = r
  let table = t.rootWord
  for (let node = t.root; ; ) {
    const at = table + (slotIndex(node, hi, lo) << node.entryLg)
    if (!t.isTable(node, at) || node.child === undefined) return translateBy(r, node, at, t.words[at]!)
    table = t.tableOf(node, at)
    node = node.child
  }
}

/** Translates the request's address by the entry at `at`, whose low lane is `d`. */
export function translateBy(r: Request, node: HotNode, at: number, d: number): boolean {
  if ((d & node.emptyMask) === node.emptyValue) return false
  const leaves = node.leaves
  for (let i = 0; i < leaves.length; i++) {
    const plan = leaves[i]!
    if (!plan.simple || (d & plan.matchMask) !== plan.matchValue) continue
    const high = node.entryLg === 1 ? r.t.words[at + 1]! : 0
    if ((high & plan.matchMaskHi) !== plan.matchValueHi) continue
    resolve(r, plan, d, high)
    return true
  }
  return decodeLeaf(r, node, at)
}

function resolve(r: Request, plan: LeafPlan, d: number, high: number): void {
  let hi = high & plan.addressHi
  let lo = d & plan.addressLo
  if (!plan.plain) {
    hi = decodeLane(plan.pieces, 1, high, d)
    lo = decodeLane(plan.pieces, 0, high, d)
  }
  r.paddrHi = (hi & ~plan.keepHi) | (r.hi & plan.keepHi)
  r.paddrLo = (lo & ~plan.keepLo) | (r.lo & plan.keepLo)
}

/** An entry that the masks cannot tell: somebody else may have written it. */
function decodeLeaf(r: Request, node: HotNode, at: number): boolean {
  const entry = decode(r.t.compiled.geometry, node.node, r.t.rawAt(node, at))
  if (entry.type !== 'leaf') return false
  const offset = r.iova & BigInt(entrySpan(node.node, entry.size) - 1)
  r.paddrHi = highOf(entry.paddr | offset)
  r.paddrLo = lowOf(entry.paddr | offset)
  return true
}
