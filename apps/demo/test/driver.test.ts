import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { pgsizeBitmap, SZ_1M, SZ_2M, SZ_4K, SZ_16K, SZ_16M, SZ_32M, SZ_64K } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { driveGpu } from '../src/driver.ts'

const lpae = driveGpu(arm64LpaeS1, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 48, oas: 48 })
const v7s = driveGpu(armV7s, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 })

describe.each([lpae, v7s])('$format', (report) => {
  test('every check passes', () => {
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(report.checks).toHaveLength(6)
  })

  test('every page of every buffer translates', () => {
    expect(report.batch).toEqual({ translated: 10846, wrong: 0 })
    for (const { size, pages } of report.buffers) expect(pages.reduce((sum, { pgsize, count }) => sum + pgsize * count, 0)).toBe(size)
  })

  test('the device takes everything with it', () => {
    expect(report.revoked).toEqual({ access: 'ENODEV', use: 'ENODEV', events: [{ call: 'flushAll' }] })
    expect(report.leakedBytes).toBe(0)
    expect(report.peakBytes).toBeGreaterThan(report.tableBytes)
  })

  test('the walk is explained from the declaration', () => {
    const { walk } = report.translation
    expect(walk.map(({ type }) => type)).toEqual([...walk.slice(1).map(() => 'table'), 'leaf'])
    for (const [i, step] of walk.entries()) if (i > 0) expect(step.table).toBe(walk[i - 1]?.target)
    expect(walk.at(-1)?.target).toBe((report.translation.paddr ?? 0n) & ~0xfffn)
  })
})

test('arm64-lpae-s1: pages, descriptors, events', () => {
  expect(lpae.buffers.find(({ name }) => name === 'textures')).toMatchObject({
    descriptor: 0x60_0000_5000_0fc5n,
    pages: [
      { pgsize: SZ_2M, count: 17 },
      { pgsize: SZ_4K, count: 5 },
    ],
  })
  expect(lpae.translation.walk.map(({ level }) => level)).toEqual([0, 1, 2, 3])
  expect(lpae.conflict).toEqual({ pages: 4, taken: 3, error: 'EEXIST', mapped: 0, warnings: 1 })
  expect(lpae.spanningUnmap).toMatchObject({ pgsize: SZ_2M, half: SZ_1M, unmapped: SZ_2M })
  expect(lpae.spanningUnmap.events).toEqual([
    { call: 'flushWalk', iova: 0n, size: SZ_2M, granule: SZ_4K },
    { call: 'addPages', iova: 0n, granule: SZ_2M, count: 1 },
    { call: 'sync', iova: 0n, size: SZ_2M, granule: SZ_2M },
  ])
  const { before, mapped, unmapped, synced } = lpae.spanningUnmap.tableBytes
  expect([mapped - before, unmapped, synced]).toEqual([4096, mapped, before])
})

test('arm-v7s: pages, descriptors, events', () => {
  expect(v7s.buffers.find(({ name }) => name === 'textures')).toMatchObject({
    pages: [
      { pgsize: SZ_16M, count: 2 },
      { pgsize: SZ_1M, count: 2 },
      { pgsize: SZ_4K, count: 5 },
    ],
  })
  expect(v7s.translation.walk.map(({ level }) => level)).toEqual([1, 2])
  expect(v7s.conflict).toEqual({ pages: 4, taken: 3, error: 'EEXIST', mapped: 2 * SZ_4K, warnings: 1 })
  expect(v7s.spanningUnmap).toMatchObject({ pgsize: SZ_1M, half: SZ_1M / 2, unmapped: SZ_1M })
  expect(v7s.spanningUnmap.events).toEqual([{ call: 'flushWalk', iova: 0n, size: SZ_1M, granule: SZ_4K }, { call: 'sync' }])
  const { before, mapped, unmapped, synced } = v7s.spanningUnmap.tableBytes
  expect([mapped - before, unmapped, synced]).toEqual([1024, mapped, before])
})

test('the scenario is of no format: another granule needs no other code', () => {
  const report = driveGpu(armV7s, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_1M), ias: 32, oas: 32, quirks: ['NO_PERMS'] })
  expect(report.checks.every(({ ok }) => ok)).toBe(true)
  expect(() => driveGpu(arm64LpaeS1, { pgsizeBitmap: pgsizeBitmap(SZ_16K, SZ_32M), ias: 48, oas: 48 })).toThrow(/EINVAL/)
})
