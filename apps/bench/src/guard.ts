/** The guard against regressions: ratios to `fill` of this run against those that are checked in. Never absolute times: machines differ. */
import type { Cell, Report } from './report.ts'

/** Ratios by the names of row and column. */
export type Baseline = Readonly<Record<string, number>>

export interface Verdict {
  readonly lines: readonly string[]
  readonly failed: boolean
}

const WARN = 1.5
const FAIL = 3

/** By the minima, which other programs on the machine disturb least. */
function ratiosOf({ rows }: Report): Map<string, number> {
  const named = (name: string, cell: Cell | undefined): [string, number][] => (cell === undefined ? [] : [[name, cell.minRatio]])
  return new Map(rows.flatMap(({ id, one, all }) => [...named(`${id}, one format`, one), ...named(`${id}, all formats`, all)]))
}

export function baselineOf(report: Report): Record<string, number> {
  return Object.fromEntries([...ratiosOf(report)].map(([name, ratio]) => [name, Number(ratio.toPrecision(3))]))
}

/** A row that is missing from either side fails: the guard would otherwise watch less than it seems to. */
export function judge(report: Report, baseline: Baseline): Verdict {
  const found = ratiosOf(report)
  const gone = Object.keys(baseline).filter((id) => !found.has(id))
  const fresh = [...found.keys()].filter((id) => baseline[id] === undefined)
  const slow = [...found].flatMap(([id, ratio]) => {
    const times = ratio / (baseline[id] ?? ratio)
    return times > WARN ? [{ id, ratio, times }] : []
  })
  const lines = [
    ...gone.map((id) => `FAIL ${id}: not measured`),
    ...fresh.map((id) => `FAIL ${id}: not in the baseline`),
    ...slow.map(
      ({ id, ratio, times }) =>
        `${times > FAIL ? 'FAIL' : 'warn'} ${id}: ${ratio.toPrecision(3)} × fill, ${times.toFixed(2)} times the ${baseline[id]} that is checked in`,
    ),
  ]
  return { lines, failed: lines.some((line) => line.startsWith('FAIL')) }
}
