/**
 * The tables of real CPUs, of a process and of the kernel: what contiguous hints and domains become, and that a bit which is flipped in the
 * image shows in what is read. That whole dumps are right, leaf by leaf in all columns, is in test/kernels.test.ts.
 */
import { armV7s, explainLeaf } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { hex } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type MemoryImage, tablesOf } from '../src/index.ts'
import { dumpImage, expectedOf, type Row, register } from '../test/support/dumps.ts'
import { type Below, below, differing, type Leaf, overlaps, rowOf, type Spoilt, spoilt } from './support/kernel.ts'

describe('AArch64', async () => {
  const NAME = 'linux-aarch64-4k'
  const expected = expectedOf(NAME)
  const value = (name: string): bigint => register(expected.registers, name)
  const registers = { ttbr0: value('TTBR0_EL1'), ttbr1: value('TTBR1_EL1'), tcr: value('TCR_EL1'), mair: value('MAIR_EL1') }
  const rootsOf = ({ read }: MemoryImage): Below[] => tablesOf(arm64LpaeS1, registers, read).map((root) => below(root))
  const roots = tablesOf(arm64LpaeS1, registers, (await dumpImage(NAME)).read)
  const found = roots.map((root) => below(root))
  const rowsOf = ({ leaves }: Below): Row[] => leaves.map((leaf) => rowOf(leaf, []))
  /** The file's rows, one for each leaf: it folds those that follow one another. */
  const unfolded = (rows: readonly Row[]): Row[] =>
    rows.flatMap(([va, pa, size, level, descriptor, count]) =>
      Array.from({ length: Number(count) }, (_, i): Row => {
        const [first = '', second = '', third = ''] = [va, pa, descriptor].map((start) => moved(start, i * Number(size)))
        return [first, second, size ?? 0, level ?? 0, third]
      }),
    )
  const moved = (start: string | number | undefined, by: number): string => `0x${(BigInt(start ?? 0) + BigInt(by)).toString(16)}`
  const wanted = [unfolded(expected.ttbr0Mappings), unfolded(expected.ttbr1Mappings)] as const

  test('both roots, leaf by leaf', () => {
    expect(roots.map(({ name, roots: at, first }) => [name, at[0], first])).toEqual([
      ['ttbr0', 0x440a_5000n, 0n],
      ['ttbr1', 0x4185_3000n, 0xffff_0000_0000_0000n],
    ])
    expect(found.map(rowsOf)).toEqual(wanted)
    expect(wanted.map((rows) => rows.length)).toEqual([307, 8533])
    for (const { findings, runs } of found) expect([findings, overlaps(runs)]).toEqual([[], []])
    const [va, pa, size, level, descriptor, count] = expected.mappingColumns
    expect([va, pa, size, level, descriptor, count?.slice(0, 5)]).toEqual(['va', 'pa', 'size', 'level', 'descriptor', 'count'])
  })

  test.each([
    ['pages', 3, 784 + 752, 16 * 4096],
    ['blocks', 2, 240, 2 ** 25],
  ])('contiguous %s, as many as have bit 52', (_name, level, count, group) => {
    const marked = found.flatMap(({ leaves }) => leaves).filter(({ run, fields }) => run.level === level && fields.Contiguous === 1)
    expect(marked).toHaveLength(count)
    const rows = wanted.flat().filter((row) => row[3] === level && (BigInt(row[4] ?? 0) >> 52n) % 2n === 1n)
    expect(rows).toHaveLength(count)
    for (const { iova, run } of marked) expect([run.size % group, run.iova % BigInt(group), iova >= run.iova]).toEqual([0, 0n, true])
  })

  /** The leaf of 0xfffffc0000000000, of which there is one in the image. */
  const LEAF = 0x600_0005_f600_701n
  const kernelOf = async (change: (image: Spoilt) => void): Promise<Row[]> => rowsOf(rootsOf(await spoilt(NAME, change))[1] as Below)

  test.each([7n, 21n, 52n, 54n])('bit %i of a leaf shows', async (bit) => {
    const { want, got } = differing(wanted[1], await kernelOf((image) => image.flip(image.find(LEAF), 1n << bit)))
    expect([want.length, got.length, want[0]?.[0]]).toEqual([1, 1, '0xfffffc0000000000'])
  })

  test('a leaf that is gone, and one too many', async () => {
    const gone = await kernelOf((image) => image.flip(image.find(LEAF), 1n))
    expect(differing(wanted[1], gone)).toEqual({ want: [['0xfffffc0000000000', '0x5f600000', 2 ** 21, 2, hex(LEAF)]], got: [] })
    const more = await kernelOf((image) => image.put(image.find(LEAF) + 256n, LEAF))
    expect(differing(wanted[1], more)).toEqual({ want: [], got: [[expect.any(String), '0x5f600000', 2 ** 21, 2, hex(LEAF)]] })
  })
})

describe('ARMv7', async () => {
  const NAME = 'linux-armv7'
  const { registers: values, ttbr0Mappings, ttbr1Mappings } = expectedOf(NAME)
  const value = (name: string): bigint => register(values, name)
  // With TEX remap MAIR0 and MAIR1 are PRRR and NMRR (DDI 0406C, B4.1)
  const registers = {
    ...{ ttbr0: value('TTBR0'), ttbr1: value('TTBR1'), ttbcr: value('TTBCR'), sctlr: value('SCTLR'), dacr: value('DACR') },
    ...{ prrr: value('MAIR0'), nmrr: value('MAIR1') },
  }
  const roots = armV7s.rootsFromRegs(registers)
  const read = ({ read: memory }: MemoryImage): Below[] => tablesOf(armV7s, registers, memory).map((root) => below(root))
  const found = read(await dumpImage(NAME))

  test('both roots, and nothing unknown or invalid', () => {
    expect(roots.map(({ name }) => name)).toEqual(['ttbr0', 'ttbr1'])
    expect(found.map(({ leaves, findings }) => [leaves.length, findings])).toEqual([
      [ttbr0Mappings.length, []],
      [ttbr1Mappings.length, []],
    ])
    expect([ttbr0Mappings.length, ttbr1Mappings.length]).toEqual([5347, 5088])
    // With TTBCR.N = 0 no address is translated by TTBR1 (DDI 0406C, B3.5.4): an operating system may keep its own root in it
    expect(registers.ttbcr & 7n).toBe(0n)
  })

  test('every leaf can be said in words: access by its domain, memory by TEX remap', () => {
    const said = new Set(
      found.flatMap(({ leaves }, i) =>
        leaves.map(({ descriptor, run, fields }: Leaf) => {
          const { access, memory } = explainLeaf(descriptor, run.kind, roots[i]!.context, fields.Domain)
          return `${access}; ${memory}`
        }),
      ),
    )
    expect(said.size).toBeGreaterThan(3)
    for (const words of said) expect(words).toMatch(/^[^;]{3,}; [^;]{3,}$/)
  })

  test("a domain is the table's above a page", async () => {
    const image = await spoilt(NAME, (one) => one.flip(0x41ca_0000n, 1n << 6n))
    const pages = (of: readonly Below[]): Leaf[] => of[0]?.leaves.filter(({ iova }) => iova === 0x1_0000n) ?? []
    expect([pages(found), pages(read(image))].map(([leaf]) => leaf?.fields.Domain)).toEqual([1, 3])
  })
})
