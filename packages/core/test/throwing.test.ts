/** Callbacks that throw: the error reaches the caller, no table and no range is lost, and nothing is leaked. */
import { IotlbGather } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, BLOCK, bench, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, TABLE } from './helpers.ts'
import type { Shape } from './toy-format.ts'

/** A table whose callbacks throw from the n-th call of that name on, once. */
function faulty(
  which: 'flushWalk' | 'addPages' | 'sync' | 'flushAll' | 'memory',
  shape: Partial<Shape> = {},
): Bench & { fail(n: number): void } {
  let left = Number.POSITIVE_INFINITY
  const hit = (name: string): void => {
    if (name !== which || --left !== 0) return
    throw new Error(`${name} failed`)
  }
  const tlb = Object.fromEntries(['flushWalk', 'addPages', 'sync', 'flushAll'].map((name) => [name, () => hit(name)]))
  return { ...bench(shape, { tlb, pool: { sync: () => hit('memory') } }), fail: (n) => void (left = n) }
}

const ORDERS: [string, Partial<Shape>][] = [
  ['walks first', {}],
  ['slot order', { policy: { flushOrder: 'slot-order' } }],
]

describe.each(ORDERS)('%s: flushWalk throws', (_name, shape) => {
  test('without a gather: its table waits for the next flush, the earlier ones are free, the later ones are mapped', () => {
    const b = faulty('flushWalk', shape)
    b.table.mapPages(0n, 0n, PAGE, 48, RW)
    b.fail(2)
    expect(() => b.table.unmapPages(0n, BLOCK, 3)).toThrow('flushWalk failed')
    expect([0n, 0x1_0000n, 0x2_0000n].map((iova) => b.table.iovaToPhys(iova))).toEqual([undefined, undefined, 0x2_0000n])
    expectSound(b, TABLE)
    expect(b.table.unmapPages(0x2_0000n, BLOCK, 1)).toBe(BLOCK)
    expectSound(b)
    expect(b.table.mapPages(0n, 0n, PAGE, 48, RW)).toEqual({ mapped: 48 * PAGE, error: undefined })
    expectNoLeak(b)
  })

  test('with a gather: the tables wait in it', () => {
    const b = faulty('flushWalk', shape)
    b.table.mapPages(0n, 0n, PAGE, 48, RW)
    const gather = new IotlbGather()
    b.fail(2)
    expect(() => b.table.unmapPages(0n, BLOCK, 3, gather)).toThrow('flushWalk failed')
    expect(gather.pendingTables).toBe(2)
    expectSound(b, 2 * TABLE)
    gather.sync()
    expectSound(b)
    expectNoLeak(b)
  })

  test('in unmap, whose gather is its own: the tables wait for the next flush', () => {
    const b = faulty('flushWalk', shape)
    b.table.mapPages(0n, 0n, PAGE, 48, RW)
    b.fail(2)
    expect(() => b.table.unmap(0n, 3 * BLOCK)).toThrow('flushWalk failed')
    expectSound(b, 2 * TABLE)
    expectNoLeak(b)
  })

  test('where a block replaces an empty table: nothing is written over a table that was not flushed', () => {
    const b = faulty('flushWalk', shape)
    b.table.mapPages(0n, 0n, PAGE, 32, RW)
    b.table.unmapPages(0n, PAGE, 32)
    b.fail(2)
    expect(() => b.table.mapPages(0n, 0n, BLOCK, 2, RW)).toThrow('flushWalk failed')
    expectSound(b, TABLE)
    expect(leavesOf(b.table)).toEqual([])
    expect(b.table.mapPages(0n, 0n, BLOCK, 2, RW).error).toBeUndefined()
    expectSound(b)
    expectNoLeak(b)
  })
})

test.each(ORDERS)('%s: addPages throws: the leaves are gone, the tables wait', (_name, shape) => {
  const b = faulty('addPages', shape)
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  const gather = new IotlbGather()
  b.fail(1)
  expect(() => b.table.unmapPages(0n, PAGE, 32, gather)).toThrow('addPages failed')
  expect([b.table.iovaToPhys(0n), b.table.iovaToPhys(0x1_0000n)]).toEqual([undefined, 0x1_0000n])
  expectSound(b)
  expect(b.table.unmapPages(0n, BLOCK, 2, gather)).toBe(2 * BLOCK)
  expectSound(b, 2 * TABLE)
  gather.sync()
  b.table.mapPages(0n, 0n, BLOCK, 1, RW)
  b.fail(1)
  expect(() => b.table.unmap(0n, BLOCK)).toThrow('addPages failed')
  expectSound(b)
  expectNoLeak(b)
})

