/** Everything that a table's memory holds, read through the cold walker, and the comparison with a recorded dump. */
import { hex, type IoPageTable, type LevelNode, slotBytes, type VectorBinding, type VectorLevel, walkTables } from '@io-pgtable/core'
import { entryText } from './notation.ts'
import type { LeafFold, TableEntry } from './operations.ts'
import type { Place, Report } from './report.ts'

/** In the order of the input addresses, a table before its own entries. */
export interface Snapshot {
  /** Every slot of a leaf, repeated ones too. */
  readonly leaves: readonly LeafSlot[]
  readonly tables: readonly TableEntry[]
  /** Entries that no sound table has, and tables outside the memory. */
  readonly broken: readonly string[]
}

/** A slot of a leaf, and the bytes that it translates. */
export interface LeafSlot extends TableEntry {
  readonly bytes: number
}

interface Entry {
  readonly iova: bigint
  readonly node: LevelNode
  readonly raw: bigint
}

/** Reads the whole tree, or what translates the bytes of `range`. */
export function snapshot(table: IoPageTable, binding: VectorBinding, range?: { readonly first: bigint; readonly last: bigint }): Snapshot {
  const leaves: LeafSlot[] = []
  const tables: TableEntry[] = []
  const broken: string[] = []
  const entry = ({ iova, node, raw }: Entry) => ({ iova, level: binding.level(node), raw })
  const visitor = {
    leaf: (leaf: Entry) => void leaves.push({ ...entry(leaf), bytes: slotBytes(leaf.node) }),
    table: (below: Entry) => void tables.push(entry({ ...below, raw: below.raw & ~binding.tableAddressMask(table.config, below.node) })),
    invalid: (bad: Entry) => void broken.push(`invalid entry ${entryText(entry(bad))}`),
    unknown: (hole: { readonly iova: bigint; readonly table: bigint }) =>
      void broken.push(`table ${hex(hole.table)} of iova ${hex(hole.iova)} outside the memory`),
  }
  walkTables(table.geometry, table.roots, table.readMemory, visitor, range)
  return { leaves, tables, broken }
}

/**
 * Every slot of recorded leaves.
 * @param slotBytes what one slot of a level translates, in bytes; undefined for a level that the table lacks
 * @param got the slots that are there: they tell apart levels of one name whose slots differ
 */
export function unfold(
  folds: readonly LeafFold[],
  slotBytes: (level: VectorLevel) => number | undefined,
  got: readonly LeafSlot[],
): TableEntry[] {
  const slots: TableEntry[] = []
  for (const { iova, level, raw, count, step } of folds) {
    const there = got[slots.length]
    const known = there?.iova === iova && there.level === level ? there.bytes : slotBytes(level)
    const span = BigInt(known ?? 0)
    for (let i = 0n; i < count; i++) slots.push({ iova: iova + i * span, level, raw: raw + i * step })
  }
  return slots
}

/** Compares two lists of entries; the message is of the first that differ. */
export function checkEntries(
  report: Report,
  place: Place,
  what: string,
  expected: readonly TableEntry[],
  got: readonly TableEntry[],
): void {
  const first = firstDifference(expected, got)
  if (first !== undefined) report.check(place, `${what} ${first.index} of ${expected.length}`, first.expected, first.got)
}

/** The first difference of two lists of entries: where it is, and both sides; undefined when they are equal. */
function firstDifference(
  expected: readonly TableEntry[],
  got: readonly TableEntry[],
): { readonly index: number; readonly expected: string; readonly got: string } | undefined {
  for (let index = 0; index < Math.max(expected.length, got.length); index++) {
    if (isSame(expected[index], got[index])) continue
    const sides = { expected: textAt(expected, index), got: textAt(got, index) }
    if (sides.expected !== sides.got) return { index, ...sides }
  }
  return undefined
}

function isSame(one: TableEntry | undefined, other: TableEntry | undefined): boolean {
  return one !== undefined && one.iova === other?.iova && one.level === other.level && one.raw === other.raw
}

function textAt(entries: readonly TableEntry[], index: number): string {
  const entry = entries[index]
  return entry === undefined ? `nothing after ${entries.length} entries` : entryText(entry)
}
