/** Changing what mapped leaves grant, in place: their addresses and sizes stay, and so does whether the device wrote to them. */

import type { Compiled } from '../compile/compile.ts'
import { hex, IoPgtableError } from '../errors.ts'
import { bitsOf, extract, matches } from '../format/bits.ts'
import type { LeafKind, LevelNode } from '../format/format.ts'
import { PROT_LIMIT, type Prot, Prot as Prots } from '../format/prot.ts'
import { type DecodedLeaf, decode, entrySpan } from '../read/decode.ts'
import type { AddressRange } from '../read/walk.ts'
import { explainProt, explainRange, isProt } from '../request/arguments.ts'
import { bindGather } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { eachLeaf, type LeafPlace, leafAt, rangeOf } from '../tree/leaf-range.ts'
import type { Tree } from '../tree/tree.ts'
import { cutLeaf, takeRaw, writeRaw } from './cut.ts'
import { reportLeaves, withGather } from './report-leaves.ts'

/** How {@link IoPageTable.protect} works. */
export interface ProtectOptions {
  /** What the TLB must forget is noted there; the caller syncs it. Without one, it is told to the driver before the call ends. */
  readonly gather?: IotlbGather | undefined
  /** Cut the leaves that the range begins or ends in, instead of refusing them. Default false. */
  readonly cut?: boolean
}

