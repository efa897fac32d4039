/** Sums, leak reports, the generation, bookkeeping. */
import { GENERATION, type PtPtr } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { ALLOCS_LO, GENERATION as GENERATION_WORD } from '../src/layout.ts'
import { asPtr, BASE, errorOf, fillUp, GiB, KiB, MiB, newPool } from './helpers.ts'

test('stats are exact, by class', () => {
  const pool = newPool({ size: 16 * MiB })
  expect(pool.stats()).toMatchObject({ live: 0, peak: 0, allocations: 0, classes: {}, committed: 0 })
  const ptrs = [64, 64, 1024, 4096, 4096, 4096, 2 * MiB].map((bytes) => pool.alloc(bytes))
  const live = 128 + 1024 + 3 * 4096 + 2 * MiB
  expect(pool.stats()).toMatchObject({ live, peak: live, allocations: 7, committed: 4 * MiB })
  for (const ptr of ptrs.slice(1, 5)) pool.free(ptr)
  pool.alloc(64)
  expect(pool.stats()).toMatchObject({
    live: live - 1024 - 2 * 4096,
    peak: live,
    allocations: 8,
    classes: { 64: { live: 2, peak: 2 }, 1024: { live: 0, peak: 1 }, 4096: { live: 1, peak: 3 }, [2 * MiB]: { live: 1, peak: 1 } },
  })
  expect(Object.keys(pool.stats().classes)).toEqual(['64', '1024', '4096', String(2 * MiB)])
})

test('sums beyond 2^31 bytes and 2^32 allocations are right', () => {
  const pool = newPool({ base: 0n, size: 4 * GiB })
  const ptrs = [pool.alloc(2 * GiB), pool.alloc(1 * GiB), pool.alloc(64)]
  expect(ptrs).toEqual([0, 2 * GiB, 3 * GiB])
  expect(pool.stats()).toMatchObject({ live: 3 * GiB + 64, peak: 3 * GiB + 64, classes: { [2 * GiB]: { live: 1, peak: 1 } } })
  expect(pool.ptrAt(BigInt(3 * GiB))).toBe(3 * GiB)
  expect(errorOf(() => pool.free(asPtr(3 * GiB - 64)))).toMatch('inside of block 0x80000000 of 0x40000000 bytes')
  for (const ptr of ptrs) pool.free(ptr)
  pool.meta[ALLOCS_LO] = -1
  pool.alloc(64)
  expect(pool.stats().allocations).toBe(2 ** 32)
})

test('every free changes the generation; putBack and freeAll do once', () => {
  const pool = newPool()
  expect(GENERATION).toBe(GENERATION_WORD)
  expect(pool.generation).toBe(0)
  const ptrs = fillUp(pool, 4096)
  expect(pool.generation).toBe(0)
  pool.free(ptrs.pop() ?? asPtr(-1))
  expect(pool.meta[GENERATION]).toBe(1)
  pool.freeAll(ptrs)
  expect(pool.generation).toBe(2)
  pool.bumpGeneration()
  expect(pool.generation).toBe(3)
  pool.freeAll([])
  expect(pool.generation).toBe(3)
  pool.meta[GENERATION] = 2 ** 31 - 1
  pool.bumpGeneration()
  expect(pool.generation).toBe(-(2 ** 31))
})

describe('leaks', () => {
  test('name the owner of every live block, sub-page too', () => {
    const pool = newPool()
    const tags = ['gpu', 'smmu', 'dart'].map((name) => pool.owner(name))
    expect(new Set([0, ...tags]).size).toBe(4)
    expect(pool.owner('gpu')).toBe(tags[0])
    const names = ['(no owner)', 'gpu', 'smmu', 'dart']
    const want = []
    for (const bytes of [64, 128, 256, 512, 1024, 2048, 4096, 65_536]) {
      for (let i = 0; i < 7; i++) {
        const owner = [0, ...tags][(i * i) % 4] ?? 0
        const ptr = pool.alloc(bytes, { owner })
        want.push({ ptr, paddr: BASE + BigInt(ptr), bytes, owner: names[(i * i) % 4] })
      }
    }
    want.sort((a, b) => a.ptr - b.ptr)
    expect(pool.leaks()).toEqual(want)
    for (const { ptr } of want.filter((_, i) => i % 2 === 0)) pool.free(ptr)
    expect(pool.leaks()).toEqual(want.filter((_, i) => i % 2 === 1))
    // a page whose chunks had several owners starts afresh
    for (const { ptr } of pool.leaks()) pool.free(ptr)
    expect(pool.leaks()).toEqual([])
    pool.alloc(64)
    pool.alloc(64, { owner: tags[2]! })
    expect(pool.leaks().map(({ owner }) => owner)).toEqual(['(no owner)', 'dart'])
  })

  test('names that are none are EINVAL; more names than tags share one', () => {
    const pool = newPool()
    for (const name of ['', undefined, 5]) expect(errorOf(() => pool.owner(name as never))).toMatch('EINVAL: owner: name is')
    for (let i = 1; i < 65_535; i++) pool.owner(`table ${i}`)
    expect(pool.owner('table 65534')).toBe(65_534)
    expect([pool.owner('one more'), pool.owner('another')]).toEqual([65_535, 65_535])
    pool.alloc(64, { owner: 65_534 })
    pool.alloc(64, { owner: 65_535 })
    expect(pool.leaks().map(({ owner }) => owner)).toEqual(['table 65534', '(others)'])
  })
})

describe('bookkeeping', () => {
  test.each([
    [4 * KiB, 1, 0.42],
    [1 * KiB, 1, 0.42],
    [1 * KiB, 3, 0.42],
    [64, 1, 0.42],
    [512, 3, 0.81],
    // the smallest tables, when several owners share their pages, are the exception
    [256, 3, 1.2],
    [64, 3, 3.54],
  ])('for tables of %i bytes and %i owners takes %d hundredths of them', (bytes, owners, percent) => {
    const pool = newPool({ size: 16 * MiB })
    const tags = Array.from({ length: owners }, (_, i) => pool.owner(`owner ${i}`))
    for (let i = 0; i < (16 * MiB) / bytes; i++) pool.alloc(bytes, { owner: tags[i % owners]! })
    const { live, overhead } = pool.stats()
    expect(live).toBe(16 * MiB)
    expect((100 * overhead) / live).toBeCloseTo(percent, 2)
  })

  test('that chunks with several owners need goes away with them', () => {
    const pool = newPool()
    const ptrs: PtPtr[] = [pool.alloc(64), pool.alloc(64, { owner: pool.owner('a') })]
    const before = pool.stats().overhead
    for (const ptr of ptrs) pool.free(ptr)
    expect(pool.stats().overhead).toBe(before - 128)
  })
})
