/** A pool of four workers on one table: a million calls on disjoint ranges, which race for the upper tables; then overlapping ranges. */
import { IoPageTable } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { expectNoLeak, expectSound, leavesOf, MiB, newPool } from '../test/helpers.ts'
import type { RaceData } from '../test/race-worker.ts'
import { type RaceShape, runRaces, runSteps } from '../test/races.ts'
import { bundled, runWorker } from '../test/threads.ts'
import { type Toy, toy } from '../test/toy-format.ts'
import type { OverlapData, OverlapReport } from './overlap-worker.ts'

const THREADS = 4
const SHAPE: RaceShape = { toy: { indexBits: 9 }, threads: THREADS, rounds: 4000, steps: 180_000 }

function sharedTable(rangeLock = false): { pool: PtPool; table: IoPageTable<Toy> } {
  const pool = newPool(SHAPE.toy, { size: 128 * MiB, shared: true })
  const config = { pgsizeBitmap: 0x20_1000n, ias: 39, oas: 52 }
  return { pool, table: IoPageTable.createRaw(toy(SHAPE.toy), { allocator: pool, ...config, debug: { rangeLock } }) }
}

describe.each([
  ['without the debug mode', false],
  ['with it', true],
])('%s', (_name, rangeLock) => {
  test('a million calls on disjoint ranges leave what one thread after the other leaves', async () => {
    const code = await bundled('../test/race-worker.ts')
    const raced = sharedTable(rangeLock)
    const data = { token: raced.table.share(), shape: SHAPE, barrier: new SharedArrayBuffer(8) }
    const threads = Array.from({ length: THREADS }, (_, me) =>
      runWorker<{ checks: number; calls: number }>(code, { ...data, me } satisfies RaceData),
    )
    const reports = await Promise.all(threads)
    expect(reports.reduce((sum, { calls }) => sum + calls, 0)).toBeGreaterThan(1_000_000)
    for (const { checks } of reports) expect(checks).toBeGreaterThan(10_000)

    const alone = sharedTable()
    for (let me = 0; me < THREADS; me++) runRaces(alone.table, SHAPE, me, () => {})
    for (let me = 0; me < THREADS; me++) runSteps(alone.table, SHAPE, me)
    expect(leavesOf(raced.table)).toEqual(leavesOf(alone.table))
    expect(raced.table.tableBytes).toBe(alone.table.tableBytes)
    expectSound(raced)
    expectNoLeak(raced)
  })
})

/** All threads on the same ranges. */
async function overlap(table: IoPageTable<Toy>, calls: number): Promise<OverlapReport> {
  const code = await bundled('../long/overlap-worker.ts')
  const data = { token: table.share(), threads: THREADS, calls: calls / THREADS, shared: new SharedArrayBuffer(64) }
  const reports = await Promise.all(
    Array.from({ length: THREADS }, (_, me) => runWorker<OverlapReport>(code, { ...data, me } satisfies OverlapData)),
  )
  const sum = (of: (report: OverlapReport) => number): number => reports.reduce((total, report) => total + of(report), 0)
  return {
    calls: sum((report) => report.calls),
    refused: sum((report) => report.refused),
    together: sum((report) => report.together),
    broken: reports.flatMap(({ broken }) => broken),
  }
}

test('a million calls on overlapping ranges: the debug mode refuses what overlaps, and no two threads are ever in one range', async () => {
  const { pool, table } = sharedTable(true)
  const { calls, refused, together, broken } = await overlap(table, 1_000_000)
  expect([calls, together, broken]).toEqual([1_000_000, 0, []])
  expect(refused).toBeGreaterThan(1000)
  expectSound({ pool, table })
  expectNoLeak({ pool, table })
})

test('without it they are, so that the test above can fail', async () => {
  const { table } = sharedTable()
  const { refused, together, broken } = await overlap(table, 40_000)
  expect(refused).toBe(0)
  expect(together + broken.length).toBeGreaterThan(0)
})
