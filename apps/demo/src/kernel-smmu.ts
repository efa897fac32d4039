/** Part (b), SMMUv3: every stream of a real kernel found, walked, compared with what is expected, rebuilt and compared again. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { extract, fieldValue, hex, type Piece, slotBytes } from '@io-pgtable/core'
import { Smmuv3Scanner, type Stream, type StreamStructure, type Tables } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import { agrees, compareFacts, compareRows, type Row, unexpected } from './compare.ts'
import type { Dump } from './dumps.ts'
import { asList, asObject, asRegister, asRows, imageOf, type JsonObject, parseObject } from './expected.ts'
import { configOf, rebuild } from './rebuild.ts'
import type { Check, Comparison, Finding, SmmuReport, StreamReport } from './report.ts'
import { type Mapping, rangeOf, type Walked, walkRoot } from './tables.ts'

/** The expected columns; those after the descriptor are fields of a leaf. */
const COLUMNS = ['iova', 'pa', 'size', 'level', 'descriptor', 'attrIndx', 'ap', 'sh', 'af', 'ng', 'contig', 'pxn', 'uxn']
const FIELDS = ['AttrIndx', 'AP', 'SH', 'AF', 'nG', 'Contiguous', 'PXN', 'UXN']

/** Fields of TCR_EL1 that io-pgtable decides (Arm ARM, D24.2). */
const TCR: Readonly<Record<string, readonly Piece[]>> = {
  T0SZ: [[5, 0, 0]],
  IRGN0: [[9, 8, 0]],
  ORGN0: [[11, 10, 0]],
  SH0: [[13, 12, 0]],
  TG0: [[15, 14, 0]],
  IPS: [[34, 32, 0]],
}

/** Context Descriptor: the fields that this demo shows (IHI 0070, 5.4). */
const CD = {
  ASID: [[63, 48, 0]],
  T0SZ: [[5, 0, 0]],
  TG0: [[7, 6, 0]],
  IPS: [[34, 32, 0]],
  IR0: [[9, 8, 0]],
  OR0: [[11, 10, 0]],
  SH0: [[13, 12, 0]],
  TTB0: [[115, 68, 4]],
  MAIR: [[255, 192, 0]],
} as const satisfies Readonly<Record<string, readonly Piece[]>>

/** Where the rebuilt tables are: any 2 MiB boundary would do. */
const POOL = { base: 0x1_0000_0000n, size: 16 * 2 ** 20, name: 'rebuilt tables' }

/**
 * Reads the streams of an image. `expected` gives the registers; everything else of it is only compared with.
 * @throws `EBADMSG` for a bad file, `EINVAL` for registers that no SMMU accepts
 */
export function readSmmu(dump: Dump): SmmuReport {
  const file = parseObject(dump.expected)
  const { image } = dump
  const registers = asObject(file.smmu, 'smmu')
  const register = (name: string) => asRegister(registers[name], name)
  const [strtabBase, strtabBaseCfg] = [register('STRTAB_BASE'), register('STRTAB_BASE_CFG')]
  const smmu = { strtabBase, strtabBaseCfg, idr1: register('IDR1') }
  const scanner = new Smmuv3Scanner(smmu, image.read, { 'arm64-stage1': arm64LpaeS1 })
  const scan = scanner.run()
  const expected = asList(file.streams, 'streams').map((stream) => asObject(stream, 'a stream'))
  const job: Job = { file, expected, pool: new PtPool(POOL), findings: [...scan.findings] }
  const streams = scan.streams.flatMap((stream) => readStream(job, stream))
  const report = {
    image: imageOf(dump.name, file, image),
    strtabBase,
    strtabBaseCfg,
    table: scanner.table,
    entries: entriesOf(scanner),
    streams,
    expectedStreams: expected.length,
    leakedBytes: job.pool.stats().live,
    findings: job.findings,
  }
  return { ...report, checks: checksOf(report) }
}

interface Job {
  readonly file: JsonObject
  readonly expected: readonly JsonObject[]
  /** For the rebuilt tables. */
  readonly pool: PtPool
  readonly findings: Finding[]
}

