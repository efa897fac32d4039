/** The leaves of a table, as callers see them: one after the other, or all at one moment. */

import { AttributeMemo } from '../compile/attribute-memo.ts'
import type { LaneLeaf } from '../compile/lane-node.ts'
import { IoPgtableError } from '../errors.ts'
import type { LeafKind } from '../format/format.ts'
import type { Prot } from '../format/prot.ts'
import { advanceHi, advanceLo, join } from '../hot/lanes.ts'
import type { Snapshot, SnapshotRun } from '../read/snapshot.ts'
import type { AddressRange } from '../read/walk.ts'
import { checkedRange, EVERYTHING } from '../request/arguments.ts'
import { held, type Request } from '../request/request.ts'
import { eachRun, type LeafRun, type VisitRun } from '../tree/leaf-range.ts'
import type { Tree } from '../tree/tree.ts'

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

/** See `IoPageTable.forEachLeaf`. */
export function forEachLeaf(own: Request, wanted: AddressRange | undefined, visit: (leaf: Leaf) => unknown): boolean {
  const r = own.open('forEachLeaf')
  const { t } = r
  if (typeof visit !== 'function') throw new IoPgtableError('EINVAL', 'forEachLeaf', `visit ${String(visit)}: a function expected`)
  const range = checkedRange('forEachLeaf', wanted)
  return held(r, 'forEachLeaf', () => eachRun(t, range, visitorOf(t, visit)), range)
}

/** Gives the leaves of runs one by one; the table cannot be changed meanwhile. */
function visitorOf(t: Tree, visit: (leaf: Leaf) => unknown): VisitRun {
  const prots = protsOf(t)
  return (run) => {
    let more = true
    t.call(() => {
      more = visitLeaves(t, run, prots, visit)
    })
    return more
  }
}

function visitLeaves(t: Tree, run: LeafRun, prots: AttributeMemo<Prot>, visit: (leaf: Leaf) => unknown): boolean {
  const { node, leaf, size } = run
  const { kind } = leaf
  const { level } = node.node
  const stride = run.slots << node.entryLg
  let { hi, lo, at } = run
  for (let i = 0; i < run.count; i++) {
    const d = t.words[at]!
    const high = node.entryLg === 1 ? t.words[at + 1]! : 0
    const paddr = join(paddrHi(leaf, d, high, hi), paddrLo(leaf, d, high, lo))
    const more = visit({ iova: join(hi, lo), paddr, size, prot: prots.of(leaf, d, high), descriptor: join(high, d), level, kind })
    if (more === false) return false
    hi = advanceHi(hi, lo, size)
    lo = advanceLo(lo, size)
    at += stride
  }
  return true
}

/** An entry of a repeated mapping points to the mapping's start: the bits below are the input address's. */
function paddrHi(leaf: LaneLeaf, d: number, high: number, hi: number): number {
  return (leaf.high(d, high) & ~leaf.keepHi) | (hi & leaf.keepHi)
}

function paddrLo(leaf: LaneLeaf, d: number, high: number, lo: number): number {
  return (leaf.low(d, high) & ~leaf.keepLo) | (lo & leaf.keepLo)
}

function protsOf({ compiled: { format, context } }: Tree): AttributeMemo<Prot> {
  return new AttributeMemo(({ kind }, raw) => format.prot(raw, kind, context))
}

/** See `IoPageTable.snapshot`. */
export function snapshot(own: Request): Snapshot {
  const r = own.open('snapshot')
  const { t } = r
  const builder = new SnapshotBuilder()
  const prots = protsOf(t)
  held(r, 'snapshot', () => eachRun(t, EVERYTHING, (run) => addLeaves(t, run, prots, builder)), EVERYTHING)
  builder.finish()
  return { format: t.compiled.format.FORMAT, runs: builder.runs }
}

function addLeaves(t: Tree, run: LeafRun, prots: AttributeMemo<Prot>, builder: SnapshotBuilder): void {
  const { node, leaf, size } = run
  const stride = run.slots << node.entryLg
  let { hi, lo, at } = run
  for (let i = 0; i < run.count; i++) {
    const d = t.words[at]!
    const high = node.entryLg === 1 ? t.words[at + 1]! : 0
    builder.add(hi, lo, paddrHi(leaf, d, high, hi), paddrLo(leaf, d, high, lo), size, prots.of(leaf, d, high))
    hi = advanceHi(hi, lo, size)
    lo = advanceLo(lo, size)
    at += stride
  }
}

/** Collects leaves, in order, into runs: of one size, contiguous in both address spaces, with the same grants. */
class SnapshotBuilder {
  readonly runs: SnapshotRun[] = []
  /** The open run: its input and output address, and those behind its last leaf, each by lane. */
  readonly #at: Int32Array = new Int32Array(8)
  #bytes = 0
  #size = 0
  #prot = 0

  add(hi: number, lo: number, pHi: number, pLo: number, size: number, prot: Prot): void {
    const at = this.#at
    const joins = at[4] === hi && at[5] === lo && at[6] === pHi && at[7] === pLo && this.#size === size && this.#prot === prot
    if (!joins) {
      this.finish()
      at[0] = hi
      at[1] = lo
      at[2] = pHi
      at[3] = pLo
      this.#size = size
      this.#prot = prot
    }
    this.#bytes += size
    at[4] = advanceHi(hi, lo, size)
    at[5] = advanceLo(lo, size)
    at[6] = advanceHi(pHi, pLo, size)
    at[7] = advanceLo(pLo, size)
  }

  /** Ends the open run. */
  finish(): void {
    if (this.#bytes === 0) return
    const [hi = 0, lo = 0, pHi = 0, pLo = 0] = this.#at
    this.runs.push({ iova: join(hi, lo), paddr: join(pHi, pLo), size: BigInt(this.#bytes), prot: this.#prot, pgsize: this.#size })
    this.#bytes = 0
  }
}
