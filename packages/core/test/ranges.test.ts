/** `mapRange`, `unmapRange`, `map` and `unmap`: the page-size choice, all or nothing, the gather of `unmap`. */
import { IotlbGather, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import {
  type Bench,
  BLOCK,
  bench,
  codeOf,
  device,
  expectNoLeak,
  expectSound,
  HUGE,
  leavesOf,
  PAGE,
  RW,
  TABLE,
  thrownBy,
} from './helpers.ts'
import type { Shape } from './toy-format.ts'

const SIZES = [PAGE, BLOCK, HUGE]

/**
 * What Linux's `iommu_pgsize` is for, in plain steps: of the sizes that divide both addresses and fit into the rest, the largest; and as
 * many of those as there are before an address where the next larger size could be used.
 */
function choose(sizes: readonly number[], iova: bigint, paddr: bigint, size: number): { pgsize: number; pgcount: number } {
  const fits = (pgsize: number, at: number): boolean =>
    (iova + BigInt(at)) % BigInt(pgsize) === 0n && (paddr + BigInt(at)) % BigInt(pgsize) === 0n && at + pgsize <= size
  const pgsize = Math.max(...sizes.filter((s) => fits(s, 0)))
  const larger = Math.min(...sizes.filter((s) => s > pgsize))
  let pgcount = 1
  while ((pgcount + 1) * pgsize <= size && !fits(larger, pgcount * pgsize)) pgcount++
  return { pgsize, pgcount }
}

/** The leaves that the choice makes of a range, as `leavesOf` prints them. */
function chosen(iova: bigint, paddr: bigint, size: number): string[] {
  const leaves: string[] = []
  for (let done = 0; done < size; ) {
    const at = iova + BigInt(done)
    const to = paddr + BigInt(done)
    const { pgsize, pgcount } = choose(SIZES, at, to, size - done)
    for (let i = 0; i < pgcount; i++) {
      const offset = BigInt(i * pgsize)
      leaves.push(`${(at + offset).toString(16)} ${(to + offset).toString(16)} ${pgsize.toString(16)} 3 L${3 - SIZES.indexOf(pgsize)}`)
    }
    done += pgsize * pgcount
  }
  return leaves
}

/** Starts and ends around every boundary that matters. */
const OFFSETS = [0, PAGE, BLOCK - PAGE, BLOCK, BLOCK + PAGE, HUGE - BLOCK, HUGE - PAGE, HUGE, HUGE + PAGE, HUGE + BLOCK]

describe('mapRange picks as Linux does', () => {
  test.each([0, PAGE, 3 * PAGE, BLOCK, 5 * BLOCK, HUGE])('output addresses that lie 0x%x beyond', (apart) => {
    for (const start of OFFSETS)
      for (const length of OFFSETS) {
        if (length === 0) continue
        const b = bench()
        const iova = 0x20_0000n + BigInt(start)
        const paddr = 0x4000_0000n + BigInt(start + apart)
        expect(b.table.mapRange(iova, paddr, length, RW)).toEqual({ mapped: length, error: undefined })
        expect(leavesOf(b.table)).toEqual(chosen(iova, paddr, length))
        expect(b.table.unmapRange(iova, length)).toBe(length)
        expect(leavesOf(b.table)).toEqual([])
      }
  })

  test('a run is one call for as long as no larger size can be used: a conflict finds it whole', () => {
    const b = bench({ large: true })
    b.table.mapPages(0xd000n, 0n, PAGE, 1, RW)
    // input and output are never aligned to 16K together
    expect(b.table.mapRange(0x1000n, 0x2000n, 15 * PAGE, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST', value: 0x1000n } })
    // here they are, from 0x4000 on
    expect(b.table.mapRange(0x1000n, 0x1000n, 15 * PAGE, RW)).toMatchObject({ mapped: 3 * PAGE, error: { code: 'EEXIST', value: 0x4000n } })
  })

  test('only of the sizes that were agreed', () => {
    const b = bench({}, { config: { pgsizeBitmap: BigInt(PAGE | HUGE) } })
    b.table.mapRange(0n, 0n, 2 * BLOCK, RW)
    b.table.mapRange(0x10_0000n, 0n, HUGE + BLOCK, RW)
    expect(leavesOf(b.table).filter((leaf) => leaf.includes(' 10000 3'))).toEqual([])
    expect(leavesOf(b.table)).toHaveLength(16 * 2 + 1 + 16)
  })

  test('up to the last byte of both address spaces', () => {
    const b = bench()
    const paddr = 2n ** 52n - 2n ** 24n
    const result = b.table.mapRange(0n, paddr, 2 ** 24, RW)
    expect(result).toEqual({ mapped: 2 ** 24, error: undefined })
    expect(Object.isFrozen(result)).toBe(true)
    expect(leavesOf(b.table)).toHaveLength(16)
    expect(b.table.iovaToPhys(2n ** 24n - 1n)).toBe(2n ** 52n - 1n)
    expect(b.table.unmapRange(0n, 2 ** 24)).toBe(2 ** 24)
    expectNoLeak(b)
  })
})

test('a smallest page above 4 GiB: whole ones only, in both addresses and the size', () => {
  const page = 2 ** 36
  const b = bench({ indexBits: 12 }, { config: { pgsizeBitmap: BigInt(page), ias: 48 } })
  const half = BigInt(page / 2)
  const results = [b.table.mapRange(0n, 0n, page + 2 ** 32, RW), b.table.mapRange(half, 0n, page, RW), b.table.mapRange(0n, half, page, RW)]
  for (const { mapped, error } of results) expect([mapped, error?.code]).toEqual([0, 'EINVAL'])
  for (const refused of [() => b.table.unmapRange(half, page), () => b.table.unmapRange(0n, page / 2)])
    expect(thrownBy(refused).code).toBe('EINVAL')
  expect(b.table.mapRange(0n, 0n, 2 * page, RW)).toEqual({ mapped: 2 * page, error: undefined })
  expect(b.table.unmapRange(0n, 2 * page)).toBe(2 * page)
  expectNoLeak(b)
})

test('mapRange keeps the prefix of an error, across the sizes', () => {
  const b = bench()
  b.table.mapPages(0x12_0000n, 0n, PAGE, 1, RW)
  const { mapped, error } = b.table.mapRange(0xf_f000n, 0xf_f000n, HUGE, RW)
  expect([mapped, codeOf(error)]).toEqual([PAGE, ['EEXIST', 0x10_0000n]])
  expect(b.table.unmapRange(0xf_f000n, mapped)).toBe(mapped)
  // without anything before it
  const nothing = b.table.mapRange(0x12_0000n, 0n, PAGE, RW)
  expect([nothing.mapped, codeOf(nothing.error)]).toEqual([0, ['EEXIST', 0x12_0000n]])
  expectSound(b)
})

test('unmapRange: any sizes that were mapped, tables whole, up to a hole', () => {
  const b = bench()
  b.table.mapPages(0n, 0x1000n, PAGE, 256, RW)
  b.table.mapPages(0x10_0000n, 0n, BLOCK, 16, RW)
  b.table.mapPages(0x20_0000n, 0n, PAGE, 3, RW)
  expect(b.table.unmapRange(0n, 2 * HUGE + 2 * BLOCK)).toBe(2 * HUGE + BLOCK)
  expect([leavesOf(b.table), b.table.tableBytes]).toEqual([[], 2 * TABLE])
  // a part of a block is refused, and what is before it goes
  b.table.mapPages(0xf_f000n, 0n, PAGE, 1, RW)
  b.table.mapPages(0x10_0000n, 0n, HUGE, 1, RW)
  expect(b.table.unmapRange(0xf_f000n, 2 * PAGE)).toBe(PAGE)
  expect(b.warnings.map(codeOf)).toEqual([['EINVAL', 0x10_0000n]])
  expectSound(b)
})

describe('map is all or nothing', () => {
  const POLICIES: [string, Partial<Shape>][] = [
    ['by tables', {}],
    ['by entries', { policy: { conflict: 'entry', flushOrder: 'slot-order' } }],
    ['covered', { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }],
  ]
  const map = (b: Bench): unknown => codeOf(thrownBy(() => b.table.map(0x0_f000n, 0x5000_f000n, 2 * HUGE, RW)))

  test.each(POLICIES)('%s: a conflict takes the prefix back and flushes it', (_name, shape) => {
    for (const there of [0x0_f000n, 0x1_0000n, 0x5_5000n, 0xf_f000n, 0x10_0000n, 0x20_e000n]) {
      const b = bench(shape)
      b.table.mapPages(there, 0n, PAGE, 1, Prot.READ)
      const [code] = map(b) as unknown[]
      expect(code).toBe('EEXIST')
      expect(leavesOf(b.table)).toEqual([`${there.toString(16)} 0 1000 1 L3`])
      if (there > 0x5_0000n) expect(b.log.at(-1)).toBe('sync')
      expectSound(b)
      expectNoLeak(b)
    }
  })

  test.each(POLICIES)('%s: a shortage of memory does the same', (_name, shape) => {
    // the range needs the root and four tables more
    for (let tables = 1; tables < 5; tables++) {
      const b = bench(shape, { pool: { ceiling: tables * TABLE } })
      expect(map(b)).toContain('ENOMEM')
      expect(leavesOf(b.table)).toEqual([])
      expectSound(b)
      expectNoLeak(b)
    }
    const b = bench(shape, { pool: { ceiling: 5 * TABLE } })
    expect(() => map(b)).toThrow('nothing was thrown')
  })

  test('without an error it maps everything and throws nothing', () => {
    const b = bench()
    expect(b.table.map(0x0_f000n, 0x5000_f000n, 2 * HUGE, RW)).toBeUndefined()
    expect(device(b, 0x20_efffn)).toMatchObject({ paddr: 0x5020_efffn })
    expect(b.table.unmap(0x0_f000n, 2 * HUGE)).toBe(2 * HUGE)
    expectNoLeak(b)
  })

  test('wrong arguments throw before anything is mapped', () => {
    const b = bench()
    expect(codeOf(thrownBy(() => b.table.map(0xff_f000n, 0n, 2 * PAGE, RW)))).toEqual(['ERANGE', 0xff_f000n])
    expect([b.table.tableBytes, b.log]).toEqual([TABLE, []])
  })
})

describe('unmap', () => {
  test('brings its own gather and syncs it: once, and the tables are free then', () => {
    const b = bench()
    b.table.mapRange(0xf_f000n, 0xf_f000n, HUGE + 2 * PAGE, RW)
    b.table.mapPages(0x30_0000n, 0n, PAGE, 256, RW)
    expect(b.table.unmap(0xf_f000n, HUGE + 2 * PAGE)).toBe(HUGE + 2 * PAGE)
    expect(b.log).toEqual(['pages ff000 1000 x1', 'pages 100000 100000 x1', 'pages 200000 1000 x1', 'sync'])
    b.log.length = 0
    expect(b.table.unmap(0x30_0000n, HUGE)).toBe(HUGE)
    expect(b.log).toEqual(['walk 300000 100000 1000', 'pages 300000 100000 x1', 'sync'])
    expectSound(b)
  })

  test("with the caller's gather it is unmapRange", () => {
    const b = bench()
    b.table.mapPages(0n, 0n, PAGE, 256, RW)
    const gather = new IotlbGather()
    expect(b.table.unmap(0n, HUGE, gather)).toBe(HUGE)
    expect(b.log.at(-1)).toBe('pages 0 100000 x1')
    expectSound(b, 17 * TABLE)
    gather.sync()
    expectSound(b)
  })

  test('a prefix, up to the hole, is flushed', () => {
    const b = bench()
    b.table.mapPages(0n, 0n, PAGE, 3, RW)
    expect(b.table.unmap(0n, 5 * PAGE)).toBe(3 * PAGE)
    expect(b.log).toEqual(['pages 0 1000 x3', 'sync'])
    expect(b.table.unmap(0n, 5 * PAGE)).toBe(0)
  })
})
