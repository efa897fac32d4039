/** Changing what mapped leaves grant, in place: their addresses and sizes stay, and so does whether the device wrote to them. */

import type { HotNode } from '../compile/hot-node.ts'
import type { LaneLeaf } from '../compile/lane-node.ts'
import { laneHi, laneLo } from '../compile/lane-pieces.ts'
import { ProtChange } from '../compile/prot-change.ts'
import { hex, IoPgtableError } from '../errors.ts'
import type { Prot } from '../format/prot.ts'
import { join } from '../hot/lanes.ts'
import type { AddressRange } from '../read/walk.ts'
import { explainProt, explainRange, isProt } from '../request/arguments.ts'
import { bindGather } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { eachRun, type LeafPlace, type LeafRun, leafAt, placeOf, rangeOf } from '../tree/leaf-range.ts'
import { reportLeaves, withGather } from '../tree/report.ts'
import { slotIndex, type Tree } from '../tree/tree.ts'
import { cutLeaf, takeRaw, writeRaw } from './cut.ts'

/** How {@link IoPageTable.protect} works. */
export interface ProtectOptions {
  /** What the TLB must forget is noted there; the caller syncs it. Without one, it is told to the driver before the call ends. */
  readonly gather?: IotlbGather | undefined
  /** Cut the leaves that the range begins or ends in, instead of refusing them. Default false. */
  readonly cut?: boolean
}

/** See `IoPageTable.protect`. */
export function protect(own: Request, iova: bigint, size: number, prot: Prot, options: ProtectOptions): number {
  const r = own.openChange('protect')
  const { t } = r
  if (typeof options !== 'object' || options === null)
    throw new IoPgtableError('EINVAL', 'protect', `options ${String(options)}: an object expected`)
  const { gather, cut = false } = options
  bindGather('protect', gather, t)
  const wrong = explainRange(t.compiled, 'protect', iova, undefined, size, t.compiled.granule)
  if (wrong !== undefined) throw wrong
  if (!isProt(t.compiled, prot)) throw explainProt(t.compiled, 'protect', prot)
  const range = { first: iova, last: iova + BigInt(size) - 1n }
  return held(r, 'protect', () => protectRange(t, range, prot, gather, cut), hullOf(t, range))
}

/** A range with the whole of the leaves that it begins and ends in. */
function hullOf(t: Tree, { first, last }: AddressRange): AddressRange {
  return { first: leafAt(t, first)?.iova ?? first, last: lastOf(leafAt(t, last)) ?? last }
}

function lastOf(leaf: LeafPlace | undefined): bigint | undefined {
  return leaf && rangeOf(leaf).last
}

function protectRange(t: Tree, { first, last }: AddressRange, prot: Prot, gather: IotlbGather | undefined, cuts: boolean): number {
  let plan = planProtect(t, first, last, prot)
  const [straddling] = plan.straddling
  if (straddling !== undefined && !cuts) throw inside(straddling, first, last)
  for (const at of [first, last + 1n]) {
    const leaf = plan.straddling.find((one) => one.iova < at && at <= rangeOf(one).last) && leafAt(t, at)
    if (leaf !== undefined && leaf.iova < at) cutLeaf(t, leaf, at, gather)
  }
  if (straddling !== undefined) plan = planProtect(t, first, last, prot)
  if (plan.end > first) protectLeaves(t, first, plan.end - 1n, prot, gather)
  return Number(plan.end - first)
}

function inside(leaf: LeafPlace, first: bigint, last: bigint): IoPgtableError {
  const text = `the range ${hex(first)}..${hex(last)} covers a part of the leaf ${hex(leaf.iova)}..${hex(rangeOf(leaf).last)}: cut it first`
  return new IoPgtableError('EINVAL', 'protect', text, { value: leaf.iova })
}

/** How far a protect can go, and where it would have to cut. */
interface ProtectPlan {
  /** The first address beyond the prefix that is mapped. */
  readonly end: bigint
  /** Leaves that begin before the range or end behind it. */
  readonly straddling: readonly LeafPlace[]
}

/** Looks at the leaves from `first` to `last` up to the first hole. @throws `EINVAL` for one that cannot have this prot */
function planProtect(t: Tree, first: bigint, last: bigint, prot: Prot): ProtectPlan {
  const change = new ProtChange(t.compiled, prot)
  const straddling: LeafPlace[] = []
  let end = first
  eachRun(t, { first, last }, (run) => {
    const begin = join(run.hi, run.lo)
    if (begin > end) return false
    checkRun(t, change, run, prot)
    end = begin + BigInt(run.count * run.size)
    if (begin < first) straddling.push(placeOf(t, run, 0))
    if (end > last + 1n && (begin >= first || run.count > 1)) straddling.push(placeOf(t, run, run.count - 1))
    return undefined
  })
  return { end: end > last + 1n ? last + 1n : end, straddling }
}

/** @throws `EINVAL` when a leaf of the run cannot have the prot */
function checkRun(t: Tree, change: ProtChange, run: LeafRun, prot: Prot): void {
  const { node, at, slots, leaf } = run
  for (let i = 0; i < run.count; i++) {
    const word = at + ((i * slots) << node.entryLg)
    if (change.of(leaf, t.words[word]!, highAt(t, node, word)).isPossible) continue
    const text = `prot ${hex(prot)}: the leaf of ${hex(leaf.size.pgsize)} bytes at ${hex(placeOf(t, run, i).iova)} cannot have it`
    throw new IoPgtableError('EINVAL', 'protect', text, { value: prot })
  }
}

/** The high lane of an entry; 0 where it has none. */
function highAt(t: Tree, node: HotNode, at: number): number {
  return node.entryLg === 1 ? t.words[at + 1]! : 0
}

