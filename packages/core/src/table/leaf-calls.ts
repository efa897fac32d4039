/** The calls on leaves that are mapped already, as `IoPageTable` has them: argument checks and locks, then the operation. */

import type { Edit } from '../change/carry.ts'
import { cutLeaf } from '../change/cut.ts'
import { planProtect, protectLeaves } from '../change/protect.ts'
import { trimTables } from '../change/trim.ts'
import { explainProt, explainRange, isAddress, isProt } from '../compile/arguments.ts'
import { hex, IoPgtableError } from '../errors.ts'
import type { LeafKind } from '../format/format.ts'
import type { Prot } from '../format/prot.ts'
import { type Snapshot, SnapshotBuilder } from '../read/snapshot.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { type AddressRange, eachLeaf, type LeafPlace, leafAt } from '../tree/leaf-range.ts'
import { finishGather } from '../tree/prune.ts'
import type { RangeLock } from './range-lock.ts'
import { noSizes } from './table-errors.ts'

/** A leaf as visitors see it: a mapping of several entries once, and whole. */
export interface Leaf {
  readonly iova: bigint
  readonly paddr: bigint
  /** Bytes. */
  readonly size: number
  /** What the leaf grants; a format's table descriptors may take from it. */
  readonly prot: Prot
  /** The raw value of its first entry. */
  readonly descriptor: bigint
  /** The level's number in the manual. */
  readonly level: number
  readonly kind: LeafKind
}

/** How {@link IoPageTable.protect} works. */
export interface ProtectOptions {
  /** What the TLB must forget is noted there; the caller syncs it. Without one, it is told to the driver before the call ends. */
  readonly gather?: IotlbGather | undefined
  /** Cut the leaves that the range begins or ends in, instead of refusing them. Default false. */
  readonly cut?: boolean
}

/** A table, as the functions of this file get it. */
export interface LeafCall extends Edit {
  readonly lock: RangeLock | undefined
}

const EVERYTHING: AddressRange = { first: 0n, last: (1n << 64n) - 1n }

/** See `IoPageTable.cut`. */
export function cut(call: LeafCall, iova: bigint, gather: IotlbGather | undefined): boolean {
  const { t } = call
  const { granule, plans } = t.compiled
  const wrong = explainRange(t.compiled, 'cut', iova, undefined, granule, granule)
  if (wrong !== undefined) throw wrong
  if (plans.length === 0) throw noSizes('cut')
  const leaf = leafAt(t, iova)
  if (leaf === undefined || leaf.iova === iova) return false
  held(call, 'cut', rangeOf(leaf), () => cutLeaf(call, leaf, iova, gather))
  return true
}

/** See `IoPageTable.protect`. */
export function protect(call: LeafCall, iova: bigint, size: number, prot: Prot, gather: IotlbGather | undefined, cuts: boolean): number {
  const { t } = call
  const wrong = explainRange(t.compiled, 'protect', iova, undefined, size, t.compiled.granule)
  if (wrong !== undefined) throw wrong
  if (!isProt(prot)) throw explainProt('protect', prot)
  const last = iova + BigInt(size) - 1n
  const first = leafAt(t, iova)
  const final = leafAt(t, last)
  const hull = { first: first === undefined ? iova : first.iova, last: final === undefined ? last : rangeOf(final).last }
  return held(call, 'protect', hull, () => protectHeld(call, { first: iova, last }, prot, gather, cuts))
}

function protectHeld(call: LeafCall, { first, last }: AddressRange, prot: Prot, gather: IotlbGather | undefined, cuts: boolean): number {
  let plan = planProtect(call, first, last, prot)
  const [straddling] = plan.straddling
  if (straddling !== undefined && !cuts) throw inside(straddling, first, last)
  for (const at of [first, last + 1n]) {
    const leaf = plan.straddling.find((one) => one.iova < at && at <= rangeOf(one).last) && leafAt(call.t, at)
    if (leaf !== undefined && leaf.iova < at) cutLeaf(call, leaf, at, gather)
  }
  if (straddling !== undefined) plan = planProtect(call, first, last, prot)
  if (plan.end > first) protectLeaves(call, first, plan.end - 1n, prot, gather)
  return Number(plan.end - first)
}

function inside(leaf: LeafPlace, first: bigint, last: bigint): IoPgtableError {
  const text = `the range ${hex(first)}..${hex(last)} covers a part of the leaf ${hex(leaf.iova)}..${hex(rangeOf(leaf).last)}: cut it first`
  return new IoPgtableError('EINVAL', 'protect', text, { value: leaf.iova })
}

/** See `IoPageTable.trim`. */
export function trim(call: LeafCall, wanted: AddressRange | undefined, gather: IotlbGather | undefined): number {
  const range = checkRange('trim', wanted)
  const bytes = held(call, 'trim', range, () => trimTables(call.t, range, gather))
  finishGather(call.t)
  return bytes
}

/** See `IoPageTable.forEachLeaf`. */
export function forEachLeaf(call: LeafCall, wanted: AddressRange | undefined, visit: (leaf: Leaf) => unknown): boolean {
  if (typeof visit !== 'function') throw new IoPgtableError('EINVAL', 'forEachLeaf', `visit ${String(visit)}: a function expected`)
  const range = checkRange('forEachLeaf', wanted)
  const { t, format, context } = call
  const each = ({ iova, paddr, size, entry }: LeafPlace): boolean => {
    const { raw, node, kind } = entry
    const leaf: Leaf = { iova, paddr, size, prot: format.prot(raw, kind, context), descriptor: raw, level: node.level, kind }
    let more: unknown
    t.call(() => {
      more = visit(leaf)
    })
    return more !== false
  }
  return reading(call, 'forEachLeaf', range, () => eachLeaf(t, range, each))
}

/** See `IoPageTable.snapshot`. */
export function snapshot(call: LeafCall): Snapshot {
  const { t, format, context } = call
  const builder = new SnapshotBuilder()
  reading(call, 'snapshot', EVERYTHING, () =>
    eachLeaf(t, EVERYTHING, ({ iova, paddr, size, entry }) => {
      builder.add(iova, paddr, size, format.prot(entry.raw, entry.kind, context))
    }),
  )
  return { format: format.FORMAT, runs: builder.runs }
}

function rangeOf(leaf: LeafPlace): AddressRange {
  return { first: leaf.iova, last: leaf.iova + BigInt(leaf.size) - 1n }
}

/** @throws `EINVAL` for what is no range of 64-bit addresses */
function checkRange(op: string, range: AddressRange = EVERYTHING): AddressRange {
  const { first, last } = range
  if (!isAddress(first) || !isAddress(last) || first > last) {
    const text = `range ${String(first)}..${String(last)}: two 64-bit addresses expected, the first and the last one`
    throw new IoPgtableError('EINVAL', op, text, { value: typeof first === 'bigint' ? first : String(first) })
  }
  return range
}

function held<T>(call: LeafCall, op: string, { first, last }: AddressRange, work: () => T): T {
  return call.lock === undefined ? work() : call.lock.holdTo(op, first, last, work)
}

/** A read from inside a callback is within the range that the call around it holds. */
function reading<T>(call: LeafCall, op: string, range: AddressRange, work: () => T): T {
  return call.t.inCallback ? work() : held(call, op, range, work)
}
