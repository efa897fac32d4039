/** A mapping in the way: what is refused, what was written by then, and which empty tables make room. */
import { Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, BLOCK, bench, codeOf, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, TABLE } from './helpers.ts'

/** Maps and unmaps pages, so that an empty table is left for each 64 KiB. */
function leaveTables(b: Bench, iova: bigint, count: number): void {
  for (let i = 0; i < count; i++) {
    const at = iova + BigInt(i * BLOCK)
    expect(b.table.mapPages(at, 0n, PAGE, 1, RW).error).toBeUndefined()
    expect(b.table.unmapPages(at, PAGE, 1)).toBe(PAGE)
  }
  b.log.length = 0
}

const LEVELS = [
  ['a page', PAGE],
  ['a block', BLOCK],
  ['a huge block', HUGE],
] as const

describe.each(['table', 'entry'] as const)('conflicts by %s', (conflict) => {
  for (const [what, there] of LEVELS)
    for (const [over, pgsize] of LEVELS)
      test(`${over} where ${what} is: EEXIST, and nothing changed`, () => {
        const b = bench({ policy: { conflict } })
        // in the middle of what is mapped over it, and of what lies under it
        b.table.mapPages(0x10_0000n + (there === PAGE ? 0x2_3000n : there === BLOCK ? 0x2_0000n : 0n), 0x5000_0000n, there, 1, RW)
        const before = leavesOf(b.table)
        const bytes = b.table.tableBytes
        const iova = 0x10_0000n + (pgsize === PAGE ? 0x2_3000n : pgsize === BLOCK ? 0x2_0000n : 0n)
        const { mapped, error } = b.table.mapPages(iova, 0n, pgsize, 1, Prot.READ)
        expect([mapped, codeOf(error)]).toEqual([0, ['EEXIST', iova]])
        expect(error?.message).toContain(`0x${pgsize.toString(16)} bytes at iova 0x${iova.toString(16)}`)
        expect(b.warnings).toEqual([error])
        expect([leavesOf(b.table), b.table.tableBytes, b.log]).toEqual([before, bytes, []])
        expectSound(b)
        expectNoLeak(b)
      })

  test('a run keeps the prefix that the policy says', () => {
    const b = bench({ policy: { conflict } })
    b.table.mapPages(0x2_5000n, 0n, PAGE, 1, RW)
    // 8 pages in the first table, 16 in the second, and a conflict in the middle of the third
    const { mapped, error } = b.table.mapPages(0x8000n, 0x9000_0000n, PAGE, 60, RW)
    const kept = conflict === 'table' ? 24 : 29
    expect([mapped, codeOf(error)]).toEqual([kept * PAGE, ['EEXIST', 0x8000n + BigInt(kept * PAGE)]])
    expect(leavesOf(b.table)).toHaveLength(kept + 1)
    expect(b.table.iovaToPhys(0x8000n + BigInt(kept * PAGE))).toBe(conflict === 'table' ? undefined : 0n)
    expectSound(b)
    expect(b.table.unmapPages(0x8000n, PAGE, kept)).toBe(kept * PAGE)
    expectNoLeak(b)
  })

  test('nothing added: error and 0; tables that were made on the way stay, and are accounted', () => {
    const b = bench({ policy: { conflict } })
    b.table.mapPages(0n, 0n, PAGE, 1, RW)
    const bytes = b.table.tableBytes
    expect(b.table.mapPages(0n, 0n, PAGE, 5, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
    expect(b.table.tableBytes).toBe(bytes)
    expectSound(b)
  })

  test('an empty table where a block goes is replaced, flushed and freed', () => {
    const b = bench({ policy: { conflict } })
    leaveTables(b, 0x4_0000n, 3)
    expect(b.table.tableBytes).toBe(5 * TABLE)
    expect(b.table.mapPages(0x4_0000n, 0x7000_0000n, BLOCK, 2, RW)).toEqual({ mapped: 2 * BLOCK, error: undefined })
    expect(b.log).toEqual(['walk 40000 10000 1000', 'walk 50000 10000 1000'])
    expect(b.table.tableBytes).toBe(3 * TABLE)
    expectSound(b)
    expectNoLeak(b)
  })

  test('a tree of empty tables where a huge block goes', () => {
    const b = bench({ policy: { conflict } })
    leaveTables(b, 0x10_0000n, 3)
    expect(b.table.tableBytes).toBe(5 * TABLE)
    expect(b.table.mapPages(0x10_0000n, 0x7000_0000n, HUGE, 1, RW)).toEqual({ mapped: HUGE, error: undefined })
    expect(b.log).toEqual(['walk 100000 100000 1000'])
    expect(b.table.tableBytes).toBe(TABLE)
    expect(leavesOf(b.table)).toEqual(['100000 70000000 100000 3 L1'])
    expectSound(b)
    expectNoLeak(b)
  })

  test('the whole run is checked before an empty table goes, or entry by entry', () => {
    const b = bench({ policy: { conflict } })
    leaveTables(b, 0x4_0000n, 2)
    b.table.mapPages(0x6_0000n, 0n, PAGE, 1, RW)
    const { mapped, error } = b.table.mapPages(0x3_0000n, 0x7000_0000n, BLOCK, 5, RW)
    expect(error?.code).toBe('EEXIST')
    expect(mapped).toBe(conflict === 'table' ? 0 : 3 * BLOCK)
    expect(b.log).toEqual(conflict === 'table' ? [] : ['walk 40000 10000 1000', 'walk 50000 10000 1000'])
    expect(b.table.tableBytes).toBe((conflict === 'table' ? 5 : 3) * TABLE)
    expectSound(b)
    expectNoLeak(b)
  })

  test('a live mapping deep below an entry is found, wherever in its table it is', () => {
    for (const at of [0n, 0x7000n, 0xf000n]) {
      const b = bench({ policy: { conflict } })
      b.table.mapPages(0xf_0000n + at, 0n, PAGE, 1, RW)
      expect(b.table.mapPages(0n, 0n, HUGE, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
      expect(b.table.iovaToPhys(0xf_0000n + at)).toBe(0n)
      expectSound(b)
    }
  })
})

test('a policy that never frees tables has them in the way, empty or not', () => {
  const b = bench({ policy: { freeTables: 'never' } })
  leaveTables(b, 0x4_0000n, 1)
  expect(b.table.mapPages(0x4_0000n, 0n, BLOCK, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
  expect(b.table.mapPages(0n, 0n, HUGE, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
  expect(b.log).toEqual([])
  expectSound(b)
})

test('runs of 4 slots are checked 4 by 4', () => {
  const b = bench({ policy: { runSlots: 4 } })
  b.table.mapPages(0x6000n, 0n, PAGE, 1, RW)
  expect(b.table.mapPages(0x1000n, 0n, PAGE, 12, RW)).toMatchObject({ mapped: 3 * PAGE, error: { code: 'EEXIST', value: 0x4000n } })
})

test('entries that somebody else wrote are in the way', () => {
  const b = bench()
  b.table.mapPages(0n, 0n, PAGE, 1, RW)
  const [, , last] = b.table.walk(0n)
  const word = Number((last?.table ?? 0n) - b.pool.base) / 4 + 3 * 2
  // an invalid descriptor: valid, and a table at the last level
  b.pool.words[word] = 3
  expect(b.table.mapPages(0x2000n, 0n, PAGE, 3, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
  expect(b.table.unmapPages(0n, PAGE, 1)).toBe(PAGE)
  expect(b.table.mapPages(0n, 0n, BLOCK, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
  // bits beside the valid one do not make an entry
  b.pool.words[word] = 0xfff0
  expect(b.table.mapPages(0x2000n, 0n, PAGE, 3, RW).error).toBeUndefined()
  expectSound(b)
})

test('NO_WARN: the same answers, nobody is told', () => {
  const b = bench({}, { config: { quirks: ['NO_WARN'] } })
  b.table.mapPages(0n, 0n, BLOCK, 1, RW)
  expect(b.table.mapPages(0n, 0n, BLOCK, 1, RW).error?.code).toBe('EEXIST')
  expect(b.table.unmapPages(0n, PAGE, 1)).toBe(0)
  expect(b.warnings).toEqual([])
})
