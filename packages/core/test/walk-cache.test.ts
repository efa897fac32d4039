/** The walk cache must never follow a table that is no longer where it was: replaced, freed, reused at another level or by another table. */
import { IoPageTable, IotlbGather } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import {
  type Bench,
  BLOCK,
  bench,
  device,
  expectNoLeak,
  expectSound,
  HUGE,
  MiB,
  newPool,
  PAGE,
  RW,
  SIZES,
  TABLE,
  thrownBy,
} from './helpers.ts'
import { type Toy, toy } from './toy-format.ts'

/** Makes the cache know the table of the last level for an address. */
function warm(table: IoPageTable<Toy>, iova: bigint): void {
  const many = BigUint64Array.of(iova, iova)
  table.iovaToPhysMany(many, many)
  expect(table.iovaToPhys(iova)).toBeDefined()
  expect(table.iovaToPhys(iova)).toBeDefined()
}

/** Engine and device agree on every page of the first megabytes. */
function agree(b: Bench): void {
  const wrong: bigint[] = []
  for (let iova = 0n; iova < 0x30_0000n; iova += 0x1000n) {
    const found = device(b, iova)
    if (b.table.iovaToPhys(iova) !== (typeof found === 'string' ? undefined : found.paddr)) wrong.push(iova)
  }
  expect(wrong).toEqual([])
  // the batch has a look-up of its own
  const iovas = BigUint64Array.from({ length: 0x300 }, (_, i) => BigInt(i) << 12n)
  const many = new BigUint64Array(iovas.length)
  b.table.iovaToPhysMany(iovas, many)
  expect([...many].map((paddr) => (paddr === 2n ** 64n - 1n ? undefined : paddr))).toEqual(
    [...iovas].map((iova) => {
      const found = device(b, iova)
      return typeof found === 'string' ? undefined : found.paddr
    }),
  )
}

const WAYS: [string, (table: IoPageTable<Toy>) => unknown][] = [
  ['unmapPages', (table) => table.unmapPages(0x1_0000n, BLOCK, 1)],
  ['unmapPages of a level more', (table) => table.unmapPages(0n, HUGE, 1)],
  ['unmap', (table) => table.unmap(0x1_0000n, BLOCK)],
  ['unmapRange', (table) => table.unmapRange(0x1_0000n, BLOCK)],
  ['a replacing block', (table) => [table.unmapPages(0x1_0000n, PAGE, 16), table.mapPages(0x1_0000n, 0x9000_0000n, BLOCK, 1, RW)]],
]

const SHAPES = [{}, { inverted: true }, { entryBytes: 4 }] as const

describe.each(WAYS.flatMap(([name, take]) => SHAPES.map((shape) => ({ name, take, shape }))))(
  'a table taken away by $name ($shape)',
  ({ take, shape }) => {
    const limits = { config: { oas: 32 } }

    test('is not read', () => {
      const b = bench(shape, limits)
      b.table.mapPages(0x1_0000n, 0x5000_0000n, PAGE, 16, RW)
      warm(b.table, 0x1_2000n)
      take(b.table)
      expect(b.table.iovaToPhys(0x1_2000n)).not.toBe(0x5000_2000n)
      agree(b)
    })

    test('is not written to, nor unmapped from', () => {
      const b = bench(shape, limits)
      b.table.mapPages(0x1_0000n, 0x5000_0000n, PAGE, 16, RW)
      warm(b.table, 0x1_2000n)
      take(b.table)
      b.table.unmapRange(0x1_0000n, BLOCK)
      expect(b.table.mapPages(0x1_2000n, 0x6000_0000n, PAGE, 2, RW)).toEqual({ mapped: 2 * PAGE, error: undefined })
      expect(device(b, 0x1_3000n)).toMatchObject({ paddr: 0x6000_1000n })
      expect(b.table.unmapPages(0x1_2000n, PAGE, 3)).toBe(2 * PAGE)
      agree(b)
      expectSound(b)
      expectNoLeak(b)
    })

    test('is not followed when its memory is a table of another level', () => {
      const b = bench(shape, limits)
      b.table.mapPages(0x1_0000n, 0x5000_0000n, PAGE, 16, RW)
      warm(b.table, 0x1_2000n)
      take(b.table)
      // its memory, the lowest that is free, becomes an upper table, whose entries a stale look-up would take for pages
      b.table.mapPages(0x20_0000n, 0x7000_0000n, BLOCK, 16, RW)
      agree(b)
      b.table.mapPages(0x22_0000n, 0n, PAGE, 1, RW)
      agree(b)
      expectSound(b)
      expectNoLeak(b)
    })

    test('is not followed when another table of the pool has its memory', () => {
      const b = bench(shape, limits)
      b.table.mapPages(0x1_0000n, 0x5000_0000n, PAGE, 16, RW)
      warm(b.table, 0x1_2000n)
      take(b.table)
      const other = IoPageTable.createRaw(toy(shape), { allocator: b.pool, pgsizeBitmap: SIZES, ias: 24, oas: 32 })
      other.mapPages(0x1_0000n, 0x8000_0000n, PAGE, 16, RW)
      agree(b)
      warm(other, 0x1_2000n)
      b.table.mapPages(0x1_0000n, 0x4000_0000n, PAGE, 1, RW)
      expect(other.iovaToPhys(0x1_2000n)).toBe(0x8000_2000n)
      other.free()
      agree(b)
      expectSound(b)
      expectNoLeak(b)
    })
  },
)

