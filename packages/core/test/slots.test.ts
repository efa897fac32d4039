/** Mappings of several entries: equal ones (large pages), and ones that each have an address (contiguous). */
import { IotlbGather, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, BLOCK, bench, codeOf, device, expectNoLeak, expectSound, leavesOf, PAGE, RW } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const LARGE = 0x4000
const CONTIGUOUS = 0x8000

/** The raw entries of a table of the last level. */
function raws({ table, pool }: Bench, iova: bigint): bigint[] {
  const last = table.walk(iova).at(-1)
  const bytes = table.geometry.nodes.at(-1)?.entryBytes ?? 8
  const view = new DataView(pool.words.buffer, Number((last?.table ?? 0n) - pool.base))
  return Array.from({ length: 16 }, (_, i) => (bytes === 8 ? view.getBigUint64(i * 8, true) : BigInt(view.getUint32(i * 4, true))))
}

describe.each([
  ['64-bit entries', {}],
  ['32-bit entries', { entryBytes: 4 }],
  ['32-bit entries by entries', { entryBytes: 4, policy: { conflict: 'entry', flushOrder: 'slot-order' } }],
] as [string, Partial<Shape>][])('large pages, %s', (_name, changes) => {
  const shape = { ...changes, large: true } as const

  test('4 equal entries each; the device reads them', () => {
    const b = bench(shape)
    expect(b.table.mapPages(0x8000n, 0x7654_4000n, LARGE, 5, RW)).toEqual({ mapped: 5 * LARGE, error: undefined })
    const entries = raws(b, 0x8000n)
    expect(entries.slice(8)).toEqual([...new Array(4).fill(0x7654_410dn), ...new Array(4).fill(0x7654_810dn)])
    expect(entries.slice(0, 8)).toEqual(new Array(8).fill(0n))
    for (let offset = 0n; offset < 5n * 0x4000n; offset += 0x800n) {
      expect(device(b, 0x8000n + offset)).toMatchObject({ paddr: 0x7654_4000n + offset, prot: RW })
      expect(b.table.iovaToPhys(0x8000n + offset)).toBe(0x7654_4000n + offset)
    }
    expectSound(b)
  })

  test('unmap: whole ones, one event for each entry; a part is refused', () => {
    const b = bench({ ...shape, policy: { ...shape.policy, addPagesWithoutGather: true } })
    b.table.mapPages(0n, 0n, LARGE, 8, RW)
    expect(b.table.unmapPages(0x4000n, PAGE, 1)).toBe(0)
    expect(b.table.unmapPages(0x5000n, PAGE, 1)).toBe(0)
    expect(b.warnings.map(codeOf)).toEqual([
      ['EINVAL', 0x4000n],
      ['EINVAL', 0x5000n],
    ])
    expect(b.table.unmapPages(0x8000n, LARGE, 3)).toBe(3 * LARGE)
    expect(b.log).toEqual(['pages 8000 1000 x8 no gather', 'pages 10000 1000 x4 no gather'])
    expect(leavesOf(b.table)).toHaveLength(5)
    expect(b.table.unmapPages(0n, BLOCK, 2)).toBe(2 * BLOCK)
    expectNoLeak(b)
  })

  test('a gather that notes the range itself counts entries', () => {
    const b = bench(shape, { tlb: { addPages: undefined as never } })
    b.table.mapPages(0x4000n, 0n, LARGE, 2, RW)
    const gather = new IotlbGather()
    expect(b.table.unmapPages(0x4000n, LARGE, 2, gather)).toBe(2 * LARGE)
    expect([gather.first, gather.last, gather.granule]).toEqual([0x4000n, 0xbfffn, PAGE])
  })

  test('an unmap of large pages takes small ones that fill their place, up to a hole in it', () => {
    const b = bench(shape)
    b.table.mapPages(0n, 0n, LARGE, 1, RW)
    b.table.mapPages(0x4000n, 0x9000n, PAGE, 4, Prot.READ)
    b.table.mapPages(0x8000n, 0x9000n, PAGE, 3, Prot.READ)
    expect(b.table.unmapPages(0n, LARGE, 3)).toBe(2 * LARGE)
    expect(leavesOf(b.table)).toHaveLength(3)
    expectSound(b)
  })

  test('conflicts of either size with the other', () => {
    const b = bench(shape)
    b.table.mapPages(0x7000n, 0n, PAGE, 1, RW)
    const kept = shape.policy?.conflict === 'entry' ? LARGE : 0
    expect(b.table.mapPages(0n, 0n, LARGE, 2, RW)).toMatchObject({ mapped: kept, error: { code: 'EEXIST', value: BigInt(kept) } })
    b.table.mapPages(0xc000n, 0n, LARGE, 1, RW)
    expect(b.table.mapPages(0xd000n, 0n, PAGE, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
    expectSound(b)
  })

  test('misaligned ones are EINVAL', () => {
    const { table } = bench(shape)
    expect(codeOf(table.mapPages(0x1000n, 0n, LARGE, 1, RW).error)).toEqual(['EINVAL', 0x1000n])
    expect(codeOf(table.mapPages(0n, 0x5000n, LARGE, 1, RW).error)).toEqual(['EINVAL', 0x5000n])
  })

  test('mapRange uses them', () => {
    const b = bench(shape)
    b.table.mapRange(0x2000n, 0x6000n, 0xf000, RW)
    expect(leavesOf(b.table).map((leaf) => leaf.split(' ')[2])).toEqual(['1000', '1000', '4000', '4000', '4000', '1000'])
    expect(b.table.unmapRange(0x2000n, 0xf000)).toBe(0xf000)
    expectSound(b)
  })
})

describe('contiguous entries', () => {
  test('each has its own address', () => {
    for (const shape of [
      { contiguous: 'encode' },
      { contiguous: 'encode', entryBytes: 4 },
      { contiguous: 'encode', large: true },
    ] as const) {
      const b = bench(shape)
      expect(b.table.mapPages(0n, 0x7654_0000n, CONTIGUOUS, 3, RW)).toEqual({ mapped: 3 * CONTIGUOUS, error: undefined })
      expect(raws(b, 0n)).toEqual(Array.from({ length: 16 }, (_, i) => 0x7654_020dn + BigInt(i) * 0x1000n))
      for (let offset = 0n; offset < 3n * 0x8000n; offset += 0x800n) {
        expect(device(b, offset)).toMatchObject({ paddr: 0x7654_0000n + offset })
        expect(b.table.iovaToPhys(offset)).toBe(0x7654_0000n + offset)
      }
      expectSound(b)
      expect(b.table.unmapPages(0x1000n, PAGE, 1)).toBe(0)
      expect(b.warnings).toHaveLength(1)
      expect(b.table.unmapPages(0n, CONTIGUOUS, 3)).toBe(3 * CONTIGUOUS)
      expectSound(b)
    }
  })

  test('that somebody else wrote are read, and go as the single entries that they are here', () => {
    const b = bench({ contiguous: 'decode' })
    b.table.mapPages(0n, 0x4000_0000n, PAGE, 16, RW)
    const table = Number((b.table.walk(0n).at(-1)?.table ?? 0n) - b.pool.base) / 4
    for (let i = 0; i < 8; i++) b.pool.words[table + i * 2] = (b.pool.words[table + i * 2] ?? 0) | 0x200
    expect(b.table.iovaToPhys(0x3123n)).toBe(0x4000_3123n)
    expect(b.table.walk(0x3123n).at(-1)).toMatchObject({ size: { pgsize: CONTIGUOUS }, paddr: 0x4000_3000n })
    expect(codeOf(b.table.mapPages(0n, 0n, CONTIGUOUS, 1, RW).error)).toEqual(['EINVAL', CONTIGUOUS])
    expect(b.table.unmapPages(0x8000n, PAGE, 8)).toBe(8 * PAGE)
    expect(b.table.unmapPages(0n, BLOCK, 1)).toBe(BLOCK)
    expectNoLeak(b)
  })
})
