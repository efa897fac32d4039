/**
 * The VT-d tables of a real kernel, from the root table on: every context entry and every leaf as an independent walker has them; then the
 * same image with bits flipped, each of which shows.
 */
import { extract, hex, type Piece } from '@io-pgtable/core'
import { vtdSs } from '@io-pgtable/vtdss'
import { describe, expect, test } from 'vitest'
import { bytesSource, MemoryImage, type Stream, type Tables, VtdScanner } from '../src/index.ts'
import { dumpImage, expectedOf, type Row, register } from '../test/support/dumps.ts'
import { below, differing, errorOf, overlaps, rowOf, type Spoilt, spoilt } from './support/kernel.ts'

const NAME = 'linux-vtd'
const expected = expectedOf(NAME)
/** Context entry: Intel VT-d specification (revision 4.1), 9.3. */
const TT: readonly Piece[] = [[3, 2, 0]]
const DID: readonly Piece[] = [[87, 72, 0]]

const image = await dumpImage(NAME)
/** Root entry of bus 0; the context entry of stream 8, behind the context table's address there. */
const ROOT_ENTRY = 0x564_d000n
const CONTEXTS = new DataView(image.read(ROOT_ENTRY, 8)?.slice().buffer ?? new ArrayBuffer(8)).getBigUint64(0, true) - 1n
const STREAM_8 = CONTEXTS + 8n * 16n
/** The leaf of stream 24 at its first address. */
const WANTED = expected.streams.find(({ sid }) => sid === 24)?.mappings as readonly Row[]
const LEAF = 0x3fea_b000n + ((BigInt(WANTED[0]?.[0] ?? 0) >> 12n) & 511n) * 8n

function scannerOf({ read }: MemoryImage, registers: Readonly<Record<string, string>> = {}): VtdScanner {
  const value = (name: string): bigint => register({ ...expected.registers, ...registers }, name)
  return new VtdScanner({ rtaddr: value('RTADDR'), cap: value('CAP'), gsts: value('GSTS') }, read, { 'vtd-second-stage': vtdSs })
}

const tablesOf = ({ tables: [first] }: Stream): Tables => first as Tables

/** What is compared with an expected stream, by the names that the file gives it. */
function factsOf(stream: Stream): Record<string, unknown> {
  const [low = 0n, high = 0n] = stream.structures[0]?.words ?? []
  const raw = low | (high << 64n)
  const { roots, geometry } = tablesOf(stream)
  return {
    sid: stream.sid,
    context: [low, high].map(hex),
    tt: Number(extract(raw, TT)),
    did: Number(extract(raw, DID)),
    levels: geometry.nodes.length,
    root: hex(roots[0] ?? 0n),
    tables: below(tablesOf(stream)).tables,
  }
}

describe("a kernel's VT-d tables", () => {
  const scanner = scannerOf(image)
  const { streams, findings } = scanner.run()

  test('are found by reading the whole root table', () => {
    expect([scanner.buses, scanner.entries['second stage'], findings]).toEqual([1, 9, []])
    expect(streams.map(({ sid }) => sid)).toEqual(expected.streams.map(({ sid }) => sid))
    expect(expected.mappingColumns).toEqual(['iova', 'pa', 'size', 'level', 'descriptor'])
  })

  test.each([
    [0, 0, 1],
    [8, 321, 4],
    [16, 258, 4],
    [24, 2, 4],
    [32, 24, 4],
    [40, 770, 6],
    [248, 4096, 11],
    [250, 4096, 11],
    [251, 4096, 11],
  ])('stream %i: context entry, %i leaves, %i tables', (sid, leaves, tables) => {
    const stream = streams.find((one) => one.sid === sid) as Stream
    const { mappings, ...facts } = expected.streams.find((one) => one.sid === sid)!
    const found = below(tablesOf(stream))
    expect(found.findings).toEqual([])
    expect([found.leaves.length, found.tables.length]).toEqual([leaves, tables])
    expect(factsOf(stream)).toEqual(facts)
    expect(found.leaves.map((leaf) => rowOf(leaf, []))).toEqual(mappings)
    expect(overlaps(found.runs)).toEqual([])
  })
})

async function scanSpoilt(change: (image: Spoilt) => void, registers: Readonly<Record<string, string>> = {}) {
  const scanner = scannerOf(await spoilt(NAME, change), registers)
  const { streams, findings } = scanner.run()
  const streamOf = (sid: number): Stream => streams.find((one) => one.sid === sid) as Stream
  return { scanner, streams, streamOf, messages: findings.map(({ message }) => message) }
}

