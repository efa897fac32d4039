/** `cut`: a boundary inside a leaf, with every translation as it was. */
import { diffSnapshots, type IoPageTable, IotlbGather, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, device, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, TABLE, thrownBy } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const BREAK: Partial<Shape> = { policy: { breakBeforeMake: { size: true, fields: [] } } }
const SHAPES: [string, Partial<Shape>][] = [
  ['as it is', {}],
  ['break-before-make', BREAK],
  ['32-bit entries', { entryBytes: 4 }],
  ['inverted valid bit', { inverted: true }],
  ['covered, flushes by range', { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }],
  ['scattered addresses', { scattered: true, indexBits: 9, levels: 2 }],
]

describe.each(SHAPES)('%s', (_name, shape) => {
  const huge = shape.scattered ? BLOCK * 32 : HUGE

  test.each([1n, 7n, 16n, 17n, 255n])('a boundary at page %i of the largest leaf', (page) => {
    const b = bench(shape, { config: { oas: 32, ias: shape.scattered ? 30 : 24 } })
    const { table } = b
    table.map(BigInt(huge), 0x5020_0000n, huge, RW | Prot.CACHE)
    const before = table.snapshot()
    const at = BigInt(huge) + page * BigInt(PAGE)
    expect(table.cut(at)).toBe(true)
    expect(diffSnapshots(before, table.snapshot())).not.toEqual([])
    expect(diffSnapshots(before, table.snapshot(), { sizes: false })).toEqual([])
    let edge = false
    table.forEachLeaf(undefined, ({ iova }) => void (edge ||= iova === at))
    expect(edge).toBe(true)
    for (let i = 0n; i < 256n; i++) {
      const iova = BigInt(huge) + i * BigInt(PAGE)
      expect(table.iovaToPhys(iova)).toBe(0x5020_0000n + i * BigInt(PAGE))
      expect(device(b, iova)).toMatchObject({ paddr: 0x5020_0000n + i * BigInt(PAGE), prot: 7 })
    }
    expect(table.cut(at)).toBe(false)
    expectSound(b)
    expectNoLeak(b)
  })
})

test('the largest leaves that fit, and only the tables that it takes', () => {
  const b = bench()
  b.table.map(0n, 0n, HUGE, RW)
  b.table.cut(BigInt(5 * BLOCK))
  expect(b.table.tableBytes).toBe(2 * TABLE)
  expect(leavesOf(b.table as IoPageTable)).toHaveLength(16)
  b.table.cut(BigInt(5 * BLOCK + PAGE))
  expect(b.table.tableBytes).toBe(3 * TABLE)
  expect(leavesOf(b.table as IoPageTable)).toHaveLength(31)
  expectSound(b)
})

test('a large page of equal entries becomes pages in place', () => {
  const b = bench({ large: true, ...BREAK })
  b.table.map(0x4000n, 0x1000_4000n, 0x4000, RW)
  b.log.length = 0
  expect(b.table.cut(0x6000n)).toBe(true)
  expect(leavesOf(b.table as IoPageTable)).toEqual(
    [0, 1, 2, 3].map((i) => `${(0x4000 + i * PAGE).toString(16)} 1000${(0x4000 + i * PAGE).toString(16)} 1000 3 L3`),
  )
  expect(b.log).toEqual(['pages 4000 1000 x4', 'sync'])
  expectSound(b)
})

test('a large page whose third entry the device marked was written to as a whole: each page says so', () => {
  for (const shape of [{}, BREAK]) {
    const b = bench({ large: true, dirty: true, ...shape })
    b.table.map(0x4000n, 0x1000_4000n, 0x4000, RW)
    const third = b.table.walk(0x6000n).at(-1)
    const word = Number((third?.table ?? 0n) - b.pool.base) / 4 + (third?.index ?? 0) * 2
    b.pool.words[word] = (b.pool.words[word] ?? 0) | 0x400
    expect(b.table.cut(0x5000n)).toBe(true)
    const dirty: bigint[] = []
    b.table.readAndClearDirty(0x4000n, 0x4000, (iova) => void dirty.push(iova))
    expect(dirty).toEqual([0x4000n, 0x5000n, 0x6000n, 0x7000n])
  }
})