test('a table that waits in a gather is not followed either, before and after the sync', () => {
  const b = bench()
  b.table.mapPages(0n, 0x5000_0000n, PAGE, 32, RW)
  const gather = new IotlbGather()
  warm(b.table, 0x2000n)
  b.table.unmapPages(0n, BLOCK, 1, gather)
  agree(b)
  b.table.mapPages(0x3000n, 0x6000_0000n, PAGE, 1, RW)
  agree(b)
  gather.sync()
  agree(b)
  expectSound(b)
})

test('addresses that share a line of the cache do not share a table', () => {
  // 1024 lines of 64 KiB: addresses 64 MiB apart, and the same address in the high half
  const b = bench({ levels: 5 }, { config: { ias: 32 } })
  const apart = [0n, 0x400_0000n, 0x800_0000n, 0xfc00_0000n]
  for (const [i, iova] of apart.entries()) b.table.mapPages(iova, BigInt(i) << 20n, PAGE, 16, RW)
  for (let round = 0; round < 3; round++)
    for (const [i, iova] of apart.entries()) expect(b.table.iovaToPhys(iova + 0x5001n)).toBe((BigInt(i) << 20n) + 0x5001n)
  b.table.unmapPages(0x400_5000n, PAGE, 1)
  expect(apart.map((iova) => b.table.iovaToPhys(iova + 0x5000n) !== undefined)).toEqual([true, false, true, true])
  expectSound(b)
})

test('addresses that differ above bit 32 alone', () => {
  const b = bench({ levels: 7 }, { config: { ias: 40 } })
  const apart = [0n, 1n << 32n, 1n << 39n, (1n << 40n) - 0x1_0000n]
  for (const [i, iova] of apart.entries()) b.table.mapPages(iova, BigInt(i) << 20n, PAGE, 16, RW)
  for (let round = 0; round < 3; round++)
    for (const [i, iova] of apart.entries()) expect(b.table.iovaToPhys(iova + 0x5001n)).toBe((BigInt(i) << 20n) + 0x5001n)
  expect(b.table.iovaToPhys((1n << 33n) + 0x5001n)).toBeUndefined()
  const many = BigUint64Array.from([...apart, ...apart.toReversed(), 1n << 33n])
  expect([b.table.iovaToPhysMany(many, many), ...many]).toEqual([
    8,
    ...[0n, 1n, 2n, 3n, 3n, 2n, 1n, 0n].map((i) => i << 20n),
    2n ** 64n - 1n,
  ])
})

