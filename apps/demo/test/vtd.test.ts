import { describe, expect, test } from 'vitest'
import { readElfCore } from '../src/elf.ts'
import { readVtd } from '../src/kernel-vtd.ts'
import { scanRootTable } from '../src/vtd.ts'
import { DUMPS, errorOf, flip, spoilt } from './support.ts'

const { vtd } = DUMPS
const report = readVtd(vtd)
const file = JSON.parse(vtd.expected)
const REGISTERS = { rtaddr: 0x564_d000n, cap: 0xd2_008c_222f_0606n, gsts: 0xc400_0000n }

/** Root entry of bus 0; the context table of bus 0, by its address there. */
const ROOT_ENTRY = REGISTERS.rtaddr
const CONTEXTS = new DataView(readElfCore(vtd.memory).read(ROOT_ENTRY, 8)?.slice().buffer ?? new ArrayBuffer(8)).getBigUint64(0, true) - 1n
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
    const { buses, entries, findings } = scanRootTable(REGISTERS, readElfCore(vtd.memory).read)
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
  const scan = (registers: Partial<typeof REGISTERS>) =>
    scanRootTable({ ...REGISTERS, ...registers }, readElfCore(vtd.memory).read).findings.map(({ message }) => message)

  test('another mode, translation that is off, a root in unknown memory', () => {
    expect(scan({ rtaddr: REGISTERS.rtaddr | (1n << 10n) })).toEqual([
      'translation table mode 1 is not read by this demo, which reads legacy mode',
    ])
    expect(scan({ gsts: 0n })).toEqual(['translation is off (TES)'])
    expect(scan({ rtaddr: 0x1000n })).toEqual(['entries 0 to 255 lie in unknown memory'])
    expect(tampered(ROOT_ENTRY, 1n << 40n).messages).toEqual(['entries 0 to 255 lie in unknown memory'])
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
    expect(tampered(STREAM_8, 3n << 2n).messages).toEqual(['a reserved translation type (TT)'])
  })
})

test.each([
  ['no registers', { ...file, registers: undefined }],
  ['no streams', { ...file, streams: {} }],
  ['other columns', { ...file, mappingColumns: ['iova'] }],
])('expected.json with %s is EBADMSG', (_name, expected) => {
  expect(errorOf(() => readVtd({ ...vtd, expected: JSON.stringify(expected) })).code).toBe('EBADMSG')
})
