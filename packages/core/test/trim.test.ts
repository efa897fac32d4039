/** `trim`, `forEachLeaf` and `snapshot`, and that the walk cache and callbacks survive what changes in place. */
import { diffSnapshots, type IoPageTable, IotlbGather, Prot, snapshotText } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, device, expectNoLeak, expectSound, HUGE, PAGE, RW, TABLE, thrownBy } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const RANGE: Partial<Shape> = { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }
const NEVER: Partial<Shape> = { policy: { freeTables: 'never' } }

describe.each([
  ['walks first', {}],
  ['by range', RANGE],
  ['tables never go by themselves', NEVER],
] as [string, Partial<Shape>][])('%s', (_name, shape) => {
  test('page by page unmaps leave tables behind; trim frees them', () => {
    const b = bench(shape)
    const { table } = b
    table.mapPages(0n, 0n, PAGE, 64, RW)
    table.map(0x20_0000n, 0n, PAGE, RW)
    for (let i = 0; i < 64; i++) table.unmap(BigInt(i * PAGE), PAGE)
    expect(table.tableBytes).toBe(8 * TABLE)
    expect(table.trim()).toBe(5 * TABLE)
    expect(table.tableBytes).toBe(3 * TABLE)
    expect(table.iovaToPhys(0x20_0000n)).toBe(0n)
    expect(table.trim()).toBe(0)
    expectSound(b)
    table.unmap(0x20_0000n, PAGE)
    table.trim()
    expect(table.tableBytes).toBe(TABLE)
    expectNoLeak(b)
  })

  test('only tables that lie wholly in the range go', () => {
    const b = bench(shape)
    const { table } = b
    table.mapPages(0n, 0n, PAGE, 64, RW)
    for (let i = 0; i < 64; i++) table.unmap(BigInt(i * PAGE), PAGE)
    expect(table.trim({ first: 1n, last: BigInt(2 * BLOCK) - 2n })).toBe(0)
    expect(table.trim({ first: 0n, last: BigInt(2 * BLOCK) - 1n })).toBe(2 * TABLE)
    expect(table.trim({ first: 0n, last: BigInt(HUGE) - 1n })).toBe(3 * TABLE)
    expectSound(b)
  })
})

test('flushes: one for each highest table; with a gather the memory waits', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 64, RW)
  b.table.unmapRange(0n, BLOCK)
  for (let i = 0; i < 64; i++) b.table.unmap(BigInt(i * PAGE), PAGE)
  b.log.length = 0
  const gather = new IotlbGather()
  expect(b.table.trim(undefined, gather)).toBe(4 * TABLE)
  expect(b.log).toEqual(['walk 0 100000 1000'])
  expect(gather.pendingTables).toBe(4)
  expectSound(b, 4 * TABLE)
  gather.sync()
  expectSound(b)
})

test('a flush that throws loses no table', () => {
  let broken = true
  const fail = (): void => {
    if (broken) throw new Error('failed')
  }
  const b = bench({}, { tlb: { flushWalk: fail } })
  b.table.map(0n, 0n, PAGE, RW)
  b.table.unmap(0n, PAGE)
  expect(() => b.table.trim()).toThrow('failed')
  broken = false
  expect(b.table.tableBytes).toBe(3 * TABLE)
  expectNoLeak(b)
})

test('a range that is none', () => {
  const { table } = bench()
  for (const range of [{ first: 2n, last: 1n }, { first: 0n, last: 1n << 64n }, { first: 0, last: 1 } as never, { first: -1n, last: 0n }]) {
    expect(thrownBy(() => table.trim(range)).code).toBe('EINVAL')
    expect(thrownBy(() => table.forEachLeaf(range, () => {})).code).toBe('EINVAL')
  }
  expect(thrownBy(() => table.forEachLeaf(undefined, undefined as never)).code).toBe('EINVAL')
})

