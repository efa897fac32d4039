/** One table in several threads: disjoint ranges at once, racing on the same upper tables, give what one thread alone gives. */
import { IoPageTable, type TableToken } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { beforeAll, describe, expect, test } from 'vitest'
import { BLOCK, expectNoLeak, expectSound, leavesOf, logged, MiB, newPool, PAGE, RW, SIZES, TABLE, thrownBy } from './helpers.ts'
import type { RaceData } from './race-worker.ts'
import { type RaceShape, runRaces, runSteps } from './races.ts'
import { bundled, runWorker } from './threads.ts'
import { type Shape, type Toy, toy } from './toy-format.ts'

const REQUEST = { pgsizeBitmap: SIZES, ias: 24, oas: 52 }

function sharedTable(shape: Partial<Shape>, request: object = {}): { pool: PtPool; table: IoPageTable<Toy> } {
  const pool = newPool(shape, { size: 32 * MiB, shared: true })
  return { pool, table: IoPageTable.createRaw(toy(shape), { allocator: pool, ...REQUEST, ...request }) }
}

let code = ''
beforeAll(async () => {
  code = await bundled('./race-worker.ts')
})

const RACES: [string, RaceShape][] = [
  ['two threads', { toy: { indexBits: 9 }, threads: 2, rounds: 200, steps: 2000 }],
  ['three threads, inverted valid bit', { toy: { indexBits: 9, inverted: true }, threads: 3, rounds: 100, steps: 1000 }],
]

test.each(RACES)('%s: the same tables as one after the other, nothing lost or leaked', async (_name, shape) => {
  const config = { pgsizeBitmap: 0x20_1000n, ias: 39 }
  const raced = sharedTable(shape.toy, config)
  const barrier = new SharedArrayBuffer(8)
  const token = raced.table.share()
  const threads = Array.from({ length: shape.threads }, (_, me) =>
    runWorker<{ checks: number }>(code, { token, shape, me, barrier } satisfies RaceData),
  )
  const reports = await Promise.all(threads)
  for (const { checks } of reports) expect(checks).toBeGreaterThan(50)

  const alone = sharedTable(shape.toy, config)
  for (let me = 0; me < shape.threads; me++) runRaces(alone.table, shape, me, () => {})
  for (let me = 0; me < shape.threads; me++) runSteps(alone.table, shape, me)
  expect(leavesOf(raced.table)).toEqual(leavesOf(alone.table))
  expect(raced.table.tableBytes).toBe(alone.table.tableBytes)
  expect(raced.pool.stats().live).toBe(alone.pool.stats().live)
  expectSound(raced)
  expectNoLeak(raced)
})

