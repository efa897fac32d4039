/** Comparing what was found with what somebody else expects: row by row, column by column, nothing left out on either side. */
import type { Check, Comparison, Difference } from './report.ts'

/** A row of values; the first is its key. */
export type Row = readonly (string | number)[]

/** Differences that a report holds; the others are only counted. */
const SHOWN = 10

/**
 * Compares rows by their first column. A row is identical when every column is; a row that only one side has differs.
 */
export function compareRows(columns: readonly string[], expected: readonly Row[], got: readonly Row[]): Comparison {
  const left = new Map(got.map((row) => [row[0], row]))
  const differences: Difference[] = []
  let identical = 0
  let differing = 0
  const differ = (found: readonly Difference[]) => {
    if (found.length === 0) identical++
    else differing++
    differences.push(...found.slice(0, SHOWN - differences.length))
  }
  for (const row of expected) {
    differ(differenceOf(columns, row, left.get(row[0])))
    left.delete(row[0])
  }
  for (const row of left.values()) differ([{ where: String(row[0]), column: 'mapping', expected: 'none', got: row.join(' ') }])
  return { expected: expected.length, identical, differing, differences }
}

function differenceOf(columns: readonly string[], expected: Row, got: Row | undefined): Difference[] {
  const where = String(expected[0])
  if (got === undefined) return [{ where, column: 'mapping', expected: expected.join(' '), got: 'none' }]
  return columns.flatMap((column, i) =>
    expected[i] === got[i] ? [] : [{ where, column, expected: String(expected[i]), got: String(got[i]) }],
  )
}

/** The comparison of `count` rows that nobody expects at all. */
export function unexpected(count: number): Comparison {
  return { expected: 0, identical: 0, differing: count, differences: [] }
}

/** Whether two sides agree, and on something. */
export function agrees(comparison: Comparison): boolean {
  return comparison.differing === 0 && comparison.identical === comparison.expected && comparison.expected > 0
}

/** The check that all of several comparisons agree, and on something; one of them alone may have nothing on either side. */
export function agreement(name: string, comparisons: readonly Comparison[]): Check {
  const identical = comparisons.reduce((sum, comparison) => sum + comparison.identical, 0)
  const expected = comparisons.reduce((sum, comparison) => sum + comparison.expected, 0)
  const ok = expected > 0 && comparisons.every((one) => one.differing === 0 && one.identical === one.expected)
  return { name, ok, detail: `${identical.toLocaleString('en-US')} of ${expected.toLocaleString('en-US')}` }
}

/** Compares named facts; a name that one side lacks differs. */
export function compareFacts(expected: Readonly<Record<string, unknown>>, got: Readonly<Record<string, unknown>>): Comparison {
  const rows = (facts: Readonly<Record<string, unknown>>): Row[] =>
    Object.entries(facts).map(([name, value]) => [name, JSON.stringify(value)])
  return compareRows(['fact', 'value'], rows(expected), rows(got))
}
