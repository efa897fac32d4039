/** The declaration by itself: its laws, every field of the manual, concatenated roots, FEAT_LPA2, registers both ways. */
import { decode, fieldValues, IoPageTable, type LeafKind, type LevelNode, meaningOf, Prot, SZ_1G, SZ_4K, SZ_512G } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { checkLaws } from '../../arm-lpae/test/laws.ts'
import { type ArmLpaeS2Config, type ArmLpaeS2Context, type ArmLpaeS2Params, arm64LpaeS2 } from '../src/index.ts'

checkLaws({
  fmt: arm64LpaeS2,
  hardware: ({ vttbr, vtcrValue }, { quirks = [] }) => ({ vttbr, vtcr: vtcrValue, fwb: quirks.includes('ARM_S2FWB') }),
  // no privilege; device memory is not cached
  kept: (prot) => (prot & Prot.MMIO ? prot & ~Prot.CACHE : prot) & ~Prot.PRIV,
})

const BASE: ArmLpaeS2Config = { pgsizeBitmap: 0x4020_1000n, ias: 48, oas: 48 }
const BASE16K: ArmLpaeS2Config = { ...BASE, pgsizeBitmap: 0x200_4000n }
const SHAPE: ArmLpaeS2Params = { granule: SZ_4K, ias: 48, oas: 48, lpa2: false, startLevel: 0, fwb: false }

function at(level: number, shape: Partial<ArmLpaeS2Params> = {}): (raw: bigint) => ReturnType<typeof decode> {
  const geometry = arm64LpaeS2.geometry({ ...SHAPE, ...shape })
  const node = geometry.nodes.find((n) => n.level === level)
  return (raw) => decode(geometry, node as LevelNode, raw)
}

const page = at(3)(3n).kind as LeafKind

test('a page has all fields of D8.3.2', () => {
  const each: readonly (readonly [string, bigint, bigint])[] = [
    ['MemAttr', 2n, 15n],
    ['S2AP', 6n, 3n],
    ['SH', 8n, 3n],
    ['AF', 10n, 1n],
    ['FnXS', 11n, 1n],
    ['DBM', 51n, 1n],
    ['Contiguous', 52n, 1n],
    ['XN', 53n, 3n],
    ['Software', 55n, 15n],
    ['PBHA', 59n, 15n],
    ['AMEC', 63n, 1n],
  ]
  const none = Object.fromEntries(each.map(([name]) => [name, 0n]))
  expect(fieldValues(page, 3n)).toEqual(none)
  for (const [name, bit, value] of each) expect(fieldValues(page, 3n | (value << bit))).toEqual({ ...none, [name]: value })
  expect(fieldValues(at(2)(1n).kind, 1n | (1n << 16n))).toEqual({ ...none, nT: 1n })
})

test('meanings', () => {
  const meaning = (name: string, raw: bigint): string | undefined => {
    const field = page.fields.find((f) => f.name === name)
    return field && meaningOf(field, raw)
  }
  expect([0n, 1n, 5n, 15n, 7n].map((code) => meaning('MemAttr', code << 2n))).toEqual([
    'Device-nGnRnE',
    'Device-nGnRE',
    'Normal Non-cacheable',
    'Normal Write-Back',
    'Normal, outer Non-cacheable, inner Write-Back',
  ])
  const forced = at(3, { fwb: true })(3n).kind.fields.find((f) => f.name === 'MemAttr')
  expect([1n, 5n, 6n, 7n, 15n].map((code) => forced && meaningOf(forced, code << 2n))).toEqual([
    'Device-nGnRE',
    'Normal Non-cacheable',
    'Normal Write-Back',
    'as stage 1',
    undefined,
  ])
  expect(meaning('S2AP', 2n << 6n)).toBe('write-only')
  expect(meaning('XN', 3n << 53n)).toBe('executable at EL1 alone')
})

test('a table has no attributes: bits 63:59 are reserved', () => {
  const raw = (1n << 63n) | (1n << 59n) | (1n << 55n) | 0x4800_0003n
  expect(at(0)(raw)).toMatchObject({ type: 'table', next: 0x4800_0000n, reserved: (1n << 63n) | (1n << 59n) })
})

