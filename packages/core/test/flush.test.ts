/** The TLB callbacks: which ones, with what, in which order, and that the state is consistent before each. */
import { IotlbGather, NOOP_FLUSH_OPS, perPage, type TlbFlushOps } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, BLOCK, bench, device, expectNoLeak, expectSound, HUGE, PAGE, RW, TABLE } from './helpers.ts'

const WALKS_FIRST = {} as const
const SLOT_ORDER = { policy: { flushOrder: 'slot-order' } } as const

/** Block, tables, block, table, in consecutive slots of one table. */
function mixed(b: Bench): void {
  b.table.mapPages(0n, 0n, BLOCK, 1, RW)
  b.table.mapPages(0x1_0000n, 0n, PAGE, 32, RW)
  b.table.mapPages(0x3_0000n, 0n, BLOCK, 2, RW)
  b.table.mapPages(0x5_0000n, 0n, PAGE, 1, RW)
}

test('walks first: every flushWalk, then one addPages for every slot, tables too', () => {
  const b = bench(WALKS_FIRST)
  mixed(b)
  expect(b.table.unmapPages(0n, BLOCK, 6, new IotlbGather())).toBe(6 * BLOCK)
  expect(b.log).toEqual(['walk 10000 10000 1000', 'walk 20000 10000 1000', 'walk 50000 10000 1000', 'pages 0 10000 x6'])
})

test('slot order: leaves in runs, tables one by one and without addPages', () => {
  const b = bench(SLOT_ORDER)
  mixed(b)
  expect(b.table.unmapPages(0n, BLOCK, 6, new IotlbGather())).toBe(6 * BLOCK)
  expect(b.log).toEqual([
    'pages 0 10000 x1',
    'walk 10000 10000 1000',
    'walk 20000 10000 1000',
    'pages 30000 10000 x2',
    'walk 50000 10000 1000',
  ])
})

test('a run of leaves is one event for each table', () => {
  for (const shape of [WALKS_FIRST, SLOT_ORDER]) {
    const b = bench(shape)
    b.table.mapPages(0x8000n, 0n, PAGE, 30, RW)
    expect(b.table.unmapPages(0x8000n, PAGE, 30, new IotlbGather())).toBe(30 * PAGE)
    expect(b.log).toEqual(['pages 8000 1000 x8', 'pages 10000 1000 x16', 'pages 20000 1000 x6'])
  }
})

test('a hole tells only the prefix', () => {
  const b = bench(WALKS_FIRST)
  b.table.mapPages(0n, 0n, PAGE, 5, RW)
  expect(b.table.unmapPages(0n, PAGE, 16, new IotlbGather())).toBe(5 * PAGE)
  expect(b.table.unmapPages(0x5000n, PAGE, 1, new IotlbGather())).toBe(0)
  expect(b.log).toEqual(['pages 0 1000 x5'])
})

test('mapping has no events, but for the empty tables that it replaces', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 300, RW)
  b.table.mapRange(0x20_0000n, 0n, 3 * HUGE, RW)
  expect(b.log).toEqual([])
})

describe('without a gather', () => {
  test('leaves are told only by the policy for it, with no gather', () => {
    for (const addPagesWithoutGather of [false, true]) {
      const b = bench({ policy: { addPagesWithoutGather } })
      b.table.mapPages(0n, 0n, PAGE, 4, RW)
      b.table.unmapPages(0n, PAGE, 4)
      expect(b.log).toEqual(addPagesWithoutGather ? ['pages 0 1000 x4 no gather'] : [])
    }
  })

  test('a table is freed after its flushWalk, and is allocated and out of reach while that runs', () => {
    for (const shape of [WALKS_FIRST, SLOT_ORDER]) {
      const seen: unknown[] = []
      const flushWalk = (iova: bigint): void => {
        seen.push([iova, b.table.iovaToPhys(iova), device(b, iova), b.pool.stats().live / TABLE])
      }
      const b = bench(shape, { tlb: { flushWalk } })
      b.table.mapPages(0n, 0n, PAGE, 32, RW)
      b.table.unmapPages(0n, BLOCK, 2)
      expect(seen).toEqual([
        [0n, undefined, 'empty', 4],
        [0x1_0000n, undefined, 'empty', 3],
      ])
      expectSound(b)
    }
  })
})

