/** What is this format's own when the engine runs it: where tables may lie, the root's size, repeated entries, prefixes, typed registers. */
import { IoPageTable, type IoPgtableError, Prot, pgsizeBitmap, SZ_1M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { type ArmV7sConfig, type ArmV7sRegs, armV7s } from '../src/index.ts'

const CONFIG: ArmV7sConfig = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }
const MTK: ArmV7sConfig = { ...CONFIG, ias: 34, oas: 35, quirks: ['NO_PERMS', 'ARM_MTK_EXT'] }
const MTK_TTBR: ArmV7sConfig = { ...MTK, quirks: ['NO_PERMS', 'ARM_MTK_EXT', 'ARM_MTK_TTBR_EXT'] }
const RW = Prot.READ | Prot.WRITE
const GiB = 1n << 30n

function newPool(base = 0x8000_0000n, size: number = 4 * SZ_1M): PtPool {
  return new PtPool({ base, size })
}

function errorOf(call: () => unknown): IoPgtableError {
  try {
    call()
  } catch (error) {
    return error as IoPgtableError
  }
  throw new Error('nothing was thrown')
}

describe('where tables may lie', () => {
  test.each([
    ['arm-v7s', CONFIG],
    ['ARM_MTK_EXT', MTK],
  ])('%s: a pool at 4 GiB is refused, and the limit named', (_name, config) => {
    const allocator = newPool(4n * GiB)
    const error = errorOf(() => IoPageTable.createRaw(armV7s, { ...config, allocator }))
    expect(error).toMatchObject({ code: 'ENOMEM', message: expect.stringContaining('0x100000000') })
    expect(allocator.stats().live).toBe(0)
  })
  test('ARM_MTK_TTBR_EXT: up to 2^oas', () => {
    const table = IoPageTable.createRaw(armV7s, { ...MTK_TTBR, allocator: newPool(16n * GiB) })
    table.map(0x2_0000_1000n, 0x7_1234_5000n, SZ_4K, RW)
    expect(table.regs.ttbr).toBe((table.roots[0] ?? 0n) - 16n * GiB + 4n)
    expect(table.iovaToPhys(0x2_0000_1abcn)).toBe(0x7_1234_5abcn)
    const error = errorOf(() => IoPageTable.createRaw(armV7s, { ...MTK_TTBR, oas: 33, allocator: newPool(8n * GiB) }))
    expect(error).toMatchObject({ code: 'ENOMEM', message: expect.stringContaining('0x200000000') })
  })
  test('a pool across 4 GiB is used up to there', () => {
    const table = IoPageTable.createRaw(armV7s, { ...CONFIG, allocator: newPool(4n * GiB - 0x20_0000n) })
    const room = (0x20_0000 - 16 * 1024) / 1024
    for (let i = 0; i < room; i++) table.map(BigInt(i * SZ_1M), 0n, SZ_4K, RW)
    const { mapped, error } = table.mapPages(BigInt(room * SZ_1M) - 0x1000n, 0n, SZ_4K, 2, RW)
    expect([mapped, error?.code]).toEqual([SZ_4K, 'ENOMEM'])
  })
})

test('a root has 4 bytes for each MiB, and 128-byte alignment whatever its size', () => {
  const allocator = newPool()
  for (const [config, bytes] of [
    [CONFIG, 16_384],
    [{ ...CONFIG, ias: 31 }, 8192],
    [MTK, 65_536],
  ] as const)
    expect(IoPageTable.createRaw(armV7s, { ...config, allocator }).tableBytes).toBe(bytes)
  const small = newPool()
  const roots = Array.from({ length: 8 }, () => IoPageTable.createRaw(armV7s, { ...CONFIG, ias: 24, allocator: small }))
  expect(new Set(roots.map(({ regs }) => regs.ttbr & 0x7fn))).toEqual(new Set([0x6an]))
  for (const table of roots) table.free()
  for (let i = 0; i < 8; i++) {
    const table = IoPageTable.createRaw(armV7s, { ...CONFIG, ias: 24, allocator: small })
    expect([table.tableBytes, table.regs.ttbr & 0x7fn]).toEqual([64, 0x6an])
    table.map(0xff_f000n, 0n, SZ_4K, RW)
    expect(table.iovaToPhys(0xff_ffffn)).toBe(0xfffn)
    table.free()
    expect(small.stats().live).toBe(0)
  }
})

