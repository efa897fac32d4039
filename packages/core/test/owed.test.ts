/** What a callback that threw left undone is done with the next flush, as the driver sees it. The kit's law `tlb/failed-flush` asks every format. */
import { IotlbGather, Prot, type TlbFlushOps } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, type BenchOptions, BLOCK, bench, expectNoLeak, HUGE, logged, PAGE, RW } from './helpers.ts'
import type { Shape } from './toy-format.ts'

/** A driver whose n-th call of one callback throws, once. */
function failing(which: keyof TlbFlushOps, ops: TlbFlushOps): { tlb: TlbFlushOps; fail(): void } {
  let armed = false
  const callback = ops[which] as (...args: unknown[]) => void
  const thrower = (...args: unknown[]): void => {
    if (armed) {
      armed = false
      throw new Error('CMD_SYNC timeout')
    }
    callback(...args)
  }
  return { tlb: { ...ops, [which]: thrower }, fail: () => void (armed = true) }
}

/** Ranges that the driver was asked to invalidate by its syncs. */
function ranges(log: string[]): TlbFlushOps {
  return {
    flushAll: () => void log.push('all'),
    flushWalk: () => {},
    sync: ({ empty, first, last }) => void (empty || log.push(`${first.toString(16)}..${last.toString(16)}`)),
  }
}

type Call = (b: Bench, gather?: IotlbGather) => unknown
const CALLS: [string, Call, string][] = [
  ['protect', (b, gather) => b.table.protect(0n, 4 * PAGE, Prot.READ, { gather }), '0..3fff'],
  ['unmap', (b) => b.table.unmap(0n, 4 * PAGE), '0..3fff'],
  ['cut', (b, gather) => b.table.cut(0x10_1000n, gather), '100000..1fffff'],
]

describe.each(CALLS)('%s: sync throws', (_name, call, range) => {
  test.each([
    ['noted by the engine', {}],
    ['in a covered tree', { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }],
  ] as [string, Partial<Shape>][])('%s: the retry asks for the range', (_shape, shape) => {
    const log: string[] = []
    const { tlb, fail } = failing('sync', ranges(log))
    const b = bench(shape, { tlb: { ...tlb, addPages: undefined } as BenchOptions['tlb'] & object })
    b.table.mapPages(0n, 0n, PAGE, 8, RW)
    b.table.mapPages(0x10_0000n, 0n, HUGE, 1, RW)
    fail()
    expect(() => call(b)).toThrow('CMD_SYNC timeout')
    expect(log).toEqual([])
    call(b)
    expect(log).toEqual([range])
    // told once
    b.table.unmap(0x80_0000n, PAGE)
    expect(log).toEqual([range])
    expectNoLeak(b)
  })
})

test('a driver that counts pages is told them again; with very many, it is asked to invalidate everything', () => {
  const log: string[] = []
  const { tlb, fail } = failing('addPages', logged(log))
  const b = bench({ indexBits: 9 }, { tlb, config: { ias: 39, pgsizeBitmap: 0x4020_1000n } })
  b.table.map(0n, 0n, 4 * PAGE, RW)
  b.table.map(2n ** 38n, 0n, PAGE, RW)
  fail()
  expect(() => b.table.unmap(0n, 4 * PAGE)).toThrow('CMD_SYNC timeout')
  log.length = 0
  expect(b.table.unmapPages(0n, PAGE, 4)).toBe(0)
  expect(log).toEqual(['pages 0 1000 x4', 'sync'])
  b.table.map(0n, 0n, PAGE, RW)
  const gather = new IotlbGather()
  for (const iova of [0n, 2n ** 38n]) {
    fail()
    expect(() => b.table.unmapPages(iova, PAGE, 1, gather)).toThrow('CMD_SYNC timeout')
  }
  log.length = 0
  gather.sync()
  expect(log).toEqual(['all', 'sync'])
  expectNoLeak(b)
})

test("what a caller's gather lacks, since a callback threw, its sync brings", () => {
  const log: string[] = []
  const { tlb, fail } = failing('addPages', logged(log))
  const b = bench({ dirty: true }, { tlb })
  b.table.mapPages(0n, 0n, PAGE, 8, RW)
  const gather = new IotlbGather()
  fail()
  // one page, by the short way
  expect(() => b.table.unmapPages(0n, PAGE, 1, gather)).toThrow('CMD_SYNC timeout')
  log.length = 0
  gather.sync()
  expect(log).toEqual(['pages 0 1000 x1', 'sync'])
  fail()
  expect(() => b.table.unmapPages(0x1000n, PAGE, 2, gather)).toThrow('CMD_SYNC timeout')
  log.length = 0
  expect(b.table.unmapPages(0x1000n, PAGE, 2, gather)).toBe(0)
  gather.sync()
  expect(log).toEqual(['pages 1000 1000 x2', 'sync'])
  expectNoLeak(b)
})

test('a flushWalk that threw is called again, before its table is free and anything takes its place', () => {
  const log: string[] = []
  const { tlb, fail } = failing('flushWalk', logged(log))
  const b = bench({}, { tlb })
  b.table.mapPages(0n, 0n, PAGE, 16, RW)
  b.table.unmapPages(0n, PAGE, 16)
  fail()
  expect(() => b.table.mapPages(0n, 0n, BLOCK, 1, RW)).toThrow('CMD_SYNC timeout')
  log.length = 0
  expect(b.table.mapPages(0n, 0n, BLOCK, 1, RW).error).toBeUndefined()
  expect(log).toEqual(['walk 0 10000 1000', 'sync'])
  expectNoLeak(b)
})

test('memory that the walker was not told of is told before anything else', () => {
  const seen: string[] = []
  let armed = false
  const sync = (paddr: bigint, bytes: number): void => {
    if (armed) {
      armed = false
      throw new Error('probe lost')
    }
    seen.push(`${(paddr & 0xffffn).toString(16)}+${bytes}`)
  }
  const b = bench({}, { pool: { sync } })
  b.table.mapPages(0n, 0n, PAGE, 1, RW)
  armed = true
  expect(() => b.table.protect(0n, PAGE, Prot.READ)).toThrow('probe lost')
  seen.length = 0
  expect(b.table.protect(0n, PAGE, Prot.READ)).toBe(PAGE)
  expect(seen).toEqual(['100+8'])
})
