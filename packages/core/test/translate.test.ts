/** `iovaToPhys`, `iovaToPhysMany` and `walk`. */
import { type Decoded, type EntryPlace, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, codeOf, HUGE, PAGE, RW, thrownBy } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const NONE = 2n ** 64n - 1n

describe('iovaToPhys', () => {
  test.each([
    ['64-bit', {}],
    ['32-bit', { entryBytes: 4 }],
    ['inverted', { inverted: true }],
    ['scattered', { scattered: true, indexBits: 9 }],
    ['one level', { levels: 1 }],
    ['six levels', { levels: 6 }],
  ] as [string, Partial<Shape>][])('%s: first and last bytes of leaves of every level, and what is around them', (_name, shape) => {
    const { levels = 3, indexBits = 4 } = shape
    const { table } = bench(shape, { config: { ias: 12 + levels * indexBits } })
    for (const { shift, level } of table.geometry.nodes) {
      const size = 2n ** BigInt(shift)
      // the next to last slot of its table, in a table that no other leaf needs
      const iova = table.geometry.nodes.reduce(
        (at, node) => at + 2n ** BigInt(node.shift) * (node.shift > shift ? BigInt(level) : 0n),
        14n * size,
      )
      const paddr = 0xf000_0000n & -size
      expect(table.mapPages(iova, paddr, Number(size), 1, RW)).toEqual({ mapped: Number(size), error: undefined })
      expect([table.iovaToPhys(iova), table.iovaToPhys(iova + size - 1n)]).toEqual([paddr, paddr + size - 1n])
      expect(table.iovaToPhys(iova + size)).toBeUndefined()
      expect(table.iovaToPhys(iova - 1n)).toBeUndefined()
    }
  })

  test('an entry that is neither leaf nor table translates nothing', () => {
    const b = bench()
    b.table.mapPages(0n, 0n, PAGE, 1, RW)
    const [, , last] = b.table.walk(0n)
    b.pool.words[Number((last?.table ?? 0n) - b.pool.base) / 4] = 3
    expect(b.table.iovaToPhys(0n)).toBeUndefined()
    expect(b.table.walk(0n).at(-1)).toMatchObject({ type: 'invalid', raw: 3n })
  })
})

describe('iovaToPhysMany', () => {
  test('the same as one by one, into another array or into itself', () => {
    const { table } = bench()
    table.mapRange(0x5000n, 0x7_1234_5000n, HUGE + BLOCK, RW)
    const iovas = BigUint64Array.from({ length: 3000 }, (_, i) => (BigInt(i) * 0x1_2345n) % 2n ** 24n)
    const expected = [...iovas].map((iova) => table.iovaToPhys(iova) ?? NONE)
    const hits = expected.filter((paddr) => paddr !== NONE).length
    expect(hits).toBeGreaterThan(100)
    const out = new BigUint64Array(3000)
    expect(table.iovaToPhysMany(iovas, out)).toBe(hits)
    expect([...out]).toEqual(expected)
    expect(table.iovaToPhysMany(iovas, iovas)).toBe(hits)
    expect([...iovas]).toEqual(expected)
  })

  test('a longer out keeps its rest, an empty input is no call at all', () => {
    const { table } = bench()
    table.mapPages(0n, 0x4000n, PAGE, 1, RW)
    const out = BigUint64Array.of(7n, 7n, 7n)
    expect(table.iovaToPhysMany(BigUint64Array.of(0x123n, 0x1000n), out)).toBe(1)
    expect([...out]).toEqual([0x4123n, NONE, 7n])
    expect(table.iovaToPhysMany(new BigUint64Array(0), out)).toBe(0)
    expect([...out]).toEqual([0x4123n, NONE, 7n])
  })

  test('parts of one buffer, as long as they do not overlap apart', () => {
    const { table } = bench()
    table.mapPages(0n, 0x4000n, PAGE, 4, RW)
    const buffer = BigUint64Array.of(0x1n, 0x1002n, 0x2003n, 0n, 0n, 0n, 9n)
    const iovas = buffer.subarray(0, 3)
    expect(table.iovaToPhysMany(iovas, buffer.subarray(3))).toBe(3)
    expect([...buffer]).toEqual([0x1n, 0x1002n, 0x2003n, 0x4001n, 0x5002n, 0x6003n, 9n])
    for (const out of [buffer.subarray(1), buffer.subarray(2, 5)])
      expect(thrownBy(() => table.iovaToPhysMany(iovas, out)).message).toMatch(/^EINVAL: iovaToPhysMany: out overlaps/)
    expect([...iovas]).toEqual([0x1n, 0x1002n, 0x2003n])
    expect(table.iovaToPhysMany(buffer.subarray(1, 3), new BigUint64Array(buffer.buffer, 8, 3))).toBe(2)
  })

  test('an out that is shorter, or of another type, is EINVAL', () => {
    const { table } = bench()
    const iovas = new BigUint64Array(3)
    expect(codeOf(thrownBy(() => table.iovaToPhysMany(iovas, new BigUint64Array(2))))).toEqual(['EINVAL', 2])
    const wrong = [[0n], new BigInt64Array(3), new Float64Array(3), undefined, null] as never[]
    for (const out of wrong) expect(thrownBy(() => table.iovaToPhysMany(iovas, out)).code).toBe('EINVAL')
    for (const input of wrong) expect(thrownBy(() => table.iovaToPhysMany(input, new BigUint64Array(9))).code).toBe('EINVAL')
  })

  test('one address out of range: nothing is written', () => {
    const { table } = bench()
    table.mapPages(0n, 0x4000n, PAGE, 1, RW)
    for (const bad of [0x100_0000n, 1n << 32n, NONE]) {
      const out = BigUint64Array.of(7n, 7n, 7n)
      const iovas = BigUint64Array.of(0n, 1n, bad)
      expect(codeOf(thrownBy(() => table.iovaToPhysMany(iovas, out)))).toEqual(['ERANGE', bad])
      expect([...out]).toEqual([7n, 7n, 7n])
      expect(() => table.iovaToPhysMany(iovas, iovas)).toThrow(/^ERANGE/)
      expect([...iovas]).toEqual([0n, 1n, bad])
    }
  })

  test('shared memory', () => {
    const { table } = bench()
    table.mapPages(0n, 0x4000n, PAGE, 1, RW)
    const iovas = new BigUint64Array(new SharedArrayBuffer(16))
    iovas[1] = 0x5000n
    expect([table.iovaToPhysMany(iovas, iovas), ...iovas]).toEqual([1, 0x4000n, NONE])
  })
})

