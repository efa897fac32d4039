/** The public command, bundled, over the memory of real kernels: each leaf as an independent walker has it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DUMPS, iopt, jsonLines } from './support.ts'

interface Expected {
  readonly registers: Record<string, string>
  readonly smmu: Record<string, string>
  readonly ttbr0Mappings: Row[]
  readonly ttbr1Mappings: Row[]
  readonly streams: { readonly sid: number; readonly mappings: Row[] }[]
}
type Row = (string | number)[]

function expected(dump: string): Expected {
  return JSON.parse(readFileSync(join(DUMPS, dump, 'expected.json'), 'utf8')) as Expected
}

function image(dump: string): string {
  return join(DUMPS, dump, 'memory.elf')
}

interface Run {
  readonly iova: string
  readonly paddr: string
  readonly size: number
  readonly leafSize: number
  readonly level: number
  readonly count: number
  readonly descriptor: string
  readonly fields: Record<string, number>
  readonly root?: string
  readonly sid?: number
}

/** The runs of a command line that ends well and says nothing on stderr. */
function runs(...args: string[]): Run[] {
  const { code, out, err } = iopt([...args, '--json'])
  expect([code, err]).toEqual([0, ''])
  return jsonLines(out) as unknown as Run[]
}

/** Every leaf of runs: iova, paddr, size, level. */
function leaves(of: readonly Run[]): string[] {
  return of.flatMap((run) => {
    expect(run.count * run.leafSize).toBe(run.size)
    return Array.from({ length: run.count }, (_, i) => {
      const at = BigInt(i * run.leafSize)
      return `0x${(BigInt(run.iova) + at).toString(16)} 0x${(BigInt(run.paddr) + at).toString(16)} ${run.leafSize} ${run.level}`
    })
  })
}

const text = (...cells: (string | number | bigint)[]): string => cells.join(' ')
const step = (row: Row, i: number, column: number): string =>
  `0x${(BigInt(row[column] ?? 0) + BigInt(i) * BigInt(row[2] ?? 0)).toString(16)}`

describe('dumps of real kernels', () => {
  test('linux-aarch64-4k: TTBR0 and TTBR1', () => {
    const { registers: r, ttbr0Mappings, ttbr1Mappings } = expected('linux-aarch64-4k')
    const all = runs(
      ...['dump', 'arm64-lpae-s1', '--image', image('linux-aarch64-4k'), '--ttbr0', r.TTBR0_EL1 ?? '', '--ttbr1', r.TTBR1_EL1 ?? ''],
      ...['--tcr', r.TCR_EL1 ?? '', '--mair', r.MAIR_EL1 ?? ''],
    )
    const rows = (mappings: Row[]): string[] =>
      mappings.flatMap((row) =>
        Array.from({ length: Number(row[5]) }, (_, i) => text(step(row, i, 0), step(row, i, 1), row[2] ?? '', row[3] ?? '')),
      )
    expect(leaves(all.filter(({ root }) => root === 'ttbr0'))).toEqual(rows(ttbr0Mappings))
    expect(leaves(all.filter(({ root }) => root === 'ttbr1'))).toEqual(rows(ttbr1Mappings))
    const descriptors = new Map([...ttbr0Mappings, ...ttbr1Mappings].map((row) => [row[0], row[4]]))
    expect(
      all.filter(({ iova, descriptor }) => descriptors.has(iova) && BigInt(descriptors.get(iova) ?? 0) !== BigInt(descriptor)),
    ).toEqual([])
  })

  test('linux-armv7: TTBR0 and TTBR1, each over 4 GiB', () => {
    const { registers: r, ttbr0Mappings, ttbr1Mappings } = expected('linux-armv7')
    const all = runs(
      ...['dump', 'arm-v7s', '--image', image('linux-armv7'), '--ttbr0', r.TTBR0 ?? '', '--ttbr1', r.TTBR1 ?? '', '--ttbcr', r.TTBCR ?? ''],
      ...['--sctlr', r.SCTLR ?? '', '--prrr', r.MAIR0 ?? '', '--nmrr', r.MAIR1 ?? ''],
    )
    const levels: Record<string, number> = { section: 1, supersection: 1, small: 2, large: 2 }
    const rows = (mappings: Row[]): string[] =>
      mappings.map(([va = '', pa = '', size = '', kind = '']) => text(va, pa, size, levels[kind] ?? -1))
    const ours = { ttbr0: all.filter(({ root }) => root === 'ttbr0'), ttbr1: all.filter(({ root }) => root === 'ttbr1') }
    expect(leaves(ours.ttbr0)).toEqual(rows(ttbr0Mappings))
    expect(leaves(ours.ttbr1)).toEqual(rows(ttbr1Mappings))
    // columns 5 on: domain, apx, ap, xn, tex, c, b, s, ng
    const byStart = new Map(ttbr1Mappings.map((row) => [row[0], row]))
    for (const { iova, fields, descriptor } of ours.ttbr1) {
      const row = byStart.get(iova) ?? []
      expect([iova, descriptor, fields.Domain, fields['AP[2]'], fields['AP[1:0]'], fields.TEX, fields.C, fields.B]).toEqual(
        [0, 4, 5, 6, 7, 9, 10, 11].map((column) => row[column]),
      )
    }
  })

  test('linux-smmuv3: all streams', () => {
    const { smmu, streams } = expected('linux-smmuv3')
    const all = runs(
      ...['streams', 'smmuv3', '--image', image('linux-smmuv3')],
      ...['--strtab-base', smmu.STRTAB_BASE ?? '', '--strtab-base-cfg', smmu.STRTAB_BASE_CFG ?? ''],
    )
    expect([...new Set(all.map(({ sid }) => sid))]).toEqual(streams.map(({ sid }) => sid))
    for (const { sid, mappings } of streams) {
      const own = all.filter((run) => run.sid === sid)
      expect(leaves(own)).toEqual(mappings.map(([iova = '', pa = '', size = '', level = '']) => text(iova, pa, size, level)))
      const byStart = new Map(mappings.map((row) => [row[0], row]))
      for (const { iova, descriptor, fields } of own)
        expect([descriptor, fields.AttrIndx, fields.AP, fields.SH, fields.AF, fields.nG]).toEqual(byStart.get(iova)?.slice(4, 10))
    }
  })

  test('linux-vtd: all streams', () => {
    const { registers, streams } = expected('linux-vtd')
    const all = runs('streams', 'vtd', '--image', image('linux-vtd'), '--rtaddr', registers.RTADDR ?? '')
    for (const { sid, mappings } of streams)
      expect(leaves(all.filter((run) => run.sid === sid))).toEqual(
        mappings.map(([iova = '', pa = '', size = '', level = '']) => text(iova, pa, size, level)),
      )
  })
})
