/** The policy `covered`: unmaps go mapping by mapping, larger leaves whole from their heads, and one gather holds what happened. */
import { IotlbGather, type TlbFlushOps } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Bench, BLOCK, bench, codeOf, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, TABLE } from './helpers.ts'

const POLICY = { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } as const

/** Notes what `sync` was told, and checks that the tables that wait are still allocated. */
function covered(tlb: Partial<TlbFlushOps> = {}): Bench {
  const log: string[] = []
  const sync = (gather: IotlbGather): void => {
    const { first, last, leafLevels, tableLevels, pendingTables } = gather
    log.push(`${first.toString(16)}..${last.toString(16)} leaves ${leafLevels} tables ${tableLevels} pending ${pendingTables}`)
  }
  const b = bench({ policy: POLICY }, { tlb: { sync, ...tlb } })
  return { ...b, log }
}

test('mapping by mapping, whatever their sizes, up to the first hole', () => {
  const b = covered()
  b.table.mapPages(0xf000n, 0n, PAGE, 1, RW)
  b.table.mapPages(0x1_0000n, 0n, BLOCK, 2, RW)
  b.table.mapPages(0x3_0000n, 0n, PAGE, 3, RW)
  expect(b.table.unmapRange(0xf000n, 0x4_0000)).toBe(PAGE + 2 * BLOCK + 3 * PAGE)
  expect(leavesOf(b.table)).toEqual([])
  expect(b.log).toEqual([`f000..32fff leaves ${0b1100} tables 0 pending 0`])
  expectSound(b)
  expectNoLeak(b)
})

test('only tables that the range covers go, and all of them are counted in the gather', () => {
  const b = covered()
  b.table.mapPages(0n, 0n, PAGE, 512, RW)
  expect(b.table.unmapPages(0x8000n, PAGE, 40)).toBe(40 * PAGE)
  // tables of 0x10000 and 0x20000 went, those of 0x0 and 0x30000 are half full
  expect(b.table.tableBytes).toBe((1 + 2 + 30) * TABLE)
  expect(b.log).toEqual([`8000..2ffff leaves ${0b1000} tables ${0b100} pending 2`])
  expectSound(b)
  expect(b.table.unmapRange(0x3_0000n, 0xd_0000)).toBe(0xd_0000)
  expect(b.table.unmapRange(0x10_0000n, 0x10_0000)).toBe(0x10_0000)
  expect(b.log[2]).toBe(`100000..1fffff leaves ${0b1000} tables ${0b110} pending 17`)
  expect(b.table.tableBytes).toBe(3 * TABLE)
  expectSound(b)
  expectNoLeak(b)
})

test('a larger leaf goes whole from its head, and more is unmapped than was asked', () => {
  const b = covered()
  b.table.mapPages(0x1_0000n, 0n, BLOCK, 1, RW)
  b.table.mapPages(0x10_0000n, 0n, HUGE, 1, RW)
  expect(b.table.unmapPages(0x1_0000n, PAGE, 1)).toBe(BLOCK)
  expect(b.table.unmapPages(0x10_0000n, PAGE, 2)).toBe(HUGE)
  expect(b.log).toEqual([`10000..1ffff leaves ${0b100} tables 0 pending 0`, `100000..1fffff leaves ${0b10} tables 0 pending 0`])
  expectSound(b)
})

test('what a larger leaf reaches beyond the range does not make the range larger: its table stays', () => {
  const b = bench({ policy: POLICY, large: true })
  b.table.mapPages(0x1_0000n, 0n, 0x4000, 8, RW)
  expect(b.table.unmapPages(0x1_0000n, PAGE, 13)).toBe(BLOCK)
  expect(leavesOf(b.table)).toHaveLength(4)
  expect(b.table.tableBytes).toBe(4 * TABLE)
  expectSound(b)
  expect(b.table.unmapPages(0x2_0000n, PAGE, 16)).toBe(BLOCK)
  expect(b.table.tableBytes).toBe(3 * TABLE)
  expectSound(b)
  expectNoLeak(b)
})

test('from its middle it is refused with a warning, after what lay before it', () => {
  const b = covered()
  b.table.mapPages(0x1_0000n, 0n, BLOCK, 2, RW)
  expect(b.table.unmapPages(0x1_1000n, PAGE, 1)).toBe(0)
  expect(codeOf(b.warnings[0])).toEqual(['EINVAL', 0x1_1000n])
  expect(b.table.unmapPages(0x2_0000n, PAGE, 20)).toBe(BLOCK)
  expect(leavesOf(b.table)).toHaveLength(1)
  expect(b.log.at(-1)).toBe(`20000..2ffff leaves ${0b100} tables 0 pending 0`)
  expectSound(b)
})

