/** What a table translates at one moment, as plain data to keep and compare: for tests, and for before and after. */
import { hex } from '../errors.ts'
import { type Prot, protNames } from '../format/prot.ts'

/** Leaves of one size that follow one another in both address spaces and grant the same. */
export interface SnapshotRun {
  readonly iova: bigint
  readonly paddr: bigint
  /** Bytes: a bigint, since a table may translate more than 2^53. */
  readonly size: bigint
  readonly prot: Prot
  /** Bytes of one leaf. */
  readonly pgsize: number
}

/** All that a table translates, in the order of the addresses. */
export interface Snapshot {
  /** The format's id. */
  readonly format: string
  readonly runs: readonly SnapshotRun[]
}

/** A range in which two snapshots differ: what it was translated to, and what it is now. */
export interface SnapshotChange {
  readonly iova: bigint
  readonly size: bigint
  readonly before: Translated | undefined
  readonly after: Translated | undefined
}

/** What the first address of a range is translated to; the others follow it. */
export type Translated = Pick<SnapshotRun, 'paddr' | 'prot' | 'pgsize'>

/**
 * Where two snapshots differ, in order; nothing where they are equal.
 * @param options.sizes false: the sizes of leaves do not matter, only what is translated to what with which permissions
 */
export function diffSnapshots(before: Snapshot, after: Snapshot, options: { readonly sizes?: boolean } = {}): readonly SnapshotChange[] {
  const sizes = options.sizes ?? true
  const changes: { iova: bigint; size: bigint; before: Translated | undefined; after: Translated | undefined }[] = []
  for (const { iova, size, a, b } of segments(before.runs, after.runs)) {
    if (sameTranslation(a, b, sizes)) continue
    const last = changes.at(-1)
    if (last !== undefined && last.iova + last.size === iova && goesOn(last, a, b)) last.size += size
    else changes.push({ iova, size, before: a, after: b })
  }
  return changes
}

/** Differences for people: a line for each side, `-` before and `+` after; empty where there is none. */
export function snapshotText(changes: readonly SnapshotChange[]): string {
  return changes.flatMap(({ iova, size, before, after }) => [...line('-', iova, size, before), ...line('+', iova, size, after)]).join('\n')
}

function line(sign: string, iova: bigint, size: bigint, to: Translated | undefined): string[] {
  if (to === undefined) return []
  const prot = protNames(to.prot).join('|') || 'nothing'
  return [`${sign} ${hex(iova)}..${hex(iova + size - 1n)} -> ${hex(to.paddr)} ${prot}, pages of ${hex(to.pgsize)}`]
}

interface Segment {
  readonly iova: bigint
  readonly size: bigint
  readonly a: Translated | undefined
  readonly b: Translated | undefined
}

/** Cuts two lists of runs at each other's boundaries. */
function* segments(before: readonly SnapshotRun[], after: readonly SnapshotRun[]): Generator<Segment> {
  const edges = [...new Set([...before, ...after].flatMap(({ iova, size }) => [iova, iova + size]))].sort((a, b) => (a < b ? -1 : 1))
  let i = 0
  let j = 0
  for (const [at, iova] of edges.entries()) {
    const end = edges[at + 1]
    if (end === undefined) return
    while (before[i] !== undefined && before[i]!.iova + before[i]!.size <= iova) i++
    while (after[j] !== undefined && after[j]!.iova + after[j]!.size <= iova) j++
    const a = partOf(before[i], iova)
    const b = partOf(after[j], iova)
    if (a !== undefined || b !== undefined) yield { iova, size: end - iova, a, b }
  }
}

/** What a run translates an address to; undefined where it begins later. */
function partOf(run: SnapshotRun | undefined, iova: bigint): Translated | undefined {
  if (run === undefined || run.iova > iova) return undefined
  return { paddr: run.paddr + iova - run.iova, prot: run.prot, pgsize: run.pgsize }
}

function sameTranslation(a: Translated | undefined, b: Translated | undefined, sizes: boolean): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.paddr === b.paddr && a.prot === b.prot && (!sizes || a.pgsize === b.pgsize)
}

/** Whether a segment carries on the last change on both sides. */
function goesOn(last: SnapshotChange, a: Translated | undefined, b: Translated | undefined): boolean {
  const side = (was: Translated | undefined, is: Translated | undefined): boolean =>
    was === undefined || is === undefined
      ? was === is
      : was.paddr + last.size === is.paddr && was.prot === is.prot && was.pgsize === is.pgsize
  return side(last.before, a) && side(last.after, b)
}
