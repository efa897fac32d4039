import { expect, test } from 'vitest'
import { baselineOf, judge } from '../src/guard.ts'
import type { Cell, Report } from '../src/report.ts'

const cell = (minRatio: number): Cell => ({ runs: 15, median: 1, min: 1, spread: 0, ratio: minRatio, minRatio })

function report(ratios: Record<string, { one?: number; all?: number }>): Report {
  const rows = Object.entries(ratios).map(([id, { one, all }]) => ({
    ...{ id, title: id, unit: 'call', units: 1 },
    ...(one !== undefined && { one: cell(one) }),
    ...(all !== undefined && { all: cell(all) }),
  }))
  const machine = { cpu: 'any', cpus: 1, node: '20', v8: '11', platform: 'any' }
  return { machine, mode: 'quick', isolated: false, rows, heap: [] }
}

test('a run is no worse than the baseline made of it', () => {
  const run = report({ a: { one: 2, all: 2.4 }, b: { all: 7 } })
  expect(baselineOf(run)).toEqual({ 'a, one format': 2, 'a, all formats': 2.4, 'b, all formats': 7 })
  expect(judge(run, baselineOf(run))).toEqual({ lines: [], failed: false })
})

test('over 1.5 times the ratio is a warning, over 3 times a failure', () => {
  const at = (ratio: number) => judge(report({ a: { all: ratio } }), { 'a, all formats': 2 })
  expect(at(2.9).lines).toEqual([])
  expect(at(3.2)).toEqual({ lines: ['warn a, all formats: 3.20 × fill, 1.60 times the 2 that is checked in'], failed: false })
  expect(at(6.2)).toEqual({ lines: ['FAIL a, all formats: 6.20 × fill, 3.10 times the 2 that is checked in'], failed: true })
})

test('rows that only one side knows fail', () => {
  expect(judge(report({ a: { one: 1 } }), { 'a, all formats': 1 })).toEqual({
    lines: ['FAIL a, all formats: not measured', 'FAIL a, one format: not in the baseline'],
    failed: true,
  })
})
