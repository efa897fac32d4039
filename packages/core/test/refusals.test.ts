/** What plain JavaScript may pass is refused by an IoPgtableError that says what was expected, before anything is done. */
import { Device, IoPageTable, IotlbGather, pgsizeBitmap } from '@io-pgtable/core'
import { describe, expect, test, vi } from 'vitest'
import { BLOCK, bench, expectNoLeak, expectSound, HUGE, leavesOf, MiB, newPool, PAGE, RW, thrownBy } from './helpers.ts'
import { toy } from './toy-format.ts'

/** Plain JavaScript passes what the types forbid. */
const any = (value: unknown): never => value as never
const REQUEST = { pgsizeBitmap: pgsizeBitmap(PAGE, BLOCK, HUGE), ias: 24, oas: 52 }
const nothing = (): void => {}

describe('callbacks are checked when a table is made', () => {
  const BAD: [string, object, string][] = [
    ['no members', { tlb: {} }, 'tlb.flushAll is undefined'],
    ['a number', { tlb: 5 }, 'tlb is 5'],
    ['null', { tlb: null }, 'tlb is null'],
    ['no flushWalk', { tlb: { flushAll: nothing } }, 'tlb.flushWalk is undefined'],
    ['addPages', { tlb: { flushAll: nothing, flushWalk: nothing, addPages: 1 } }, 'tlb.addPages is 1'],
    ['sync', { tlb: { flushAll: nothing, flushWalk: nothing, sync: {} } }, 'tlb.sync is an object'],
    ['onWarn', { onWarn: 5 }, 'onWarn is 5'],
    ['onRoot', { onRoot: 'f' }, 'onRoot is f'],
    ['report', { debug: { lifetime: { report: 1 } } }, 'debug.lifetime.report is 1'],
  ]
  test.each(BAD)('%s', (_name, hooks, text) => {
    const pool = newPool({}, { shared: true })
    const error = thrownBy(() => IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST, ...hooks }))
    expect(error.message).toMatch(`EINVAL: createRaw: ${text}`)
    const memory = newPool()
    const request = { allocator: memory, registers: { base: 0n }, ...hooks }
    expect(thrownBy(() => IoPageTable.adopt(toy(), any(request))).message).toMatch(`EINVAL: adopt: ${text}`)
    const table = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST })
    if (!('debug' in hooks))
      expect(thrownBy(() => IoPageTable.attach(toy(), table.share(), hooks)).message).toMatch(`EINVAL: attach: ${text}`)
    expectNoLeak({ pool, table })
    expect(memory.stats().live).toBe(0)
  })

  test('onForeign; a request that is none', () => {
    const request = { allocator: newPool(), registers: { base: 0n }, onForeign: 1 }
    expect(thrownBy(() => IoPageTable.adopt(toy(), any(request))).message).toMatch('EINVAL: adopt: onForeign is 1, not a function')
    expect(thrownBy(() => IoPageTable.createRaw(toy(), any(null))).message).toMatch('EINVAL: createRaw: options is null')
    expect(thrownBy(() => IoPageTable.adopt(toy(), any(undefined))).message).toMatch('EINVAL: adopt: options is undefined')
  })
})

