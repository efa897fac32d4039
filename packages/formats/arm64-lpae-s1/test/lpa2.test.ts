/** FEAT_LPA2: 52-bit addresses with granules of 4K and 16K. Descriptors by hand from the manual (D8.3.1), and random ones against a model. */
import {
  IoPageTable,
  Prot,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_16K,
  SZ_32M,
  SZ_64G,
  SZ_64K,
  SZ_512G,
  SZ_512M,
  walkTables,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { arm64LpaeS1 } from '../src/index.ts'

const MiB = 2 ** 20
const BASE4K = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_512G), ias: 52, oas: 52, lpa2: true } as const
const BASE16K = { ...BASE4K, pgsizeBitmap: pgsizeBitmap(SZ_16K, SZ_32M, SZ_64G) }
/** Every address bit of a page has its own value in this pattern. */
const PADDR = 0xd_a5c3_96f0_0000n

function make(config: typeof BASE4K, base = 0x8000_0000n): { table: IoPageTable<typeof arm64LpaeS1>; pool: PtPool } {
  const pool = new PtPool({ base, size: 64 * MiB })
  return { pool, table: IoPageTable.createRaw(arm64LpaeS1, { ...config, allocator: pool }) }
}

function raws(table: IoPageTable<typeof arm64LpaeS1>, iova: bigint): string[] {
  return table.walk(iova).map((entry) => `${entry.node.level} ${entry.raw.toString(16)}`)
}

test('a page of 4K: five levels from -1 on, PA[51:50] in bits 9:8', () => {
  const { table } = make(BASE4K, 0xf_8000_0000_0000n)
  table.map(0xf_ffff_ffff_f000n, PADDR, SZ_4K, Prot.READ | Prot.WRITE | Prot.CACHE)
  // root of 16 entries in 128 bytes; tables of 4 KiB: 0xf_8000_0000_1000 is 0x3 << 50 | 0x3_8000_0000_1000
  expect(raws(table, 0xf_ffff_ffff_f000n)).toEqual([
    '-1 3800000001303',
    '0 3800000002303',
    '1 3800000003303',
    '2 3800000004303',
    // PA 0xd_a5c3_96f0_0000: bits 51:50 are 3, the rest 0x1_a5c3_96f0_0000; no shareability, AttrIndx 1, AP[1], AF, nG
    '3 1a5c396f00f47',
  ])
  expect(table.tableBytes).toBe(128 + 4 * 4096)
  expect(table.iovaToPhys(0xf_ffff_ffff_fabcn)).toBe(PADDR | 0xabcn)
  expect(table.regs).toMatchObject({ ttbr: 0x8000_0000_003cn, tcr: { ips: 6, tg: 0, sh: 3, tsz: 12, ds: 1 } })
  expect(table.geometry).toMatchObject({ top: 'L-1', ias: 52, oas: 52 })
})

test('a page of 16K: four levels from 0 on', () => {
  const { table } = make(BASE16K, 0xf_8000_0000_0000n)
  table.map(0x8_0000_0000_4000n, PADDR, SZ_16K, Prot.READ)
  expect(raws(table, 0x8_0000_0000_4000n)).toEqual(['0 3800000004303', '1 3800000008303', '2 380000000c303', '3 1a5c396f00fc3'])
  expect(table.tableBytes).toBe(256 + 3 * SZ_16K)
})

test.each([
  ['512G with 4K, at level 0', BASE4K, SZ_512G, 0, 0x5_0800_0000_0000n, '1080000000d41'],
  ['64G with 16K, at level 1', BASE16K, SZ_64G, 1, 0xa_00f0_0000_0000n, '200f000000e41'],
])('a block of %s', (_, config, size, level, paddr, raw) => {
  const { table } = make(config)
  table.map(BigInt(size), paddr, size, Prot.READ | Prot.WRITE)
  expect(raws(table, BigInt(size)).at(-1)).toBe(`${level} ${raw}`)
  expect(table.iovaToPhys(BigInt(size) + 0x9_3456_789an)).toBe(paddr + 0x9_3456_789an)
  expect(table.unmap(BigInt(size), size)).toBe(size)
})

