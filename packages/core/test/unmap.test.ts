/** `unmapPages`: spanning, holes, parts of leaves, tables counted whole. */
import { Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, codeOf, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, TABLE } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const ORDERS: [string, Partial<Shape>][] = [
  ['walks first', {}],
  ['slot order', { policy: { flushOrder: 'slot-order' } }],
  ['walks first, 32-bit entries', { entryBytes: 4 }],
  ['32-bit entries, inverted', { entryBytes: 4, inverted: true }],
  ['slot order, inverted', { inverted: true, policy: { flushOrder: 'slot-order' } }],
]

describe.each(ORDERS)('%s', (_name, shape) => {
  const table = shape.entryBytes === 4 ? TABLE / 2 : TABLE

  test('a spanning unmap frees the whole sub-tables of several calls', () => {
    const b = bench(shape)
    b.table.mapPages(0n, 0x4000_0000n, PAGE, 16 * 16, RW)
    b.table.mapPages(0x10_0000n, 0x1000_0000n, PAGE, 16 * 16, Prot.READ)
    expect(b.table.tableBytes).toBe((1 + 2 + 32) * table)
    expect(b.table.unmapPages(0n, HUGE, 2)).toBe(2 * HUGE)
    expect([b.table.tableBytes, leavesOf(b.table)]).toEqual([table, []])
    expectNoLeak(b)
  })

  test('consecutive mappings of several calls, across tables, in one call', () => {
    const b = bench(shape)
    for (const [iova, count] of [[0xd000n, 2] as const, [0xf000n, 1] as const, [0x1_0000n, 20] as const])
      b.table.mapPages(iova, iova, PAGE, count, RW)
    expect(b.table.unmapPages(0xe000n, PAGE, 22)).toBe(22 * PAGE)
    expect(leavesOf(b.table)).toEqual(['d000 d000 1000 3 L3'])
    expectSound(b)
  })

  test('a unmap of its own pages leaves the emptied tables', () => {
    const b = bench(shape)
    b.table.mapPages(0n, 0n, PAGE, 40, RW)
    expect(b.table.unmapPages(0n, PAGE, 40)).toBe(40 * PAGE)
    expect(b.table.tableBytes).toBe(5 * table)
    expect(b.table.mapPages(0n, 0n, PAGE, 40, RW).error).toBeUndefined()
    expect(b.table.tableBytes).toBe(5 * table)
    expectSound(b)
  })

  test('a hole ends it, wherever it is: the prefix comes back, the rest stays', () => {
    for (const hole of [0, 1, 5, 15, 16, 17, 31, 39]) {
      const b = bench(shape)
      b.table.mapPages(0n, 0n, PAGE, 40, RW)
      b.table.unmapPages(BigInt(hole * PAGE), PAGE, 1)
      expect(b.table.unmapPages(0n, PAGE, 40)).toBe(hole * PAGE)
      expect(leavesOf(b.table)).toHaveLength(39 - hole)
      expect(b.warnings).toEqual([])
      expectSound(b)
    }
  })

  test('an empty slot above the pages is a hole too', () => {
    const b = bench(shape)
    b.table.mapPages(0n, 0n, PAGE, 16, RW)
    b.table.mapPages(0x3_0000n, 0n, BLOCK, 1, RW)
    expect(b.table.unmapPages(0x2_0000n, PAGE, 1)).toBe(0)
    expect(b.table.unmapPages(0x20_0000n, PAGE, 1)).toBe(0)
    expect(b.table.unmapPages(0n, BLOCK, 4)).toBe(BLOCK)
    expect(b.table.unmapPages(0n, HUGE, 2)).toBe(HUGE)
    expect(b.table.unmapPages(0n, HUGE, 2)).toBe(0)
    expect(b.warnings).toEqual([])
    expectNoLeak(b)
  })

  test('a slot with a table counts whole, however little is in the table', () => {
    const b = bench(shape)
    b.table.mapPages(0x7000n, 0n, PAGE, 1, RW)
    b.table.mapPages(0x1_0000n, 0n, BLOCK, 1, RW)
    // an empty table
    b.table.mapPages(0x2_3000n, 0n, PAGE, 1, RW)
    b.table.unmapPages(0x2_3000n, PAGE, 1)
    expect(b.table.unmapPages(0n, BLOCK, 4)).toBe(3 * BLOCK)
    expect([b.table.tableBytes, leavesOf(b.table)]).toEqual([2 * table, []])
    expectSound(b)
  })

  test('a part of a larger leaf is refused with a warning, and the prefix before it comes back', () => {
    for (const [leaf, level] of [[BLOCK, 2] as const, [HUGE, 1] as const]) {
      const b = bench(shape)
      const head = BigInt(leaf)
      b.table.mapPages(head, 0n, leaf, 1, RW)
      b.table.mapPages(head - 0x2000n, 0n, PAGE, 2, RW)
      expect(b.table.unmapPages(head - 0x2000n, PAGE, 5)).toBe(2 * PAGE)
      expect(b.table.unmapPages(head, PAGE, 1)).toBe(0)
      expect(b.table.unmapPages(head + 0x3000n, PAGE, 1)).toBe(0)
      if (leaf === HUGE) expect(b.table.unmapPages(head + 0x1_0000n, BLOCK, 1)).toBe(0)
      expect(b.warnings.slice(0, 3).map(codeOf)).toEqual([head, head, head + 0x3000n].map((iova) => ['EINVAL', iova]))
      expect(b.warnings[0]?.message).toMatch(/^EINVAL: unmapPages: 0x1000 bytes at iova .* part of a larger leaf/)
      expect(leavesOf(b.table)).toEqual([`${head.toString(16)} 0 ${leaf.toString(16)} 3 L${level}`])
      expectSound(b)
    }
  })

  test('what an unmap gave back can be mapped again, page by page and whole', () => {
    const b = bench(shape)
    for (const pgsize of [PAGE, BLOCK, HUGE, BLOCK, PAGE, HUGE]) {
      expect(b.table.mapPages(0n, 0x5000_0000n, pgsize, HUGE / pgsize, RW)).toEqual({ mapped: HUGE, error: undefined })
      expect(b.table.iovaToPhys(0xf_ffffn)).toBe(0x500f_ffffn)
      expect(b.table.unmapPages(0n, pgsize === PAGE ? BLOCK : pgsize, HUGE / (pgsize === PAGE ? BLOCK : pgsize))).toBe(HUGE)
      expectSound(b)
    }
    expectNoLeak(b)
  })
})