test('a gather of the caller collects several calls, and its tables wait for its sync', () => {
  const b = covered()
  b.table.mapPages(0n, 0n, PAGE, 64, RW)
  const gather = new IotlbGather()
  expect(b.table.unmapPages(0x1_0000n, PAGE, 16, gather)).toBe(16 * PAGE)
  expect(b.table.unmapPages(0x3_0000n, PAGE, 16, gather)).toBe(16 * PAGE)
  expect([b.log, gather.pendingTables, b.table.tableBytes]).toEqual([[], 2, 6 * TABLE])
  expectSound(b, 2 * TABLE)
  gather.sync()
  expect(b.log).toEqual([`10000..3ffff leaves ${0b1000} tables ${0b100} pending 2`])
  expectSound(b)
  expectNoLeak(b)
})

test('an empty table where a block goes is detached into a gather of the call', () => {
  const b = covered()
  b.table.mapPages(0x1_5000n, 0n, PAGE, 1, RW)
  b.table.unmapPages(0x1_5000n, PAGE, 1)
  b.log.length = 0
  expect(b.table.mapPages(0n, 0n, BLOCK, 4, RW).error).toBeUndefined()
  expect(b.log).toEqual([`10000..1ffff leaves 0 tables ${0b100} pending 1`])
  expectSound(b)
  // the same from mapRange: one sync for the whole range
  expect(b.table.unmapRange(0n, 4 * BLOCK)).toBe(4 * BLOCK)
  for (const iova of [0x1_5000n, 0x3_5000n]) {
    b.table.mapPages(iova, 0n, PAGE, 1, RW)
    b.table.unmapPages(iova, PAGE, 1)
  }
  b.log.length = 0
  expect(b.table.mapRange(0xf000n, 0xf000n, 0x3_1000, RW).error).toBeUndefined()
  expect(b.log).toEqual([`10000..3ffff leaves 0 tables ${0b100} pending 2`])
  expectSound(b)
})

test('the end of the table is told as a range of everything', () => {
  const b = covered()
  b.table.mapPages(0n, 0n, PAGE, 1, RW)
  b.table.free()
  expect(b.log).toEqual([`0..ffffff leaves ${0b1110} tables ${0b110} pending 0`])
  expect(b.pool.stats().live).toBe(0)
})

describe('a sync that throws', () => {
  const fail = (): never => {
    throw new Error('the device hangs')
  }

  test('without a gather: the tables, and the range, wait for the next sync', () => {
    let broken = true
    const seen: unknown[] = []
    const b = covered({
      sync: ({ first, last, leafLevels, tableLevels, pendingTables }) => {
        if (broken) fail()
        seen.push([first, last, leafLevels, tableLevels, pendingTables])
      },
    })
    b.table.mapPages(0n, 0n, PAGE, 64, RW)
    expect(() => b.table.unmapRange(0n, 2 * BLOCK)).toThrow('the device hangs')
    expectSound(b, 2 * TABLE)
    broken = false
    expect(b.table.unmapRange(0n, 2 * BLOCK)).toBe(0)
    expect(seen[0]).toEqual([0n, 0x1_ffffn, 0b1000, 0b100, 2])
    expectSound(b)
    expect(b.table.unmapRange(0x2_0000n, BLOCK)).toBe(BLOCK)
    expectNoLeak(b)
  })

  test('with a gather: everything waits for another sync', () => {
    let broken = true
    const b = covered({ sync: () => void (broken && fail()) })
    b.table.mapPages(0n, 0n, PAGE, 64, RW)
    const gather = new IotlbGather()
    b.table.unmapRange(0n, BLOCK, gather)
    expect(() => gather.sync()).toThrow('the device hangs')
    expect([gather.pendingTables, gather.first, gather.last]).toEqual([1, 0n, 0xffffn])
    broken = false
    gather.sync()
    expectSound(b)
    expectNoLeak(b)
  })

  test('when an empty table was replaced: the block is there, and the table is not lost', () => {
    let broken = false
    const b = covered({ sync: () => void (broken && fail()) })
    b.table.mapPages(0n, 0n, PAGE, 1, RW)
    b.table.unmapPages(0n, PAGE, 1)
    broken = true
    expect(() => b.table.mapPages(0n, 0x7000_0000n, BLOCK, 1, RW)).toThrow('the device hangs')
    expect(b.table.iovaToPhys(0n)).toBe(0x7000_0000n)
    expectSound(b, TABLE)
    expect(() => b.table.free()).toThrow('the device hangs')
    broken = false
    expectNoLeak(b)
  })
})