test('a flush that throws under break-before-make: a walker that sees memory late finds the leaf again', () => {
  const seen: (number | undefined)[] = []
  let watched = false
  const fail = (): void => {
    throw new Error('failed')
  }
  const sync = (paddr: bigint): void => void (watched && paddr === root && seen.push(entry()))
  const b = bench(BREAK, { pool: { sync }, tlb: { sync: fail } })
  b.table.map(0n, 0n, HUGE, RW)
  const root = b.table.roots[0] ?? 0n
  const entry = (): number | undefined => b.pool.words[Number(root - b.pool.base) / 4]
  const before = entry()
  watched = true
  expect(() => b.table.cut(0x1000n)).toThrow('failed')
  expect(seen).toEqual([0, before])
})

test('order: with break-before-make empty, flush, write; otherwise one entry for another, then the flush', () => {
  for (const [shape, wanted] of [
    [BREAK, ['memory', 'pages 0 100000 x1 undefined', 'sync undefined', 'memory 77000']],
    [{}, ['memory 77000', 'pages 0 100000 x1 77000', 'sync 77000']],
  ] as const) {
    const log: string[] = []
    let ready = false
    const look = (): string => (b.table.iovaToPhys(0x7_7000n) === undefined ? 'undefined' : '77000')
    const b = bench(shape, {
      pool: { sync: (_, bytes) => void (ready && bytes === 8 && log.push(look() === 'undefined' ? 'memory' : `memory ${look()}`)) },
      tlb: {
        addPages: (_, iova, granule, count) => void log.push(`pages ${iova.toString(16)} ${granule.toString(16)} x${count} ${look()}`),
        sync: () => void log.push(`sync ${look()}`),
      },
    })
    b.table.map(0n, 0n, HUGE, RW)
    ready = true
    b.table.cut(BigInt(PAGE))
    expect(log).toEqual(wanted)
    expectSound(b)
  }
})

test('no memory: ENOMEM, and everything as before', () => {
  for (const shape of [{}, BREAK]) {
    for (const ceiling of [TABLE, 2 * TABLE, 3 * TABLE]) {
      const b = bench(shape, { pool: { ceiling } })
      b.table.map(0n, 0n, HUGE, RW)
      const before = b.table.snapshot()
      if (ceiling === 3 * TABLE) expect(b.table.cut(0x1000n)).toBe(true)
      else {
        expect(thrownBy(() => b.table.cut(0x1000n)).code).toBe('ENOMEM')
        expect(b.table.snapshot()).toEqual(before)
        expect(b.table.tableBytes).toBe(TABLE)
      }
      expectSound(b)
      expectNoLeak(b)
    }
  }
})

test('a callback that throws: with break-before-make the leaf stands as before; memory is not lost', () => {
  let broken = false
  const fail = (): void => {
    if (broken) throw new Error('failed')
  }
  for (const shape of [{}, BREAK]) {
    for (const hook of ['addPages', 'sync', 'memory'] as const) {
      const b = bench(shape, hook === 'memory' ? { pool: { sync: fail } } : { tlb: { [hook]: fail } })
      b.table.map(0n, 0n, HUGE, RW)
      broken = true
      expect(() => b.table.cut(0x1000n)).toThrow('failed')
      broken = false
      for (const iova of [0n, 0x1000n, 0x8_0000n]) expect(b.table.iovaToPhys(iova)).toBe(iova)
      expectSound(b)
      expectNoLeak(b)
    }
  }
})

test('a boundary that is there, a hole, the end of a mapping: nothing changes', () => {
  const b = bench()
  b.table.map(0n, 0n, 2 * BLOCK, RW)
  const before = b.table.snapshot()
  expect([0n, BigInt(BLOCK), BigInt(2 * BLOCK), 0x80_0000n].map((iova) => b.table.cut(iova))).toEqual([false, false, false, false])
  expect(b.table.snapshot()).toEqual(before)
  expect(b.log).toEqual([])
})

