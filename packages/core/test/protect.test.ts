/** `protect`: other permissions for what is mapped, in place. */
import { type IoPageTable, IotlbGather, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, BLOCK, bench, device, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, thrownBy } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const SHAPES: [string, Partial<Shape>][] = [
  ['as it is', {}],
  ['break-before-make for memory types', { policy: { breakBeforeMake: { size: true, fields: ['C', 'M'] } } }],
  ['32-bit entries', { entryBytes: 4 }],
  ['inverted valid bit', { inverted: true }],
  ['flushes by range', { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }],
  ['reports without a gather', { policy: { conflict: 'entry', flushOrder: 'slot-order', addPagesWithoutGather: true } }],
]

function protOf(b: Bench, iova: bigint): number | string {
  const found = device(b, iova)
  return typeof found === 'string' ? found : found.prot
}

describe.each(SHAPES)('%s', (_name, shape) => {
  test('leaves of several sizes and tables get the prot; addresses, sizes and what lies beside stay', () => {
    const b = bench({ ...shape, large: true }, { config: { oas: 32 } })
    const { table } = b
    table.map(0x1000n, 0x4000_1000n, PAGE, RW)
    table.mapRange(0x2000n, 0x5000_2000n, HUGE + 5 * BLOCK, RW)
    const sizes = leavesOf(table as IoPageTable).map((leaf) => leaf.split(' ').filter((_, i) => i !== 3))
    for (const prot of [Prot.READ, Prot.READ | Prot.CACHE | Prot.NOEXEC, RW | Prot.MMIO, RW]) {
      expect(table.protect(0x2000n, HUGE + 5 * BLOCK, prot)).toBe(HUGE + 5 * BLOCK)
      expect(leavesOf(table as IoPageTable).map((leaf) => leaf.split(' ').filter((_, i) => i !== 3))).toEqual(sizes)
      expect([0x1000n, 0x2000n, 0xf000n, 0x1_0000n, 0x10_0000n].map((iova) => protOf(b, iova))).toEqual([RW, prot, prot, prot, prot])
    }
    expectSound(b)
    expectNoLeak(b)
  })
})

test('up to the first hole; a hole at the start is nothing', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  b.table.mapPages(0x5000n, 0n, PAGE, 4, RW)
  expect(b.table.protect(0n, BLOCK, Prot.READ)).toBe(4 * PAGE)
  expect(protOf(b, 0x5000n)).toBe(RW)
  expect(b.table.protect(0x4000n, BLOCK, Prot.READ)).toBe(0)
})

test('a part of a leaf is EINVAL, and names the leaf; with `cut` the leaf is cut', () => {
  for (const [from, size] of [
    [PAGE, BLOCK],
    [0, HUGE - PAGE],
    [PAGE, PAGE],
  ] as const) {
    const b = bench()
    b.table.map(0n, 0n, HUGE, RW)
    const before = b.table.snapshot()
    expect(thrownBy(() => b.table.protect(BigInt(from), size, Prot.READ))).toMatchObject({ code: 'EINVAL', value: 0n })
    expect(b.table.snapshot()).toEqual(before)
    expect(b.table.protect(BigInt(from), size, Prot.READ, { cut: true })).toBe(size)
    for (let iova = 0; iova < HUGE; iova += PAGE) {
      expect(protOf(b, BigInt(iova))).toBe(iova >= from && iova < from + size ? Prot.READ : RW)
      expect(b.table.iovaToPhys(BigInt(iova))).toBe(BigInt(iova))
    }
    expectSound(b)
    expectNoLeak(b)
  }
})

test('without memory for a cut nothing is protected', () => {
  const b = bench({}, { pool: { ceiling: 256 } })
  b.table.map(0n, 0n, HUGE, RW)
  expect(thrownBy(() => b.table.protect(0x1000n, PAGE, Prot.READ, { cut: true })).code).toBe('ENOMEM')
  expect(protOf(b, 0x1000n)).toBe(RW)
  expectSound(b)
})

test('a prot that no leaf can have, an empty one, a range outside, or misaligned', () => {
  const b = bench()
  b.table.map(0n, 0n, PAGE, RW)
  const codes = [
    () => b.table.protect(0n, PAGE, RW | Prot.PRIV),
    () => b.table.protect(0n, PAGE, Prot.CACHE),
    () => b.table.protect(0n, PAGE, 64),
    () => b.table.protect(0x800n, PAGE, RW),
    () => b.table.protect(0n, 0, RW),
    () => b.table.protect(0xff_f000n, 2 * PAGE, RW),
    () => b.table.protect(0n, PAGE, RW, { gather: {} as never }),
  ].map((run) => thrownBy(run).code)
  expect(codes).toEqual(['EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'ERANGE', 'EINVAL'])
  expect(protOf(b, 0n)).toBe(RW)
})

test('what changed is flushed in runs, what did not change is not', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  b.table.mapPages(0x4000n, 0x4000n, PAGE, 4, Prot.READ)
  b.table.mapPages(0x8000n, 0x8000n, PAGE, 16, RW)
  b.log.length = 0
  b.table.protect(0n, 24 * PAGE, Prot.READ)
  expect(b.log).toEqual(['pages 0 1000 x4', 'pages 8000 1000 x8', 'pages 10000 1000 x8', 'sync'])
  b.log.length = 0
  b.table.protect(0n, 24 * PAGE, Prot.READ, { gather: new IotlbGather() })
  expect(b.log).toEqual([])
})

test('break-before-make: a memory type goes by an empty entry, permissions do not; a callback that throws restores', () => {
  const seen: (number | string)[] = []
  let broken = false
  const look = (): void => {
    seen.push(protOf(b, 0x1000n))
    if (broken) throw new Error('failed')
  }
  const b = bench({ policy: { breakBeforeMake: { size: true, fields: ['C'] } } }, { tlb: { addPages: look, sync: () => {} } })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  b.table.protect(0n, 4 * PAGE, Prot.READ)
  b.table.protect(0n, 4 * PAGE, Prot.READ | Prot.CACHE)
  expect(seen).toEqual([Prot.READ, 'empty'])
  broken = true
  expect(() => b.table.protect(0n, 4 * PAGE, RW)).toThrow('failed')
  expect([0n, 0x1000n, 0x3000n].map((iova) => protOf(b, iova))).toEqual(Array(3).fill(Prot.READ | Prot.CACHE))
  expectSound(b)
})

test('what the device wrote to stays dirty, and what it did not stays clean', () => {
  const b = bench({ dirty: true })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  const leaf = b.table.walk(0x2000n).at(-1)!
  b.pool.words[Number(leaf.table - b.pool.base) / 4 + leaf.index * 2]! |= 1 << 10
  b.table.protect(0n, 4 * PAGE, Prot.READ | Prot.CACHE)
  const dirty: bigint[] = []
  b.table.readAndClearDirty(0n, 4 * PAGE, (iova) => void dirty.push(iova))
  expect(dirty).toEqual([0x2000n])
})

test('V8 compiles the exchange of entries of either size', () => {
  for (const [entryBytes, calls] of [
    [8, 200],
    [4, 200],
    [8, 2000],
  ] as const) {
    const { table } = bench({ entryBytes }, { pool: { shared: true } })
    table.mapPages(0n, 0n, PAGE, 128, RW)
    for (let i = 0; i < calls; i++) table.protect(0n, 128 * PAGE, i & 1 ? RW : Prot.READ)
    expect(leavesOf(table as IoPageTable).length).toBe(128)
  }
})
