/** `mapPages`: its outcomes, and that what it writes is what the device reads. */
import { IoPageTable, Prot } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { BLOCK, bench, codeOf, device, expectNoLeak, expectSound, HUGE, leavesOf, MiB, newPool, PAGE, RW, TABLE } from './helpers.ts'
import { type Shape, toy } from './toy-format.ts'

const SHAPES: [string, Partial<Shape>][] = [
  ['64-bit entries', {}],
  ['32-bit entries', { entryBytes: 4 }],
  ['inverted valid bit', { inverted: true }],
  ['32-bit entries, inverted', { entryBytes: 4, inverted: true }],
  ['a level in each table descriptor', { skips: true }],
  ['conflicts entry by entry', { policy: { conflict: 'entry' } }],
  ['two roots', { roots: 2 }],
  ['runs of 4 slots', { policy: { runSlots: 4 } }],
]

test.each(SHAPES)('%s: one call goes on across tables, and the device reads what was meant', (_name, shape) => {
  const b = bench(shape)
  const result = b.table.mapPages(0x1_8000n, 0x7654_3000n, PAGE, 40, RW | Prot.NOEXEC)
  expect(result).toEqual({ mapped: 40 * PAGE, error: undefined })
  expect(Object.isFrozen(result)).toBe(true)
  for (let i = 0n; i < 40n; i++) {
    const iova = 0x1_8000n + i * 0x1000n + 0xabcn
    expect(device(b, iova)).toMatchObject({ paddr: 0x7654_3000n + i * 0x1000n + 0xabcn, prot: RW | Prot.NOEXEC, level: 3 })
    expect(b.table.iovaToPhys(iova)).toBe(0x7654_3000n + i * 0x1000n + 0xabcn)
  }
  expect([device(b, 0x1_7fffn), device(b, 0x4_0000n)]).toEqual(['empty', 'empty'])
  expectSound(b)
  expectNoLeak(b)
})

test.each(SHAPES)('%s: leaves of every level', (_name, shape) => {
  const b = bench(shape)
  for (const [iova, pgsize, level] of [[0x20_0000n, HUGE, 1] as const, [0x10_0000n, BLOCK, 2] as const, [0x3000n, PAGE, 3] as const]) {
    const paddr = 0x4440_0000n + iova
    expect(b.table.mapPages(iova, paddr, pgsize, 3, Prot.READ)).toEqual({ mapped: 3 * pgsize, error: undefined })
    const last = BigInt(3 * pgsize - 1)
    expect(device(b, iova + last)).toMatchObject({ paddr: paddr + last, prot: Prot.READ, level })
    expect(b.table.iovaToPhys(iova + last)).toBe(paddr + last)
    expect(b.table.iovaToPhys(iova + last + 1n)).toBeUndefined()
  }
  expectSound(b)
})

test('output addresses above 2^32, and their carry between the lanes of a descriptor', () => {
  for (const shape of [{}, { scattered: true, indexBits: 9 }]) {
    const b = bench(shape, { config: { ias: 39 } })
    const paddr = 0x7_ffff_0000n
    expect(b.table.mapPages(0x5000n, paddr, PAGE, 64, RW)).toEqual({ mapped: 64 * PAGE, error: undefined })
    for (let i = 0n; i < 64n; i++) expect(device(b, 0x5000n + i * 0x1000n)).toMatchObject({ paddr: paddr + i * 0x1000n })
    const [low = 0, middle = 0] = b.table.geometry.nodes.toReversed().map((node) => 2 ** node.shift)
    const far = 2n ** 52n - BigInt(middle) * 8n
    expect(b.table.mapPages(BigInt(middle * 8), far, middle, 8, RW)).toEqual({ mapped: 8 * middle, error: undefined })
    expect(device(b, BigInt(16 * middle - low))).toMatchObject({ paddr: 2n ** 52n - BigInt(low), level: 2 })
    expectSound(b)
  }
})

test('the same result object may serve equal successes; it is frozen, and errors are objects of their own', () => {
  const { table } = bench()
  const one = table.mapPages(0n, 0n, PAGE, 1, RW)
  const two = table.mapPages(0x1000n, 0n, PAGE, 2, RW)
  const three = table.mapPages(0x3000n, 0n, PAGE, 1, RW)
  expect([one.mapped, two.mapped, three.mapped]).toEqual([PAGE, 2 * PAGE, PAGE])
  expect([one, two, three].every(Object.isFrozen)).toBe(true)
  expect(() => Object.assign(one, { mapped: 1 })).toThrow(TypeError)
  const failed = table.mapPages(0n, 0n, PAGE, 1, RW)
  expect(codeOf(failed.error)).toEqual(['EEXIST', 0n])
  expect(one).toEqual({ mapped: PAGE, error: undefined })
})

test('oneTablePerCall: short successes, and a loop over them makes the same table', () => {
  const whole = bench()
  whole.table.mapPages(0xc000n, 0x9000_0000n, PAGE, 40, RW)
  const b = bench({}, { debug: { oneTablePerCall: true } })
  const steps: number[] = []
  for (let done = 0; done < 40 * PAGE; ) {
    const result = b.table.mapPages(0xc000n + BigInt(done), 0x9000_0000n + BigInt(done), PAGE, 40 - done / PAGE, RW)
    expect(result.error).toBeUndefined()
    expect(Object.isFrozen(result)).toBe(true)
    expect(result.mapped).toBeGreaterThan(0)
    steps.push(result.mapped / PAGE)
    done += result.mapped
  }
  expect(steps).toEqual([4, 16, 16, 4])
  expect(leavesOf(b.table)).toEqual(leavesOf(whole.table))
  // mapRange goes on by itself
  expect(b.table.mapRange(0x4_0000n, 0x1000n, 33 * PAGE, RW)).toEqual({ mapped: 33 * PAGE, error: undefined })
})