test('a bitmap of sizes that the format has not is agreed as empty, as Linux does: nothing can be mapped', () => {
  const table = IoPageTable.createRaw(armV7s, { ...CONFIG, pgsizeBitmap: 0x2000n, allocator: newPool() })
  expect(table.config.pgsizeBitmap).toBe(0n)
  expect(table.mapPages(0n, 0n, 0x2000, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EINVAL' } })
  expect(table.mapRange(0n, 0n, SZ_4K, RW)).toMatchObject({ mapped: 0, error: { code: 'EINVAL' } })
  expect(table.iovaToPhys(0n)).toBeUndefined()
})

test('large pages and supersections are 16 equal entries, found from any of them', () => {
  const table = IoPageTable.createRaw(armV7s, { ...CONFIG, allocator: newPool() })
  table.map(0x100_0000n, 0x8100_0000n, SZ_16M, RW)
  table.map(0x3_0000n, 0x8003_0000n, SZ_64K, RW)
  for (let i = 0; i < 16; i++) {
    expect(table.walk(BigInt(0x100_0000 + i * SZ_1M)).map(({ raw }) => raw)).toEqual([0x8107_1c02n])
    expect(table.walk(BigInt(0x3_0000 + i * SZ_4K)).at(-1)?.raw).toBe(0x8003_1c31n)
  }
  expect(table.iovaToPhys(0x1ab_cdefn)).toBe(0x81ab_cdefn)
})

test('a conflict leaves the prefix and is told with it', () => {
  const warnings: string[] = []
  const table = IoPageTable.createRaw(armV7s, { ...CONFIG, allocator: newPool(), onWarn: ({ code }) => warnings.push(code) })
  table.map(0x20_4000n, 0n, SZ_4K, RW)
  const { mapped, error } = table.mapPages(0x1f_0000n, 0x8000_0000n, SZ_4K, 64, RW)
  expect([mapped, error?.code]).toEqual([20 * SZ_4K, 'EEXIST'])
  expect(warnings).toEqual(['EEXIST'])
  expect(table.unmap(0x1f_0000n, mapped)).toBe(mapped)
  expect(table.iovaToPhys(0x20_4000n)).toBe(0n)
})

test('a part of a large page or supersection is not unmapped', () => {
  const warnings: string[] = []
  const table = IoPageTable.createRaw(armV7s, { ...CONFIG, allocator: newPool(), onWarn: ({ message }) => warnings.push(message) })
  table.map(0n, 0x8000_0000n, SZ_16M, RW)
  table.map(0x100_0000n, 0x8000_0000n, SZ_64K, RW)
  expect(table.unmapPages(0n, SZ_1M, 16)).toBe(0)
  expect(table.unmapPages(0x80_0000n, SZ_4K, 1)).toBe(0)
  expect(table.unmapPages(0x100_0000n, SZ_4K, 16)).toBe(0)
  expect(warnings).toHaveLength(3)
  expect(table.unmapPages(0n, SZ_16M, 1)).toBe(SZ_16M)
  expect(table.unmapPages(0x100_0000n, SZ_64K, 1)).toBe(SZ_64K)
})

test('registers, configuration and hardware are typed by the format', () => {
  const table = IoPageTable.createRaw(armV7s, { ...CONFIG, allocator: newPool() })
  expectTypeOf(table.regs).toEqualTypeOf<ArmV7sRegs>()
  expectTypeOf(table.config.quirks).toEqualTypeOf<readonly ('ARM_NS' | 'NO_PERMS' | 'ARM_MTK_EXT' | 'ARM_MTK_TTBR_EXT')[]>()
  expectTypeOf(table.context.prrr).toEqualTypeOf<number>()
  expect(table.regs).toEqual({ ttbr: (table.roots[0] ?? 0n) | 0x6an, tcr: 0, nmrr: 0x4000_4000, prrr: 0x800b_8204 })
  const { ttbr, prrr, nmrr } = table.regs
  const raws = { ttbr0: ttbr, prrr: BigInt(prrr), nmrr: BigInt(nmrr) }
  expect(armV7s.rootsFromRegs(raws)[0]).toMatchObject({ roots: table.roots, context: table.context })
  const wrong = () =>
    IoPageTable.createRaw(armV7s, {
      ...CONFIG,
      allocator: newPool(),
      // @ts-expect-error a quirk of another format
      quirks: ['ARM_TTBR1'],
    })
  expect(wrong).toThrow(/ARM_TTBR1/)
})