test('runs go on over 2^32, 2^48 and 2^50 of the output address', () => {
  const { table } = make(BASE4K)
  for (const border of [1n << 32n, 1n << 48n, 1n << 50n, 3n << 50n]) {
    const iova = border - 0x3000n
    expect(table.mapPages(iova, iova, SZ_4K, 7, Prot.READ)).toEqual({ mapped: 7 * SZ_4K, error: undefined })
    for (let i = 0n; i < 7n; i++) expect(table.iovaToPhys(iova + i * 0x1000n + 5n)).toBe(iova + i * 0x1000n + 5n)
    expect(table.unmap(iova, 7 * SZ_4K)).toBe(7 * SZ_4K)
  }
})

test('TTBR1: the top 2^52 bytes', () => {
  const { table } = make({ ...BASE4K, quirks: ['ARM_TTBR1'] } as never)
  table.map(0xffff_ffff_ffff_f000n, PADDR, SZ_4K, Prot.READ)
  table.map(0xfff0_0000_0000_0000n, 0n, SZ_512G, Prot.READ)
  expect(table.iovaToPhys(0xffff_ffff_ffff_ffffn)).toBe(PADDR | 0xfffn)
  expect(() => table.iovaToPhys(0xffef_ffff_ffff_ffffn)).toThrow(expect.objectContaining({ code: 'ERANGE' }))
  expect(table.regs.tcrValue).toBe((1n << 59n) | (6n << 32n) | (2n << 30n) | (0x3n << 28n) | (5n << 24n) | (12n << 16n) | (1n << 7n))
})

describe('what is agreed', () => {
  const agreed = (config: Parameters<typeof arm64LpaeS1.configure>[0]) => arm64LpaeS1.configure(config)
  test('without lpa2 Linux narrows to 48 bits', () => {
    expect(agreed({ ...BASE4K, lpa2: false })).toMatchObject({
      lpa2: false,
      ias: 48,
      oas: 48,
      pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G),
    })
    expect(agreed({ pgsizeBitmap: BASE16K.pgsizeBitmap, ias: 52, oas: 52 })).toMatchObject({ lpa2: false, ias: 48, oas: 48 })
  })
  test('64K has 52 bits by itself: DS stays clear', () => {
    const config = agreed({ ...BASE4K, pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M) })
    expect(config).toMatchObject({ lpa2: false, ias: 52, oas: 52 })
    expect(arm64LpaeS1.regs(config, [0n], 'L1').tcr).not.toHaveProperty('ds')
  })
  test('at most 52 bits; the sizes of one granule', () => {
    expect(agreed({ ...BASE4K, ias: 64, oas: 64 })).toMatchObject({ ias: 52, oas: 52 })
    expect(agreed({ ...BASE16K, pgsizeBitmap: (1n << 48n) - 1n, cpuPageSize: SZ_16K })).toMatchObject({
      pgsizeBitmap: BASE16K.pgsizeBitmap,
    })
  })
  test('48 bits with DS: no level more, but the blocks, and no shareability', () => {
    const { table } = make({ ...BASE4K, ias: 48, oas: 48 } as never)
    table.map(0n, 0n, SZ_512G, Prot.READ | Prot.CACHE)
    table.map(BigInt(SZ_512G), 0x1234_5000n, SZ_4K, Prot.READ | Prot.CACHE)
    expect(raws(table, 0n)).toEqual(['0 cc5'])
    expect(raws(table, BigInt(SZ_512G)).at(-1)).toBe('3 12345cc7')
    expect(table.regs.tcrValue).toBe(0x0800_0005_0080_3510n)
  })
})