test('oneTablePerCall with runs that are shorter than a table, and at the root', () => {
  const b = bench({ policy: { runSlots: 4 } }, { debug: { oneTablePerCall: true } })
  expect(b.table.mapPages(0x2000n, 0n, PAGE, 10, RW).mapped).toBe(2 * PAGE)
  expect(b.table.mapPages(0x4000n, 0n, PAGE, 10, RW).mapped).toBe(4 * PAGE)
  expect(b.table.mapPages(0x30_0000n, 0n, HUGE, 10, RW).mapped).toBe(HUGE)
})

test('a shortage of table memory keeps the prefix and loses no table', () => {
  // the root, one table of level 2, two of level 3
  const b = bench({}, { pool: { ceiling: 4 * TABLE } })
  const { mapped, error } = b.table.mapPages(0x8000n, 0n, PAGE, 100, RW)
  expect(mapped).toBe(24 * PAGE)
  expect(codeOf(error)).toEqual(['ENOMEM', 0x2_0000n])
  expect(error?.message).toMatch(/^ENOMEM: mapPages: .*0x20000.*ceiling/)
  expect(error?.cause).toMatchObject({ code: 'ENOMEM', op: 'alloc' })
  expect(leavesOf(b.table)).toHaveLength(24)
  expectSound(b)
  // nothing is mapped: error and 0, and the upper table that was made is accounted
  const c = bench({}, { pool: { ceiling: 2 * TABLE } })
  expect(c.table.mapPages(0n, 0n, PAGE, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'ENOMEM' } })
  expect(c.table.tableBytes).toBe(2 * TABLE)
  expectSound(c)
  expect(c.table.mapPages(0n, 0n, BLOCK, 1, RW)).toMatchObject({ mapped: BLOCK, error: undefined })
  expectNoLeak(c)
  expectNoLeak(b)
})

test('a table that is filled as a whole is what it would be entry by entry, whatever its memory held', () => {
  const shapes: Partial<Shape>[] = [{}, { inverted: true }, { entryBytes: 4 }]
  for (const shape of shapes) {
    const options = { config: { oas: 32 }, pool: { memory: new Uint8Array(MiB).fill(0xa5) } }
    const whole = bench(shape, options)
    const single = bench(shape, { ...options, pool: { memory: new Uint8Array(MiB).fill(0x5a) } })
    expect(whole.table.mapPages(0x8000n, 0x5000_0000n, PAGE, 100, RW)).toEqual({ mapped: 100 * PAGE, error: undefined })
    for (let i = 0; i < 100; i++) single.table.mapPages(0x8000n + BigInt(i * PAGE), 0x5000_0000n + BigInt(i * PAGE), PAGE, 1, RW)
    expect(leavesOf(whole.table)).toEqual(leavesOf(single.table))
    expect(whole.table.tableBytes).toBe(single.table.tableBytes)
    // and it can be taken down and made again
    for (let round = 0; round < 3; round++) {
      expect(whole.table.unmapPages(0x1_0000n, BLOCK, 4)).toBe(4 * BLOCK)
      expect(whole.table.mapPages(0x1_0000n, 0x5000_8000n, PAGE, 64, RW).mapped).toBe(64 * PAGE)
      expect(leavesOf(whole.table)).toEqual(leavesOf(single.table))
    }
    expectSound(whole)
    expectNoLeak(whole)
  }
})

test('memory that the pressure hook frees is used, and the hook may not change the table that asked', () => {
  const spare: number[] = []
  const nested: unknown[] = []
  const onPressure = (): void => {
    nested.push(codeOf(b.table.mapPages(0n, 0n, HUGE, 1, RW).error)?.toString(), b.table.iovaToPhys(0n))
    for (const ptr of spare.splice(0)) b.pool.free(ptr as never)
  }
  const b = bench({}, { pool: { ceiling: 8 * TABLE, onPressure } })
  for (let i = 0; i < 7; i++) spare.push(b.pool.alloc(TABLE))
  expect(b.table.mapPages(0n, 0x5000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
  expect(nested).toEqual(['EBUSY,', undefined])
  expectSound(b)
})

test('a root without memory is ENOMEM, and nothing stays behind', () => {
  const pool = newPool({}, { ceiling: 64 })
  expect(() => IoPageTable.createRaw(toy(), { allocator: pool, pgsizeBitmap: 0x1000n, ias: 24, oas: 32 })).toThrow(/^ENOMEM/)
  expect(pool.stats().live).toBe(0)
})

test('tables lie below the limit that the format names', () => {
  const below = 2n ** 32n
  const pool = newPool({}, { base: below - 4n * BigInt(MiB), size: 8 * MiB })
  const request = { allocator: pool, pgsizeBitmap: 0x1000n, ias: 24, oas: 52 }
  const limited = IoPageTable.createRaw(toy({ tablesBelow: below }), request)
  // takes what is left of the lower half
  expect(() => {
    for (;;) pool.alloc(TABLE, { below })
  }).toThrow(/^ENOMEM/)
  expect(limited.mapPages(0n, 0n, PAGE, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'ENOMEM' } })
  expect(() => IoPageTable.createRaw(toy({ tablesBelow: below }), request)).toThrow(/^ENOMEM/)
  const free = IoPageTable.createRaw(toy(), request)
  expect(free.mapPages(0n, 0n, PAGE, 1, RW).error).toBeUndefined()
  expect([limited.roots[0] ?? 0n, free.roots[0] ?? 0n].map((root) => root < below)).toEqual([true, false])
})