test('leaves: in order, once and whole, in both halves of a sign-extended window; a visitor ends the visit and cannot change the table', () => {
  const b = bench({ large: true, window: 'sign-extended' })
  const top = 2n ** 64n - 2n ** 23n
  b.table.map(top, 0x9000_0000n, HUGE, Prot.READ)
  b.table.mapRange(0x3000n, 0x5000_3000n, 2 * BLOCK, RW)
  const seen: string[] = []
  const codes: string[] = []
  const visit = (range?: { first: bigint; last: bigint }): string[] => {
    seen.length = 0
    b.table.forEachLeaf(range, ({ iova, paddr, size, prot, level }) => {
      seen.push(`${iova.toString(16)} ${paddr.toString(16)} ${size.toString(16)} ${prot} L${level}`)
      codes.push(thrownBy(() => b.table.unmap(iova, size)).code)
    })
    return [...seen]
  }
  const all = visit()
  expect(all.slice(0, 3)).toEqual(['3000 50003000 1000 3 L3', '4000 50004000 4000 3 L3', '8000 50008000 4000 3 L3'])
  expect(all.at(-1)).toBe(`${top.toString(16)} 90000000 100000 1 L1`)
  expect(new Set(codes)).toEqual(new Set(['EBUSY']))
  expect(visit({ first: 0x5000n, last: 0x5000n })).toEqual([all[1]])
  expect(visit({ first: 0x7fffn, last: 0x8000n })).toEqual(all.slice(1, 3))
  expect(b.table.forEachLeaf(undefined, () => false)).toBe(false)
  expect(b.table.forEachLeaf(undefined, () => true)).toBe(true)
})

test('snapshots: runs, what differs between two, as text', () => {
  const { table } = bench()
  table.mapPages(0x1000n, 0x5000_1000n, PAGE, 8, RW)
  const before = table.snapshot()
  expect(before).toEqual({ format: 'toy', runs: [{ iova: 0x1000n, paddr: 0x5000_1000n, size: 0x8000n, prot: 3, pgsize: PAGE }] })
  expect(structuredClone(before)).toEqual(before)
  table.unmap(0x2000n, PAGE)
  table.protect(0x4000n, 2 * PAGE, Prot.READ)
  table.map(0x20_0000n, 0n, HUGE, Prot.READ)
  const changes = diffSnapshots(before, table.snapshot())
  expect(snapshotText(changes)).toBe(
    [
      '- 0x2000..0x2fff -> 0x50002000 READ|WRITE, pages of 0x1000',
      '- 0x4000..0x5fff -> 0x50004000 READ|WRITE, pages of 0x1000',
      '+ 0x4000..0x5fff -> 0x50004000 READ, pages of 0x1000',
      '+ 0x200000..0x2fffff -> 0x0 READ, pages of 0x100000',
    ].join('\n'),
  )
  expect(diffSnapshots(table.snapshot(), table.snapshot())).toEqual([])
  const cut = table.snapshot()
  table.cut(0x21_0000n)
  expect(diffSnapshots(cut, table.snapshot(), { sizes: false })).toEqual([])
  expect(diffSnapshots(cut, table.snapshot())).toHaveLength(1)
})

/** Engine, by single and batched translation, and device agree on the first megabytes. */
function agree(b: ReturnType<typeof bench>): void {
  const iovas = BigUint64Array.from({ length: 0x300 }, (_, i) => BigInt(i) << 12n)
  const wanted = [...iovas].map((iova) => {
    const found = device(b, iova)
    return typeof found === 'string' ? 2n ** 64n - 1n : found.paddr
  })
  const many = new BigUint64Array(iovas.length)
  b.table.iovaToPhysMany(iovas, many)
  expect([...many]).toEqual(wanted)
  expect([...iovas].map((iova) => b.table.iovaToPhys(iova) ?? 2n ** 64n - 1n)).toEqual(wanted)
}

