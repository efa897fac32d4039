import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { describe, expect, test } from 'vitest'
import { readElfCore } from '../src/elf.ts'
import { type Scan, scanStreams, streamTable } from '../src/smmuv3.ts'
import { DUMPS, elfCore, errorOf, flip } from './support.ts'

const DUMP_REGISTERS = { strtabBase: 0x4000_0000_4321_7000n, strtabBaseCfg: 0x1_0210n, idr1: 0x273_0010n }
const LINEAR = (log2size: number) => BigInt(log2size)
const TWO_LEVEL = (split: number, log2size: number) => (1n << 16n) | BigInt((split << 6) | log2size)

/** Memory of 64 KiB at 0x10000, with 64-bit words at some places. */
function memory(words: Readonly<Record<number, bigint>>) {
  const bytes = new Uint8Array(0x1_0000)
  const view = new DataView(bytes.buffer)
  for (const [at, value] of Object.entries(words)) view.setBigUint64(Number(at) - 0x1_0000, value, true)
  return readElfCore(elfCore(64, [{ paddr: 0x1_0000n, bytes }])).read
}

/** An STE of stage 1 with its context descriptor at `cd`, and words of a descriptor that Linux might have written. */
const ste = (cd: number) => BigInt(cd) | 0b1011n
const CD = [0x1_e204_c000_3510n, 0x1_8000n, 0n, 0xf404_ff44n] as const

function scanOne(descriptor: readonly bigint[], entry = ste(0x1_1000)): Scan {
  const words = Object.fromEntries(descriptor.map((word, i) => [0x1_1000 + 8 * i, word]))
  return scanStreams({ strtabBase: 0x1_0000n, strtabBaseCfg: LINEAR(0) }, memory({ ...words, 65536: entry }))
}

describe('STRTAB_BASE and STRTAB_BASE_CFG', () => {
  test('of the dump', () => {
    expect(streamTable(DUMP_REGISTERS)).toEqual({ base: 0x4321_7000n, format: '2-level', split: 8, sidBits: 16 })
  })

  test('the base is aligned to the table, and has no bit beyond 51', () => {
    expect(streamTable({ strtabBase: -1n & ((1n << 64n) - 1n), strtabBaseCfg: LINEAR(10) }).base).toBe((1n << 52n) - 0x1_0000n)
    expect(streamTable({ strtabBase: 0x1234_5678n, strtabBaseCfg: TWO_LEVEL(6, 6) }).base).toBe(0x1234_5640n)
  })

  test('StreamIDs have no more bits than SIDSIZE', () => {
    expect(streamTable({ strtabBase: 0n, strtabBaseCfg: LINEAR(20), idr1: 16n }).sidBits).toBe(16)
    expect(streamTable({ strtabBase: 0n, strtabBaseCfg: LINEAR(20) }).sidBits).toBe(20)
  })

  test.each([
    ['FMT 2', 2n << 16n],
    ['FMT 3', 3n << 16n],
    ['SPLIT 0', TWO_LEVEL(0, 16)],
    ['SPLIT 7', TWO_LEVEL(7, 16)],
    ['LOG2SIZE 33', LINEAR(33)],
    ['LOG2SIZE 63', TWO_LEVEL(8, 63)],
  ])('%s is EINVAL', (name, strtabBaseCfg) => {
    const error = errorOf(() => streamTable({ strtabBase: 0n, strtabBaseCfg }))
    expect(error).toMatchObject({ code: 'EINVAL', value: strtabBaseCfg })
    expect(error.message).toContain(name)
  })
})

