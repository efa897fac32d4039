import { hex } from '@io-pgtable/core'
import { bytesSource, MemoryImage } from '@io-pgtable/inspect'
import { describe, expect, test } from 'vitest'
import { readVtd } from '../src/kernel-vtd.ts'
import { DUMPS, errorOf, flip, spoilt } from './support.ts'

const { vtd } = DUMPS
const report = readVtd(vtd)
const file = JSON.parse(vtd.expected)

/** Root entry of bus 0; the context table of bus 0, by its address there. */
const ROOT_ENTRY = 0x564_d000n
const CONTEXTS = new DataView(vtd.image.read(ROOT_ENTRY, 8)?.slice().buffer ?? new ArrayBuffer(8)).getBigUint64(0, true) - 1n
const STREAM_8 = CONTEXTS + 8n * 16n
/** The leaf of stream 24 at its first address. */
const [FIRST_IOVA] = file.streams[3].mappings[0]
const LEAF = 0x3fea_b000n + ((BigInt(FIRST_IOVA) >> 12n) & 511n) * 8n

function tampered(paddr: bigint, bits: bigint) {
  const { streams, findings, checks } = readVtd(spoilt(vtd, (image) => flip(image, paddr, bits)))
  return { streams, messages: findings.map(({ message }) => message), passed: checks.map(({ ok }) => ok) }
}

describe("a VT-d unit's tables", () => {
  test('are as expected, stream by stream', () => {
    expect(report.checks).toMatchObject([
      { ok: true, detail: '9 of 9' },
      { ok: true, detail: '63 of 63' },
      { ok: true, detail: '13,663 of 13,663' },
      { ok: true, detail: '0 findings' },
    ])
    expect(report.streams.map(({ sid, leaves, tables }) => [sid, leaves, tables])).toEqual([
      [0, 0, 1],
      [8, 321, 4],
      [16, 258, 4],
      [24, 2, 4],
      [32, 24, 4],
      [40, 770, 6],
      [248, 4096, 11],
      [250, 4096, 11],
      [251, 4096, 11],
    ])
  })

  test('are found by reading the whole root table', () => {
    const { buses, entries, findings } = report
    expect([buses, entries['second stage'], findings]).toEqual([1, 9, []])
  })
})

describe('a tampered copy fails', () => {
  test.each([0n, 1n, 11n, 12n, 62n])('bit %i of a leaf is a difference', (bit) => {
    const { streams, passed } = tampered(LEAF, 1n << bit)
    expect(streams[3]?.mappings.differing).toBe(1)
    expect(passed).toEqual([true, true, false, true])
  })

  test('the last bits of a leaf: neither read nor write is no leaf', () => {
    const { streams } = tampered(LEAF, 3n)
    expect(streams[3]?.mappings.differences).toMatchObject([{ where: FIRST_IOVA, got: 'none' }])
  })

  test('a table elsewhere, a domain, a stream that is gone', () => {
    expect(tampered(STREAM_8 + 8n, 1n << 9n)).toMatchObject({ passed: [true, false, true, true], messages: [] })
    expect(tampered(STREAM_8, 1n).passed).toEqual([false, true, true, true])
    const unknown = tampered(STREAM_8, 1n << 40n)
    expect(unknown.messages).toEqual(['4096 bytes of a table lie in unknown memory'])
    expect(unknown.passed).toEqual([true, false, false, false])
  })

  test('a stream too many', () => {
    const fewer = { ...vtd, expected: JSON.stringify({ ...file, streams: file.streams.slice(1) }) }
    expect(readVtd(fewer).checks.map(({ ok }) => ok)).toEqual([false, false, true, true])
  })
})

describe('what this demo does not follow is a finding', () => {
  const read = (registers: Record<string, string>, image = vtd.image) =>
    readVtd({ ...vtd, image, expected: JSON.stringify({ ...file, registers: { ...file.registers, ...registers } }) })
  const scan = (registers: Record<string, string>) => read(registers).findings.map(({ message }) => message)

  test('another mode, translation that is off, a root in unknown memory', () => {
    expect(errorOf(() => scan({ RTADDR: hex(ROOT_ENTRY | (3n << 10n)) })).message).toMatch(/^EINVAL.*TTM 3/)
    expect(scan({ GSTS: '0x0' })).toEqual(['translation is off (TES)'])
    expect(scan({ RTADDR: '0x1000' })).toEqual(['entries 0 to 255 are not in the image'])
    expect(tampered(ROOT_ENTRY, 1n << 40n).messages).toEqual(['entries 0 to 255 are not in the image'])
  })

  test('scalable mode', () => {
    // Root entry, context entry, PASID directory, PASID table with a pass-through entry: a page each from 0x1000 on
    const file = new BigUint64Array(4 * 512)
    for (const [page, word] of [0x2001n, 0x3001n, 0x4001n, 0x101n].entries()) file[512 * page] = word
    const source = bytesSource(new Uint8Array(file.buffer))
    const image = new MemoryImage([{ paddr: 0x1000n, size: BigInt(source.size), source, offset: 0, fileSize: source.size }])
    const { streams, findings } = read({ RTADDR: '0x1400' }, image)
    expect(streams).toEqual([])
    expect(findings).toEqual([{ place: 'stream 0', message: 'scalable mode is not read by this demo, which reads legacy mode' }])
  })

  test('an address width that the unit does not have', () => {
    // AW of stream 8: 48 bits (2) becomes 57 (3), then the reserved 6
    expect(tampered(STREAM_8 + 8n, 1n).messages).toEqual(['address width 3 (AW) is none that the unit supports (CAP.SAGAW)'])
    expect(tampered(STREAM_8 + 8n, 4n).messages).toEqual(['address width 6 (AW) is none that the unit supports (CAP.SAGAW)'])
    // a unit that claims to support a reserved width
    const registers = { ...file.registers, CAP: '0xd2008c222f1f06' }
    const claims = readVtd({ ...spoilt(vtd, (image) => flip(image, STREAM_8 + 8n, 2n)), expected: JSON.stringify({ ...file, registers }) })
    expect(claims.findings[0]?.message).toMatch(/^EINVAL.*AW 0/)
  })

  test('translation types: pass-through has no tables, 3 is reserved', () => {
    expect(tampered(STREAM_8, 1n << 2n).passed).toEqual([true, false, true, true])
    const passThrough = readVtd(spoilt(vtd, (image) => flip(image, STREAM_8, 2n << 2n)))
    expect([passThrough.entries['pass-through'], passThrough.streams.length, passThrough.findings]).toEqual([1, 8, []])
    expect(tampered(STREAM_8, 3n << 2n).messages).toEqual(['a reserved translation type (TT 3)'])
  })
})

test.each([
  ['no registers', { ...file, registers: undefined }],
  ['no streams', { ...file, streams: {} }],
  ['other columns', { ...file, mappingColumns: ['iova'] }],
])('expected.json with %s is EBADMSG', (_name, expected) => {
  expect(errorOf(() => readVtd({ ...vtd, expected: JSON.stringify(expected) })).code).toBe('EBADMSG')
})