test.each([
  {},
  { inverted: true },
  { entryBytes: 4 },
  RANGE,
  { policy: { breakBeforeMake: { size: true, fields: ['C'] } } },
] as Partial<Shape>[])('what the walk cache knows is never wrong after a cut, a protect or a trim (%o)', (shape) => {
  const b = bench(shape, { config: { oas: 32 } })
  const { table } = b
  table.map(0n, 0x1000_0000n, HUGE, RW)
  agree(b)
  table.cut(0x1_1000n)
  agree(b)
  // one page, in the table that the cut made
  table.unmapPages(0x1_1000n, PAGE, 1)
  table.mapPages(0x1_1000n, 0x7000_0000n, PAGE, 1, RW)
  agree(b)
  table.protect(0x1_0000n, 4 * PAGE, Prot.READ | Prot.CACHE)
  agree(b)
  for (let i = 16; i < 32; i++) table.unmap(BigInt(i * PAGE), PAGE)
  agree(b)
  expect(table.trim()).toBe(shape.entryBytes === 4 ? 64 : TABLE)
  agree(b)
  // the memory of the table that went becomes another's
  table.map(0x20_0000n, 0x2000_0000n, 20 * PAGE, RW)
  agree(b)
  table.map(0x1_0000n, 0x3000_0000n, BLOCK, RW)
  agree(b)
  table.cut(0x1_8000n)
  agree(b)
  table.unmapRange(0n, HUGE)
  table.trim()
  agree(b)
  expectSound(b)
  expectNoLeak(b)
})

test('calls from inside a callback are EBUSY; reads work', () => {
  const codes: string[] = []
  const counts: number[] = []
  const hook = (): void => {
    for (const run of [() => b.table.cut(0x1000n), () => b.table.protect(0n, HUGE, Prot.READ), () => b.table.trim()])
      codes.push(thrownBy(run).code)
    counts.push(b.table.snapshot().runs.length)
  }
  const b = bench({}, { tlb: { addPages: hook } })
  b.table.map(0n, 0n, HUGE, RW)
  b.table.cut(0x1000n)
  expect(codes).toEqual(['EBUSY', 'EBUSY', 'EBUSY'])
  expect(counts).toHaveLength(1)
})

test('with rangeLock, calls that are made one after the other hold their ranges and let them go', () => {
  const b = bench({}, { debug: { rangeLock: true } })
  const { table } = b
  table.map(0n, 0n, HUGE, RW)
  for (let i = 1; i < 40; i++) table.cut(BigInt(i * PAGE))
  table.protect(0x1000n, 4 * PAGE, Prot.READ, { cut: true })
  table.forEachLeaf(undefined, ({ iova }) => void table.iovaToPhys(iova))
  table.snapshot()
  table.unmap(0n, HUGE)
  table.trim()
  expectSound(b)
})

test('a freed table: ENODEV', () => {
  const { table } = bench()
  table.free()
  for (const run of [
    (t: IoPageTable) => t.cut(0n),
    (t: IoPageTable) => t.protect(0n, PAGE, RW),
    (t: IoPageTable) => t.trim(),
    (t: IoPageTable) => t.snapshot(),
    (t: IoPageTable) => t.forEachLeaf(undefined, () => {}),
  ])
    expect(thrownBy(() => run(table as IoPageTable)).code).toBe('ENODEV')
})

test('entries of a contiguous set whose addresses do not step are leaves of their own', () => {
  const b = bench({ contiguous: 'encode' })
  const sizes = (): number[] => {
    const found: number[] = []
    b.table.forEachLeaf(undefined, ({ size }) => void found.push(size))
    return found
  }
  b.table.map(0n, 0x1000_0000n, 8 * PAGE, RW)
  expect(sizes()).toEqual([8 * PAGE])
  const fourth = b.table.walk(0x3000n).at(-1)
  const word = Number((fourth?.table ?? 0n) - b.pool.base) / 4 + (fourth?.index ?? 0) * 2
  b.pool.words[word] = (b.pool.words[word] ?? 0) ^ 0x10_0000
  expect(sizes()).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map(() => PAGE))
})