describe('prot', () => {
  const prot = (raw: bigint, context: Partial<ArmLpaeS2Context> = {}): Prot =>
    arm64LpaeS2.prot(raw | (5n << 2n), page, { fwb: false, xnx: false, ...context })
  test('without FEAT_XNX XN[1] alone counts, with it XN[1:0] = 2 alone is never', () => {
    const never = (xnx: boolean): number[] => [0n, 1n, 2n, 3n].map((xn) => prot(xn << 53n, { xnx }) & Prot.NOEXEC)
    expect(never(false)).toEqual([0, 0, Prot.NOEXEC, Prot.NOEXEC])
    expect(never(true)).toEqual([0, 0, Prot.NOEXEC, 0])
  })
  test('MemAttr with and without FEAT_S2FWB', () => {
    const memory = (code: bigint, fwb: boolean): Prot => arm64LpaeS2.prot(code << 2n, page, { fwb, xnx: false })
    expect([0n, 1n, 2n, 3n, 5n, 6n, 15n].map((code) => memory(code, false))).toEqual([
      ...[Prot.MMIO, Prot.MMIO, Prot.MMIO, Prot.MMIO, 0],
      ...[Prot.CACHE, Prot.CACHE],
    ])
    expect([1n, 5n, 6n, 7n].map((code) => memory(code, true))).toEqual([Prot.MMIO, 0, Prot.CACHE, Prot.CACHE])
  })
  test('DBM: writable, though S2AP says not yet', () => {
    expect(prot((1n << 6n) | (1n << 51n))).toBe(Prot.READ | Prot.WRITE)
  })
})

describe('concatenated roots', () => {
  test.each([
    [{ ...BASE, ias: 40, oas: 40 }, 1, 1024],
    [{ ...BASE, ias: 42, oas: 42 }, 1, 4096],
    [{ ...BASE, ias: 40, oas: 44 }, 0, 2],
    [{ ...BASE16K, ias: 40, oas: 40 }, 2, 32768],
    [{ ...BASE16K, ias: 48 }, 1, 4096],
  ])('%o starts at level %i with %i entries', (config, level, entries) => {
    const agreed = arm64LpaeS2.configure(config)
    const [root] = arm64LpaeS2.geometry(arm64LpaeS2.params(agreed)).nodes
    expect(root).toMatchObject({ level, bits: Math.log2(entries), tableBytes: Math.max(64, 8 * entries) })
  })

  test.each([
    { ...BASE, ias: 44, oas: 42 },
    { ...BASE16K, ias: 41, oas: 40 },
    { ...BASE16K, ias: 52, lpa2: true },
  ])('%o would need more than 16: EINVAL', (config) => {
    expect(() => arm64LpaeS2.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(/16/) }))
  })

  test('a run ends with each table, and a call goes on; the whole root is one block of memory, aligned to its size', () => {
    const config = { ...BASE, ias: 42, oas: 42 }
    const pool = new PtPool({ base: 0x8000_0000n, size: 2 ** 22 })
    const debug = { oneTablePerCall: true }
    const table = IoPageTable.createRaw(arm64LpaeS2, { ...config, allocator: pool, debug })
    const border = 3n * BigInt(SZ_512G)
    expect(table.mapPages(border - 0x8000_0000n, 0n, SZ_1G, 5, Prot.READ).mapped).toBe(2 * SZ_1G)
    expect(table.mapPages(border, 0x8000_0000n, SZ_1G, 3, Prot.READ).mapped).toBe(3 * SZ_1G)
    expect(table.unmapPages(border - 0x8000_0000n, SZ_1G, 5)).toBe(5 * SZ_1G)
    expect(table.roots.map((root) => root % 32768n)).toEqual([0n])
    expect(table.walk(border)[0]).toMatchObject({ index: 3 * 512, table: table.roots[0] })
    table.free()
  })
})

