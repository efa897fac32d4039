/** The declaration by itself: its laws, every field of the manual, TTBCR both ways. */
import { decode, fieldValues, IoPageTable, inputRanges, type LevelNode, nodeOf, Prot, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { checkLaws } from '../../arm-lpae/test/laws.ts'
import { type Arm32LpaeS1Config, arm32LpaeS1 } from '../src/index.ts'

checkLaws({
  fmt: arm32LpaeS1,
  hardware: ({ ttbr, ttbcr, mair0, mair1 }, { quirks = [] }) =>
    ttbcr === undefined
      ? undefined
      : { [quirks.includes('ARM_TTBR1') ? 'ttbr1' : 'ttbr0']: ttbr, ttbcr, mair0, mair1, hd: quirks.includes('ARM_HD') },
  kept: (prot) => (prot & Prot.MMIO ? prot & ~Prot.CACHE : prot) | Prot.READ,
})

const BASE: Arm32LpaeS1Config = { pgsizeBitmap: 0x4020_1000n, ias: 32, oas: 40 }
const geometry = arm32LpaeS1.geometry({ ias: 32, oas: 40, topOf: undefined })

function at(level: number, raw: bigint): ReturnType<typeof decode> {
  return decode(geometry, geometry.nodes.find((node) => node.level === level) as LevelNode, raw)
}

test('a page has all fields of B3.6.2', () => {
  const each: readonly (readonly [string, bigint, bigint])[] = [
    ['AttrIndx', 2n, 7n],
    ['NS', 5n, 1n],
    ['AP', 6n, 3n],
    ['SH', 8n, 3n],
    ['AF', 10n, 1n],
    ['nG', 11n, 1n],
    ['DBM', 51n, 1n],
    ['Contiguous', 52n, 1n],
    ['PXN', 53n, 1n],
    ['XN', 54n, 1n],
    ['Software', 55n, 15n],
    ['Ignored', 59n, 31n],
  ]
  const none = Object.fromEntries(each.map(([name]) => [name, 0n]))
  const fields = (level: number, raw: bigint): Record<string, bigint> => fieldValues(at(level, raw).kind, raw)
  for (const [name, bit, value] of each) {
    expect(fields(3, 3n | (value << bit))).toEqual({ ...none, [name]: value })
    expect(fields(1, 1n | (value << bit))).toEqual({ ...none, [name]: value })
  }
})

test('tables, blocks, contiguous sets, address bits that the format lacks', () => {
  const table = 0xab_cdef_0003n | (1n << 63n) | (3n << 61n) | (3n << 59n)
  expect(at(1, table)).toMatchObject({ type: 'table', next: 0xab_cdef_0000n, reserved: 0n })
  expect(fieldValues(at(1, table).kind, table)).toMatchObject({ NSTable: 1n, APTable: 3n, XNTable: 1n, PXNTable: 1n, Software: 0n })
  expect(at(2, 0xab_cde0_0001n | (1n << 52n))).toMatchObject({ paddr: 0xab_cde0_0000n, size: { pgsize: 0x200_0000, slots: 16 } })
  expect(at(3, 3n | (1n << 40n) | (1n << 50n))).toMatchObject({ paddr: 0n, reserved: (1n << 40n) | (1n << 50n) })
  expect(at(3, 1n)).toMatchObject({ type: 'invalid' })
})

describe('regs', () => {
  const regs = (config: Arm32LpaeS1Config) => arm32LpaeS1.regs(arm32LpaeS1.configure(config), [0x80_0000_0040n], 'L1')
  test('TCR as Linux has it, TTBCR with EAE as the hardware has it', () => {
    expect(regs(BASE)).toEqual({
      ttbr: 0x80_0000_0040n,
      tcr: { ips: 2, tg: 0, sh: 3, orgn: 1, irgn: 1, tsz: 32 },
      ttbcr: 0x8080_3500n,
      mair: 0xf404_ff44n,
      mair0: 0xf404_ff44n,
      mair1: 0n,
    })
    expect(regs({ ...BASE, ias: 25, coherentWalk: false }).ttbcr).toBe(0x8080_2007n)
    expect(regs({ ...BASE, ias: 31, quirks: ['ARM_TTBR1'] }).ttbcr).toBe(0xb501_0080n)
    expect(regs({ ...BASE, coherentWalk: false, quirks: ['ARM_OUTER_WBWA'] }).ttbcr).toBe(0x8080_2400n)
  })
  test('what TTBCR cannot say', () => {
    expect(regs({ ...BASE, ias: 24 }).ttbcr).toBeUndefined()
    expect(regs({ ...BASE, quirks: ['ARM_TTBR1'] }).ttbcr).toBeUndefined()
  })
})

test.each([
  ['neither', 0n, false],
  ['PXN alone', 1n << 53n, false],
  ['XN alone: both privileges, B3.7.2', 1n << 54n, true],
  ['both', 3n << 53n, true],
])('execute-never: %s', (_, bits, never) => {
  const geometry = arm32LpaeS1.geometry({ ias: 32, oas: 40, topOf: undefined })
  const entry = decode(geometry, nodeOf(geometry, 'L3'), 0x443n | bits)
  const grants = entry.type === 'leaf' ? arm32LpaeS1.prot(entry.raw, entry.kind, arm32LpaeS1.context(arm32LpaeS1.configure(BASE))) : 0
  expect((grants & Prot.NOEXEC) !== 0).toBe(never)
})

describe('rootsFromRegs', () => {
  const TTBRS = { ttbr0: 0x0034_0012_4800_10ffn, ttbr1: 0x4801_ffffn, mair0: 0xff44_0400n, mair1: 0x1n }
  const found = (ttbcr: bigint, registers: Partial<typeof TTBRS> = TTBRS) =>
    arm32LpaeS1
      .rootsFromRegs({ ...registers, ttbcr: ttbcr | (1n << 31n), mair0: TTBRS.mair0, mair1: TTBRS.mair1 })
      .map(({ name, params, roots, first, last }) => [name, params.ias, ...[...roots, first, last].map((v) => `0x${v.toString(16)}`)])

  test.each([
    ['T0SZ and T1SZ 0: TTBR0 alone', 0n, [['ttbr0', 32, '0x12480010e0', '0x0', '0xffffffff']]],
    [
      'T0SZ 2: TTBR1 begins where TTBR0 ends, and indexes all 32 bits',
      2n,
      [
        ['ttbr0', 30, '0x1248001000', '0x0', '0x3fffffff'],
        ['ttbr1', 32, '0x4801ffe0', '0x40000000', '0xffffffff'],
      ],
    ],
    [
      'T1SZ 2: TTBR0 ends where TTBR1 begins',
      2n << 16n,
      [
        ['ttbr0', 32, '0x12480010e0', '0x0', '0xbfffffff'],
        ['ttbr1', 30, '0x4801f000', '0xc0000000', '0xffffffff'],
      ],
    ],
    [
      'both: a gap between them',
      (1n << 16n) | 7n,
      [
        ['ttbr0', 25, '0x1248001080', '0x0', '0x1ffffff'],
        ['ttbr1', 31, '0x4801fff0', '0x80000000', '0xffffffff'],
      ],
    ],
    ['EPD0', (1n << 7n) | (1n << 16n), [['ttbr1', 31, '0x4801fff0', '0x80000000', '0xffffffff']]],
    ['EPD1', (1n << 23n) | 1n, [['ttbr0', 31, '0x12480010f0', '0x0', '0x7fffffff']]],
  ])('%s', (_, ttbcr, roots) => {
    expect(found(ttbcr)).toEqual(roots)
  })

  test('only those that are given', () => {
    expect(found(2n, { ttbr0: 0n }).map(([name]) => name)).toEqual(['ttbr0'])
    expect(found(2n, {})).toEqual([])
  })
  test('MAIR0 and MAIR1 are one', () => {
    const [root] = arm32LpaeS1.rootsFromRegs({ ...TTBRS, ttbcr: 1n << 31n })
    expect(root?.context).toEqual({ ...arm32LpaeS1.context(arm32LpaeS1.configure(BASE)), mair: 0x1_ff44_0400n })
  })
  test('short descriptors are refused', () => {
    expect(() => arm32LpaeS1.rootsFromRegs({ ...TTBRS, ttbcr: 0n })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })
  test('a table of TTBR1 is walked at the top of 32 bits', () => {
    const [root] = arm32LpaeS1.rootsFromRegs({ ttbr1: 0n, ttbcr: (1n << 31n) | (2n << 16n), mair0: 0n, mair1: 0n })
    if (root === undefined) throw new Error('there is one')
    const there = arm32LpaeS1.geometry(root.params)
    expect(inputRanges(there)).toEqual([{ first: 0xc000_0000n, last: 0xffff_ffffn }])
    const memory = new BigUint64Array(512)
    memory[511] = 0x40_0020_0401n
    const read = (paddr: bigint, bytes: number) => (paddr === 0n ? new Uint8Array(memory.buffer, 0, bytes) : undefined)
    const leaves: bigint[] = []
    walkTables(there, root.roots, read, { leaf: ({ iova, paddr }) => void leaves.push(iova, paddr) })
    expect(leaves).toEqual([0xffe0_0000n, 0x40_0020_0000n])
  })
})

test('ARM_TTBR1 counts from the top of 64 bits, as Linux does', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 2 ** 22 })
  const table = IoPageTable.createRaw(arm32LpaeS1, { ...BASE, ias: 31, quirks: ['ARM_TTBR1'], allocator: pool })
  table.map(0xffff_ffff_ffff_f000n, 0x12_3456_7000n, 4096, Prot.READ)
  expect(table.iovaToPhys(0xffff_ffff_ffff_f123n)).toBe(0x12_3456_7123n)
  expect(() => table.iovaToPhys(0xffff_f000n)).toThrow(/top of the 64-bit space/)
})

