/**
 * The SMMUv3 tables of a real kernel, from two registers on: every fact and every leaf as an independent walker has them, and built again
 * by the engine bit for bit; then the same image with bits flipped, each of which shows.
 */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { extract, hex, type Piece, slotBytes } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { bytesSource, MemoryImage, openImage, Smmuv3Scanner, type Stream, type StreamStructure, type Tables } from '../src/index.ts'
import { dumpBytes, dumpImage, expectedOf, type Row, register } from '../test/support/dumps.ts'
import { type Below, below, differing, errorOf, overlaps, rowOf, type Spoilt, spoilt } from './support/kernel.ts'
import { configOf, type Rebuilt, rebuild } from './support/rebuild.ts'

const NAME = 'linux-smmuv3'
const expected = expectedOf(NAME)
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
/** Fields of a context descriptor (IHI 0070, 5.4), by the names of the expected file. */
const CD: Readonly<Record<string, readonly Piece[]>> = {
  asid: [[63, 48, 0]],
  t0sz: [[5, 0, 0]],
  tg0: [[7, 6, 0]],
  ips: [[34, 32, 0]],
  ir0: [[9, 8, 0]],
  or0: [[11, 10, 0]],
  sh0: [[13, 12, 0]],
}
const TTB0: readonly Piece[] = [[115, 68, 4]]
const MAIR: readonly Piece[] = [[255, 192, 0]]

function scannerOf({ read }: MemoryImage, registers: Readonly<Record<string, string>> = expected.smmu): Smmuv3Scanner {
  const value = (name: string): bigint => register(registers, name)
  const smmu = { strtabBase: value('STRTAB_BASE'), strtabBaseCfg: value('STRTAB_BASE_CFG'), idr1: value('IDR1') }
  return new Smmuv3Scanner(smmu, read, { 'arm64-stage1': arm64LpaeS1 })
}

const tablesOf = ({ tables: [first] }: Stream): Tables => first as Tables
const rowsOf = ({ leaves }: Below): Row[] => leaves.map((leaf) => rowOf(leaf, FIELDS))
const words = ({ words: all }: StreamStructure): string[] => all.slice(0, 4).map(hex)
const rawOf = ({ words: all }: StreamStructure): bigint => all.reduceRight((wide, word) => (wide << 64n) | word, 0n)

/** What is compared with an expected stream, by the names that the file gives it. */
function factsOf({ sid, structures, ...stream }: Stream, { tables }: Below): Record<string, unknown> {
  const [ste, cd] = structures as [StreamStructure, StreamStructure]
  const raw = rawOf(cd)
  const [ttb0, mair] = [extract(raw, TTB0), extract(raw, MAIR)]
  return {
    ...Object.fromEntries(Object.entries(CD).map(([name, pieces]) => [name, Number(extract(raw, pieces))])),
    sid,
    granule: Math.min(...tablesOf({ sid, structures, ...stream }).geometry.nodes.map(slotBytes)),
    startLevel: tables[0]?.[0],
    ste: words(ste),
    steAddress: hex(ste.address),
    cd: words(cd),
    cdAddress: hex(cd.address),
    ttb0: hex(ttb0),
    mair: hex(mair),
    tables,
  }
}

/** The stream's tables by our engine. A driver knows whether its walker snoops; the kernel's says so by making its walks cacheable. */
function rebuilt(stream: Stream, { runs }: Below, pool: PtPool): Rebuilt<typeof arm64LpaeS1> {
  const coherentWalk = ((stream.stages[0]?.registers.tcr as bigint) & 0x300n) !== 0n
  return rebuild(arm64LpaeS1, { ...configOf(tablesOf(stream).geometry), coherentWalk }, runs, pool)
}

/** What a leaf says of itself, and what tables above it take from it. */
const bits = ({ leaves }: Below): unknown[] => leaves.map(({ iova, descriptor, run, fields }) => [iova, run.level, descriptor, fields])

/** TCR fields, and the MAIR attributes that leaves select: the others mean nothing. */
function registersOf(tcr: bigint, mair: bigint, { leaves }: Below): Record<string, bigint> {
  const used = [...new Set(leaves.map(({ fields }) => fields.AttrIndx ?? 0))].sort()
  const controls = Object.entries(TCR).map(([name, pieces]) => [`TCR.${name}`, extract(tcr, pieces)])
  return Object.fromEntries([...controls, ...used.map((i) => [`MAIR.Attr${i}`, (mair >> BigInt(8 * i)) & 0xffn])])
}

