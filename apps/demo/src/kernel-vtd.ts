/** Part (b), VT-d: every stream of a real kernel found from the root table, its second stage walked, and compared with what is expected. */
import { hex, IoPgtableError, slotBytes } from '@io-pgtable/core'
import { vtdSs } from '@io-pgtable/vtdss'
import { agreement, compareFacts, compareRows, type Row, unexpected } from './compare.ts'
import type { Dump } from './dumps.ts'
import { readElfCore } from './elf.ts'
import { asList, asObject, asRegister, asRows, imageOf, type JsonObject, parseObject } from './expected.ts'
import type { Check, Finding, VtdReport, VtdStreamReport } from './report.ts'
import { type Mapping, rangeOf, type Walked, walkRoot } from './tables.ts'
import { contextWords, scanRootTable, type VtdStream } from './vtd.ts'

const COLUMNS = ['iova', 'pa', 'size', 'level', 'descriptor']
const REGISTERS = ['VER', 'CAP', 'ECAP', 'GSTS', 'RTADDR'] as const

/**
 * Reads the streams of an image. `expected` gives the registers; everything else of it is only compared with.
 * @throws `EBADMSG` for a bad file
 */
export function readVtd(dump: Dump): VtdReport {
  const file = parseObject(dump.expected)
  const image = readElfCore(dump.memory)
  const values = asObject(file.registers, 'registers')
  const registers = Object.fromEntries(REGISTERS.map((name) => [name.toLowerCase(), asRegister(values[name], name)])) as Registers
  const scan = scanRootTable(registers, image.read)
  const expected = asList(file.streams, 'streams').map((stream) => asObject(stream, 'a stream'))
  const findings = [...scan.findings]
  const streams = scan.streams.flatMap((stream) => {
    const walked = walkStream(stream, image.read, findings)
    return walked === undefined ? [] : [streamReport(stream, walked, file, expected)]
  })
  const { root, buses, entries } = scan
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

/** Nothing when the context entry is none that hardware accepts, which is a finding. */
function walkStream(stream: VtdStream, read: Parameters<typeof walkRoot>[2], findings: Finding[]): Walked | undefined {
  const place = `stream ${stream.sid}`
  try {
    const [found] = vtdSs.rootsFromRegs(stream.registers)
    if (found === undefined) return undefined
    const walked = walkRoot(vtdSs, found, read)
    findings.push(...walked.findings.map((finding) => ({ ...finding, place: `${place}, ${finding.place}` })))
    return walked
  } catch (error) {
    if (!(error instanceof IoPgtableError)) throw error
    findings.push({ place, message: error.message, value: stream.context })
    return undefined
  }
}

function streamReport(stream: VtdStream, walked: Walked, file: JsonObject, expected: readonly JsonObject[]): VtdStreamReport {
  const want = expected.find(({ sid }) => sid === stream.sid)
  const { mappings: wanted, ...wantedFacts } = want ?? {}
  const rows = walked.mappings.map(rowOf)
  const facts = factsOf(stream, walked)
  return {
    sid: stream.sid,
    contextAddress: stream.contextAddress,
    domain: stream.domain,
    root: stream.registers.ssptptr,
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
function factsOf({ sid, context, tt, domain, registers }: VtdStream, { geometry, tables }: Walked): Record<string, unknown> {
  return {
    sid,
    context: contextWords(context),
    tt,
    did: domain,
    levels: geometry.nodes.length,
    root: hex(registers.ssptptr),
    tables: tables.map(({ level, paddr }) => [level, hex(paddr)]),
  }
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