/** Entries of the stream table, valid ones by what they do, and invalid ones. */
function entriesOf({ entries: { invalid, nested, ...valid } }: Smmuv3Scanner): SmmuReport['entries'] {
  const total = sum(Object.values(valid), (n) => n) + nested + invalid
  return { total, ...valid, 'stages 1 and 2': nested, invalid }
}

/** A stream that stage 1 translates: its STE, its context descriptor, and what the TTB0 of this points to. */
interface Stage1Stream {
  readonly sid: number
  readonly ste: StreamStructure
  readonly cd: StreamStructure
  readonly fields: Readonly<Record<keyof typeof CD, bigint>>
  /** What a CPU's registers would hold to walk the same tables. */
  readonly registers: { readonly tcr: bigint; readonly mair: bigint }
  readonly tables: Tables
}

/** One stream; nothing when this demo does not read its tables, which is a finding. */
function readStream(job: Job, found: Stream): StreamReport[] {
  const stream = stage1Of(job, found)
  if (stream === undefined) return []
  const walked = walkRoot(stream.tables)
  job.findings.push(...walked.findings.map((finding) => ({ ...finding, place: `stream ${stream.sid}, ${finding.place}` })))
  return [streamReport(job, stream, walked)]
}

/** What TTB0 points to. Linux gives devices no TTB1; one in use is a finding. Stages without a format are the scan's findings. */
function stage1Of({ findings }: Job, { sid, pasid, stages: [stage], tables, structures: [ste, cd] }: Stream): Stage1Stream | undefined {
  if (stage?.role !== 'arm64-stage1' || ste === undefined || cd === undefined) return undefined
  const registers = stage.registers as Stage1Stream['registers'] & { readonly ttbr0?: bigint; readonly ttbr1?: bigint }
  const finding = (message: string): void => void findings.push({ place: `stream ${sid}`, message, value: cd.words[0] ?? 0n })
  if (pasid !== undefined) finding('a table of context descriptors is not read by this demo')
  if (registers.ttbr0 === undefined && registers.ttbr1 === undefined) finding('neither TTB0 nor TTB1 is walked (CD.EPD0, CD.EPD1)')
  if (tables.some(({ name }) => name === 'ttbr1')) finding('TTB1 is in use and not read by this demo')
  const ttbr0 = tables.find(({ name }) => name === 'ttbr0')
  return ttbr0 === undefined || pasid !== undefined ? undefined : { sid, ste, cd, fields: fieldsOf(cd), registers, tables: ttbr0 }
}

function fieldsOf({ words }: StreamStructure): Stage1Stream['fields'] {
  const raw = words.reduceRight((wide, word) => (wide << 64n) | word, 0n)
  return Object.fromEntries(Object.entries(CD).map(([name, pieces]) => [name, extract(raw, pieces)])) as Stage1Stream['fields']
}

function streamReport({ file, expected, pool }: Job, stream: Stage1Stream, walked: Walked): StreamReport {
  const want = expected.find(({ sid }) => sid === stream.sid)
  const rows = walked.mappings.map(rowOf)
  const facts = factsOf(stream, walked)
  return {
    sid: stream.sid,
    steAddress: stream.ste.address,
    cdAddress: stream.cd.address,
    asid: Number(stream.fields.ASID),
    ttb: stream.fields.TTB0,
    inputBits: walked.geometry.ias,
    outputBits: walked.geometry.oas,
    granule: granuleOf(walked),
    mair: stream.fields.MAIR,
    leaves: walked.mappings.length,
    tables: walked.tables.length,
    ranges: walked.runs.map(rangeOf),
    notes: walked.notes,
    facts: want === undefined ? unexpected(Object.keys(facts).length) : compareFacts(expectedFacts(want), facts),
    mappings: want === undefined ? unexpected(rows.length) : compareRows(COLUMNS, asRows(want.mappings, COLUMNS, file), rows),
    rebuilt: rebuildStream(stream, walked, pool),
  }
}

