/** What a comparison of two versions found, as JSON and as a table. */
import type { Comparison, Times } from './compare.ts'
import { columns, type Machine, ns } from './report.ts'

/** With one format in use, or with every one. */
export type Column = 'one' | 'all'

export interface RowComparison extends Comparison {
  readonly id: string
  readonly column: Column
  readonly unit: string
  /** Each process's figure. */
  readonly processes: { readonly here: Times; readonly ref: Times; readonly copy: Times }
}

export interface Judgement {
  readonly commit: string
  readonly machine: Machine
  /** The processor that all processes ran on, or undefined where they ran on any. */
  readonly core: number | undefined
  /** Processes of each. */
  readonly runs: number
  readonly rows: readonly RowComparison[]
  readonly onlyHere: readonly string[]
  readonly onlyRef: readonly string[]
  /** Rows of one name that do not measure the same. */
  readonly unlike: readonly string[]
}

const HEAD = ['row', 'formats', 'REF', 'here', 'here/REF', 'REF/REF', '']

/** The table, then the rows that were not compared, then those that are slower. */
export function renderJudgement(judgement: Judgement): string {
  const { commit, core, runs, rows, onlyHere, onlyRef, unlike } = judgement
  const { cpu, platform, node, v8 } = judgement.machine
  const lines = rows.map(({ id, column, ref, here, ratio, spread, slower }) => {
    return [id, column, ns(ref), ns(here), ratio.toFixed(3), spread.toFixed(3), slower ? 'slower' : '']
  })
  return [
    `${cpu}, ${platform}, Node ${node}, V8 ${v8}; ${core === undefined ? 'not pinned: there is no taskset' : `pinned to core ${core}`}`,
    `REF is ${commit}; nanoseconds a unit, the least of ${runs} fresh processes of each`,
    'REF/REF: the spread that REF has against itself in this run',
    '',
    ...columns([HEAD, ...lines]).map((line) => line.trimEnd()),
    '',
    ...onlyHere.map((id) => `only here: ${id}`),
    ...onlyRef.map((id) => `only in REF: ${id}`),
    ...unlike.map((id) => `not the same work here and in REF: ${id}`),
    ...verdictOf(rows),
    '',
  ].join('\n')
}

function verdictOf(rows: readonly RowComparison[]): string[] {
  const slower = rows.filter((row) => row.slower)
  if (slower.length === 0) return [`none of ${rows.length} figures is slower`]
  const line = ({ id, column, ratio, spread }: RowComparison): string =>
    `  ${id}, ${column === 'one' ? 'one format' : 'all formats'}: ${ratio.toFixed(3)} times REF, which is up to ${spread.toFixed(3)} times itself`
  return [`slower, ${slower.length} of ${rows.length} figures:`, ...slower.map(line)]
}
