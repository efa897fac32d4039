/** Calls from inside the table's own callbacks: changes are EBUSY, reads see a consistent table. */
import { type IoPageTable, IotlbGather, type MapResult } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import {
  type Bench,
  type BenchOptions,
  BLOCK,
  bench,
  device,
  expectNoLeak,
  expectSound,
  HUGE,
  PAGE,
  RW,
  TABLE,
  thrownBy,
} from './helpers.ts'
import type { Shape } from './toy-format.ts'

type Table = IoPageTable

/** Every call that changes a table. All of them would succeed outside of a callback. */
const CHANGES: [string, (table: Table) => unknown][] = [
  ['mapPages', (table) => returned(table.mapPages(0x80_0000n, 0n, PAGE, 1, RW))],
  [
    'mapPages of a page in a table that is known',
    (table) => [table.iovaToPhys(0x40_0000n), returned(table.mapPages(0x40_1000n, 0n, PAGE, 1, RW))],
  ],
  ['unmapPages of such a page', (table) => [table.iovaToPhys(0x40_0000n), table.unmapPages(0x40_0000n, PAGE, 1)]],
  ['mapRange', (table) => returned(table.mapRange(0x80_0000n, 0n, PAGE, RW))],
  ['map', (table) => table.map(0x80_0000n, 0n, PAGE, RW)],
  ['unmapPages', (table) => table.unmapPages(0x40_0000n, BLOCK, 1)],
  ['unmapPages with a gather', (table) => table.unmapPages(0x40_0000n, BLOCK, 1, new IotlbGather())],
  ['unmapRange', (table) => table.unmapRange(0x40_0000n, BLOCK)],
  ['unmap', (table) => table.unmap(0x40_0000n, BLOCK)],
  ['readAndClearDirty', (table) => table.readAndClearDirty(0x40_0000n, PAGE, () => {})],
  ['free', (table) => table.free()],
  ['dispose', (table) => table[Symbol.dispose]()],
]

function returned({ mapped, error }: MapResult): void {
  expect(mapped).toBe(0)
  if (error !== undefined) throw error
}

/** Calls that lead into each callback. Block and page tables of the bench are at 0, a page at 0x400000. */
const CALLBACKS: [string, Partial<Shape>, (hook: () => void) => BenchOptions, (b: Bench) => void][] = [
  ['flushWalk', {}, (hook) => ({ tlb: { flushWalk: hook } }), (b) => void b.table.unmapPages(0n, BLOCK, 1)],
  [
    'flushWalk, with a gather',
    {},
    (hook) => ({ tlb: { flushWalk: hook } }),
    (b) => {
      const gather = new IotlbGather()
      b.table.unmapPages(0n, BLOCK, 1, gather)
      gather.sync()
    },
  ],
  [
    'flushWalk of a replaced table',
    {},
    (hook) => ({ tlb: { flushWalk: hook } }),
    (b) => {
      b.table.unmapPages(0n, PAGE, 16)
      b.table.mapPages(0n, 0n, BLOCK, 1, RW)
    },
  ],
  ['addPages', {}, (hook) => ({ tlb: { addPages: hook } }), (b) => void b.table.unmapPages(0n, PAGE, 1, new IotlbGather())],
  [
    'addPages without a gather',
    { policy: { addPagesWithoutGather: true } },
    (hook) => ({ tlb: { addPages: hook } }),
    (b) => void b.table.unmapPages(0n, PAGE, 1),
  ],
  ['sync', {}, (hook) => ({ tlb: { sync: hook } }), (b) => void b.table.unmap(0n, BLOCK)],
  [
    'sync by the gather itself',
    {},
    (hook) => ({ tlb: { sync: hook } }),
    (b) => {
      const gather = new IotlbGather()
      b.table.unmapPages(0n, BLOCK, 1, gather)
      gather.sync()
    },
  ],
  ["the memory's sync", {}, (hook) => ({ pool: { sync: hook } }), (b) => void b.table.mapPages(0x10_0000n, 0n, PAGE, 1, RW)],
  ['onWarn of a conflict', {}, () => ({}), (b) => void b.table.mapPages(0n, 0n, PAGE, 1, RW)],
  ['onWarn of a part of a leaf', {}, () => ({}), (b) => void b.table.unmapPages(0x20_1000n, PAGE, 1)],
  ['flushAll', {}, (hook) => ({ tlb: { flushAll: hook } }), (b) => b.table.free()],
]