const CALLS: [string, (table: IoPageTable) => unknown, string][] = [
  ['protect, options null', (t) => t.protect(0n, PAGE, RW, any(null)), 'EINVAL: protect: options null: an object expected'],
  ['trim(null)', (t) => t.trim(any(null)), 'EINVAL: trim: range null..null: two 64-bit addresses expected'],
  ['forEachLeaf(null)', (t) => t.forEachLeaf(any(null), nothing), 'EINVAL: forEachLeaf: range null..null'],
  ['readMemory, -1 bytes', (t) => t.readMemory(t.roots[0] as bigint, -1), 'EINVAL: readMemory: -1 bytes'],
  ['readMemory, NaN bytes', (t) => t.readMemory(t.roots[0] as bigint, Number.NaN), 'EINVAL: readMemory: NaN bytes'],
  ['readMemory at a number', (t) => t.readMemory(any(5), 8), 'EINVAL: readMemory: 8 bytes at 5'],
  [
    'readAndClearDirty, no visitor',
    (t) => t.readAndClearDirty(0n, PAGE, any(1)),
    'EINVAL: readAndClearDirty: visit 1: a function expected',
  ],
  ['addRange of a number', () => new IotlbGather().addRange(any(5), PAGE, 1), 'EINVAL: gather: iova 5: a bigint expected'],
  ['unmapRange, a bigint', (t) => t.unmapRange(0n, any(0x1000n)), 'EINVAL: unmapRange: size 0x1000: sizes and counts are numbers'],
  ['map, a bigint', (t) => t.map(0n, 0n, any(0x1000n), RW), 'EINVAL: mapRange: size 0x1000: sizes and counts are numbers'],
  ['unmapPages, a bigint', (t) => t.unmapPages(0n, any(0x1000n), 1), 'EINVAL: unmapPages: pgsize 0x1000: sizes and counts are numbers'],
  ['unmapPages, many', (t) => t.unmapPages(0n, PAGE, any(1n)), 'EINVAL: unmapPages: pgcount 0x1: sizes and counts are numbers'],
  ['protect, a bigint', (t) => t.protect(0n, any(0x1000n), RW), 'EINVAL: protect: size 0x1000: sizes and counts are numbers'],
  [
    'iovaToPhys outside',
    (t) => t.iovaToPhys(0x100_0000n),
    'ERANGE: iovaToPhys: iova 0x1000000: it must lie inside the 24 input address bits (ias)',
  ],
  ['walk outside', (t) => t.walk(0x100_0000n), 'ERANGE: walk: iova 0x1000000: it must lie inside the 24 input'],
  [
    'iovaToPhysMany outside',
    (t) => t.iovaToPhysMany(BigUint64Array.of(0x100_0000n), new BigUint64Array(1)),
    'ERANGE: iovaToPhysMany: iova 0x1000000: it must lie inside the 24 input',
  ],
]

test.each(CALLS)('%s', (_name, call, text) => {
  const b = bench({ dirty: true })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  expect(thrownBy(() => call(b.table as IoPageTable)).message).toContain(text)
  expect(leavesOf(b.table)).toHaveLength(4)
  expectNoLeak(b)
})

test('too many bytes for a number: the error says how many pages there may be', () => {
  const { table } = bench()
  const error = table.mapPages(0n, 0n, HUGE, 2 ** 40, RW).error
  expect(error?.message).toMatch(/^ERANGE: mapPages: pgcount 0x10000000000: .* below 2\^53: 0x1ffffffff pages of 0x100000 at most/)
})

test('unmap of a part of a larger leaf is EINVAL, as map is; unmapPages and unmapRange answer bytes and warn', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 16, RW)
  b.table.mapPages(0x1_0000n, 0n, BLOCK, 1, RW)
  const error = thrownBy(() => b.table.unmap(0x1_1000n, PAGE))
  expect([error.code, error.op, error.value]).toEqual(['EINVAL', 'unmap', 0x1_1000n])
  expect(leavesOf(b.table)).toHaveLength(17)
  expect(thrownBy(() => b.table.unmap(0xf000n, 2 * PAGE)).message).toMatch(
    '0x1000 bytes at iova 0x10000 are a part of a larger leaf, which stays; the 0x1000 bytes before it are unmapped',
  )
  expect(leavesOf(b.table)).toHaveLength(16)
  const gather = new IotlbGather()
  expect(thrownBy(() => b.table.unmap(0x1_1000n, PAGE, gather)).code).toBe('EINVAL')
  b.warnings.length = 0
  expect([b.table.unmapPages(0x1_1000n, PAGE, 1), b.table.unmapRange(0x1_1000n, PAGE), b.warnings.length]).toEqual([0, 0, 2])
  expect(b.table.unmap(0x20_0000n, PAGE)).toBe(0)
  expectSound(b)
})

test('a device that is unbound while its table is made has none, and nothing leaks', () => {
  const device = new Device('gpu').bind()
  const pool = newPool({}, { sync: () => void (device.bound && device.unbind()) })
  const error = thrownBy(() => IoPageTable.create(device, toy(), { allocator: pool, ...REQUEST }))
  expect([error.code, pool.stats().live]).toEqual(['ENODEV', 0])
})

test('a table whose pool lost its lock to a worker that was terminated can be freed once the pool is recovered', () => {
  const LOCK = 16
  const pool = newPool({}, { shared: true, size: MiB })
  const table = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST })
  table.mapPages(0n, 0n, PAGE, 1, RW)
  pool.meta[LOCK] = 1
  let clock = 0
  const now = vi.spyOn(Date, 'now').mockImplementation(() => (clock += 6000))
  expect(thrownBy(() => table.free()).code).toBe('EBUSY')
  expect(table.iovaToPhys(0n)).toBe(0n)
  expect(thrownBy(() => table.free()).code).toBe('EBUSY')
  now.mockRestore()
  expect(pool.recover()).toBe(true)
  expectNoLeak({ pool, table })
})