/** The engine's tables of this stream against the kernel's: leaves, and the registers that a device would get. */
function rebuildStream(stream: Stage1Stream, walked: Walked, pool: PtPool): StreamReport['rebuilt'] {
  // A driver knows whether its walker snoops; the kernel's says so by making its walks cacheable.
  const coherentWalk = stream.fields.IR0 !== 0n
  const { comparison, regs, tables } = rebuild(arm64LpaeS1, { ...configOf(walked), coherentWalk }, walked, pool)
  const registers = compareFacts(registerFacts(stream.registers, walked), registerFacts({ tcr: regs.tcrValue, mair: regs.mair }, walked))
  return { ...comparison, tables, registers }
}

/** TCR fields, and the MAIR attributes that leaves select: the others mean nothing. */
function registerFacts({ tcr, mair }: { tcr: bigint; mair: bigint }, { mappings }: Walked): Record<string, string> {
  const used = [...new Set(mappings.map(({ leaf }) => fieldValue(leaf.kind, leaf.raw, 'AttrIndx') ?? 0))].sort()
  const attributes = used.map((i) => [`MAIR.Attr${i}`, hex((mair >> BigInt(8 * i)) & 0xffn)])
  const controls = Object.entries(TCR).map(([name, pieces]) => [`TCR.${name}`, hex(extract(tcr, pieces))])
  return Object.fromEntries([...controls, ...attributes])
}

function rowOf({ leaf }: Mapping): Row {
  const fields = FIELDS.map((name) => fieldValue(leaf.kind, leaf.raw, name) ?? 'none')
  return [hex(leaf.iova), hex(leaf.paddr), slotBytes(leaf.node), leaf.node.level, hex(leaf.raw), ...fields]
}

/** What is compared with an expected stream, by the names that the file gives it. */
function factsOf(stream: Stage1Stream, walked: Walked): Record<string, unknown> {
  const { ASID, T0SZ, TG0, IPS, IR0, OR0, SH0, TTB0, MAIR } = stream.fields
  const numbers = { asid: ASID, t0sz: T0SZ, tg0: TG0, ips: IPS, ir0: IR0, or0: OR0, sh0: SH0 }
  return {
    sid: stream.sid,
    granule: granuleOf(walked),
    startLevel: walked.tables[0]?.level,
    ste: words(stream.ste),
    steAddress: hex(stream.ste.address),
    cdAddress: hex(stream.cd.address),
    cd: words(stream.cd),
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)])),
    ttb0: hex(TTB0),
    mair: hex(MAIR),
    tables: walked.tables.map(({ level, paddr }) => [level, hex(paddr)]),
  }
}

function expectedFacts({ mappings: _, ...facts }: JsonObject): JsonObject {
  return facts
}

/** The first four 64-bit words of a structure. */
function words(structure: StreamStructure): string[] {
  return structure.words.slice(0, 4).map(hex)
}

function granuleOf({ geometry }: Walked): number {
  return Math.min(...geometry.nodes.map(slotBytes))
}

function checksOf(report: Omit<SmmuReport, 'checks'>): Check[] {
  const { streams, expectedStreams, findings, leakedBytes } = report
  const all = (name: string, of: (stream: StreamReport) => Comparison): Check => {
    const identical = sum(streams, (stream) => of(stream).identical)
    const expected = sum(streams, (stream) => of(stream).expected)
    return {
      name,
      ok: streams.length > 0 && streams.every((stream) => agrees(of(stream))),
      detail: `${count(identical)} of ${count(expected)}`,
    }
  }
  return [
    {
      name: 'streams found in the stream table',
      ok: streams.length === expectedStreams,
      detail: `${streams.length} of ${expectedStreams}`,
    },
    all('facts of STE, context descriptor and tables as expected', (stream) => stream.facts),
    all('mappings as expected, in all columns', (stream) => stream.mappings),
    all('leaf descriptors rebuilt bit-identical', (stream) => stream.rebuilt),
    all('register fields of the rebuilt tables as the kernel set them', (stream) => stream.rebuilt.registers),
    { name: 'nothing unknown or invalid on the way', ok: findings.length === 0, detail: `${findings.length} findings` },
    { name: 'bytes leaked', ok: leakedBytes === 0, detail: `${leakedBytes}` },
  ]
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function count(n: number): string {
  return n.toLocaleString('en-US')
}