test.each([
  [{ ...BASE, ias: 33 }, /ias 33.*16 to 32/],
  [{ ...BASE, ias: 15 }, /ias 15.*16 to 32/],
  [{ ...BASE, oas: 42 }, /oas 42.*at most 40/],
  [{ ...BASE, oas: 39 }, /oas 39.*32, 36, 40/],
  [{ ...BASE, pgsizeBitmap: 0x2001_0000n }, /pgsizeBitmap.*4K/],
  [{ ...BASE, quirks: ['ARM_OUTER_WBWA'] as const }, /ARM_OUTER_WBWA.*coherentWalk/],
])('%o is refused and the limit named', (config, message) => {
  expect(() => arm32LpaeS1.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})

test('the engine, too, counts from the top of 32 bits where the parameters say so', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 2 ** 22 })
  const top32: typeof arm32LpaeS1 = { ...arm32LpaeS1, params: ({ ias, oas }) => ({ ias, oas, topOf: 32 }) }
  const table = IoPageTable.createRaw(top32, { ...BASE, ias: 30, quirks: ['ARM_TTBR1'], allocator: pool })
  table.map(0xc000_0000n, 0x12_3456_7000n, 4096, Prot.READ)
  expect(table.iovaToPhys(0xc000_0123n)).toBe(0x12_3456_7123n)
  expect(table.walk(0xc000_0000n).at(-1)).toMatchObject({ type: 'leaf', iova: 0xc000_0000n })
  for (const iova of [0xbfff_f000n, 0x1_c000_0000n, 0xffff_ffff_c000_0000n])
    expect(() => table.iovaToPhys(iova)).toThrow(expect.objectContaining({ code: 'ERANGE' }))
  expect(() => table.iovaToPhys(0n)).toThrow(/top of the 32-bit space/)
})