/** See `IoPageTable.protect`. */
export function protect(own: Request, iova: bigint, size: number, prot: Prot, { gather, cut = false }: ProtectOptions): number {
  const r = own.openChange('protect')
  const { t } = r
  bindGather('protect', gather, t)
  const wrong = explainRange(t.compiled, 'protect', iova, undefined, size, t.compiled.granule)
  if (wrong !== undefined) throw wrong
  if (!isProt(prot)) throw explainProt('protect', prot)
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

/** The attribute bits of a kind: those that some prot changes, with the fields that they are in, and what they are for the prot asked for. */
interface Attributes {
  readonly mask: bigint
  readonly bits: bigint
  /** What a fresh leaf with them grants. */
  readonly prot: Prot
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
  const change = new Change(t.compiled, prot)
  const straddling: LeafPlace[] = []
  let end = first
  eachLeaf(t, { first, last }, (leaf) => {
    if (leaf.iova > end) return false
    change.check(leaf)
    end = leaf.iova + BigInt(leaf.size)
    if (leaf.iova < first || end > last + 1n) straddling.push(leaf)
    return undefined
  })
  return { end: end > last + 1n ? last + 1n : end, straddling }
}

/** Changes the leaves from `first` to `last`, all of which `planProtect` found. */
function protectLeaves(t: Tree, first: bigint, last: bigint, prot: Prot, gather: IotlbGather | undefined): void {
  const change = new Change(t.compiled, prot)
  withGather(t, gather, { first, last }, (own) => {
    let run: LeafPlace[] = []
    const finish = (): void => {
      const done = run
      run = []
      changeRun(t, change, done, own)
    }
    eachLeaf(t, { first, last }, (leaf) => {
      const before = run.at(-1)
      if (before !== undefined && (before.node !== leaf.node || beginsTable(leaf))) finish()
      run.push(leaf)
    })
    finish()
  })
}

function beginsTable({ node, iova }: LeafPlace): boolean {
  return iova % (1n << BigInt(node.shift + node.node.bits)) === 0n
}

/** Makes new descriptors out of old ones. */
class Change {
  readonly #c: Compiled
  readonly #prot: Prot
  readonly #attributes: Map<LeafKind, Attributes | undefined> = new Map()

  constructor(c: Compiled, prot: Prot) {
    this.#c = c
    this.#prot = prot
  }

  /** @throws `EINVAL` when the leaf cannot have the prot */
  check({ entry, node, iova }: LeafPlace): void {
    if (this.descriptor(node.node, entry, entry.raw) !== undefined) return
    const text = `prot ${hex(this.#prot)}: the leaf of ${hex(entry.size.pgsize)} bytes at ${hex(iova)} cannot have it`
    throw new IoPgtableError('EINVAL', 'protect', text, { value: this.#prot })
  }

  /** The new descriptor of an entry; undefined where there is none. */
  descriptor(node: LevelNode, entry: DecodedLeaf, raw: bigint): bigint | undefined {
    const attributes = this.#of(node, entry.kind)
    if (attributes === undefined) return undefined
    const changed = (raw & ~attributes.mask) | attributes.bits
    // Bits that every leaf of ours has, but not one that somebody else wrote, may be among those that grant.
    const granting = [changed, changed | entry.kind.set].find((bits) => this.#fits(node, entry, raw, bits, attributes.prot))
    return granting === undefined ? undefined : this.#asWritten(granting, entry.kind, raw)
  }

  #fits(node: LevelNode, entry: DecodedLeaf, raw: bigint, changed: bigint, prot: Prot): boolean {
    const { format, context, geometry } = this.#c
    const after = decode(geometry, node, changed)
    if (after.type !== 'leaf' || after.size.pgsize !== entry.size.pgsize) return false
    const paddr = extract(raw, entry.kind.address) & ~BigInt(entrySpan(node, entry.size) - 1)
    return after.paddr === paddr && format.prot(changed, after.kind, context) === prot
  }

  #of(node: LevelNode, kind: LeafKind): Attributes | undefined {
    if (this.#attributes.has(kind)) return this.#attributes.get(kind)
    const { format, config, context } = this.#c
    const all = Array.from({ length: PROT_LIMIT }, (_, prot) =>
      (prot & 3) === 0 ? undefined : format.encodeLeaf(config, node, kind, prot),
    )
    const wanted = all[this.#prot]
    const touched = all.reduce((bits: bigint, raw) => bits | (raw ?? 0n), 0n)
    const mask = kind.fields.reduce((bits, { pieces }) => (bitsOf(pieces) & touched ? bits | bitsOf(pieces) : bits), touched)
    const prot = format.prot((wanted ?? 0n) | kind.set, kind, context)
    const found = wanted === undefined ? undefined : { mask, bits: wanted | (kind.set & mask), prot }
    this.#attributes.set(kind, found)
    return found
  }

  /**
   * The new descriptor, dirty where the old one was, and clean where that was writable, and clean: as far as either grants the same. A leaf
   * that becomes writable is as one that is mapped so.
   */
  #asWritten(changed: bigint, kind: LeafKind, old: bigint): bigint {
    const { format, context, policy } = this.#c
    const { dirty } = policy
    if (dirty === undefined || matches(changed, dirty.dirty) === matches(old, dirty.dirty)) return changed
    const wasDirty = matches(old, dirty.dirty)
    if (!wasDirty && (format.prot(old, kind, context) & Prots.WRITE) === 0) return changed
    const kept = wasDirty ? (changed & ~dirty.dirty.mask) | dirty.dirty.value : (changed & ~dirty.clear) | dirty.set
    return format.prot(kept, kind, context) === format.prot(changed, kind, context) ? kept : changed
  }
}

/** One entry that changes. */
interface Rewrite {
  readonly at: number
  readonly leaf: LeafPlace
  old: bigint
}

/** Changes leaves that lie next to one another in a table. */
function changeRun(t: Tree, change: Change, run: readonly LeafPlace[], gather: IotlbGather): void {
  const [first] = run
  if (first === undefined) return
  const { node } = first
  const rewrites = run.flatMap((leaf) =>
    Array.from({ length: leaf.slots }, (_, i): Rewrite => {
      const at = leaf.at + (i << node.entryLg)
      return { at, leaf, old: t.rawAt(node, at) }
    }),
  )
  const fresh = ({ leaf, old }: Rewrite): bigint => change.descriptor(node.node, leaf.entry, old) ?? old
  const changed = rewrites.filter((entry) => fresh(entry) !== entry.old)
  if (changed.some((entry) => mustBreak(t, entry.leaf.entry.kind, entry.old ^ fresh(entry)))) {
    breakAndWrite(t, changed, fresh)
    return
  }
  for (const entry of changed) exchangeFresh(t, entry, fresh)
  for (const part of consecutive(changed)) {
    syncRun(t, part)
    reportLeaves(t, node, iovaOf(part), part.length, gather)
  }
}

/** Whether hardware must not see the difference between two valid descriptors. */
function mustBreak(t: Tree, kind: LeafKind, difference: bigint): boolean {
  const names = t.compiled.policy.breakBeforeMake?.fields
  if (names === undefined) return false
  return kind.fields.some(({ name, pieces }) => (bitsOf(pieces) & difference) !== 0n && names.includes(name))
}

/** Empties the entries, has the driver forget them, and writes the new ones. When a callback throws, they stand as before. */
function breakAndWrite(t: Tree, changed: readonly Rewrite[], fresh: (entry: Rewrite) => bigint): void {
  for (const entry of changed) entry.old = takeRaw(t, entry.leaf.node, entry.at)
  try {
    for (const part of consecutive(changed)) syncRun(t, part)
    withGather(t, undefined, rangeOfEntries(changed), (gather) => {
      for (const part of consecutive(changed)) reportLeaves(t, part[0]!.leaf.node, iovaOf(part), part.length, gather)
    })
  } catch (error) {
    for (const entry of changed) writeRaw(t, entry.leaf.node, entry.at, entry.old)
    for (const part of consecutive(changed)) syncRun(t, part)
    throw error
  }
  for (const entry of changed) writeRaw(t, entry.leaf.node, entry.at, fresh(entry))
  for (const part of consecutive(changed)) syncRun(t, part)
}

/** The hardware may mark the entry at the same time: only an exchange loses nothing. */
function exchangeFresh(t: Tree, entry: Rewrite, fresh: (entry: Rewrite) => bigint): void {
  while (!t.exchange(entry.leaf.node, entry.at, entry.old, fresh(entry))) entry.old = t.rawAt(entry.leaf.node, entry.at)
}

/** Groups entries that lie next to one another. */
function consecutive(entries: readonly Rewrite[]): Rewrite[][] {
  const parts: Rewrite[][] = []
  for (const entry of entries) {
    const last = parts.at(-1)?.at(-1)
    if (last !== undefined && last.at + (1 << last.leaf.node.entryLg) === entry.at) parts.at(-1)!.push(entry)
    else parts.push([entry])
  }
  return parts
}

function syncRun(t: Tree, [first, ...rest]: readonly Rewrite[]): void {
  if (first !== undefined) t.synced(first.at, (rest.length + 1) << first.leaf.node.entryLg)
}

/** The addresses of entries in order. */
function rangeOfEntries(entries: readonly Rewrite[]): AddressRange {
  return { first: iovaOf(entries), last: iovaOf(entries.slice(-1)) + BigInt((entries[0] as Rewrite).leaf.node.slotBytes) - 1n }
}

/** The address of the first entry of a part. */
function iovaOf([first]: readonly Rewrite[]): bigint {
  const { at, leaf } = first as Rewrite
  return leaf.iova + BigInt((at - leaf.at) >> leaf.node.entryLg) * (1n << BigInt(leaf.node.shift))
}