test('a driver without addPages: the gather notes its own range', () => {
  const { flushAll, flushWalk } = NOOP_FLUSH_OPS
  const b = bench(WALKS_FIRST, { tlb: { flushAll, flushWalk, addPages: undefined as never, sync: undefined as never } })
  b.table.mapPages(0x3000n, 0n, PAGE, 4, RW)
  b.table.mapPages(0x10_0000n, 0n, HUGE, 1, RW)
  const gather = new IotlbGather()
  expect([gather.empty, gather.granule]).toEqual([true, 0])
  b.table.unmapPages(0x10_0000n, HUGE, 1, gather)
  expect([gather.first, gather.last, gather.granule]).toEqual([0x10_0000n, 0x1f_ffffn, HUGE])
  b.table.unmapPages(0x3000n, PAGE, 4, gather)
  expect([gather.first, gather.last, gather.granule, gather.empty]).toEqual([0x3000n, 0x1f_ffffn, PAGE, false])
  gather.sync()
  expect([gather.granule, gather.empty]).toEqual([0, true])
})

test('perPage: one call for each leaf, as Linux has it', () => {
  const calls: unknown[] = []
  const addPages = perPage((gather, iova, granule) => calls.push([gather instanceof IotlbGather, iova, granule]))
  const b = bench({}, { tlb: { addPages } })
  b.table.mapPages(0xff_e000n, 0n, PAGE, 2, RW)
  b.table.unmapPages(0xff_e000n, PAGE, 2, new IotlbGather())
  expect(calls).toEqual([
    [true, 0xff_e000n, PAGE],
    [true, 0xff_f000n, PAGE],
  ])
  calls.length = 0
  addPages(undefined, 2n ** 64n - 0x8000_0000n, 2 ** 30, 2)
  expect(calls).toEqual([
    [false, 2n ** 64n - 0x8000_0000n, 2 ** 30],
    [false, 2n ** 64n - 0x4000_0000n, 2 ** 30],
  ])
})

test('a queued gather: no addPages, but flushWalk and sync as always', () => {
  for (const shape of [WALKS_FIRST, SLOT_ORDER]) {
    const b = bench(shape)
    b.table.mapPages(0n, 0n, PAGE, 17, RW)
    b.table.mapPages(0x2_0000n, 0n, BLOCK, 1, RW)
    const gather = new IotlbGather({ queued: true })
    expect(b.table.unmapPages(0n, BLOCK, 3, gather)).toBe(3 * BLOCK)
    expect(b.log).toEqual(['walk 0 10000 1000', 'walk 10000 10000 1000'])
    expect([gather.empty, gather.pendingTables]).toEqual([true, 2])
    expectSound(b, 2 * TABLE)
    gather.sync()
    expect(b.log.at(-1)).toBe('sync')
    expectSound(b)
  }
})

test('free: flushAll once, while every table is still there', () => {
  const seen: unknown[] = []
  const flushAll = (): void => void seen.push(b.pool.stats().live, b.table.iovaToPhys(0n), device(b, 0n))
  const b = bench({}, { tlb: { flushAll } })
  b.table.mapPages(0n, 0x5000n, PAGE, 1, RW)
  expectNoLeak(b)
  expect(seen).toEqual([3 * TABLE, 0x5000n, expect.objectContaining({ paddr: 0x5000n })])
})

test('NOOP_FLUSH_OPS, the default: tables come and go all the same', () => {
  for (const tlb of [NOOP_FLUSH_OPS, undefined] as (TlbFlushOps | undefined)[]) {
    const b = bench({}, { tlb: { ...tlb } })
    mixed(b)
    const gather = new IotlbGather()
    b.table.unmapPages(0n, BLOCK, 6, gather)
    gather.sync()
    expectSound(b)
    expectNoLeak(b)
  }
  expect(Object.isFrozen(NOOP_FLUSH_OPS)).toBe(true)
})

test('the granule of flushWalk is the smallest page of the table, not of the format', () => {
  const b = bench({}, { config: { pgsizeBitmap: BigInt(BLOCK | HUGE) } })
  b.table.mapPages(0n, 0n, BLOCK, 1, RW)
  b.table.unmapPages(0n, HUGE, 1)
  expect(b.log).toEqual(['walk 0 100000 10000'])
})
