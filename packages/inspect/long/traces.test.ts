/**
 * Real kernels' traces: every map and unmap that ftrace printed is done again on a table of our own, and each leaf is where the kernel's
 * tables have it after the last event, with the same size.
 */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, hex, IoPageTable, Prot } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { vtdSs } from '@io-pgtable/vtdss'
import { describe, expect, test } from 'vitest'
import { parseTrace, type ReplayTotals, type Stream, scanSmmuv3, scanVtd, type Tables, TraceParser, TraceReplay } from '../src/index.ts'
import { dumpImage, expectedOf, type Row, register, type TraceName, traceText } from '../test/support/dumps.ts'
import { type Below, below, differing, errorOf, type Leaf } from './support/kernel.ts'
import { configOf, tablesIn } from './support/rebuild.ts'

const FORMATS = { 'arm64-stage1': arm64LpaeS1, 'vtd-second-stage': vtdSs }
/** The stream of the device whose events are in the traces. */
const SID = 32

/** The kernel's tables, after the last event: of an SMMU or of a VT-d unit, whichever registers there are. */
async function kernelOf(name: TraceName): Promise<{ tables: Tables; wanted: readonly Row[] }> {
  const { smmu, registers, streams } = expectedOf(name)
  const { read } = await dumpImage(name)
  const value = (register_: string): bigint => register(smmu ?? registers, register_)
  const scan = smmu
    ? scanSmmuv3({ strtabBase: value('STRTAB_BASE'), strtabBaseCfg: value('STRTAB_BASE_CFG'), idr1: value('IDR1') }, read, FORMATS)
    : scanVtd({ rtaddr: value('RTADDR'), cap: value('CAP'), gsts: value('GSTS') }, read, FORMATS)
  expect(scan.findings).toEqual([])
  const { tables } = scan.streams.find(({ sid }) => sid === SID) as Stream
  return { tables: tables[0]!, wanted: streams.find(({ sid }) => sid === SID)!.mappings.map((row) => row.slice(0, 3)) }
}

interface Replayed extends Below {
  readonly totals: ReplayTotals
  readonly problems: readonly string[]
  readonly skipped: number
  readonly leaked: number
}

/** Does the events again on a table like the kernel's. A trace tells nothing of permissions. */
function replay(text: string, { format, geometry }: Tables): Replayed {
  const pool = new PtPool({ base: 0x1_0000_0000n, size: 64 * 2 ** 20 })
  const table: IoPageTable = IoPageTable.createRaw(format as AnyFmt, { ...configOf(geometry), allocator: pool })
  const parser = new TraceParser()
  const run = new TraceReplay(table, Prot.READ | Prot.WRITE)
  for (const event of parseTrace(text, parser)) run.apply(event)
  const found = below(tablesIn(table))
  table.free()
  const problems = run.problems.map(({ event, message }) => `${event.line}: ${message}`)
  return { ...found, totals: run.totals, problems, skipped: parser.skipped.size, leaked: pool.stats().live }
}

const rowOf = ({ iova, paddr, run }: Leaf): Row => [hex(iova), hex(paddr), run.leafSize]
const rowsOf = ({ leaves }: Below): Row[] => leaves.map(rowOf)

/** Leaves by size: `4 x 2097152 + 285 x 4096`. */
function sizesOf(rows: readonly Row[]): string {
  const counts = new Map<number, number>()
  for (const [, , size] of rows) counts.set(Number(size), (counts.get(Number(size)) ?? 0) + 1)
  return [...counts]
    .sort(([a], [b]) => b - a)
    .map(([size, count]) => `${count} x ${size}`)
    .join(' + ')
}

test.each([
  ['linux61-4k-nvme', 5131, 'arm64-lpae-s1', '4 x 2097152 + 285 x 4096', 6],
  ['linux61-4k-e1000e', 6690, 'arm64-lpae-s1', '349 x 4096', 4],
  ['linux612-16k-nvme', 3422, 'arm64-lpae-s1', '592 x 16384', 4],
  ['linux61-vtd-nvme', 5111, 'vtdss', '4 x 2097152 + 285 x 4096', 12],
] as const)("%s: %i events, and every leaf is the kernel's", async (name, events, format, sizes, tables) => {
  const kernel = await kernelOf(name)
  const theirs = below(kernel.tables)
  const ours = replay(traceText(name), kernel.tables)
  expect([kernel.tables.format.FORMAT, ours.totals.maps + ours.totals.unmaps]).toEqual([format, events])
  expect([ours.problems, ours.totals.problems, theirs.findings, ours.findings]).toEqual([[], 0, [], []])
  expect(rowsOf(ours)).toEqual(rowsOf(theirs))
  expect(rowsOf(ours)).toEqual(kernel.wanted)
  expect([sizesOf(rowsOf(ours)), ours.tables.length, theirs.tables.length]).toEqual([sizes, tables, tables])
  expect([ours.skipped, ours.leaked]).toEqual([0, 0])
})

describe('the shortest trace with one line changed', async () => {
  const NAME = 'linux612-16k-nvme'
  const { tables, wanted } = await kernelOf(NAME)
  const lines = traceText(NAME).split('\n')
  const LAST_MAP = lines.findLastIndex((line, i) => line.includes(' map: ') && i < lines.length - 2)
  const changed = (at: number, change: (line: string) => string): Replayed =>
    replay(lines.map((line, i) => (i === at ? change(line) : line)).join('\n'), tables)

  test('one map less', () => {
    const { totals, ...ours } = changed(LAST_MAP, () => '# gone')
    expect(differing(wanted, rowsOf(ours)).want.length + totals.problems).toBeGreaterThan(0)
  })

  test('a map to another address differs in one leaf', () => {
    const ours = changed(12, (line) => line.replace(/paddr=0x[0-9a-f]+/, 'paddr=0x0000000012340000'))
    const { want, got } = differing(wanted, rowsOf(ours))
    expect([want.length, want[0]?.[0], got]).toEqual([1, '0xffffc000', [['0xffffc000', '0x12340000', 16_384]]])
  })

  test('an unmap of what is not there is a problem with its line', () => {
    const { problems } = changed(12, (line) => line.replace(/map: (.*) paddr=.* size=(\d+)/, 'unmap: $1 size=$2 unmapped_size=$2'))
    expect(problems[0]).toBe('13: 0x0 bytes unmapped, by the kernel 0x4000')
  })

  test('a line that cannot be read is EBADMSG with line and column', () => {
    const error = errorOf(() => changed(12, (line) => line.replace('paddr', 'pd')))
    expect(error.message).toMatch(/^EBADMSG: trace: line 13, column \d+: "paddr=" expected/)
  })
})