test.each([
  [BASE, 0x8005_3590n],
  [{ ...BASE, ias: 40, oas: 40 }, 0x8002_3558n],
  [{ ...BASE, coherentWalk: false }, 0x8005_2090n],
  [BASE16K, 0x8005_b590n],
  [{ ...BASE, pgsizeBitmap: 0x2001_0000n, ias: 42, oas: 42 }, 0x8003_7556n],
  // level -1 is SL2 with SL0 0; level 0 of 16K is SL0 3
  [{ ...BASE, ias: 52, oas: 52, lpa2: true }, 0x3_8006_350cn],
  [{ ...BASE, ias: 52, lpa2: true }, 0x1_8005_358cn],
  [{ ...BASE16K, ias: 52, oas: 52, lpa2: true }, 0x1_8006_b5ccn],
])('%o: VTCR_EL2 is %s', (config, value) => {
  expect(arm64LpaeS2.regs(arm64LpaeS2.configure(config), [0n], '').vtcrValue).toBe(value)
})

test('LPA2 without Linux: 52 bits, level -1, 512G blocks, no shareability in descriptors', () => {
  const pool = new PtPool({ base: 0xf_8000_0000_0000n, size: 2 ** 22 })
  const table = IoPageTable.createRaw(arm64LpaeS2, {
    ...BASE,
    ...{ allocator: pool, ias: 52, oas: 52, lpa2: true, pgsizeBitmap: 0x80_4020_1000n },
  })
  table.map(0xf_0000_0000_0000n, 0xd_a580_0000_0000n, SZ_512G, Prot.READ | Prot.WRITE | Prot.CACHE)
  table.map(0xe_0000_0000_0000n, 0xd_a5c3_96f0_0000n, SZ_4K, Prot.READ)
  const raws = (iova: bigint): string[] => table.walk(iova).map(({ node, raw }) => `${node.level} ${raw.toString(16)}`)
  expect(raws(0xf_0000_0000_0000n)).toEqual(['-1 3800000001303', '0 1a580000007fd'])
  expect(raws(0xe_0000_0000_0000n).at(-1)).toBe('3 1a5c396f00757')
  expect(table.regs).toMatchObject({ vttbr: 0x8000_0000_003cn, vtcr: { ps: 6, sl: 0, sl2: 1, ds: 1, tsz: 12 } })
  expect(table.context).toEqual({ fwb: false, xnx: false, sh: 3 })
})

describe('rootsFromRegs', () => {
  const found = (vtcr: bigint, vttbr = 0x0012_0000_4808_00f5n) => arm64LpaeS2.rootsFromRegs({ vttbr, vtcr })[0]
  test('VMID and CnP are not of the address; a concatenated root is aligned to all of it', () => {
    // T0SZ 24, SL0 1 (4K: level 1), PS 40
    expect(found(0x8002_3558n, 0x0012_0000_4808_3001n)).toMatchObject({
      name: 'vttbr',
      params: { granule: SZ_4K, ias: 40, oas: 40, startLevel: 1, lpa2: false },
      roots: [0x4808_2000n],
      first: 0n,
      last: (1n << 40n) - 1n,
    })
    // as other software does: 4K, 34 bits from level 2 with 16 tables
    expect(found(0x8005_351en)).toMatchObject({ params: { ias: 34, startLevel: 2 }, roots: [0x4808_0000n] })
  })
  test('with 52-bit output addresses PA[51:48] is in bits 5:2', () => {
    expect(found(0x8006_758cn)).toMatchObject({
      params: { granule: 0x1_0000, ias: 52, oas: 52, startLevel: 1 },
      roots: [0xd_0000_4808_0000n],
    })
    expect(found(0x1_8005_3590n)).toMatchObject({ params: { ias: 48, oas: 48, lpa2: true }, roots: [0xd_0000_4808_0000n] })
    // DS means nothing to 64K, and without it SL0 3 is level 3 of 4K (FEAT_TTST)
    expect(found(0x3_8005_7550n | 30n)).toMatchObject({ params: { lpa2: false, ias: 34 } })
    expect(found(0x8005_35e8n)).toMatchObject({ params: { ias: 24, startLevel: 3 } })
  })
  test.each([
    ['TG0', 0x8005_f590n],
    ['PS', 0x8007_3590n],
    ['T0SZ', 0x8005_358fn],
    // SL0 3 of 16K; SL2 with SL0 1; level 0 for 39 bits; level 2 for 40
    ['SL0', 0x8005_b5d0n],
    ['SL0', 0x3_8005_3550n],
    ['SL0', 0x8005_3599n],
    ['SL0', 0x8005_3518n],
  ])('%s of 0x%s is refused', (name, vtcr) => {
    expect(() => found(vtcr)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(name) }))
  })
})