describe("a kernel's SMMUv3 tables", async () => {
  const scanner = scannerOf(await dumpImage(NAME))
  const { streams, findings } = scanner.run()
  const pool = new PtPool({ base: 0x1_0000_0000n, size: 16 * 2 ** 20 })

  test('have five streams of 256 entries, and nothing unknown or invalid', () => {
    expect(findings).toEqual([])
    expect(scanner.entries).toEqual({ abort: 251, bypass: 0, 'stage 1': 5, 'stage 2': 0, nested: 0, invalid: 0 })
    expect(streams.map(({ sid }) => sid)).toEqual(expected.streams.map(({ sid }) => sid))
    const named = ['iova', 'pa', 'size', 'level', 'descriptor', 'attrIndx', 'ap', 'sh', 'af', 'ng', 'contig', 'pxn', 'uxn']
    expect(expected.mappingColumns).toEqual(named)
  })

  test.each([
    { sid: 8, leaves: 322, runs: 261 },
    { sid: 16, leaves: 259, runs: 259 },
    { sid: 24, leaves: 3, runs: 3 },
    { sid: 32, leaves: 1753, runs: 16 },
    { sid: 40, leaves: 771, runs: 173 },
  ])('stream $sid: facts, leaves, the same bits when it is built again', ({ sid, ...counts }) => {
    const stream = streams.find((one) => one.sid === sid) as Stream
    const { mappings, ...facts } = expected.streams.find((one) => one.sid === sid)!
    const found = below(tablesOf(stream))
    expect(found.findings).toEqual([])
    expect({ leaves: found.leaves.length, runs: found.runs.length }).toEqual(counts)
    expect(factsOf(stream, found)).toEqual(facts)
    expect(rowsOf(found)).toEqual(mappings)
    expect(overlaps(found.runs)).toEqual([])
    const again = rebuilt(stream, found, pool)
    expect(again.refused).toEqual([])
    expect(bits(again)).toEqual(bits(found))
    const { tcr, mair } = stream.stages[0]!.registers as { tcr: bigint; mair: bigint }
    expect(registersOf(again.regs.tcrValue, again.regs.mair, found)).toEqual(registersOf(tcr, mair, found))
    expect(pool.stats().live).toBe(0)
  })
})

/** The leaf of stream 24 at IOVA 0xffffc000, its root, its context descriptor, and its STE. */
const LEAF = 0x4807_e000n + 0x1fcn * 8n
const ROOT = 0x4815_c000n
const CONTEXT = 0x4814_b000n
const ENTRY = 0x7ac6_0600n
const WANTED = expected.streams.find(({ sid }) => sid === 24)?.mappings as readonly Row[]

async function scanSpoilt(change: (image: Spoilt) => void) {
  const scanner = scannerOf(await spoilt(NAME, change))
  const { streams, findings } = scanner.run()
  const stream = streams.find(({ sid }) => sid === 24)
  return { scanner, streams, stream, messages: findings.map(({ place, message }) => `${place}: ${message}`) }
}

/** Stream 24 with bits of its leaf flipped. */
async function leafWith(flipped: bigint): Promise<{ stream: Stream; found: Below }> {
  const { stream } = await scanSpoilt((image) => image.flip(LEAF, flipped))
  return { stream: stream as Stream, found: below(tablesOf(stream as Stream)) }
}

describe('one bit of one leaf', () => {
  test('any bit is a difference, and nothing else is', async () => {
    expect(rowsOf((await leafWith(0n)).found)).toEqual(WANTED)
    for (let bit = 0n; bit < 64n; bit++) {
      const { want, got } = differing(WANTED, rowsOf((await leafWith(1n << bit)).found))
      expect(want, `bit ${bit}`).toHaveLength(1)
      expect(got.length, `bit ${bit}`).toBeLessThanOrEqual(1)
      expect(want[0]?.[0], `bit ${bit}`).toBe('0xffffc000')
    }
  })

  test('is found in its columns', async () => {
    const { want, got } = differing(WANTED, rowsOf((await leafWith(1n << 7n)).found))
    expect([want[0]?.[4], want[0]?.[6]]).toEqual(['0x4807bf47', 1])
    expect([got[0]?.[4], got[0]?.[6]]).toEqual(['0x4807bfc7', 3])
  })

  test.each([
    ['Contiguous', 52n],
    ['Software', 55n],
    ['AF', 10n],
  ])('what prot cannot express is not built again: %s', async (_name, bit) => {
    const { stream, found } = await leafWith(1n << bit)
    const again = rebuilt(stream, found, new PtPool({ base: 0x1_0000_0000n, size: 2 ** 21 }))
    expect(again.leaves).toHaveLength(3)
    expect(differing(rowsOf(found), rowsOf(again)).want).toHaveLength(1)
  })
})