describe.each(CALLBACKS)('from inside %s', (name, shape, options, run) => {
  function inside(hook: (table: Table) => void): Bench {
    let open = false
    const guarded = (): void => {
      if (open) hook(b.table as Table)
    }
    const b = bench({ ...shape, dirty: true }, options(guarded))
    if (name.startsWith('onWarn')) Object.assign(b.warnings, { push: guarded })
    b.table.mapPages(0n, 0x5000_0000n, PAGE, 32, RW)
    b.table.mapPages(0x20_0000n, 0x6000_0000n, BLOCK, 1, RW)
    b.table.mapPages(0x40_0000n, 0x7000_0000n, PAGE, 1, RW)
    open = true
    run(b)
    open = false
    return b
  }

  test.each(CHANGES)('%s is EBUSY and changes nothing', (_change, change) => {
    const codes: string[] = []
    const b = inside((table) => void codes.push(thrownBy(() => change(table)).code))
    expect(codes.length).toBeGreaterThan(0)
    expect(new Set(codes)).toEqual(new Set(['EBUSY']))
    if (name === 'flushAll') return
    expect([0x80_0000n, 0x40_1000n, 0x40_0000n].map((iova) => b.table.iovaToPhys(iova))).toEqual([undefined, undefined, 0x7000_0000n])
    expectSound(b)
    expectNoLeak(b)
  })

  test('reads work', () => {
    let calls = 0
    inside((table) => {
      calls++
      expect(table.iovaToPhys(0x40_0123n)).toBe(0x7000_0123n)
      const many = BigUint64Array.of(0x40_0fffn, 0x80_0000n)
      expect([table.iovaToPhysMany(many, many), ...many]).toEqual([1, 0x7000_0fffn, 2n ** 64n - 1n])
      expect(table.walk(0x40_0000n).map(({ type }) => type)).toEqual(['table', 'table', 'leaf'])
      expect(table.tableBytes).toBeGreaterThan(0)
      expect([table.config.ias, table.geometry.top, table.roots.length]).toEqual([24, 'L1', 1])
    })
    expect(calls).toBeGreaterThan(0)
  })
})

test('what a read finds in a callback is what the device finds', () => {
  let checks = 0
  const agree = (): void => {
    for (let iova = 0n; iova < 0x4_0000n; iova += 0x1000n) {
      const found = device(b, iova)
      expect(b.table.iovaToPhys(iova)).toBe(typeof found === 'string' ? undefined : found.paddr)
      checks++
    }
  }
  let ready = false
  const sync = (): void => void (ready && agree())
  const b = bench({}, { tlb: { flushWalk: agree, addPages: agree, sync: agree, flushAll: agree }, pool: { sync } })
  ready = true
  b.table.mapPages(0x5000n, 0x9000_0000n, PAGE, 40, RW)
  b.table.unmap(0x8000n, 20 * PAGE)
  b.table.unmapPages(0x5000n, PAGE, 3)
  b.table.mapPages(0n, 0x4000_0000n, BLOCK, 1, RW)
  b.table.unmap(0n, BLOCK)
  b.table.unmap(0x1_c000n, 4 * PAGE)
  b.table.unmapPages(0n, HUGE, 1)
  b.table.free()
  expect(checks).toBeGreaterThan(1000)
})

test('a gather of another table may be synced from inside a callback', () => {
  const other = new IotlbGather()
  const a = bench()
  const b = bench({}, { tlb: { flushWalk: () => other.sync() } })
  for (const { table } of [a, b]) table.mapPages(0n, 0n, PAGE, 32, RW)
  a.table.unmapPages(0n, BLOCK, 1, other)
  expectSound(a, TABLE)
  b.table.unmapPages(0n, BLOCK, 2)
  expectSound(a)
  expectSound(b)
})

test('another table may be changed from inside a callback', () => {
  const a = bench()
  const b = bench({}, { tlb: { flushWalk: () => a.table.map(0n, 0n, PAGE, RW) } })
  b.table.mapPages(0n, 0n, PAGE, 1, RW)
  b.table.unmapPages(0n, BLOCK, 1)
  expect(a.table.iovaToPhys(0n)).toBe(0n)
  expectSound(a)
})

test('after a callback that threw, the table may be changed again', () => {
  let broken = true
  const fail = (): void => {
    if (broken) throw new Error('failed')
  }
  const b = bench({}, { tlb: { flushWalk: fail, addPages: fail, sync: fail, flushAll: fail } })
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  expect(() => b.table.unmapPages(0n, BLOCK, 1)).toThrow('failed')
  expect(() => b.table.unmapPages(0x1_0000n, PAGE, 1, new IotlbGather())).toThrow('failed')
  expect(() => b.table.free()).toThrow('failed')
  // what is owed comes first
  expect(() => b.table.mapPages(0n, 0n, PAGE, 1, RW)).toThrow('failed')
  expect(b.table.iovaToPhys(0n)).toBeUndefined()
  broken = false
  expect(b.table.mapPages(0n, 0n, PAGE, 1, RW).error).toBeUndefined()
  expectNoLeak(b)
})
