/** The leaves of a table, as callers see them: one after the other, or all at one moment. */

import { IoPgtableError } from '../errors.ts'
import type { LeafKind } from '../format/format.ts'
import type { Prot } from '../format/prot.ts'
import { type Snapshot, SnapshotBuilder } from '../read/snapshot.ts'
import type { AddressRange } from '../read/walk.ts'
import { checkedRange, EVERYTHING } from '../request/arguments.ts'
import { held, type Request } from '../request/request.ts'
import { eachLeaf, type LeafPlace } from '../tree/leaf-range.ts'

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
  const { format, context } = t.compiled
  const each = ({ iova, paddr, size, entry }: LeafPlace): boolean => {
    const { raw, node, kind } = entry
    const leaf: Leaf = { iova, paddr, size, prot: format.prot(raw, kind, context), descriptor: raw, level: node.level, kind }
    let more: unknown
    t.call(() => {
      more = visit(leaf)
    })
    return more !== false
  }
  return held(r, 'forEachLeaf', () => eachLeaf(t, range, each), range)
}

/** See `IoPageTable.snapshot`. */
export function snapshot(own: Request): Snapshot {
  const r = own.open('snapshot')
  const { t } = r
  const { format, context } = t.compiled
  const builder = new SnapshotBuilder()
  const add = ({ iova, paddr, size, entry }: LeafPlace): void => builder.add(iova, paddr, size, format.prot(entry.raw, entry.kind, context))
  held(r, 'snapshot', () => eachLeaf(t, EVERYTHING, add), EVERYTHING)
  return { format: format.FORMAT, runs: builder.runs }
}
