/** `readAndClearDirty`: which leaves the device wrote to. */
import { type IoPageTable, IotlbGather, ReadDirty } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type Bench, BLOCK, bench, codeOf, expectSound, HUGE, PAGE, RW, TABLE, thrownBy } from './helpers.ts'
import type { Toy } from './toy-format.ts'

const D = 0x400

/** The device writes to an address. */
function write(b: Bench, iova: bigint): void {
  const leaf = b.table.walk(iova).at(-1)
  if (leaf?.type !== 'leaf') throw new Error('the device faults')
  const word = Number(leaf.table - b.pool.base) / 4 + leaf.index * (leaf.node.entryBytes / 4)
  b.pool.words[word] = (b.pool.words[word] ?? 0) | D
}

function dirtyOf(table: IoPageTable<Toy>, iova: bigint, size: number, flags?: number, gather?: IotlbGather): [bigint, number][] {
  const seen: [bigint, number][] = []
  table.readAndClearDirty(iova, size, (at, pgsize) => void seen.push([at, pgsize]), flags, gather)
  return seen
}

test('visits what was written to, in order, and cleans it', () => {
  for (const shape of [{ dirty: true }, { dirty: true, entryBytes: 4 }] as const) {
    const b = bench(shape)
    b.table.mapRange(0xf_c000n, 0xf_c000n, HUGE + BLOCK + 6 * PAGE, RW)
    const range = [0xf_c000n, HUGE + BLOCK + 6 * PAGE] as const
    expect(dirtyOf(b.table, ...range)).toEqual([])
    for (const iova of [0x21_0fffn, 0x12_3456n, 0xf_e000n]) write(b, iova)
    const wanted = [
      [0xf_e000n, PAGE],
      [0x10_0000n, HUGE],
      [0x21_0000n, PAGE],
    ]
    expect(dirtyOf(b.table, ...range, ReadDirty.NO_CLEAR)).toEqual(wanted)
    expect(dirtyOf(b.table, ...range)).toEqual(wanted)
    expect(dirtyOf(b.table, ...range)).toEqual([])
    write(b, 0x10_0000n)
    expect(dirtyOf(b.table, ...range)).toEqual([[0x10_0000n, HUGE]])
    expectSound(b)
  }
})

test('a leaf that only partly lies in the range counts whole, from its head', () => {
  const b = bench({ dirty: true })
  b.table.mapPages(0x10_0000n, 0n, HUGE, 1, RW)
  write(b, 0x10_0000n)
  expect(dirtyOf(b.table, 0x1f_f000n, PAGE)).toEqual([[0x10_0000n, HUGE]])
})

test('a hole ends it with EINVAL, after the leaves before it were visited and cleaned', () => {
  const b = bench({ dirty: true })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  b.table.mapPages(0x5000n, 0n, PAGE, 1, RW)
  for (const iova of [0x1000n, 0x3000n, 0x5000n]) write(b, iova)
  const seen: bigint[] = []
  const error = thrownBy(() => b.table.readAndClearDirty(0n, 6 * PAGE, (iova) => void seen.push(iova)))
  expect([codeOf(error), seen]).toEqual([
    ['EINVAL', 0x4000n],
    [0x1000n, 0x3000n],
  ])
  expect(dirtyOf(b.table, 0n, 4 * PAGE)).toEqual([])
  expect(dirtyOf(b.table, 0x5000n, PAGE)).toEqual([[0x5000n, PAGE]])
  expect(codeOf(thrownBy(() => dirtyOf(b.table, 0x80_0000n, PAGE)))).toEqual(['EINVAL', 0x80_0000n])
})

test('a configuration without dirty tracking is EINVAL', () => {
  const { table } = bench()
  table.mapPages(0n, 0n, PAGE, 1, RW)
  expect(thrownBy(() => dirtyOf(table, 0n, PAGE)).message).toMatch(/^EINVAL: readAndClearDirty: .*dirty tracking/)
})

