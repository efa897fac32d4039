/** The tables of real kernels, from raw registers to every mapping: exactly what an independent walker made of them. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { hex } from '@io-pgtable/core'
import { vtdSs } from '@io-pgtable/vtdss'
import { describe, expect, it } from 'vitest'
import { dumpLeaves, type RunJson, runJson, scanSmmuv3, scanVtd, type Tables, tablesOf } from '../src/index.ts'
import { dumpImage, expectedOf, type Row, register } from './support/dumps.ts'

function dump(tables: Tables): RunJson[] {
  const runs: RunJson[] = []
  const result = dumpLeaves(tables, (run) => void runs.push(runJson(run)))
  expect(result).toEqual({ runs: runs.length, complete: true, findings: [] })
  return runs
}

/** One object for each leaf, by the rules of a run. */
function leavesOf({ iova, paddr, size, leafSize, count, ...rest }: RunJson): (Omit<RunJson, 'size' | 'count'> & { step: bigint })[] {
  expect(size).toBe(leafSize * count)
  return Array.from({ length: count }, (_, i) => {
    const step = BigInt(i) * BigInt(leafSize)
    return { ...rest, leafSize, step, iova: hex(BigInt(iova) + step), paddr: hex(BigInt(paddr) + step) }
  })
}

describe('linux-aarch64-4k', async () => {
  const image = await dumpImage('linux-aarch64-4k')
  const expected = expectedOf('linux-aarch64-4k')
  const [ttbr0, ttbr1, tcr, mair] = ['TTBR0_EL1', 'TTBR1_EL1', 'TCR_EL1', 'MAIR_EL1'].map((name) => register(expected.registers, name)) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ]
  const roots = tablesOf(arm64LpaeS1, { ttbr0, ttbr1, tcr, mair }, image.read)

  it.each(['ttbr0', 'ttbr1'] as const)('%s: the runs are the expected rows', (name) => {
    const tables = roots.find((root) => root.name === name) as Tables
    const rows = dump(tables).map((run): Row => [run.iova, run.paddr, run.leafSize, run.level, run.descriptor, run.count])
    expect(rows).toEqual(expected[`${name}Mappings`])
    expect(rows.length).toBeGreaterThan(15)
  })
})

describe('linux-armv7', async () => {
  const image = await dumpImage('linux-armv7')
  const expected = expectedOf('linux-armv7')
  const value = (name: string): bigint => register(expected.registers, name)
  const registers = {
    ttbr0: value('TTBR0'),
    ttbr1: value('TTBR1'),
    ttbcr: value('TTBCR'),
    sctlr: value('SCTLR'),
    prrr: value('MAIR0'),
    nmrr: value('MAIR1'),
  }
  const roots = tablesOf(armV7s, registers, image.read)
  const kinds: Readonly<Record<string, string>> = { '4096': 'small', '1048576': 'section' }
  const columns = ['Domain', 'AP[2]', 'AP[1:0]', 'XN', 'TEX', 'C', 'B', 'S', 'nG']

  it.each(['ttbr0', 'ttbr1'] as const)('%s: every leaf in all columns', (name) => {
    const tables = roots.find((root) => root.name === name) as Tables
    const rows = dump(tables)
      .flatMap(leavesOf)
      .map((leaf): Row => {
        const fields = columns.map((field) => leaf.fields[field] ?? 'none')
        return [leaf.iova, leaf.paddr, leaf.leafSize, kinds[leaf.leafSize] ?? '?', hex(BigInt(leaf.descriptor) + leaf.step), ...fields]
      })
    expect(rows).toEqual(expected[`${name}Mappings`])
    expect(rows.length).toBeGreaterThan(5000)
  })
})

describe('linux-smmuv3', async () => {
  const image = await dumpImage('linux-smmuv3')
  const expected = expectedOf('linux-smmuv3')
  const [strtabBase, strtabBaseCfg] = [register(expected.smmu, 'STRTAB_BASE'), register(expected.smmu, 'STRTAB_BASE_CFG')]
  const { streams, findings } = scanSmmuv3({ strtabBase, strtabBaseCfg }, image.read, { 'arm64-stage1': arm64LpaeS1 })
  const columns = ['AttrIndx', 'AP', 'SH', 'AF', 'nG', 'Contiguous', 'PXN', 'UXN']

  it('finds the streams, through STE and CD', () => {
    expect(findings).toEqual([])
    const structures = streams.map(({ sid, structures: [ste, cd] }) => ({
      sid,
      ste: ste?.words.slice(0, 4).map(hex),
      steAddress: hex(ste?.address ?? 0n),
      cdAddress: hex(cd?.address ?? 0n),
      cd: cd?.words.slice(0, 4).map(hex),
    }))
    expect(structures).toEqual(expected.streams.map(({ sid, ste, steAddress, cdAddress, cd }) => ({ sid, ste, steAddress, cdAddress, cd })))
    expect(streams.map(({ config }) => config)).toEqual(['stage 1', 'stage 1', 'stage 1', 'stage 1', 'stage 1'])
  })

  it.each(expected.streams)('stream $sid: every leaf in all columns', ({ sid, mappings }) => {
    const [tables] = streams.find((stream) => stream.sid === sid)?.tables ?? []
    const rows = dump(tables as Tables)
      .flatMap(leavesOf)
      .map((leaf): Row => {
        const fields = columns.map((field) => leaf.fields[field] ?? 'none')
        return [leaf.iova, leaf.paddr, leaf.leafSize, leaf.level, hex(BigInt(leaf.descriptor) + leaf.step), ...fields]
      })
    expect(rows).toEqual(mappings)
  })
})

describe('linux-vtd', async () => {
  const image = await dumpImage('linux-vtd')
  const expected = expectedOf('linux-vtd')
  const [rtaddr, cap, gsts] = [
    register(expected.registers, 'RTADDR'),
    register(expected.registers, 'CAP'),
    register(expected.registers, 'GSTS'),
  ]

  const scan = (registers: Parameters<typeof scanVtd>[0]) => scanVtd(registers, image.read, { 'vtd-second-stage': vtdSs })

  it('CAP and GSTS change nothing', () => {
    const [some, all] = [scan({ rtaddr }), scan({ rtaddr, cap, gsts })]
    expect(all.streams.map(({ sid }) => sid)).toEqual(some.streams.map(({ sid }) => sid))
    expect([...some.findings, ...all.findings]).toEqual([])
  })

  it('every leaf of every stream', () => {
    const { streams } = scan({ rtaddr })
    const rows = streams.map(({ sid, tables, structures }) => ({
      sid,
      context: structures[0]?.words.map(hex),
      mappings: tables.flatMap((one) =>
        dump(one)
          .flatMap(leavesOf)
          .map((leaf): Row => [leaf.iova, leaf.paddr, leaf.leafSize, leaf.level, hex(BigInt(leaf.descriptor) + leaf.step)]),
      ),
    }))
    expect(rows).toEqual(expected.streams.map(({ sid, context, mappings }) => ({ sid, context, mappings })))
    expect(rows.length).toBe(9)
  })
})