test('arguments', () => {
  const b = bench()
  expect(thrownBy(() => b.table.cut(0x800n))).toMatchObject({ code: 'EINVAL', value: 0x800n })
  expect(thrownBy(() => b.table.cut(1n << 24n))).toMatchObject({ code: 'ERANGE' })
  expect(thrownBy(() => b.table.cut(-1n)).code).toBe('ERANGE')
  expect(thrownBy(() => b.table.cut(0 as never)).code).toBe('EINVAL')
  expect(thrownBy(() => b.table.cut(0n, {} as never)).code).toBe('EINVAL')
  const sizes = bench({}, { config: { pgsizeBitmap: BigInt(BLOCK | HUGE) } })
  sizes.table.map(0n, 0n, HUGE, RW)
  expect(thrownBy(() => sizes.table.cut(0x1000n)).code).toBe('EINVAL')
  expect(sizes.table.cut(BigInt(BLOCK))).toBe(true)
  expectSound(sizes)
})

test('with a gather the larger leaf is noted there; the caller syncs', () => {
  const b = bench()
  b.table.map(0n, 0n, HUGE, RW)
  const gather = new IotlbGather()
  b.table.cut(0x1000n, gather)
  expect(b.log).toEqual(['pages 0 100000 x1'])
  gather.sync()
  expect(b.log.at(-1)).toBe('sync')
})

test('a mapping that several entries with own addresses make, which somebody else marked: the mark goes from all of them', () => {
  const b = bench({ contiguous: 'decode', ...BREAK })
  b.table.mapPages(0x8000n, 0x2_0000n, PAGE, 8, RW)
  const { pool } = b
  const leaf = b.table.walk(0x8000n).at(-1)!
  const word = Number(leaf.table - pool.base) / 4 + leaf.index * 2
  for (let i = 0; i < 8; i++) pool.words[word + 2 * i]! |= 2 << 8
  const sizes: number[] = []
  b.table.forEachLeaf(undefined, ({ size }) => void sizes.push(size))
  expect(sizes).toEqual([0x8000])
  b.log.length = 0
  expect(b.table.cut(0xb000n)).toBe(true)
  sizes.length = 0
  b.table.forEachLeaf(undefined, ({ size }) => void sizes.push(size))
  expect(sizes).toEqual(Array(8).fill(PAGE))
  expect(b.log).toEqual(['pages 8000 1000 x8', 'sync'])
  for (let i = 0n; i < 8n; i++) expect(b.table.iovaToPhys(0x8000n + i * 0x1000n)).toBe(0x2_0000n + i * 0x1000n)
  expectSound(b)
})

test('what the device wrote to stays dirty, in all its parts', () => {
  const b = bench({ dirty: true })
  b.table.map(0n, 0n, HUGE, RW)
  const leaf = b.table.walk(0n).at(-1)!
  b.pool.words[Number(leaf.table - b.pool.base) / 4 + leaf.index * 2]! |= 1 << 10
  b.table.cut(0x1000n)
  let dirty = 0
  b.table.readAndClearDirty(0n, HUGE, (_, size) => void (dirty += size))
  expect(dirty).toBe(HUGE)
})

test.each([{}, BREAK])(
  'a device that writes while the new tables are filled is not forgotten; a callback that throws then loses nothing (%o)',
  (shape) => {
    for (const fails of [false, true]) {
      let entry = -1
      let calls = 0
      const sync = (): void => {
        if (entry < 0) return
        calls++
        // the table is filled; then it is filled again, since the leaf is no longer what it was
        if (calls === 2) b.pool.words[entry]! |= 1 << 10
        if (fails && calls === (shape.policy === undefined ? 3 : 4)) throw new Error('failed')
      }
      const b = bench({ ...shape, dirty: true }, { pool: { sync } })
      b.table.map(0n, 0n, HUGE, RW)
      const leaf = b.table.walk(0n).at(-1)!
      entry = Number(leaf.table - b.pool.base) / 4 + leaf.index * 2
      const cut = (): boolean => b.table.cut(0x1_0000n)
      if (fails) expect(cut).toThrow('failed')
      else expect(cut()).toBe(true)
      entry = -1
      expect([0n, 0x1_0000n, 0xf_f000n].map((iova) => b.table.iovaToPhys(iova))).toEqual([0n, 0x1_0000n, 0xf_f000n])
      let dirty = 0
      b.table.readAndClearDirty(0n, HUGE, (_, size) => void (dirty += size))
      expect(dirty).toBe(HUGE)
      expectSound(b)
      expectNoLeak(b)
    }
  },
)
