/** Part (b), VT-d: every stream of a real kernel found from the root table, its second stage walked, and compared with what is expected. */
import { extract, hex, type Piece, slotBytes } from '@io-pgtable/core'
import { type Stream, type StreamStructure, type Tables, VtdScanner } from '@io-pgtable/inspect'
import { vtdSs } from '@io-pgtable/vtdss'
import { agreement, compareFacts, compareRows, type Row, unexpected } from './compare.ts'
import type { Dump } from './dumps.ts'
import { asList, asObject, asRegister, asRows, imageOf, type JsonObject, parseObject } from './expected.ts'
import type { Check, Finding, VtdReport, VtdStreamReport } from './report.ts'
import { type Mapping, rangeOf, type Walked, walkRoot } from './tables.ts'

const COLUMNS = ['iova', 'pa', 'size', 'level', 'descriptor']
/** Context entry: Intel VT-d specification (revision 4.1), 9.3. */
const TT: readonly Piece[] = [[3, 2, 0]]
const DID: readonly Piece[] = [[87, 72, 0]]
const REGISTERS = ['VER', 'CAP', 'ECAP', 'GSTS', 'RTADDR'] as const

/**
 * Reads the streams of an image. `expected` gives the registers; everything else of it is only compared with.
 * @throws `EBADMSG` for a bad file, `EINVAL` for a translation table mode that has no tables
 */
export function readVtd(dump: Dump): VtdReport {
  const file = parseObject(dump.expected)
  const { image } = dump
  const values = asObject(file.registers, 'registers')
  const registers = Object.fromEntries(REGISTERS.map((name) => [name.toLowerCase(), asRegister(values[name], name)])) as Registers
  const scanner = new VtdScanner(registers, image.read, { 'vtd-second-stage': vtdSs })
  const scan = scanner.run()
  const expected = asList(file.streams, 'streams').map((stream) => asObject(stream, 'a stream'))
  const findings: Finding[] = [...scan.findings]
  const streams = scan.streams.flatMap((stream) => readStream(stream, findings, file, expected))
  const { root, buses, entries } = scanner
  const report = {
    image: imageOf(dump.name, file, image),
    registers,
    root,
    buses,
    entries,
    streams,
    expectedStreams: expected.length,
    findings,
  }
  return { ...report, checks: checksOf(report) }
}

type Registers = Record<Lowercase<(typeof REGISTERS)[number]>, bigint>

/** One stream; nothing for one that has no tables, or none that this demo reads. */
function readStream(stream: Stream, findings: Finding[], file: JsonObject, expected: readonly JsonObject[]): VtdStreamReport[] {
  const place = `stream ${stream.sid}`
  const [tables] = stream.tables
  const [context] = stream.structures
  if (stream.pasid !== undefined) findings.push({ place, message: 'scalable mode is not read by this demo, which reads legacy mode' })
  if (stream.pasid !== undefined || tables === undefined || context === undefined) return []
  const walked = walkRoot(tables)
  findings.push(...walked.findings.map((finding) => ({ ...finding, place: `${place}, ${finding.place}` })))
  return [streamReport({ sid: stream.sid, context, tables }, walked, file, expected)]
}

/** A stream of legacy mode: its context entry, and the second stage that this leads to. */
interface LegacyStream {
  readonly sid: number
  readonly context: StreamStructure
  readonly tables: Tables
}

function streamReport(stream: LegacyStream, walked: Walked, file: JsonObject, expected: readonly JsonObject[]): VtdStreamReport {
  const want = expected.find(({ sid }) => sid === stream.sid)
  const { mappings: wanted, ...wantedFacts } = want ?? {}
  const rows = walked.mappings.map(rowOf)
  const facts = factsOf(stream, walked)
  return {
    sid: stream.sid,
    contextAddress: stream.context.address,
    domain: fieldOf(stream.context, DID),
    root: stream.tables.roots[0] ?? 0n,
    levels: walked.geometry.nodes.length,
    inputBits: walked.geometry.ias,
    leaves: rows.length,
    tables: walked.tables.length,
    ranges: walked.runs.map(rangeOf),
    notes: walked.notes,
    facts: want === undefined ? unexpected(Object.keys(facts).length) : compareFacts(wantedFacts, facts),
    mappings: want === undefined ? unexpected(rows.length) : compareRows(COLUMNS, asRows(wanted, COLUMNS, file), rows),
  }
}

function rowOf({ leaf }: Mapping): Row {
  return [hex(leaf.iova), hex(leaf.paddr), slotBytes(leaf.node), leaf.node.level, hex(leaf.raw)]
}

/** What is compared with an expected stream, by the names that the file gives it. */
function factsOf({ sid, context, tables: { roots } }: LegacyStream, { geometry, tables }: Walked): Record<string, unknown> {
  return {
    sid,
    context: context.words.map(hex),
    tt: fieldOf(context, TT),
    did: fieldOf(context, DID),
    levels: geometry.nodes.length,
    root: hex(roots[0] ?? 0n),
    tables: tables.map(({ level, paddr }) => [level, hex(paddr)]),
  }
}

/** A field of a context entry. */
function fieldOf({ words: [low = 0n, high = 0n] }: StreamStructure, pieces: readonly Piece[]): number {
  return Number(extract(low | (high << 64n), pieces))
}

function checksOf({ streams, expectedStreams, findings }: Omit<VtdReport, 'checks'>): Check[] {
  return [
    {
      name: 'streams found from the root table',
      ok: streams.length === expectedStreams,
      detail: `${streams.length} of ${expectedStreams}`,
    },
    agreement(
      'facts of context entries and tables as expected',
      streams.map(({ facts }) => facts),
    ),
    agreement(
      'mappings as expected, in all columns',
      streams.map(({ mappings }) => mappings),
    ),
    { name: 'nothing unknown or invalid on the way', ok: findings.length === 0, detail: `${findings.length} findings` },
  ]
}