test('runs of 4 slots and separate roots change nothing of what is unmapped', () => {
  for (const shape of [{ policy: { runSlots: 4 } }, { roots: 2 }] as const) {
    const b = bench(shape, { config: { ias: 25 } })
    b.table.mapPages(0x2000n, 0n, PAGE, 40, RW)
    expect(b.table.unmapPages(0x3000n, PAGE, 39)).toBe(39 * PAGE)
    expect(b.table.mapPages(0xe0_0000n, 0n, HUGE, 2, RW).error).toBeUndefined()
    expect(b.table.unmapPages(0xe0_0000n, HUGE, 2)).toBe(2 * HUGE)
    expectSound(b)
    expectNoLeak(b)
  }
})

test('freeTables never: a table is a hole for larger sizes, pages go as always', () => {
  const b = bench({ policy: { freeTables: 'never' } })
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  expect(b.table.unmapPages(0n, BLOCK, 2)).toBe(0)
  expect(b.table.unmapPages(0n, HUGE, 1)).toBe(0)
  expect(b.table.unmapPages(0n, PAGE, 32)).toBe(32 * PAGE)
  expect(b.table.tableBytes).toBe(4 * TABLE)
  expectSound(b)
  expectNoLeak(b)
})

test('an invalid entry ends an unmap, as a hole does', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 4, RW)
  const [, , last] = b.table.walk(0n)
  b.pool.words[Number((last?.table ?? 0n) - b.pool.base) / 4 + 4] = 3
  expect(b.table.unmapPages(0n, PAGE, 4)).toBe(2 * PAGE)
  expect(b.table.iovaToPhys(0x2000n)).toBeUndefined()
  expect(b.table.iovaToPhys(0x3000n)).toBe(0x3000n)
})