describe('the dump', () => {
  const image = readElfCore(DUMPS.smmuv3.memory)
  const scan = scanStreams(DUMP_REGISTERS, image.read)

  test('has five streams, found by reading the whole table', () => {
    expect(scan.findings).toEqual([])
    expect(scan.entries).toBe(256)
    expect(scan.configs).toMatchObject({ abort: 251, 'stage 1': 5, bypass: 0, invalid: 0 })
    expect(scan.streams.map(({ sid }) => sid)).toEqual([8, 16, 24, 32, 40])
  })

  test('has context descriptors of 48-bit tables with 4 KiB pages', () => {
    for (const { fields, registers } of scan.streams) {
      expect(fields).toMatchObject({ T0SZ: 16n, TG0: 0n, IPS: 4n, SH0: 3n, EPD0: 0n, EPD1: 1n })
      expect(registers.ttbr1).toBeUndefined()
      expect(arm64LpaeS1.rootsFromRegs(registers)[0]).toMatchObject({
        name: 'ttbr0',
        params: { granule: 4096, ias: 48, oas: 44 },
        roots: [fields.TTB0],
      })
    }
  })

  test('an L2 pointer to nowhere is a finding', () => {
    const copy = Uint8Array.from(DUMPS.smmuv3.memory)
    const spoilt = readElfCore(copy)
    flip(spoilt, 0x4321_7000n, 1n << 40n)
    const { streams, findings } = scanStreams(DUMP_REGISTERS, spoilt.read)
    expect(streams).toEqual([])
    expect(findings).toMatchObject([{ place: 'stream table', message: 'entries 0 to 255 lie in unknown memory', value: 0x100_7ac6_0000n }])
  })
})

describe('hostile structures', () => {
  test('a stream table in unknown memory is a finding, and no stream', () => {
    const { streams, findings, entries } = scanStreams(
      { ...DUMP_REGISTERS, strtabBase: 0x5000_0000n },
      readElfCore(DUMPS.smmuv3.memory).read,
    )
    expect([streams, entries]).toEqual([[], 0])
    expect(findings).toMatchObject([
      { place: 'level 1 stream table', message: 'entries 0 to 255 lie in unknown memory', value: 0x5000_0000n },
    ])
  })

  test('a table that ends in unknown memory says where', () => {
    const { findings, entries } = scanStreams({ strtabBase: 0x1_0000n, strtabBaseCfg: LINEAR(16), idr1: 16n }, memory({}).bind(null))
    expect(entries).toBe(0)
    expect(findings[0]?.message).toBe('entries 0 to 65535 lie in unknown memory')
    const half = scanStreams({ strtabBase: 0x1_0000n, strtabBaseCfg: LINEAR(10) }, (paddr, length) =>
      memory({})(paddr, length)?.subarray(0, 1000),
    )
    expect(half.entries).toBe(15)
    expect(half.findings[0]).toMatchObject({ message: 'entries 15 to 1023 lie in unknown memory', value: 0x1_03c0n })
  })

  test('a table too large to scan is a finding, not a day of work', () => {
    for (const strtabBaseCfg of [LINEAR(32), TWO_LEVEL(6, 32)]) {
      const { findings } = scanStreams({ strtabBase: 0n, strtabBaseCfg }, memory({}))
      expect(findings[0]?.message).toMatch(/more than this demo scans/)
    }
  })

  test('a Span beyond SPLIT + 1 is a finding', () => {
    const { findings } = scanStreams({ strtabBase: 0x1_0000n, strtabBaseCfg: TWO_LEVEL(6, 8) }, memory({ 65536: 0x1_2008n, 65544: 0n }))
    expect(findings).toEqual([
      { place: 'level 1 stream table descriptor 0', message: 'Span 8 is more than SPLIT + 1 (7)', value: 0x1_2008n },
    ])
  })

  test('a small Span covers fewer StreamIDs, and arrays are aligned to their size', () => {
    const words = {
      65544: 0x1_2042n,
      73728: ste(0x1_1000),
      73792: 1n | (4n << 1n),
      ...Object.fromEntries(CD.map((w, i) => [0x1_1000 + 8 * i, w])),
    }
    const { streams, configs, entries } = scanStreams({ strtabBase: 0x1_0000n, strtabBaseCfg: TWO_LEVEL(6, 8) }, memory(words))
    expect([entries, configs.bypass]).toEqual([2, 1])
    expect(streams.map(({ sid, steAddress }) => [sid, steAddress])).toEqual([[64, 0x1_2000n]])
  })

  test.each([
    ['stage 2 is not read', CD, 1n | (6n << 1n)],
    ['stages 1 and 2 is not read', CD, 1n | (7n << 1n)],
    ['a table of 2^5 context descriptors', CD, ste(0x1_1000) | (5n << 59n)],
    ['the context descriptor lies in unknown memory', CD, ste(0x9_0000)],
    ['the context descriptor is not valid', [0n], ste(0x1_1000)],
    ['AArch32 tables', [1n << 31n], ste(0x1_1000)],
  ])('%s', (message, descriptor, entry) => {
    const { streams, findings } = scanOne(descriptor, entry)
    expect(streams).toEqual([])
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ place: 'stream 0' })
    expect(findings[0]?.message).toContain(message)
  })

  test('reserved values of STE.Config abort', () => {
    expect(scanOne(CD, 1n | (3n << 1n)).configs.abort).toBe(1)
    expect(scanOne(CD, 0n).configs.invalid).toBe(1)
  })
})

