/**
 * A real kernel's trace: every map and unmap that ftrace printed is done again on a table of our own, and the leaves are compared with those
 * of the kernel's tables as they stood after the last event.
 */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, hex, IoPageTable, Prot, pageSizes, type ReadMemory, slotBytes } from '@io-pgtable/core'
import { parseTrace, type StreamScan, scanSmmuv3, scanVtd, type TraceEvent, TraceParser, TraceReplay } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import { vtdSs } from '@io-pgtable/vtdss'
import { agrees, compareRows, type Row } from './compare.ts'
import type { Dump } from './dumps.ts'
import { asList, asObject, asRegister, imageOf, type JsonObject, parseObject } from './expected.ts'
import { FlushCount } from './flush-count.ts'
import { configOf } from './rebuild.ts'
import type { Check, Comparison, ReplayReport } from './report.ts'
import { type Mapping, type Walked, walkGeometry, walkRoot } from './tables.ts'

const MiB = 2 ** 20
/** Where our tables are: any 2 MiB boundary would do. */
const POOL = { base: 0x1_0000_0000n, size: 64 * MiB, name: 'replayed tables' }
/** A trace tells nothing of permissions. */
const PROT = Prot.READ | Prot.WRITE
const COLUMNS = ['iova', 'pa', 'size']
const FORMATS = { 'arm64-stage1': arm64LpaeS1, 'vtd-second-stage': vtdSs }

/** A stream of the image, and what its tables hold. */
interface Stream {
  readonly sid: number
  readonly format: AnyFmt
  readonly walked: Walked
}

export interface Trace {
  readonly name: string
  readonly text: string
}

/**
 * Replays a trace on a table like those of the image beside it, stream by stream where it is not said which one the trace is of; the stream that
 * fits best is reported.
 * @throws `EBADMSG` for a bad trace or image, with the place; `EINVAL` for a stream that the image does not have
 */
export function replay(trace: Trace, dump: Dump, sid?: number): ReplayReport {
  const file = parseObject(dump.expected)
  const { image } = dump
  const streams = streamsOf(file, image.read).filter((stream) => sid === undefined || stream.sid === sid)
  const parser = new TraceParser()
  const events = [...parseTrace(trace.text, parser)]
  const runs = streams.map((stream) => replayOn(events, parser, stream, file))
  const best = runs.reduce<Run | undefined>((a, b) => (a === undefined || b.kernel.identical > a.kernel.identical ? b : a), undefined)
  if (best === undefined) throw noStream(sid)
  const report = { trace: trace.name, image: imageOf(dump.name, file, image), streams: streams.length, ...best }
  return { ...report, checks: checksOf(report) }
}

type Run = Omit<ReplayReport, 'trace' | 'image' | 'streams' | 'checks'>

function noStream(sid: number | undefined): Error {
  return new Error(sid === undefined ? 'the image has no stream whose tables can be walked' : `the image has no stream ${hex(sid)}`)
}

/** The streams whose tables can be walked. */
function streamsOf(file: JsonObject, read: ReadMemory): Stream[] {
  return scanOf(file, read).streams.flatMap(({ sid, tables: [found] }) =>
    found === undefined ? [] : [{ sid, format: found.format, walked: walkRoot(found) }],
  )
}

/** An SMMU or a VT-d unit, whichever registers there are. */
function scanOf(file: JsonObject, read: ReadMemory): StreamScan {
  if (file.smmu !== undefined) {
    const registers = asObject(file.smmu, 'smmu')
    const register = (name: string): bigint => asRegister(registers[name], name)
    const smmu = { strtabBase: register('STRTAB_BASE'), strtabBaseCfg: register('STRTAB_BASE_CFG'), idr1: register('IDR1') }
    return scanSmmuv3(smmu, read, FORMATS)
  }
  const values = asObject(file.registers, 'registers')
  const [rtaddr, cap, gsts] = ['RTADDR', 'CAP', 'GSTS'].map((name) => asRegister(values[name], name)) as [bigint, bigint, bigint]
  return scanVtd({ rtaddr, cap, gsts }, read, FORMATS)
}

