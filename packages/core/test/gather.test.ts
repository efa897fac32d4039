/** The gather: tables wait in it for its sync, and no longer; it serves one table at a time. */
import { IoPageTable, IotlbGather } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { BLOCK, bench, codeOf, expectNoLeak, expectSound, HUGE, logged, PAGE, RW, TABLE, thrownBy } from './helpers.ts'
import { toy } from './toy-format.ts'

test('tables wait for the sync: not freed, not reused, counted', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 64, RW)
  const gather = new IotlbGather()
  b.table.unmapPages(0n, BLOCK, 2, gather)
  b.table.unmapPages(0x2_0000n, BLOCK, 2, gather)
  expect(gather.pendingTables).toBe(4)
  expectSound(b, 4 * TABLE)
  // their memory is not given to others, and not written to
  const before = b.pool.leaks().map(({ paddr }) => paddr)
  b.table.mapPages(0n, 0x1000n, PAGE, 64, RW)
  expect(b.pool.leaks().length).toBe(before.length + 4)
  expectSound(b, 4 * TABLE)
  gather.sync()
  expect(gather.pendingTables).toBe(0)
  expectSound(b)
  expectNoLeak(b)
})

test("at the driver's sync the tables are still allocated; they are free after it", () => {
  const live: number[] = []
  const b = bench({}, { tlb: { sync: (gather) => void live.push(b.pool.stats().live / TABLE, gather.pendingTables) } })
  b.table.mapPages(0n, 0n, PAGE, 256, RW)
  const gather = new IotlbGather()
  b.table.unmapPages(0n, HUGE, 1, gather)
  gather.sync()
  expect(live).toEqual([18, 17])
  expect(b.pool.stats().live).toBe(TABLE)
  // nothing to do a second time
  gather.sync()
  expect(live).toHaveLength(2)
})

test('a gather may be used again, and by another table once it is synced', () => {
  const a = bench()
  const b = bench()
  const gather = new IotlbGather()
  for (const { table } of [a, b]) table.mapPages(0n, 0n, PAGE, 16, RW)
  a.table.unmapPages(0n, BLOCK, 1, gather)
  const error = thrownBy(() => b.table.unmapPages(0n, BLOCK, 1, gather))
  expect(codeOf(error)).toEqual(['EINVAL', undefined])
  expect(error.message).toContain('another table')
  expect(b.table.iovaToPhys(0n)).toBe(0n)
  expectSound(a, TABLE)
  gather.sync()
  expectSound(a)
  expect(b.table.unmapPages(0n, BLOCK, 1, gather)).toBe(BLOCK)
  expectSound(b, TABLE)
  gather.sync()
  expectNoLeak(a)
  expectNoLeak(b)
})

test.each([
  ['2 GiB', 0x8000_0000n],
  ['4 GiB', 0x1_0000_0000n],
  ['the middle of 64 bits', 1n << 63n],
])('the range of a gather reaches over %s, whichever page is noted first', (_, middle) => {
  for (const order of [
    [middle - 0x1000n, middle],
    [middle, middle - 0x1000n],
  ]) {
    const gather = new IotlbGather()
    for (const iova of order) gather.addRange(iova, PAGE, 1)
    expect([gather.first, gather.last]).toEqual([middle - 0x1000n, middle + 0xfffn])
  }
})

test('what is no gather is EINVAL, before anything is unmapped', () => {
  const { table } = bench({ dirty: true })
  table.mapPages(0n, 0n, PAGE, 1, RW)
  for (const gather of [{}, null, true, { bind() {} }, new Proxy(new IotlbGather(), {})] as never[]) {
    expect(thrownBy(() => table.unmapPages(0n, PAGE, 1, gather)).code).toBe('EINVAL')
    expect(thrownBy(() => table.unmapRange(0n, PAGE, gather)).code).toBe('EINVAL')
    expect(thrownBy(() => table.readAndClearDirty(0n, PAGE, () => {}, 0, gather)).code).toBe('EINVAL')
  }
  expect(table.iovaToPhys(0n)).toBe(0n)
})

