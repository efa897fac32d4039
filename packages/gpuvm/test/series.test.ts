/** Several operations as one request: what reaches the tables, what is told the device, and which operation an error names. */
import { type AddressRange, type IoPageTable, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { describePlan, GpuAddressSpace, type GpuBo, GpuVm, type GpuVmOperation, SeriesError } from '../src/index.ts'
import { exhaust, FORMATS, newPool, RW, type TestFormat } from './support/formats.ts'

interface Bo extends GpuBo {
  paddr: bigint
}

const START = 0x1000_0000n
const PAGE = BigInt(SZ_4K)
const MiB = BigInt(SZ_1M)

function world({ create }: TestFormat) {
  const log: string[] = []
  const locked: AddressRange[] = []
  const pool = newPool(0x20_0000)
  const table = create(pool, { flushAll() {}, flushWalk() {}, sync: () => void log.push('sync') })
  const vm = new GpuVm<Bo>({ start: START, range: 0x3000_0000n })
  const space = new GpuAddressSpace(vm, table, {
    lock: (range) => void locked.push(range),
    unlock: () => void log.push('unlock'),
  })
  const bo = (name: string, paddr: bigint) => vm.obtain({ name, size: 0x1000_0000n, paddr })
  return { pool, table, vm, space, log, locked, a: bo('a', 0x4000_0000n), b: bo('b', 0x6000_1000n) }
}

const page = (n: number | bigint): bigint => START + BigInt(n) * PAGE
const at = (table: IoPageTable, n: number): bigint | undefined => table.iovaToPhys(page(n))

function errorOf(run: () => unknown): SeriesError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(SeriesError)
    return error as SeriesError
  }
  throw new Error('it did not throw')
}

describe.each(FORMATS)('$name', (format) => {
  test('a thousand unmaps are one lock, one sync and one unlock', () => {
    const { space, table, log, locked, a } = world(format)
    space.map({ addr: START, range: 2000n * PAGE, bo: a, flags: RW })
    log.length = locked.length = 0
    const operations = Array.from({ length: 1000 }, (_, i) => ({ op: 'unmap', addr: page(2 * i), range: PAGE }) as const)
    expect(space.bind(operations)).toEqual({ done: 1000 })
    expect([locked.length, log.filter((what) => what === 'unlock').length]).toEqual([1, 1])
    if (!format.breaks) expect(log).toEqual(['sync', 'unlock'])
    expect([at(table, 0), at(table, 1), at(table, 1998), at(table, 1999)]).toEqual([
      undefined,
      0x4000_1000n,
      undefined,
      0x4000_0000n + 1999n * PAGE,
    ])
  })

  test('operations that undo one another reach no table', () => {
    const { space, table, log, locked, a, b } = world(format)
    space.map({ addr: START, range: 16n * PAGE, bo: a, flags: RW })
    const before = table.snapshot().runs
    log.length = locked.length = 0
    const { flushes } = space.stats
    space.bind([
      { op: 'map', addr: page(4), range: 4n * PAGE, bo: b, flags: RW },
      { op: 'unmap', addr: page(6), range: PAGE },
      { op: 'map', addr: page(4), range: 4n * PAGE, bo: a, offset: 4n * PAGE, flags: RW },
    ])
    expect([locked, log, space.stats.flushes]).toEqual([[], [], flushes])
    expect(table.snapshot().runs).toEqual(before)
    expect(space.vm.size).toBe(3)
  })

  test('each operation is on what those before it leave', () => {
    const { space, table, a, b } = world(format)
    space.bind([
      { op: 'map', addr: page(0), range: 8n * PAGE, bo: a, flags: RW },
      { op: 'map', addr: page(2), range: 2n * PAGE, bo: b, flags: RW },
      { op: 'unmap', addr: page(3), range: 2n * PAGE },
      { op: 'evict', bo: a },
    ])
    expect([0, 1, 2, 3, 4, 5].map((n) => at(table, n))).toEqual([undefined, undefined, 0x6000_1000n, undefined, undefined, undefined])
    a.object.paddr = 0x5000_0000n
    space.bind([
      { op: 'restore', bo: a },
      { op: 'unmap', addr: page(0), range: PAGE },
    ])
    expect([0, 1, 2, 5].map((n) => at(table, n))).toEqual([undefined, 0x5000_1000n, 0x6000_1000n, 0x5000_5000n])
  })

  test('an evict and a restore in one series map the memory again, where it is then', () => {
    const { space, table, log, a } = world(format)
    space.map({ addr: START, range: 2n * PAGE, bo: a, flags: RW })
    log.length = 0
    space.bind([
      { op: 'evict', bo: a },
      { op: 'restore', bo: a },
    ])
    expect(log).toEqual(['sync', 'unlock'])
    expect(at(table, 1)).toBe(0x4000_1000n)
  })

  test('changes more than 2 MiB apart are locked apart, at most eight of them, across the smallest gaps', () => {
    const { space, locked, a } = world(format)
    const map = (mib: number): GpuVmOperation<Bo> => ({ op: 'map', addr: START + BigInt(mib) * MiB, range: PAGE, bo: a, flags: RW })
    space.bind([map(0), map(1), map(8)])
    expect(locked).toEqual([
      { first: START, last: START + MiB + PAGE - 1n },
      { first: START + 8n * MiB, last: START + 8n * MiB + PAGE - 1n },
    ])
    locked.length = 0
    space.bind([20, 40, 60, 80, 100, 120, 140, 145, 160, 163].map(map))
    expect(locked.map(({ first, last }) => [(first - START) / MiB, (last - START) / MiB].map(Number))).toEqual(
      [20, 40, 60, 80, 100, 120]
        .map((mib) => [mib, mib])
        .concat([
          [140, 145],
          [160, 163],
        ]),
    )
  })

  test('an operation that cannot be is named, and nothing changes', () => {
    const { space, vm, table, locked, a } = world(format)
    const error = errorOf(() =>
      space.bind([
        { op: 'map', addr: page(0), range: PAGE, bo: a, flags: RW },
        { op: 'map', addr: page(1), range: PAGE, bo: a, offset: 1n, flags: RW },
      ]),
    )
    expect(error).toMatchObject({ code: 'EINVAL', index: 1, value: 1n })
    expect(error.message).toContain('operation 1, map 0x10001000..0x10001fff: EINVAL: smMap: offset 0x1 is no multiple')
    expect([vm.size, table.snapshot().runs.length, locked.length, a.count]).toEqual([0, 0, 0, 0])
    expect(errorOf(() => space.bind([{ op: 'move' } as never])).message).toContain('op move: map, sparse, unmap, evict or restore expected')
  })

  test('no memory for one of several maps that are neighbours: it is named; with `stop` those before it are done', () => {
    const { space, pool, table, vm, a } = world(format)
    space.map({ addr: START, range: PAGE, bo: a, flags: RW })
    const last = BigInt(table.geometry.nodes.at(-1)!.tableBytes)
    const entries = BigInt(format.block) / PAGE
    // the second one needs the next table
    const maps = [1n, entries - 2n, entries - 1n, entries, entries + 1n].map(
      (n): GpuVmOperation<Bo> => ({ op: 'map', addr: page(n), range: PAGE, bo: a, offset: n * PAGE, flags: RW }),
    )
    const release = exhaust(pool, Number(last), 0)
    const { tableBytes } = table
    expect(errorOf(() => space.bind(maps))).toMatchObject({ code: 'ENOMEM', index: 3 })
    expect([vm.size, table.tableBytes]).toEqual([1, tableBytes])
    const result = space.bind(maps, { onError: 'stop' })
    expect(result).toMatchObject({ done: 3, error: { code: 'ENOMEM', index: 3 } })
    expect([vm.size, at(table, Number(entries) - 1)]).toEqual([4, a.object.paddr + (entries - 1n) * PAGE])
    release()
    expect(space.bind(maps.slice(3))).toEqual({ done: 2 })
  })

  test('no memory to cut a block: the operation that splits it is named', () => {
    const { space, pool, table, a } = world(format)
    const block = BigInt(format.block)
    space.map({ addr: START, range: 4n * block, bo: a, flags: RW })
    const release = exhaust(pool, table.geometry.nodes.at(-1)!.tableBytes, 0)
    const error = errorOf(() =>
      space.bind([
        { op: 'unmap', addr: START, range: block },
        { op: 'unmap', addr: START + 2n * block + PAGE, range: PAGE },
      ]),
    )
    expect(error).toMatchObject({ code: 'ENOMEM', index: 1 })
    release()
  })
})