/** One replay, on a table of the stream's format and page sizes. */
function replayOn(events: readonly TraceEvent[], parser: TraceParser, { sid, format, walked }: Stream, file: JsonObject): Run {
  const pool = new PtPool(POOL)
  const tlb = new FlushCount()
  const config = configOf(walked)
  const table: IoPageTable = IoPageTable.createRaw(format, { ...config, allocator: pool, tlb, name: 'replayed' })
  const run = new TraceReplay(table, PROT)
  let most = 0
  for (const event of events) {
    run.apply(event)
    most = Math.max(most, run.totals.mappedBytes - run.totals.unmappedBytes)
  }
  const ours = walkGeometry(table.geometry, table.roots, table.readMemory, (leaf) => format.prot(leaf.raw, leaf.kind, table.context))
  const { peak } = pool.stats()
  table.free()
  return {
    sid,
    format: format.FORMAT,
    pageSizes: pageSizes(table.config.pgsizeBitmap),
    lines: parser.lines,
    skipped: [...parser.skipped].reduce((sum, [, n]) => sum + n, 0),
    seconds: (events.at(-1)?.time ?? 0) - (events[0]?.time ?? 0),
    totals: run.totals,
    mostBytes: most,
    problems: run.problems.map(({ event, message }) => ({ line: event.line, message })),
    leaves: ours.mappings.map(({ leaf }) => ({ iova: leaf.iova, size: slotBytes(leaf.node) })),
    sizes: sizesOf(ours.mappings),
    tables: { ours: ours.tables.length, kernel: walked.tables.length },
    peakBytes: peak,
    flushes: tlb.counts,
    kernel: compareRows(COLUMNS, walked.mappings.map(rowOf), ours.mappings.map(rowOf)),
    independent: compareRows(COLUMNS, expectedRows(file, sid), ours.mappings.map(rowOf)),
    findings: walked.findings,
    leakedBytes: pool.stats().live,
  }
}

function rowOf({ leaf }: Mapping): Row {
  return [hex(leaf.iova), hex(leaf.paddr), slotBytes(leaf.node)]
}

/** The first columns of what an independent walker found in the image. */
function expectedRows(file: JsonObject, sid: number): Row[] {
  const stream = asList(file.streams, 'streams')
    .map((one) => asObject(one, 'a stream'))
    .find((one) => one.sid === sid)
  return asList(stream?.mappings ?? [], 'the mappings').map((row) => (asList(row, 'a mapping') as Row).slice(0, COLUMNS.length))
}

function sizesOf(mappings: readonly Mapping[]): ReplayReport['sizes'] {
  const counts = new Map<number, number>()
  for (const { leaf } of mappings) counts.set(slotBytes(leaf.node), (counts.get(slotBytes(leaf.node)) ?? 0) + 1)
  return [...counts].sort(([a], [b]) => b - a).map(([pgsize, count]) => ({ pgsize, count }))
}

function checksOf({ kernel, independent, totals, findings, leakedBytes }: Omit<ReplayReport, 'checks'>): Check[] {
  const all = (name: string, comparison: Comparison): Check => ({
    name,
    ok: agrees(comparison),
    detail: `${comparison.identical.toLocaleString('en-US')} of ${comparison.expected.toLocaleString('en-US')}`,
  })
  return [
    { name: 'every event went as in the kernel', ok: totals.problems === 0, detail: `${totals.maps + totals.unmaps} events` },
    all("every leaf where the kernel's tables have it, with the same size", kernel),
    all('every leaf where an independent walker of the image found it', independent),
    { name: 'nothing unknown or invalid on the way', ok: findings.length === 0, detail: `${findings.length} findings` },
    { name: 'bytes leaked', ok: leakedBytes === 0, detail: `${leakedBytes}` },
  ]
}