test('a gather that outlives its table gives the memory back all the same', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 16, RW)
  const gather = new IotlbGather()
  b.table.unmapPages(0n, BLOCK, 1, gather)
  b.table.free()
  expect(b.pool.stats().live).toBe(TABLE)
  gather.sync()
  expect([b.pool.stats().live, b.table.tableBytes, b.log]).toEqual([0, 0, ['walk 0 10000 1000', 'pages 0 10000 x1', 'all', 'sync']])
})

test('two gathers of one table are apart', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  const [one, two] = [new IotlbGather(), new IotlbGather()]
  b.table.unmapPages(0n, BLOCK, 1, one)
  b.table.unmapPages(0x1_0000n, BLOCK, 1, two)
  two.sync()
  expect([one.pendingTables, two.pendingTables]).toEqual([1, 0])
  expectSound(b, TABLE)
  one.sync()
  expectSound(b)
})

test('ranges: both directions, the smallest granule, the top of 2^64', () => {
  const gather = new IotlbGather()
  expect(gather.empty).toBe(true)
  gather.addRange(2n ** 64n - 0x2000n, 0x1000, 2)
  expect([gather.first, gather.last, gather.granule]).toEqual([2n ** 64n - 0x2000n, 2n ** 64n - 1n, 0x1000])
  gather.addRange(0n, 0x1_0000, 1)
  expect([gather.first, gather.last, gather.granule, gather.empty]).toEqual([0n, 2n ** 64n - 1n, 0x1000, false])
})

test('a gather that no call used has nothing to sync', () => {
  const gather = new IotlbGather()
  gather.addRange(0n, 0x1000, 1)
  gather.sync()
  expect([gather.empty, gather.pendingTables]).toEqual([false, 0])
})

test('a driver has no way to what only the engine may call', () => {
  const gather = new IotlbGather()
  const names = Object.getOwnPropertyNames(IotlbGather.prototype).concat(Reflect.ownKeys(gather).map(String)).sort()
  expect(names).toEqual(
    ['addRange', 'constructor', 'empty', 'first', 'granule', 'last', 'leafLevels', 'pendingTables', 'queued', 'sync', 'tableLevels'].sort(),
  )
  expect(() => Object.assign(gather, { tableLevels: 1 })).toThrow(TypeError)
})

test('a gather that is synced from inside a callback of its table is EBUSY, and keeps all; onPressure may sync one', () => {
  const waiting = new IotlbGather()
  const codes: string[] = []
  const refused = (): void => void codes.push(thrownBy(() => waiting.sync()).code)
  let pressed = 0
  const onPressure = (): void => {
    pressed++
    waiting.sync()
  }
  const b = bench({}, { tlb: { flushWalk: refused, sync: refused, addPages: refused }, pool: { onPressure, ceiling: 4 * TABLE } })
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  codes.length = 0
  expect(b.table.unmapPages(0n, BLOCK, 1, waiting)).toBe(BLOCK)
  expect([codes.splice(0), waiting.pendingTables]).toEqual([['EBUSY', 'EBUSY'], 1])
  expect(b.table.mapPages(0x2_0000n, 0n, PAGE, 1, RW).error).toBeUndefined()
  expect([codes, pressed, waiting.pendingTables]).toEqual([['EBUSY'], 1, 0])
  expectSound(b)
  expectNoLeak(b)
})

test('two tables of one pool, each with its own callbacks', () => {
  const first = bench()
  const log: string[] = []
  const second = IoPageTable.createRaw(toy(), { allocator: first.pool, tlb: logged(log), pgsizeBitmap: 0x1_1000n, ias: 24, oas: 32 })
  for (const table of [first.table, second]) table.mapPages(0n, 0n, PAGE, 16, RW)
  second.unmapPages(0n, BLOCK, 1)
  expect([first.log, log]).toEqual([[], ['walk 0 10000 1000']])
  expect(first.table.iovaToPhys(0n)).toBe(0n)
  second.free()
  expectSound(first)
})

test('ranges of more bytes than a number can count end where they should', () => {
  const gather = new IotlbGather()
  gather.addRange(0xfe00_0000_0000_0000n, 0x1000, 2 ** 57 / 0x1000)
  expect([gather.first, gather.last]).toEqual([0xfe00_0000_0000_0000n, 2n ** 64n - 1n])
  const whole = new IotlbGather()
  whole.addRange(0n, 0x1000, 2 ** 52)
  expect(whole.last).toBe(2n ** 64n - 1n)
})
