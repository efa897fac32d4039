/**
 * The one thing that a kernel does and this library, on purpose, does not: a run that fails for a mapping in the way may have freed empty
 * tables in the slots before it. Here a run is checked before anything is changed. A file that recorded such an operation cannot be
 * compared beyond it: its tables are then different ones. That is a skip, and the conditions are strict, since a loose skip hides faults.
 */
import { pageSizes } from '@io-pgtable/core'
import { eventText, foldEvents, invalidationText } from './notation.ts'
import type { Invalidation, MapOperation, MapRangeOperation, TlbEvent } from './operations.ts'
import type { Subject } from './subject.ts'

/** A range of input addresses, both ends included, whose tables the kernel freed. */
interface Freed {
  readonly first: bigint
  readonly last: bigint
  readonly tables: number
}

/**
 * Why the file ends at this map, or undefined where the difference is a fault. The caller has seen that the result, bytes and error, is the
 * recorded one, that the events are not, and that nothing differed before. The feature and the error name must fit together, and the
 * recorded events be ours followed by more, each of which frees tables that
 * - lie in the part of the run that was not mapped,
 * - are here still, in whole slots, without a leaf in them.
 */
export function freedBeforeConflict(
  subject: Subject,
  features: readonly string[],
  op: MapOperation & { readonly tlb: readonly TlbEvent[] },
  got: readonly TlbEvent[],
): string | undefined {
  if (op.error !== 'EEXIST' || !features.includes('eexistAfterEmptyTableFreed')) return undefined
  const granule = pageSizes(subject.table.config.pgsizeBitmap)[0]
  const freed = missingAfter(foldEvents(op.tlb), foldEvents(got), eventText)?.map((e) =>
    e.event === 'flushWalk' && e.granule === granule ? { first: e.iova, last: e.iova + BigInt(e.size) - 1n, tables: 1 } : undefined,
  )
  return reason(subject, op, op.pgsize * op.pgcount, freed)
}

/** The same for `mapRange`. */
export function freedBeforeAddressInUse(
  subject: Subject,
  features: readonly string[],
  op: MapRangeOperation & { readonly sync: readonly Invalidation[] },
  got: readonly Invalidation[],
): string | undefined {
  if (op.error !== 'EADDRINUSE' || !features.includes('eaddrinuseAfterEmptyTableFreed')) return undefined
  const missing = missingAfter(op.sync, got, invalidationText)
  const freed = missing?.map(({ start, end, freedTables }) => ({ first: start, last: end, tables: freedTables }))
  return reason(subject, op, op.size, freed)
}

/** What `expected` has after `got`; undefined when it does not begin with it, or has nothing more. */
function missingAfter<T>(expected: readonly T[], got: readonly T[], text: (item: T) => string): readonly T[] | undefined {
  const begins = got.length < expected.length && got.every((item, i) => text(item) === text(expected[i] as T))
  return begins ? expected.slice(got.length) : undefined
}

function reason(
  subject: Subject,
  op: { readonly iova: bigint; readonly mapped: number; readonly error: string | null },
  size: number,
  freed: readonly (Freed | undefined)[] | undefined,
): string | undefined {
  if (freed === undefined) return undefined
  const first = op.iova + BigInt(op.mapped)
  const last = op.iova + BigInt(size) - 1n
  for (const range of freed) {
    if (range === undefined || range.first < first || range.last > last || !isEmptyHere(subject, range)) return undefined
  }
  return `the kernel freed ${freed.length === 1 ? 'an empty table' : 'empty tables'} before it found ${op.error}; here a run is checked first`
}

/** Whether the range is made of slots that hold tables, as many as were freed at least, and no leaf. */
function isEmptyHere(subject: Subject, { first, last, tables }: Freed): boolean {
  const held = subject.snapshot({ first, last })
  let within = 0
  let next = first
  for (const { iova, level } of held.tables) {
    const end = iova + BigInt(subject.slotBytes(level) ?? 0)
    if (iova < first || end - 1n > last) continue
    within++
    if (iova === next) next = end
  }
  return next === last + 1n && tables > 0 && within >= tables && held.leaves.length === 0 && held.broken.length === 0
}