test('the two halves of a sign-extended window, and tables of the low and the top window side by side', () => {
  const top = 2n ** 64n - 2n ** 23n
  const both = bench({ window: 'sign-extended' })
  both.table.mapPages(0n, 0x1000_0000n, PAGE, 16, RW)
  both.table.mapPages(top, 0x2000_0000n, PAGE, 16, RW)
  const high = IoPageTable.createRaw(toy({ window: 'top' }), { allocator: both.pool, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
  const low = IoPageTable.createRaw(toy(), { allocator: both.pool, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
  high.mapPages(top, 0x3000_0000n, PAGE, 16, RW)
  low.mapPages(0n, 0x4000_0000n, PAGE, 16, RW)
  for (let round = 0; round < 2; round++) {
    expect(both.table.iovaToPhys(0x5000n)).toBe(0x1000_5000n)
    expect(both.table.iovaToPhys(top + 0x5000n)).toBe(0x2000_5000n)
    expect(high.iovaToPhys(top + 0x5000n)).toBe(0x3000_5000n)
    expect(low.iovaToPhys(0x5000n)).toBe(0x4000_5000n)
  }
  both.table.unmapPages(top, BLOCK, 1)
  expect([both.table.iovaToPhys(0x5000n), high.iovaToPhys(top + 0x5000n), low.iovaToPhys(0x5000n)]).toEqual([
    0x1000_5000n,
    0x3000_5000n,
    0x4000_5000n,
  ])
})

test('a freed table leaves nothing behind for the next one at its place', () => {
  const b = bench()
  b.table.mapPages(0n, 0x5000_0000n, PAGE, 16, RW)
  warm(b.table, 0n)
  b.table.free()
  const next = IoPageTable.createRaw(toy(), { allocator: b.pool, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
  expect(next.iovaToPhys(0n)).toBeUndefined()
  next.mapPages(0x1_0000n, 0x6000_0000n, PAGE, 16, RW)
  expect(next.iovaToPhys(0n)).toBeUndefined()
  expect(next.tableBytes).toBe(3 * TABLE)
})

test('a generation that wraps is another one', () => {
  const b = bench()
  b.table.mapPages(0n, 0x5000_0000n, PAGE, 16, RW)
  warm(b.table, 0n)
  const before = b.pool.generation
  b.table.unmapPages(0n, BLOCK, 1)
  expect(b.pool.generation).not.toBe(before)
  b.table.mapPages(0x1_0000n, 0n, PAGE, 1, RW)
  expect(b.table.iovaToPhys(0n)).toBeUndefined()
})

test('tables at the same addresses, in one pool and in pools of the same generation, do not read each other', () => {
  const one = newPool()
  const pools = [one, one, one, newPool(), newPool({}, { size: MiB / 2 })]
  const tables = pools.map((allocator) => IoPageTable.createRaw(toy(), { allocator, pgsizeBitmap: SIZES, ias: 24, oas: 52 }))
  const iovas = Array.from({ length: 64 }, (_, i) => BigInt(i * BLOCK))
  const paddrOf = (table: number, i: number): bigint => BigInt((table + 1) * 2 ** 32 + i * BLOCK)
  for (const [i, iova] of iovas.entries())
    for (const [n, table] of tables.entries()) expect(table.mapPages(iova, paddrOf(n, i), PAGE, 1, RW).error).toBeUndefined()
  for (let round = 0; round < 3; round++)
    for (const [i, iova] of iovas.entries()) for (const [n, table] of tables.entries()) expect(table.iovaToPhys(iova)).toBe(paddrOf(n, i))
  for (const [n, table] of tables.entries()) {
    const out = new BigUint64Array(iovas.length)
    expect(table.iovaToPhysMany(BigUint64Array.from(iovas), out)).toBe(iovas.length)
    expect([...out]).toEqual(iovas.map((_, i) => paddrOf(n, i)))
  }
})

test('a freed table is known to be one, however well its cache knows the way', () => {
  const b = bench()
  b.table.mapPages(0n, 0x5000_0000n, PAGE, 4, RW)
  for (const iova of [0n, 0x1000n]) warm(b.table, iova)
  expect(b.table.unmapPages(0x3000n, PAGE, 1)).toBe(PAGE)
  b.table.free()
  for (const call of [
    () => b.table.iovaToPhys(0n),
    () => b.table.iovaToPhysMany(BigUint64Array.of(0n), new BigUint64Array(1)),
    () => b.table.unmapPages(0x1000n, PAGE, 1),
    () => b.table.unmapPages(0x1000n, PAGE, 1, new IotlbGather()),
    () => b.table.mapPages(0x3000n, 0n, PAGE, 1, RW),
  ])
    expect(thrownBy(call).code).toBe('ENODEV')
})

test('a batch of which the cache knows some, and none, of unmapped addresses, blocks and the end of a chunk', () => {
  const b = bench()
  b.table.mapRange(0n, 0x4000_0000n, 40 * BLOCK, RW)
  b.table.unmapPages(5n * BigInt(BLOCK), BLOCK, 1)
  for (let i = 0; i < 20; i++) {
    b.table.unmapPages(BigInt(i * 2 * BLOCK), BLOCK, 1)
    b.table.mapPages(BigInt(i * 2 * BLOCK), 0x7000_0000n + BigInt(i * BLOCK), PAGE, 15, RW)
  }
  const pages = Array.from({ length: 41 * 16 }, (_, i) => BigInt(i) << 12n)
  // every third one twice, in an order that comes back to tables that were left
  const iovas = BigUint64Array.from([...pages, ...pages.filter((_, i) => i % 3 === 0).reverse()].map((iova) => iova + 0x234n))
  for (const length of [0, 1, 63, 64, 65, 127, 128, 129, iovas.length]) {
    const some = iovas.slice(0, length)
    const expected = [...some].map((iova) => b.table.iovaToPhys(iova) ?? 2n ** 64n - 1n)
    // in place, too
    expect(b.table.iovaToPhysMany(some, some)).toBe(expected.filter((paddr) => paddr !== 2n ** 64n - 1n).length)
    expect([...some]).toEqual(expected)
  }
})
