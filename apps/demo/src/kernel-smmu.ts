/** Part (b), SMMUv3: every stream of a real kernel found, walked, compared with what is expected, rebuilt and compared again. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { extract, fieldValue, hex, IoPgtableError, type Piece, slotBytes } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { agrees, compareFacts, compareRows, type Row, unexpected } from './compare.ts'
import type { Dump } from './dumps.ts'
import { type MemoryImage, readElfCore } from './elf.ts'
import { asList, asObject, asRegister, asRows, imageOf, type JsonObject, parseObject } from './expected.ts'
import { configOf, rebuild } from './rebuild.ts'
import type { Check, Comparison, Finding, SmmuReport, StreamReport } from './report.ts'
import { type Stream, scanStreams } from './smmuv3.ts'
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

/** Where the rebuilt tables are: any 2 MiB boundary would do. */
const POOL = { base: 0x1_0000_0000n, size: 16 * 2 ** 20, name: 'rebuilt tables' }

/**
 * Reads the streams of an image. `expected` gives the registers; everything else of it is only compared with.
 * @throws `EBADMSG` for a bad file, `EINVAL` for registers that no SMMU accepts
 */
export function readSmmu(dump: Dump): SmmuReport {
  const file = parseObject(dump.expected)
  const image = readElfCore(dump.memory)
  const registers = asObject(file.smmu, 'smmu')
  const register = (name: string) => asRegister(registers[name], name)
  const [strtabBase, strtabBaseCfg] = [register('STRTAB_BASE'), register('STRTAB_BASE_CFG')]
  const scan = scanStreams({ strtabBase, strtabBaseCfg, idr1: register('IDR1') }, image.read)
  const expected = asList(file.streams, 'streams').map((stream) => asObject(stream, 'a stream'))
  const job: Job = { image, file, expected, pool: new PtPool(POOL), findings: [...scan.findings] }
  const streams = scan.streams.flatMap((stream) => readStream(job, stream))
  const report = {
    image: imageOf(dump.name, file, image),
    strtabBase,
    strtabBaseCfg,
    table: scan.table,
    entries: { total: scan.entries, ...scan.configs },
    streams,
    expectedStreams: expected.length,
    leakedBytes: job.pool.stats().live,
    findings: job.findings,
  }
  return { ...report, checks: checksOf(report) }
}

interface Job {
  readonly image: MemoryImage
  readonly file: JsonObject
  readonly expected: readonly JsonObject[]
  /** For the rebuilt tables. */
  readonly pool: PtPool
  readonly findings: Finding[]
}

/** One stream; nothing when its registers cannot be followed, which is a finding. */
function readStream(job: Job, stream: Stream): StreamReport[] {
  const place = `stream ${stream.sid}`
  const found = rootOf(job, stream, place)
  if (found === undefined) return []
  const walked = walkRoot(arm64LpaeS1, found, job.image.read)
  job.findings.push(...walked.findings.map((finding) => ({ ...finding, place: `${place}, ${finding.place}` })))
  return [streamReport(job, stream, walked)]
}

type Root = ReturnType<typeof arm64LpaeS1.rootsFromRegs>[number]

/** What TTB0 points to. Linux gives devices no TTB1; one in use is a finding. */
function rootOf({ findings }: Job, stream: Stream, place: string): Root | undefined {
  const finding = (message: string): void => void findings.push({ place, message, value: stream.cd })
  try {
    const roots = arm64LpaeS1.rootsFromRegs(stream.registers)
    if (roots.length === 0) finding('neither TTB0 nor TTB1 is walked (CD.EPD0, CD.EPD1)')
    if (roots.some(({ name }) => name === 'ttbr1')) finding('TTB1 is in use and not read by this demo')
    return roots.find(({ name }) => name === 'ttbr0')
  } catch (error) {
    if (!(error instanceof IoPgtableError)) throw error
    finding(error.message)
    return undefined
  }
}

function streamReport({ file, expected, pool }: Job, stream: Stream, walked: Walked): StreamReport {
  const want = expected.find(({ sid }) => sid === stream.sid)
  const rows = walked.mappings.map(rowOf)
  const facts = factsOf(stream, walked)
  return {
    sid: stream.sid,
    steAddress: stream.steAddress,
    cdAddress: stream.cdAddress,
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
function rebuildStream(stream: Stream, walked: Walked, pool: PtPool): StreamReport['rebuilt'] {
  // A driver knows whether its walker snoops; the kernel's says so by making its walks cacheable.
  const coherentWalk = stream.fields.IR0 !== 0n
  const { comparison, regs, tables } = rebuild(arm64LpaeS1, { ...configOf(walked), coherentWalk }, walked, pool)
  const kernel = { tcr: stream.registers.tcr, mair: stream.registers.mair }
  const registers = compareFacts(registerFacts(kernel, walked), registerFacts({ tcr: regs.tcrValue, mair: regs.mair }, walked))
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
function factsOf(stream: Stream, walked: Walked): Record<string, unknown> {
  const { ASID, T0SZ, TG0, IPS, IR0, OR0, SH0, TTB0, MAIR } = stream.fields
  const numbers = { asid: ASID, t0sz: T0SZ, tg0: TG0, ips: IPS, ir0: IR0, or0: OR0, sh0: SH0 }
  return {
    sid: stream.sid,
    granule: granuleOf(walked),
    startLevel: walked.tables[0]?.level,
    ste: words(stream.ste),
    steAddress: hex(stream.steAddress),
    cdAddress: hex(stream.cdAddress),
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
function words(structure: bigint): string[] {
  return [0n, 64n, 128n, 192n].map((at) => hex((structure >> at) & 0xffff_ffff_ffff_ffffn))
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