/** Changes the leaves from `first` to `last`, all of which `planProtect` found. */
function protectLeaves(t: Tree, first: bigint, last: bigint, prot: Prot, gather: IotlbGather | undefined): void {
  const change = new ProtChange(t.compiled, prot)
  withGather(t, gather, { first, last }, (own) => {
    let runs: LeafRun[] = []
    const finish = (): void => {
      const done = runs
      runs = []
      changeRuns(t, change, done, own)
    }
    eachRun(t, { first, last }, (run) => {
      const before = runs.at(-1)
      if (before !== undefined && (before.node !== run.node || beginsTable(run))) finish()
      runs.push(run)
    })
    finish()
  })
}

function beginsTable({ node, hi, lo }: LeafRun): boolean {
  return slotIndex(node, hi, lo) === 0
}

/** Entries that change, one after the other in a run. */
interface Part {
  readonly run: LeafRun
  readonly at: number
  count: number
}

/** Changes leaves that lie next to one another in a table. */
function changeRuns(t: Tree, change: ProtChange, runs: readonly LeafRun[], gather: IotlbGather): void {
  const parts: Part[] = []
  let breaks = false
  for (const run of runs) breaks = findChanges(t, change, run, parts) || breaks
  if (breaks) {
    breakAndWrite(t, change, parts)
    return
  }
  for (const part of parts) rewrite(t, change, part)
  for (const part of joined(parts)) {
    syncPart(t, part)
    reportLeaves(t, part.run.node, iovaOf(part), part.count, gather)
  }
}

/** Adds the entries of a run that change. Returns whether one of them must be broken first. */
function findChanges(t: Tree, change: ProtChange, run: LeafRun, parts: Part[]): boolean {
  const { node, leaf, at, count, slots } = run
  let breaks = false
  let part: Part | undefined
  for (let i = 0; i < count * slots; i++) {
    const word = at + (i << node.entryLg)
    const to = change.of(leaf, t.words[word]!, highAt(t, node, word))
    if ((to.flipLo | to.flipHi) === 0) part = undefined
    else if (part !== undefined) part.count++
    else parts.push((part = { run, at: word, count: 1 }))
    breaks ||= to.breaks
  }
  return breaks
}

/** Changes entries in place. Where hardware, or another thread, may mark them at the same time, only an exchange loses nothing. */
function rewrite(t: Tree, change: ProtChange, { run, at, count }: Part): void {
  const { node, leaf } = run
  const exchanges = t.pool.shared || t.compiled.policy.dirty !== undefined
  for (let i = 0; i < count; i++) {
    const word = at + (i << node.entryLg)
    if (exchanges) exchangeFresh(t, change, run, word)
    else {
      const lo = t.words[word]!
      const { flipLo, flipHi } = change.of(leaf, lo, highAt(t, node, word))
      if (flipHi !== 0) t.words[word + 1] = t.words[word + 1]! ^ flipHi
      t.words[word] = lo ^ flipLo
    }
  }
}

function exchangeFresh(t: Tree, change: ProtChange, { node, leaf }: LeafRun, at: number): void {
  for (;;) {
    const raw = t.rawAt(node, at)
    if (t.exchange(node, at, raw, changed(change, leaf, raw))) return
  }
}

function changed(change: ProtChange, leaf: LaneLeaf, raw: bigint): bigint {
  const { flipLo, flipHi } = change.of(leaf, laneLo(raw), laneHi(raw))
  return raw ^ join(flipHi, flipLo)
}

/** An entry that is broken, and what it held at last. */
interface Broken {
  readonly run: LeafRun
  readonly at: number
  readonly raw: bigint
}

/** Empties the entries, has the driver forget them, and writes the new ones. When a callback throws, they stand as before. */
function breakAndWrite(t: Tree, change: ProtChange, parts: readonly Part[]): void {
  const entries = parts.flatMap(({ run, at, count }) =>
    Array.from({ length: count }, (_, i): Broken => {
      const word = at + (i << run.node.entryLg)
      return { run, at: word, raw: takeRaw(t, run.node, word) }
    }),
  )
  const together = joined(parts)
  try {
    for (const part of together) syncPart(t, part)
    withGather(t, undefined, rangeOfParts(together), (gather) => {
      for (const part of together) reportLeaves(t, part.run.node, iovaOf(part), part.count, gather)
    })
  } catch (error) {
    for (const { run, at, raw } of entries) writeRaw(t, run.node, at, raw)
    for (const part of together) syncPart(t, part)
    throw error
  }
  for (const { run, at, raw } of entries) writeRaw(t, run.node, at, changed(change, run.leaf, raw))
  for (const part of together) syncPart(t, part)
}

/** Parts that follow one another, as one. */
function joined(parts: readonly Part[]): Part[] {
  const all: Part[] = []
  for (const part of parts) {
    const last = all.at(-1)
    if (last !== undefined && last.at + (last.count << last.run.node.entryLg) === part.at) last.count += part.count
    else all.push({ ...part })
  }
  return all
}

function syncPart(t: Tree, { run, at, count }: Part): void {
  t.synced(at, count << run.node.entryLg)
}

/** The addresses of parts in order. */
function rangeOfParts(parts: readonly Part[]): AddressRange {
  const [first, last] = [parts[0], parts.at(-1)] as [Part, Part]
  return { first: iovaOf(first), last: iovaOf(last) + BigInt(last.count * last.run.node.slotBytes) - 1n }
}

/** The address of the first entry of a part. */
function iovaOf({ run: { node, at: first, hi, lo }, at }: Part): bigint {
  return join(hi, lo) + BigInt((at - first) >> node.entryLg) * BigInt(node.slotBytes)
}
