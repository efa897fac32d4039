import { describe, expect, test } from 'vitest'
import { readAarch64 } from '../src/kernel-aarch64.ts'
import { DUMPS, errorOf, flip, spoilt } from './support.ts'

const { aarch64 } = DUMPS
const report = readAarch64(aarch64)
const file = JSON.parse(aarch64.expected)

type FoldedRow = readonly [string, string, number, number, string, number]

/** A copy whose expected rows of TTBR1 are changed. */
function expecting(change: (rows: FoldedRow[]) => unknown[]) {
  return { ...aarch64, expected: JSON.stringify({ ...file, ttbr1Mappings: change(file.ttbr1Mappings) }) }
}

describe("an AArch64 kernel's and a process's tables", () => {
  test('are as expected, leaf by leaf', () => {
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(report.roots.map(({ name, root, first, mappings }) => [name, root, first, mappings])).toEqual([
      ['ttbr0', 0x440a_5000n, 0n, { expected: 307, identical: 307, differing: 0, differences: [] }],
      ['ttbr1', 0x4185_3000n, 0xffff_0000_0000_0000n, { expected: 8533, identical: 8533, differing: 0, differences: [] }],
    ])
  })

  test('have contiguous sets at both levels, as many leaves as have bit 52', () => {
    const rows: FoldedRow[] = [...file.ttbr0Mappings, ...file.ttbr1Mappings]
    for (const [kind, level, leaves] of [
      ['page, 16 contiguous', 3, 784 + 752],
      ['block, 16 contiguous', 2, 240],
    ] as const) {
      const groups = report.roots.flatMap(({ attributes }) => attributes).filter((group) => group.kind === kind)
      const marked = rows.filter((row) => row[3] === level && (BigInt(row[4]) >> 52n) % 2n === 1n)
      expect(groups.reduce((sum, group) => sum + group.leaves, 0)).toBe(leaves)
      expect(marked.reduce((sum, row) => sum + row[5], 0)).toBe(leaves)
    }
  })

  test('have ranges that cover the leaves exactly', () => {
    const contiguous = report.roots[1]?.ranges.find(({ pgsize }) => pgsize === 2 ** 25)
    expect(contiguous).toMatchObject({ pgcount: 15, kind: 'block' })
    for (const { ranges, leaves } of report.roots) {
      const bytes = (size: number) => ranges.filter(({ pgsize }) => pgsize === size).reduce((sum, { pgcount }) => sum + pgcount, 0)
      expect(bytes(2 ** 12) + 16 * bytes(2 ** 16) + bytes(2 ** 21) + 16 * bytes(2 ** 25)).toBe(leaves)
    }
  })
})

describe('a tampered copy fails', () => {
  /** The last table has the leaf of 0xfffffc0000000000 at level 2; the process's first page is at level 3. */
  const LEAF = 0x6000005f600701n
  const ADDRESS = addressOf(LEAF)

  test.each([7n, 21n, 52n, 54n])('bit %i of a leaf is a difference', (bit) => {
    const { roots, checks } = readAarch64(spoilt(aarch64, (image) => flip(image, ADDRESS, 1n << bit)))
    expect(roots[1]?.mappings).toMatchObject({ expected: 8533, identical: 8532, differing: 1 })
    expect(checks.map(({ ok }) => ok)).toEqual([true, true, false, true])
  })

  test('a leaf that is gone, and one too many', () => {
    const gone = readAarch64(spoilt(aarch64, (image) => flip(image, ADDRESS, 1n)))
    expect(gone.roots[1]?.mappings.differences[0]).toMatchObject({ where: '0xfffffc0000000000', got: 'none' })
    const more = readAarch64(spoilt(aarch64, (image) => flip(image, ADDRESS + 256n, LEAF)))
    expect(more.roots[1]?.mappings).toMatchObject({ identical: 8533, differing: 1 })
    expect(more.checks[2]?.ok).toBe(false)
  })

  test('expected rows that say other things', () => {
    const longer = readAarch64(expecting((rows) => rows.map((row, i) => (i === 0 ? [...row.slice(0, 5), row[5] + 1] : row))))
    expect(longer.checks[2]?.ok).toBe(false)
    const fewer = readAarch64(expecting((rows) => rows.slice(1)))
    expect(fewer.roots[1]?.mappings.differing).toBe(1)
  })

  test.each([
    ['no count', (rows: FoldedRow[]) => rows.map((row) => row.slice(0, 5))],
    ['a count of 2^32', (rows: FoldedRow[]) => rows.map((row) => [...row.slice(0, 5), 2 ** 32])],
    ['a size that is none', (rows: FoldedRow[]) => rows.map(([va, pa, , ...rest]) => [va, pa, 0.5, ...rest])],
    ['an address that is none', (rows: FoldedRow[]) => rows.map(([, ...rest]) => ['1', ...rest])],
  ])('rows with %s are EBADMSG', (_name, change) => {
    expect(errorOf(() => readAarch64(expecting(change))).code).toBe('EBADMSG')
  })
})

/** Where a descriptor of the image stands; it stands there once. */
function addressOf(raw: bigint): bigint {
  const found: bigint[] = []
  spoilt(aarch64, ({ segments, file }) => {
    for (const { paddr, offset, fileSize } of segments) {
      const view = new DataView(file.buffer, offset, fileSize)
      for (let at = 0; at + 8 <= fileSize; at += 8) if (view.getBigUint64(at, true) === raw) found.push(paddr + BigInt(at))
    }
  })
  expect(found).toHaveLength(1)
  return found[0] ?? 0n
}