const withFlipped = (paddr: bigint, bits: bigint) => scanSpoilt((spoiltImage) => spoiltImage.flip(paddr, bits))

describe('a flipped bit shows', () => {
  const rowsOf = (stream: Stream): Row[] => below(tablesOf(stream)).leaves.map((leaf) => rowOf(leaf, []))

  test.each([0n, 1n, 11n, 12n, 62n])('bit %i of a leaf', async (bit) => {
    const { streamOf, messages } = await withFlipped(LEAF, 1n << bit)
    const { want, got } = differing(WANTED, rowsOf(streamOf(24)))
    expect([want.length, got.length, messages]).toEqual([1, 1, []])
  })

  test('the last bits of a leaf: neither read nor write is no leaf', async () => {
    const { streamOf } = await withFlipped(LEAF, 3n)
    expect(rowsOf(streamOf(24))).toEqual(WANTED.slice(1))
  })

  test('another domain, a stream that is gone, tables elsewhere', async () => {
    const domain = await withFlipped(STREAM_8 + 8n, 1n << 9n)
    expect([factsOf(domain.streamOf(8)).did, domain.messages]).toEqual([3 ^ 2, []])
    expect((await withFlipped(STREAM_8, 1n)).streams.map(({ sid }) => sid)).toEqual([0, 16, 24, 32, 40, 248, 250, 251])
    const elsewhere = await withFlipped(STREAM_8, 1n << 40n)
    expect(below(tablesOf(elsewhere.streamOf(8)))).toMatchObject({ leaves: [], findings: [{ code: 'unknown-memory', level: 4 }] })
  })
})

describe('what cannot be followed is a finding', () => {
  test('another mode, translation that is off, a root in unknown memory', async () => {
    const messages = (registers: Record<string, string>) =>
      scannerOf(image, registers)
        .run()
        .findings.map(({ message }) => message)
    expect(errorOf(() => messages({ RTADDR: hex(ROOT_ENTRY | (3n << 10n)) })).message).toMatch(/^EINVAL.*TTM 3/)
    expect(messages({ GSTS: '0x0' })).toEqual(['translation is off (TES)'])
    expect(messages({ RTADDR: '0x1000' })).toEqual(['entries 0 to 255 are not in the image, at 0x1000'])
    expect((await withFlipped(ROOT_ENTRY, 1n << 40n)).messages).toEqual(['entries 0 to 255 are not in the image, at 0x10005672000'])
  })

  test('scalable mode has PASIDs', () => {
    // Root entry, context entry, PASID directory, PASID table with a pass-through entry: a page each from 0x1000 on
    const file = new BigUint64Array(4 * 512)
    for (const [page, word] of [0x2001n, 0x3001n, 0x4001n, 0x101n].entries()) file[512 * page] = word
    const source = bytesSource(new Uint8Array(file.buffer))
    const scalable = new MemoryImage([{ paddr: 0x1000n, size: BigInt(source.size), source, offset: 0, fileSize: source.size }])
    const { streams, findings } = scannerOf(scalable, { RTADDR: '0x1400' }).run()
    expect(streams).toMatchObject([{ sid: 0, pasid: 0, config: 'bypass', tables: [] }])
    expect(findings).toEqual([])
  })

  test('an address width that the unit does not have', async () => {
    // AW of stream 8: 48 bits (2) becomes 57 (3), then the reserved 6
    const width = (aw: number) => [`address width ${aw} (AW) is none that the unit supports (CAP.SAGAW)`]
    expect((await withFlipped(STREAM_8 + 8n, 1n)).messages).toEqual(width(3))
    expect((await withFlipped(STREAM_8 + 8n, 4n)).messages).toEqual(width(6))
    // a unit that claims to support a reserved width
    const claims = await scanSpoilt((spoiltImage) => spoiltImage.flip(STREAM_8 + 8n, 2n), { CAP: '0xd2008c222f1f06' })
    expect(claims.messages[0]).toMatch(/^EINVAL.*AW 0/)
  })

  test('translation types: a device TLB changes nothing, pass-through has no tables, 3 is reserved', async () => {
    const tlb = await withFlipped(STREAM_8, 1n << 2n)
    expect([factsOf(tlb.streamOf(8)).tt, tlb.messages]).toEqual([1, []])
    const through = await withFlipped(STREAM_8, 2n << 2n)
    expect([through.scanner.entries['pass-through'], through.streamOf(8).tables, through.messages]).toEqual([1, [], []])
    const reserved = await withFlipped(STREAM_8, 3n << 2n)
    expect([reserved.streamOf(8), reserved.messages]).toEqual([undefined, ['a reserved translation type (TT 3)']])
  })
})