test('sync throws: the gather keeps everything, and another sync frees it', () => {
  const b = faulty('sync')
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  const gather = new IotlbGather()
  b.table.unmapPages(0n, BLOCK, 2, gather)
  b.fail(1)
  expect(() => gather.sync()).toThrow('sync failed')
  expect(gather.pendingTables).toBe(2)
  expectSound(b, 2 * TABLE)
  gather.sync()
  expectSound(b)
  expectNoLeak(b)
})

test('sync throws in unmap: the tables wait for the next flush', () => {
  const b = faulty('sync')
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  b.fail(1)
  expect(() => b.table.unmap(0n, 2 * BLOCK)).toThrow('sync failed')
  expectSound(b, 2 * TABLE)
  expect(b.table.iovaToPhys(0n)).toBeUndefined()
  expectNoLeak(b)
})

test('flushAll throws: nothing is freed, the table lives, and another free works', () => {
  const b = faulty('flushAll')
  b.table.mapPages(0n, 0x7000n, PAGE, 1, RW)
  b.fail(1)
  expect(() => b.table.free()).toThrow('flushAll failed')
  expect(b.table.iovaToPhys(0n)).toBe(0x7000n)
  expectSound(b)
  b.fail(1)
  expect(() => b.table[Symbol.dispose]()).toThrow('flushAll failed')
  expectSound(b)
  expectNoLeak(b)
})

describe("the memory's sync hook throws at its n-th call", () => {
  /** Every structure change: tables made, replaced, taken down with and without gathers. */
  const scenario = (b: Bench): void => {
    b.table.mapPages(0n, 0n, PAGE, 40, RW)
    b.table.mapPages(0x10_0000n, 0n, HUGE, 1, RW)
    b.table.unmapPages(0n, PAGE, 16)
    b.table.mapPages(0n, 0n, BLOCK, 1, RW)
    const gather = new IotlbGather()
    try {
      b.table.unmapPages(0n, BLOCK, 3, gather)
    } finally {
      gather.sync()
    }
    b.table.mapPages(0n, 0n, PAGE, 40, RW)
    b.table.unmapPages(0n, HUGE, 1)
    b.table.unmap(0x10_0000n, HUGE)
  }

  test.each([...ORDERS, ['inverted', { inverted: true }] as [string, Partial<Shape>]])('%s', (_name, shape) => {
    let n = 1
    for (; n < 1000; n++) {
      const b = faulty('memory', shape)
      b.fail(n)
      try {
        scenario(b)
        break
      } catch (error) {
        expect(String(error)).toBe('Error: memory failed')
      }
      const pending = b.table.tableBytes - reachable(b)
      expect(pending).toBeGreaterThanOrEqual(0)
      expectSound(b, pending)
      // the table still works
      expect(b.table.mapPages(0x80_0000n, 0x7000n, PAGE, 1, RW).error).toBeUndefined()
      expect(b.table.iovaToPhys(0x80_0000n)).toBe(0x7000n)
      expectNoLeak(b)
    }
    expect(n).toBeGreaterThan(15)
    expect(n).toBeLessThan(1000)
  })
})

/** Bytes of the tables that can be reached. */
function reachable({ table }: Bench): number {
  const bytes = new Map<bigint, number>(table.roots.map((root) => [root, TABLE]))
  for (let iova = 0n; iova < 0x20_0000n; iova += 0x1_0000n)
    for (const entry of table.walk(iova)) if (entry.type === 'table') bytes.set(entry.next, TABLE)
  return [...bytes.values()].reduce((sum, size) => sum + size, 0)
}

describe('onWarn throws', () => {
  test('a conflict and a part of a leaf: the table is as it would be without', () => {
    const b = bench()
    const onWarn = (): never => {
      throw new Error('onWarn failed')
    }
    Object.assign(b.warnings, { push: onWarn })
    b.table.mapPages(0x1_0000n, 0n, BLOCK, 1, RW)
    expect(() => b.table.mapPages(0n, 0n, PAGE, 17, RW)).toThrow('onWarn failed')
    expect(leavesOf(b.table)).toHaveLength(17)
    expect(() => b.table.unmapPages(0n, PAGE, 17)).toThrow('onWarn failed')
    expect(leavesOf(b.table)).toHaveLength(1)
    expectSound(b)
    expectNoLeak(b)
  })
})