test('sparse ranges: one zero page again and again, split and joined as any mapping, refused where nobody says what they have', () => {
  const [format] = FORMATS as [TestFormat]
  const { create } = format
  const table = create(newPool(0x20_0000))
  const vm = new GpuVm<Bo>({ start: START, range: 0x3000_0000n })
  const zeros = (_addr: bigint, bytes: number) => Array.from({ length: bytes / SZ_4K }, () => ({ paddr: 0x7000_0000n, size: SZ_4K }))
  const space = new GpuAddressSpace(vm, table, { sparse: zeros })
  space.sparse({ addr: page(0), range: 16n * PAGE, flags: RW })
  expect([0, 1, 15].map((n) => at(table, n))).toEqual([0x7000_0000n, 0x7000_0000n, 0x7000_0000n])
  const plan = space.unmap({ addr: page(4), range: PAGE })
  expect(describePlan(plan).split('\n').at(-1)).toBe(
    '  remap 0x10000000..0x1000ffff sparse flags 0x3: prev 0x10000000..0x10003fff sparse flags 0x3, next 0x10005000..0x1000ffff sparse flags 0x3',
  )
  expect([3, 4, 5].map((n) => at(table, n))).toEqual([0x7000_0000n, undefined, 0x7000_0000n])
  const { kept } = space.stats
  space.bind([{ op: 'sparse', addr: page(0), range: 32n * PAGE, flags: RW }])
  expect([space.stats.kept - kept, vm.size, [...vm.bos].length, vm.find(page(4))?.bo.sparse]).toEqual([15n * PAGE, 1, 0, true])
  expect(() => vm.evict(vm.find(page(0))!.bo)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  const bare = new GpuAddressSpace(new GpuVm<Bo>({ start: START, range: 0x3000_0000n }), create(newPool(0x20_0000)))
  expect(() => bare.sparse({ addr: page(0), range: PAGE })).toThrow(expect.objectContaining({ code: 'EINVAL', value: START }))
  expect(bare.vm.size).toBe(0)
})

test('a series inside a callback is EBUSY, and one that another request has overtaken is EINVAL', () => {
  const [format] = FORMATS as [TestFormat]
  const { vm, space, a } = world(format)
  const series = vm.series([{ op: 'map', addr: START, range: PAGE, bo: a, flags: RW }])
  expect(series.changes.additions.map(({ addr, range }) => [addr, range])).toEqual([[START, PAGE]])
  expect(() => vm.applySeries(series, () => space.bind([]))).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  expect(vm.size).toBe(0)
  space.map({ addr: START, range: PAGE, bo: a, flags: RW })
  expect(() => vm.applySeries(series, () => {})).toThrow(expect.objectContaining({ code: 'EINVAL' }))
})