describe('walk', () => {
  const brief = (entry: Decoded & EntryPlace): unknown => [entry.type, entry.node.level, entry.iova, entry.index]

  test('every descriptor on the way, level by level', () => {
    const { table, pool } = bench()
    table.mapPages(0x34_5000n, 0x9_8765_4000n, PAGE, 1, Prot.READ | Prot.NOEXEC)
    const way = table.walk(0x34_5678n)
    expect(way.map(brief)).toEqual([
      ['table', 1, 0x30_0000n, 3],
      ['table', 2, 0x34_0000n, 4],
      ['leaf', 3, 0x34_5000n, 5],
    ])
    const [first, second, leaf] = way
    expect(first).toMatchObject({ table: table.roots[0], next: second?.table, child: second?.node })
    expect(second).toMatchObject({ next: leaf?.table })
    expect(leaf).toMatchObject({ paddr: 0x9_8765_4000n, size: { pgsize: PAGE }, reserved: 0n, kind: { name: 'page' } })
    for (const entry of way) {
      const at = Number(entry.table - pool.base) + entry.index * 8
      expect(entry.raw).toBe(new DataView(pool.words.buffer).getBigUint64(at, true))
    }
  })

  test('it ends at what is empty, or a block', () => {
    const { table } = bench()
    expect(table.walk(0x12_3456n).map(brief)).toEqual([['empty', 1, 0x10_0000n, 1]])
    table.mapPages(0x12_0000n, 0n, BLOCK, 1, RW)
    table.mapPages(0x20_0000n, 0n, HUGE, 1, RW)
    expect(table.walk(0x12_3456n).map(brief)).toEqual([
      ['table', 1, 0x10_0000n, 1],
      ['leaf', 2, 0x12_0000n, 2],
    ])
    expect(table.walk(0x2f_ffffn).map(brief)).toEqual([['leaf', 1, 0x20_0000n, 2]])
    expect(table.walk(0x13_0000n).map(brief).at(-1)).toEqual(['empty', 2, 0x13_0000n, 3])
  })

  test('by way of the right one of several roots', () => {
    const { table } = bench({ roots: 4 }, { config: { ias: 26 } })
    expect(table.roots.map((root) => Number(root - (table.roots[0] ?? 0n)))).toEqual([0, 128, 256, 384])
    for (const iova of [0n, 0x100_0000n, 0x210_0000n, 0x3ff_0000n]) {
      table.mapPages(iova, 0x1000_0000n + iova, PAGE, 1, RW)
      const way = table.walk(iova)
      const root = Number(iova >> 24n)
      expect(way[0]).toMatchObject({ table: table.roots[root], index: Number((iova >> 20n) % 16n), iova: (iova >> 20n) << 20n })
      expect(way.at(-1)).toMatchObject({ type: 'leaf', paddr: 0x1000_0000n + iova, iova })
      expect(table.iovaToPhys(iova)).toBe(0x1000_0000n + iova)
    }
  })
})