describe('memory that is not there, and structures that cannot be followed', () => {
  test('a table in unknown memory is a finding', async () => {
    const { stream } = await scanSpoilt((image) => image.flip(ROOT, 1n << 40n))
    expect(below(tablesOf(stream as Stream)).findings).toMatchObject([
      { code: 'unknown-memory', table: 0x100_4808_0000n, message: expect.stringMatching(/^4096 bytes of the level 1 table at /) },
    ])
  })

  test('a table that points to itself ends', async () => {
    const { stream } = await scanSpoilt((image) => {
      for (let i = 0n; i < 512n; i++) image.put(ROOT + i * 8n, ROOT | 3n)
    })
    expect(below(tablesOf(stream as Stream), 1000).findings.map(({ code }) => code)).toContain('limit')
  })

  test('a context descriptor with reserved codes is a finding, and leads nowhere', async () => {
    const { stream, messages } = await scanSpoilt((image) => image.flip(CONTEXT, 3n << 6n))
    expect(messages).toEqual([expect.stringMatching(/^stream 24: .*EINVAL.*TG0/)])
    expect(stream?.tables).toEqual([])
  })

  test('tables that are switched off are none', async () => {
    const { stream } = await scanSpoilt((image) => image.flip(CONTEXT, 1n << 14n))
    expect([stream?.tables, stream?.stages[0]?.registers.ttbr0]).toEqual([[], undefined])
  })

  test('substreams are told apart; stage 2 needs a format', async () => {
    // STE of stream 24: S1CDMax, and Config 5 becomes 6
    const { stream, scanner } = await scanSpoilt((image) => image.flip(ENTRY, 1n << 59n))
    expect([stream?.pasid, scanner.entries['stage 1']]).toEqual([0, 5])
    const stage2 = await scanSpoilt((image) => image.flip(ENTRY, 3n << 1n))
    expect(stage2.messages).toEqual(['stream 24: no format is given for arm32-stage2'])
    expect([stage2.stream?.tables, stage2.scanner.entries['stage 2']]).toEqual([[], 1])
  })

  test('a second root is found, and an invalid descriptor', async () => {
    // TTB1 becomes walked, with TG1 4 KiB and 48 bits
    const second = await scanSpoilt((image) => image.flip(CONTEXT, (1n << 30n) | (2n << 22n) | (16n << 16n)))
    expect(second.stream?.tables.map(({ name }) => name)).toEqual(['ttbr0', 'ttbr1'])
    const { found } = await leafWith(2n)
    expect(found.findings).toMatchObject([{ code: 'invalid-descriptor', iova: 0xffff_c000n }])
  })

  test('a stream that is gone', async () => {
    const { streams, scanner } = await scanSpoilt((image) => image.flip(ENTRY, 1n))
    expect(streams.map(({ sid }) => sid)).toEqual([8, 16, 32, 40])
    expect(scanner.entries.invalid).toBe(1)
  })
})

describe('a bad file', () => {
  test('truncated memory is EBADMSG', async () => {
    await expect(openImage(bytesSource(dumpBytes(NAME).slice(0, 100_000)))).rejects.toMatchObject({ code: 'EBADMSG' })
  })

  test('another image has no streams', async () => {
    const { streams, findings } = scannerOf(new MemoryImage([])).run()
    expect(streams).toEqual([])
    expect(findings).toMatchObject([{ code: 'unknown-memory' }])
    expect((await dumpImage(NAME)).known).toBeGreaterThan(0n)
  })

  test('registers that no SMMU accepts are EINVAL', () => {
    expect(errorOf(() => scannerOf(new MemoryImage([]), { ...expected.smmu, STRTAB_BASE_CFG: '0x20210' })).code).toBe('EINVAL')
  })
})
