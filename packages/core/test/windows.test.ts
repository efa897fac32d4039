/** Which input addresses a table translates: the low ones, the top, or both halves of a sign-extended address. */
import { inputRanges, type Window, walkTables } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { bench, codeOf, device, expectNoLeak, expectSound, HUGE, leavesOf, PAGE, RW, thrownBy } from './helpers.ts'

const TOP = 2n ** 64n
const SIZE = 2n ** 24n

/** First and last address of each part of the window, for 24 bits. */
const WINDOWS: [Window, number | undefined, (readonly [bigint, bigint])[]][] = [
  ['low', undefined, [[0n, SIZE - 1n]]],
  ['top', undefined, [[TOP - SIZE, TOP - 1n]]],
  // of a space of fewer bits, as 32-bit hardware has it
  ['top', 32, [[2n ** 32n - SIZE, 2n ** 32n - 1n]]],
  ['top', 40, [[2n ** 40n - SIZE, 2n ** 40n - 1n]]],
  [
    'sign-extended',
    undefined,
    [
      [0n, SIZE / 2n - 1n],
      [TOP - SIZE / 2n, TOP - 1n],
    ],
  ],
]

describe.each(WINDOWS)('%s of %s bits', (window, spaceBits, parts) => {
  const inside = (iova: bigint): boolean => parts.some(([first, last]) => iova >= first && iova <= last)
  /** Both sides of every border that any window has, or that a confusion of them would have. */
  const borders = [
    0n,
    SIZE / 2n,
    SIZE,
    2n ** 32n - SIZE,
    2n ** 32n,
    2n ** 40n - SIZE,
    2n ** 40n,
    2n ** 63n,
    TOP - 2n ** 32n,
    TOP - SIZE,
    TOP - SIZE / 2n,
    TOP,
  ]
  const pages = borders.flatMap((border) => [border - 0x1000n, border]).filter((iova) => iova >= 0n && iova < TOP)

  test('inputRanges says the same', () => {
    const { table } = bench({ window, spaceBits })
    expect(inputRanges(table.geometry).map(({ first, last }) => [first, last])).toEqual(parts)
  })

  test('both sides of every border', () => {
    const b = bench({ window, spaceBits })
    for (const iova of pages) {
      const { error, mapped } = b.table.mapPages(iova, 0x5000_0000n + (iova % SIZE), PAGE, 1, RW)
      expect([iova, mapped, codeOf(error)]).toEqual(inside(iova) ? [iova, PAGE, undefined] : [iova, 0, ['ERANGE', iova]])
      if (inside(iova)) {
        expect(b.table.iovaToPhys(iova + 0xfffn)).toBe(0x5000_0000n + (iova % SIZE) + 0xfffn)
        expect(device(b, iova)).toMatchObject({ paddr: 0x5000_0000n + (iova % SIZE) })
        expect(b.table.walk(iova).at(-1)).toMatchObject({ type: 'leaf', iova })
      } else {
        expect(codeOf(thrownBy(() => b.table.iovaToPhys(iova)))).toEqual(['ERANGE', iova])
        expect(codeOf(thrownBy(() => b.table.walk(iova)))).toEqual(['ERANGE', iova])
        expect(codeOf(thrownBy(() => b.table.unmapPages(iova, PAGE, 1)))).toEqual(['ERANGE', iova])
        expect(() => b.table.iovaToPhysMany(BigUint64Array.of(iova), new BigUint64Array(1))).toThrow(/^ERANGE/)
      }
    }
    const wanted = pages.filter(inside)
    expect(leavesOf(b.table).map((leaf) => BigInt(`0x${leaf.split(' ')[0]}`))).toEqual(
      [...wanted].sort((x, y) => Number((x % SIZE) - (y % SIZE))),
    )
    for (const iova of wanted) expect(b.table.unmapPages(iova, PAGE, 1)).toBe(PAGE)
    expectSound(b)
    expectNoLeak(b)
  })

  test('runs may reach the end of a part, and no byte beyond', () => {
    for (const [first, last] of parts) {
      const b = bench({ window, spaceBits })
      const pgcount = Number(last - first + 1n) / PAGE
      expect(codeOf(b.table.mapPages(first, 0n, PAGE, pgcount + 1, RW).error)).toEqual(['ERANGE', first])
      expect(codeOf(b.table.mapPages(last - 0xfffn, 0n, PAGE, 2, RW).error)).toEqual(['ERANGE', last - 0xfffn])
      expect(b.table.mapPages(first, 0n, PAGE, pgcount, RW)).toEqual({ mapped: pgcount * PAGE, error: undefined })
      expect(b.table.iovaToPhys(last)).toBe(last - first)
      expect(codeOf(thrownBy(() => b.table.unmapRange(first, pgcount * PAGE + PAGE)))).toEqual(['ERANGE', first])
      expect(b.table.unmapRange(first, pgcount * PAGE)).toBe(pgcount * PAGE)
      expect(b.table.mapRange(first, 0n, pgcount * PAGE, RW)).toEqual({ mapped: pgcount * PAGE, error: undefined })
      expect(b.table.unmapPages(first, HUGE, pgcount / 256)).toBe(pgcount * PAGE)
      expectNoLeak(b)
    }
  })

  test('walks and their range limits speak of the addresses of the window', () => {
    const { table } = bench({ window, spaceBits })
    for (const [first, last] of parts) {
      table.mapPages(first, 0n, PAGE, 1, RW)
      table.mapPages(last - 0xfffn, 0n, PAGE, 1, RW)
    }
    for (const [first, last] of parts) {
      const seen: bigint[] = []
      walkTables(
        table.geometry,
        table.roots,
        table.readMemory,
        { leaf: ({ iova }) => void seen.push(iova) },
        { first: last - 0xfffn, last },
      )
      walkTables(table.geometry, table.roots, table.readMemory, { leaf: ({ iova }) => void seen.push(iova) }, { first, last: first })
      expect(seen).toEqual([last - 0xfffn, first])
    }
  })

  test('flush events have the addresses of the caller', () => {
    for (const [first] of parts) {
      const b = bench({ window, spaceBits })
      b.table.mapPages(first, 0n, PAGE, 16, RW)
      b.table.unmap(first, 16 * PAGE)
      expect(b.log).toEqual([`walk ${first.toString(16)} 10000 1000`, `pages ${first.toString(16)} 10000 x1`, 'sync'])
    }
  })
})

test('a range across the two halves of a sign-extended window is refused', () => {
  const { table } = bench({ window: 'sign-extended' })
  expect(codeOf(table.mapRange(0n, 0n, 2 ** 24, RW).error)).toEqual(['ERANGE', 0n])
  expect(codeOf(table.mapPages(2n ** 23n - 0x1000n, 0n, PAGE, 2, RW).error)).toEqual(['ERANGE', 2n ** 23n - 0x1000n])
  expect(codeOf(table.mapPages(TOP - 0x1000n, 0n, PAGE, 2, RW).error)).toEqual(['ERANGE', TOP - 0x1000n])
})

test('the halves of a sign-extended window are two halves of one root', () => {
  const b = bench({ window: 'sign-extended' })
  b.table.mapPages(0n, 0x1000n, PAGE, 1, RW)
  b.table.mapPages(TOP - SIZE / 2n, 0x2000n, PAGE, 1, RW)
  expect([b.table.walk(0n)[0]?.index, b.table.walk(TOP - SIZE / 2n)[0]?.index]).toEqual([0, 8])
  expect([b.table.iovaToPhys(0n), b.table.iovaToPhys(TOP - SIZE / 2n)]).toEqual([0x1000n, 0x2000n])
})
