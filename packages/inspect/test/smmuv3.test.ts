/** SMMUv3: the registers of the stream table, what its entries are counted as, and context descriptors as a CPU's registers. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { describe, expect, it, test } from 'vitest'
import { Smmuv3Scanner, type StreamScan, streamTable } from '../src/index.ts'
import { Pages } from './support/memory.ts'

const TWO_LEVEL = (split: number, log2size: number): bigint => (1n << 16n) | BigInt((split << 6) | log2size)

/** A linear table of STEs. */
function scanner(stes: readonly bigint[], cd: readonly bigint[] = []): Smmuv3Scanner {
  const pages = new Pages().zero(0x10_0000n, 4096).words(0x20_0000n, [...cd, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n])
  for (const [sid, ste] of stes.entries()) pages.words(0x10_0000n + BigInt(64 * sid), [ste])
  const registers = { strtabBase: 0x10_0000n, strtabBaseCfg: BigInt(Math.ceil(Math.log2(stes.length))) }
  return new Smmuv3Scanner(registers, pages.read, { 'arm64-stage1': arm64LpaeS1 })
}

/** A stream whose context descriptor begins with these words. */
const scanOf = (cd: readonly bigint[]): StreamScan => scanner([1n | (5n << 1n) | 0x20_0000n], cd).run()

/** What the registers that stand for a context descriptor lead to. */
function rootsOf({ streams: [stream] }: StreamScan): unknown {
  return arm64LpaeS1.rootsFromRegs((stream?.stages[0]?.registers ?? { tcr: 0n, mair: 0n }) as { tcr: bigint; mair: bigint })
}

test('the base is aligned to the table, and has no bit beyond 55', () => {
  expect(streamTable({ strtabBase: -1n & ((1n << 64n) - 1n), strtabBaseCfg: 10n }).base).toBe((1n << 56n) - 0x1_0000n)
  expect(streamTable({ strtabBase: 0x1234_5678n, strtabBaseCfg: TWO_LEVEL(6, 6) }).base).toBe(0x1234_5640n)
})

test('entries are counted by what they do; reserved values of STE.Config abort', () => {
  const of = (config: bigint): bigint => 1n | (config << 1n)
  const scan = scanner([0n, of(0n), of(3n), of(4n), of(5n) | 0x20_0000n, of(6n), of(7n), 5n << 1n])
  expect(scan.entries).toMatchObject({ invalid: 0, abort: 0 })
  scan.run()
  expect(scan.entries).toEqual({ invalid: 2, abort: 2, bypass: 1, 'stage 1': 1, 'stage 2': 1, nested: 1 })
})

describe('a context descriptor gives the registers that a CPU would have', () => {
  const HEAD = (1n << 30n) | (1n << 31n) | (1n << 41n)
  const MAIR = 0xf404_ff44n

  it('52 bits and 64 KiB pages: TTB0 is folded', () => {
    const scan = scanOf([12n | (1n << 6n) | (6n << 32n) | HEAD, 0xa_0000_0001_0000n, 0n, MAIR])
    expect(rootsOf(scan)).toMatchObject([{ name: 'ttbr0', roots: [0xa_0000_0001_0000n], params: { granule: 0x1_0000, ias: 52, oas: 52 } }])
  })

  it.each([
    [6n, 52],
    [5n, 48],
  ])('DS is LPA2, IPS %i', (ips, oas) => {
    const scan = scanOf([12n | (ips << 32n) | HEAD, 0xa_0000_0001_0000n, 1n << 58n, MAIR])
    expect(rootsOf(scan)).toMatchObject([{ roots: [0xa_0000_0001_0000n], params: { granule: 4096, ias: 52, oas, lpa2: true } }])
  })

  it('4 KiB tables beyond 48 bits without DS are a finding, and IPS alone does not fold the address', () => {
    const { streams, findings } = scanOf([16n | (6n << 32n) | HEAD, 0xa_0000_0001_0000n, 0n, MAIR])
    expect(streams).toEqual([])
    expect(findings).toMatchObject([{ code: 'bad-cd', message: expect.stringContaining('beyond what IPS, DS and the granule allow') }])
    const scan = scanOf([16n | (6n << 32n) | HEAD, 0x8765_4321_f000n, 0n, MAIR])
    expect(rootsOf(scan)).toMatchObject([{ roots: [0x8765_4321_f000n], params: { granule: 4096, ias: 48, oas: 48, lpa2: false } }])
  })

  it('TTB1 is followed unless EPD1 says no', () => {
    const scan = scanOf([(1n << 14n) | (25n << 16n) | (2n << 22n) | (1n << 31n) | (5n << 32n) | (1n << 41n), 0n, 0x1_8000n, MAIR])
    expect(rootsOf(scan)).toMatchObject([{ name: 'ttbr1', roots: [0x1_8000n], params: { ias: 39, oas: 48 } }])
    expect(scan.streams[0]?.tables.map(({ name }) => name)).toEqual(['ttbr1'])
  })
})