describe('two views of one table in one thread', () => {
  function twice(
    shape: Partial<Shape> = {},
    request: object = {},
  ): { a: IoPageTable<Toy>; b: IoPageTable<Toy>; log: string[]; pool: PtPool } {
    const { pool, table: a } = sharedTable(shape, request)
    const log: string[] = []
    return { a, b: IoPageTable.attach(toy(shape), structuredClone(a.share()), { tlb: logged(log) }), log, pool }
  }

  test('each sees at once what the other did; config, roots, account and debug options are the same', () => {
    const { a, b } = twice({}, { quirks: ['NO_WARN'], debug: { oneTablePerCall: true } })
    expect([b.config, b.roots, b.regs, b.tableBytes, b.geometry]).toEqual([a.config, a.roots, a.regs, a.tableBytes, a.geometry])
    a.mapPages(0n, 0x7000n, PAGE, 1, RW)
    expect([b.iovaToPhys(0x123n), b.tableBytes]).toEqual([0x7123n, 3 * TABLE])
    expect(b.mapPages(0x1000n, 0n, PAGE, 40, RW).mapped).toBe(15 * PAGE)
    expect(a.unmapPages(0n, PAGE, 16)).toBe(16 * PAGE)
    expect(b.iovaToPhys(0n)).toBeUndefined()
  })

  test('a range that goes from one to the other never follows a freed table', () => {
    const { a, b, pool } = twice()
    b.mapPages(0n, 0x5000_0000n, PAGE, 16, RW)
    for (const table of [a, b]) expect(table.iovaToPhys(0x2000n)).toBe(0x5000_2000n)
    // a takes the table away and gives its memory to another place
    a.unmapPages(0n, BLOCK, 1)
    a.mapPages(0x10_0000n, 0x6000_0000n, PAGE, 16, RW)
    expect(b.iovaToPhys(0x2000n)).toBeUndefined()
    expect(b.mapPages(0x2000n, 0x7000_0000n, PAGE, 1, RW).error).toBeUndefined()
    expect([a.iovaToPhys(0x2000n), a.iovaToPhys(0x10_2000n)]).toEqual([0x7000_0000n, 0x6000_2000n])
    expect(b.unmapPages(0x10_0000n, BLOCK, 1)).toBe(BLOCK)
    expect(a.mapPages(0x10_2000n, 0n, PAGE, 1, RW).error).toBeUndefined()
    expectSound({ pool, table: a })
  })

  test("callbacks are each view's own", () => {
    const { a, b, log } = twice()
    a.mapPages(0n, 0n, PAGE, 32, RW)
    a.unmapPages(0n, BLOCK, 1)
    expect(log).toEqual([])
    b.unmapPages(0x1_0000n, BLOCK, 1)
    expect(log).toEqual(['walk 10000 10000 1000'])
  })

  test('a free ends both', () => {
    const { a, b, pool } = twice()
    const token = a.share()
    b.mapPages(0n, 0n, PAGE, 32, RW)
    b.free()
    expect(pool.stats().live).toBe(0)
    for (const table of [a, b]) {
      expect(thrownBy(() => table.iovaToPhys(0n)).code).toBe('ENODEV')
      expect(thrownBy(() => table.free()).code).toBe('ENODEV')
      table[Symbol.dispose]()
    }
    expect(thrownBy(() => IoPageTable.attach(toy(), token)).code).toBe('ENODEV')
  })

  test('of two that free at once, one does', () => {
    const { a, pool } = twice()
    const other = IoPageTable.attach(toy(), a.share())
    const first = IoPageTable.attach(toy(), a.share(), { tlb: { flushAll: () => other.free(), flushWalk() {} } })
    a.mapPages(0n, 0n, PAGE, 32, RW)
    expect(thrownBy(() => first.free()).code).toBe('ENODEV')
    expect([pool.stats().live, pool.leaks()]).toEqual([0, []])
  })

  test('the one that comes second with a table gives his back, at every level', () => {
    for (const shape of [{}, { inverted: true }, { entryBytes: 4 }, { skips: true }] as const) {
      const { a, pool } = twice(shape, { oas: 32 })
      const other = IoPageTable.attach(toy(shape), a.share())
      let races = 0
      // told of a new table before it is installed: the other one is quicker there
      const sync = (_paddr: bigint, bytes: number): void => {
        if (bytes <= 8) return
        races++
        expect(other.mapPages(BigInt(races) * 0x1000n, BigInt(races) * 0x10_0000n, PAGE, 1, RW).error).toBeUndefined()
      }
      const late = IoPageTable.attach(toy(shape), a.share(), { sync })
      expect(late.mapPages(0n, 0x7000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
      expect(races).toBe(1)
      expect([a.iovaToPhys(0n), a.iovaToPhys(0x1000n)]).toEqual([0x7000n, 0x10_0000n])
      expectSound({ pool, table: a })
      // the upper table is there by now: the race is for the last one
      other.mapPages(0x10_0000n, 0n, BLOCK, 1, RW)
      races = 0x110
      expect(late.mapPages(0x11_0000n, 0x8000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
      expect([races, a.iovaToPhys(0x11_0000n), a.iovaToPhys(0x11_1000n)]).toEqual([0x111, 0x8000n, 0x1110_0000n])
      expectSound({ pool, table: a })
      expectNoLeak({ pool, table: a })
    }
  })

  test('the one that comes second with a block finds the other mapping in the way', () => {
    const { a, pool } = twice()
    const other = IoPageTable.attach(toy(), a.share())
    const sync = (_paddr: bigint, bytes: number): void => {
      if (bytes > 8) other.mapPages(0n, 0n, 0x10_0000, 1, RW)
    }
    const late = IoPageTable.attach(toy(), a.share(), { sync })
    expect(late.mapPages(0n, 0x7000n, PAGE, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
    expectSound({ pool, table: a })
    expectNoLeak({ pool, table: a })
  })

  test('two that grow the root at once', () => {
    const shape = { levels: 4, grows: 2 } as const
    const { a, pool } = twice(shape, { ias: 28 })
    a.mapPages(0x5000n, 0n, PAGE, 1, RW)
    const other = IoPageTable.attach(toy(shape), a.share())
    let races = 0
    const sync = (_paddr: bigint, bytes: number): void => {
      if (bytes > 8 && races++ === 0) other.mapPages(0xf00_0000n, 0x7000n, PAGE, 1, RW)
    }
    const late = IoPageTable.attach(toy(shape), a.share(), { sync })
    expect(late.mapPages(0xe00_0000n, 0x8000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
    expect([0x5000n, 0xf00_0000n, 0xe00_0000n].map((iova) => a.iovaToPhys(iova))).toEqual([0n, 0x7000n, 0x8000n])
    expectSound({ pool, table: a })
    expectNoLeak({ pool, table: a })
  })

  test('a root that one of them grew is the root of both', () => {
    const shape = { levels: 4, grows: 2 } as const
    const { a, b } = twice(shape, { ias: 28 })
    a.mapPages(0x5000n, 0n, PAGE, 1, RW)
    b.mapPages(0xf00_0000n, 0x7000n, PAGE, 1, RW)
    expect([a.iovaToPhys(0xf00_0000n), a.regs, a.roots, a.geometry.top]).toEqual([0x7000n, b.regs, b.roots, 'L1'])
    expect(a.unmapPages(0xf00_0000n, PAGE, 1)).toBe(PAGE)
    const many = BigUint64Array.of(0x5000n, 0xf00_0000n)
    b.mapPages(0xf00_0000n, 0x7000n, PAGE, 1, RW)
    expect([a.iovaToPhysMany(many, many), ...many]).toEqual([2, 0n, 0x7000n])
  })
})

describe('tokens', () => {
  test('a table whose pool is not shared has none', () => {
    const pool = new PtPool({ base: 0n, size: MiB })
    const table = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST })
    expect(thrownBy(() => table.share()).code).toBe('EINVAL')
  })

  test('one of another format, or none at all, is EINVAL', () => {
    const { table } = sharedTable({})
    const token = table.share()
    const other = { ...toy(), FORMAT: 'other' }
    expect(thrownBy(() => IoPageTable.attach(other, token))).toMatchObject({ code: 'EINVAL', value: 'toy' })
    const wrong = [
      undefined,
      null,
      {},
      { ...token, state: [] },
      { ...token, state: undefined },
      { ...token, pool: undefined },
    ] as TableToken[]
    for (const bad of wrong) expect(thrownBy(() => IoPageTable.attach(toy(), bad)).code).toBe('EINVAL')
  })
})
