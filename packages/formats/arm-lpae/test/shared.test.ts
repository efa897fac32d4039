/** What the LPAE formats share, by itself. */
import { pgsizeBitmap, SZ_4K, SZ_16K, SZ_64K } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { firstLevel, levelShift, narrow64, rootOf, stage2Start, stage2Tables, ttbrOf } from '../src/index.ts'

test.each([
  [SZ_4K, [12 + 1, 21, 22, 30, 31, 39, 40, 48, 49, 52], [3, 3, 2, 2, 1, 1, 0, 0, -1, -1]],
  [SZ_16K, [25, 26, 36, 37, 47, 48, 52], [3, 2, 2, 1, 1, 0, 0]],
  [SZ_64K, [29, 30, 42, 43, 52], [3, 2, 2, 1, 1]],
])('granule %i: the level at which a walk starts', (granule, ias, levels) => {
  expect(ias.map((bits) => firstLevel({ granule, ias: bits }))).toEqual(levels)
})

test('the index of a level begins above the next', () => {
  expect([3, 2, 1, 0, -1].map((level) => levelShift(SZ_4K, level))).toEqual([12, 21, 30, 39, 48])
  expect([3, 2, 1, 0].map((level) => levelShift(SZ_16K, level))).toEqual([14, 25, 36, 47])
  expect([3, 2, 1].map((level) => levelShift(SZ_64K, level))).toEqual([16, 29, 42])
})

test('stage 2 concatenates where there is no walk from the level above', () => {
  const start = (granule: number, ias: number, oas: number, lpa2 = false): number => stage2Start({ granule, ias, oas, lpa2 })
  expect([32, 36, 40, 42, 44, 48].map((oas) => start(SZ_4K, 40, oas))).toEqual([0, 0, 1, 1, 0, 0])
  expect([36, 40, 42].map((oas) => start(SZ_16K, 40, oas))).toEqual([1, 2, 1])
  expect([44, 48].map((oas) => start(SZ_16K, 48, oas))).toEqual([1, 1])
  expect([40, 42, 48].map((oas) => start(SZ_64K, 48, oas))).toEqual([1, 1, 1])
  expect([48, 52].map((oas) => start(SZ_4K, 52, oas, true))).toEqual([0, -1])
  expect([48, 52].map((oas) => start(SZ_16K, 48, oas, true))).toEqual([1, 1])
  expect([48, 52].map((oas) => start(SZ_16K, 51, oas, true))).toEqual([1, 0])
})

test('1 to 16 tables of a root, and at least one index bit', () => {
  const tables = (ias: number, start: number) => stage2Tables({ granule: SZ_4K, ias, oas: 48, lpa2: false }, start)
  expect([34, 35, 22, 21].map((ias) => tables(ias, 2))).toEqual([16, undefined, 1, undefined])
})

test('a root and its TTBR', () => {
  for (const root of [0x8000_0040n, 0xf_8765_4321_0000n]) expect(rootOf(ttbrOf(root) | (0xabn << 48n) | 1n, 2, true)).toBe(root)
  expect(rootOf(0x8000_00ffn, 2, false)).toBe(0x8000_00e0n)
  expect(rootOf(0x8000_f0ffn, 9, false)).toBe(0x8000_f000n)
})

test('the granule: the CPU page size, else the largest below, else the smallest above', () => {
  const granule = (bitmap: bigint, cpuPageSize: number): string =>
    narrow64('test', { pgsizeBitmap: bitmap, ias: 48, oas: 48, cpuPageSize }, []).pgsizeBitmap.toString(16)
  const all = pgsizeBitmap(SZ_4K, SZ_16K, SZ_64K)
  expect([SZ_4K, SZ_16K, SZ_64K].map((size) => granule(all, size))).toEqual(['1000', '4000', '10000'])
  expect(granule(pgsizeBitmap(SZ_4K, SZ_16K), SZ_64K)).toBe('4000')
  expect(granule(pgsizeBitmap(SZ_16K, SZ_64K), SZ_4K)).toBe('4000')
})