test('cleaned leaves are told to the gather; looking is not', () => {
  const b = bench({ dirty: true })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  b.table.mapPages(0x1_0000n, 0n, BLOCK, 1, RW)
  for (const iova of [0x1000n, 0x2000n]) write(b, iova)
  const gather = new IotlbGather()
  dirtyOf(b.table, 0n, 4 * PAGE, ReadDirty.NO_CLEAR, gather)
  expect(b.log).toEqual([])
  dirtyOf(b.table, 0n, 4 * PAGE, 0, gather)
  expect(b.log).toEqual(['pages 1000 1000 x1', 'pages 2000 1000 x1'])
  gather.sync()
  write(b, 0x1_0000n)
  const queued = new IotlbGather({ queued: true })
  dirtyOf(b.table, 0x1_0000n, BLOCK, 0, queued)
  write(b, 0x1_0000n)
  dirtyOf(b.table, 0x1_0000n, BLOCK)
  expect(b.log).toHaveLength(3)
})

test('without addPages the gather notes the range itself', () => {
  const b = bench({ dirty: true }, { tlb: { addPages: undefined as never } })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  write(b, 0x2000n)
  const gather = new IotlbGather()
  dirtyOf(b.table, 0n, 4 * PAGE, 0, gather)
  expect([gather.first, gather.last, gather.granule]).toEqual([0x2000n, 0x2fffn, PAGE])
})

test('mappings of several entries: any dirty entry makes all of them dirty, and all are cleaned', () => {
  for (const shape of [
    { dirty: true, large: true },
    { dirty: true, contiguous: 'encode' },
  ] as const) {
    const b = bench(shape)
    const pgsize = 'large' in shape ? 0x4000 : 0x8000
    b.table.mapPages(BigInt(pgsize), 0n, pgsize, 1, RW)
    write(b, BigInt(pgsize))
    write(b, BigInt(pgsize) + 0x2000n)
    write(b, BigInt(pgsize) + 0x3000n)
    const gather = new IotlbGather()
    expect(dirtyOf(b.table, BigInt(pgsize) + 0x1000n, PAGE, 0, gather)).toEqual([[BigInt(pgsize), pgsize]])
    expect(b.log).toEqual([`pages ${pgsize.toString(16)} 1000 x${pgsize / PAGE}`])
    expect(dirtyOf(b.table, BigInt(pgsize), pgsize)).toEqual([])
  }
})

test('the visitor may read the table; a change is EBUSY', () => {
  const b = bench({ dirty: true })
  b.table.mapPages(0n, 0x7000n, PAGE, 4, RW)
  for (const iova of [0n, 0x1000n]) write(b, iova)
  const seen: unknown[] = []
  b.table.readAndClearDirty(0n, 4 * PAGE, (iova) => {
    seen.push(
      b.table.iovaToPhys(iova),
      thrownBy(() => b.table.unmapPages(0n, BLOCK, 1)).code,
      b.table.mapPages(0x10_0000n, 0n, PAGE, 1, RW).error?.code,
    )
  })
  expect(seen).toEqual([0x7000n, 'EBUSY', 'EBUSY', 0x8000n, 'EBUSY', 'EBUSY'])
  expectSound(b)
})

test('a visitor that throws leaves its leaf dirty', () => {
  const b = bench({ dirty: true })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  for (const iova of [0n, 0x1000n]) write(b, iova)
  const fail = (iova: bigint): void => {
    if (iova === 0x1000n) throw new Error('no more')
  }
  expect(() => b.table.readAndClearDirty(0n, 4 * PAGE, fail)).toThrow('no more')
  expect(dirtyOf(b.table, 0n, 4 * PAGE)).toEqual([[0x1000n, PAGE]])
})

test('the memory of a walker is told of cleaned entries', () => {
  const synced: [bigint, number][] = []
  const b = bench({ dirty: true }, { pool: { sync: (paddr, bytes) => void synced.push([paddr, bytes]) } })
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  write(b, 0x3000n)
  synced.length = 0
  dirtyOf(b.table, 0n, 4 * PAGE)
  expect(synced).toEqual([[(b.table.walk(0n).at(-1)?.table ?? 0n) + 24n, 8]])
})

test('both halves of a sign-extended window, and the last page of 2^64', () => {
  const b = bench({ dirty: true, window: 'sign-extended' })
  const last = 2n ** 64n - 0x1000n
  b.table.mapPages(last, 0n, PAGE, 1, RW)
  write(b, last)
  expect(dirtyOf(b.table, last, PAGE)).toEqual([[last, PAGE]])
  expect(b.table.tableBytes).toBe(3 * TABLE)
})