test('DS of a CPU: 4K or 16K are wide, 64K is as ever; PA[51:48] of the root in TTBR[5:2]', () => {
  const tcr = (1n << 59n) | (6n << 32n) | (1n << 30n) | (12n << 16n) | 12n
  const found = arm64LpaeS1.rootsFromRegs({ ttbr0: 0x0012_8765_4321_0094n, ttbr1: 0x8765_4321_003dn, tcr: tcr | (2n << 28n), mair: 0xffn })
  expect(found).toEqual([
    {
      name: 'ttbr0',
      params: { granule: SZ_4K, ias: 52, oas: 52, lpa2: true, ttbr1: false },
      roots: [0x5_8765_4321_0080n],
      first: 0n,
      last: (1n << 52n) - 1n,
      context: expect.objectContaining({ mair: 0xffn, sh: 0 }) as object,
    },
    {
      name: 'ttbr1',
      params: { granule: SZ_16K, ias: 52, oas: 52, lpa2: true, ttbr1: true },
      roots: [0xf_8765_4321_0000n],
      first: 0xfff0_0000_0000_0000n,
      last: (1n << 64n) - 1n,
      context: expect.objectContaining({ mair: 0xffn, sh: 2 }) as object,
    },
  ])
  const [wide] = arm64LpaeS1.rootsFromRegs({ ttbr0: 0x8765_4321_0000n, tcr: (tcr & ~63n) | (1n << 14n) | 16n, mair: 0n })
  expect(wide?.params).toEqual({ granule: SZ_64K, ias: 48, oas: 52, lpa2: false, ttbr1: false })
  // the place of the root's high bits follows DS, whatever IPS says
  const [narrow] = arm64LpaeS1.rootsFromRegs({ ttbr0: 0x4321_0038n, tcr: (1n << 59n) | (5n << 32n) | 39n, mair: 0n })
  expect(narrow).toMatchObject({ params: { ias: 25, oas: 48, lpa2: true }, roots: [0xe_0000_4321_0000n] })
})

test.each([
  ['4K', BASE4K, [SZ_4K, SZ_2M, SZ_1G, SZ_512G]],
  ['16K', BASE16K, [SZ_16K, SZ_32M, SZ_64G]],
] as const)('random mappings of %s, as a model has them', (_, config, sizes) => {
  const { table, pool } = make(config as typeof BASE4K, 0x9_1234_4000_0000n)
  let seed = 0x2545_f491_4f6c_dd1dn
  const random = (): bigint => (seed = BigInt.asUintN(64, seed * 0x5851_f42d_4c95_7f2dn + 0x1405_7b7en)) >> 11n
  const model = new Map<bigint, { paddr: bigint; size: number }>()
  for (let i = 0; i < 3000; i++) {
    const size = sizes[Number(random() % BigInt(sizes.length))] ?? SZ_4K
    const aligned = (): bigint => (random() % (1n << 52n)) & ~BigInt(size - 1)
    const iova = aligned()
    const paddr = aligned()
    const { error } = table.mapPages(iova, paddr, size, 1, Prot.READ | Prot.WRITE)
    if (error === undefined) model.set(iova, { paddr, size })
    else expect(error.code).toBe('EEXIST')
  }
  expect(model.size).toBeGreaterThan(1500)
  const found: string[] = []
  walkTables(table.geometry, table.roots, table.readMemory, {
    leaf: ({ iova, paddr, size, reserved }) => void found.push(`${iova} ${paddr} ${size.pgsize} ${reserved}`),
    invalid: () => expect.unreachable(),
    unknown: () => expect.unreachable(),
  })
  const order = [...model].sort(([a], [b]) => (a < b ? -1 : 1))
  expect(found).toEqual(order.map(([iova, { paddr, size }]) => `${iova} ${paddr} ${size} 0`))
  for (const [iova, { paddr, size }] of order) {
    const offset = random() % BigInt(size)
    expect(table.iovaToPhys(iova + offset)).toBe(paddr + offset)
    expect(table.unmap(iova, size)).toBe(size)
  }
  table.free()
  expect(pool.stats().live).toBe(0)
})