test('a context descriptor of 52 bits and 64 KiB pages gives the registers that a CPU would have', () => {
  // T0SZ 12, TG0 64 KiB, EPD1, V, IPS 52 bits, AA64; TTB0 has PA[51:48] = 0xa
  const cd = [12n | (1n << 6n) | (1n << 30n) | (1n << 31n) | (6n << 32n) | (1n << 41n), 0xa_0000_0001_0000n, 0n, 0xf404_ff44n]
  const [stream] = scanOne(cd).streams
  const [root] = arm64LpaeS1.rootsFromRegs(stream?.registers ?? { tcr: 0n, mair: 0n })
  expect(root).toMatchObject({ name: 'ttbr0', roots: [0xa_0000_0001_0000n], params: { granule: 0x1_0000, ias: 52, oas: 52 } })
})

test('a context descriptor with DS gives the registers of LPA2 tables', () => {
  // T0SZ 12, TG0 4 KiB, EPD1, V, IPS 48 bits and then 52, AA64; TTB0 has PA[51:48] = 0xa; DS is bit 186
  const cd = (ips: bigint, ds: bigint) => [
    12n | (1n << 30n) | (1n << 31n) | (ips << 32n) | (1n << 41n),
    0xa_0000_0001_0000n,
    ds << 58n,
    0xf404_ff44n,
  ]
  for (const [ips, oas] of [
    [6n, 52],
    [5n, 48],
  ] as const) {
    const [stream] = scanOne(cd(ips, 1n)).streams
    const [root] = arm64LpaeS1.rootsFromRegs(stream?.registers ?? { tcr: 0n, mair: 0n })
    expect(root).toMatchObject({ roots: [0xa_0000_0001_0000n], params: { granule: 4096, ias: 52, oas, lpa2: true } })
  }
})

test('without DS, 4 KiB tables beyond 48 bits are a finding, and IPS alone does not fold the address', () => {
  // T0SZ 16, EPD1, V, IPS 52 bits, AA64
  const cd = (ttb0: bigint) => [16n | (1n << 30n) | (1n << 31n) | (6n << 32n) | (1n << 41n), ttb0, 0n, 0xf404_ff44n]
  const { streams, findings } = scanOne(cd(0xa_0000_0001_0000n))
  expect(streams).toEqual([])
  expect(findings[0]?.message).toMatch(/^a table is beyond the 48 bits/)
  const [stream] = scanOne(cd(0x8765_4321_f000n)).streams
  const [root] = arm64LpaeS1.rootsFromRegs(stream?.registers ?? { tcr: 0n, mair: 0n })
  expect(root).toMatchObject({ roots: [0x8765_4321_f000n], params: { granule: 4096, ias: 48, oas: 48, lpa2: false } })
})

test('TTB1 is followed unless EPD1 says no', () => {
  // T1SZ 25, TG1 4 KiB, EPD0
  const cd = [(1n << 14n) | (25n << 16n) | (2n << 22n) | (1n << 31n) | (5n << 32n) | (1n << 41n), 0n, 0x1_8000n, 0xf404_ff44n]
  const [stream] = scanOne(cd).streams
  expect(stream?.registers).toMatchObject({ ttbr1: 0x1_8000n })
  expect(stream?.registers.ttbr0).toBeUndefined()
  expect(arm64LpaeS1.rootsFromRegs(stream?.registers ?? { tcr: 0n, mair: 0n })).toMatchObject([
    { name: 'ttbr1', params: { ias: 39, oas: 48 } },
  ])
})
