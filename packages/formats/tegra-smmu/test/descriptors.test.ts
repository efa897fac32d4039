/** Descriptors and registers put together by hand from the recorded facts, also those that no vector has. */
import { decode, IoPageTable, Prot, pgsizeBitmap, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { tegraSmmu } from '../src/index.ts'

const SZ_4M = 4 * SZ_1M
const SIZES = pgsizeBitmap(SZ_4K, SZ_4M)

function make(variant: 'tegra30' | 'tegra210', base: bigint) {
  const pool = new PtPool({ base, size: SZ_1M })
  return IoPageTable.createRaw(tegraSmmu, { allocator: pool, variant, pgsizeBitmap: SIZES, ias: 32, oas: 34 })
}

test('the worked values: entries and SMMU_PTB_DATA hold page numbers', () => {
  const table = make('tegra210', 0x3_4000_0000n)
  table.map(0x1000n, 0x3_1234_5000n, SZ_4K, Prot.READ | Prot.WRITE)
  table.map(0x2000n, 0x1234_5000n, SZ_4K, Prot.READ)
  table.map(0x3000n, 0x1234_5000n, SZ_4K, Prot.WRITE)
  expect([0x1000n, 0x2000n, 0x3000n].map((iova) => table.walk(iova)[1]!.raw)).toEqual([0xe031_2345n, 0xa001_2345n, 0x6001_2345n])
  expect(table.walk(0x1000n)[0]!.raw).toBe(0xf034_0001n)
  expect(table.regs.ptbData).toBe(0xe034_0000n)
  expect(make('tegra30', 0x8000_0000n).config).toMatchObject({ variant: 'tegra30', oas: 32 })
})

test('a section of 4 MiB, by the description of the K1', () => {
  const table = make('tegra210', 0x3_4000_0000n)
  table.map(0x40_0000n, 0x3_ffc0_0000n, SZ_4M, Prot.READ)
  expect(table.walk(0x40_0000n)).toMatchObject([{ type: 'leaf', raw: 0xa03f_fc00n }])
  expect(table.iovaToPhys(0x7f_ffffn)).toBe(0x3_ffff_ffffn)
})

test('entries by bit 28, and rights that the directory or the register takes away', () => {
  const { geometry } = make('tegra30', 0x8000_0000n)
  const [directory, pages] = geometry.nodes
  const types = [0n, 0x2000_0000n, 0xf008_0001n].map((raw) => decode(geometry, directory!, raw).type)
  expect(types).toEqual(['empty', 'leaf', 'table'])
  expect(decode(geometry, pages!, 0xf00f_ffffn)).toMatchObject({ type: 'leaf', reserved: 0x1000_0000n })
  const entry = decode(geometry, directory!, 0xb008_0001n)
  if (entry.type !== 'table') throw new Error('a table')
  expect(entry.kind.limits!.of({ Readable: 1, Writable: 0 }, undefined)).toBe(0b101_101)
  const [root] = tegraSmmu.rootsFromRegs({ variant: 'tegra30', ptbData: 0xaff8_0000n })
  expect(root).toMatchObject({ roots: [0x8000_0000n], params: { width: 32 } })
  expect(tegraSmmu.regime!(root!.context)(0b011_011)).toBe(0b001_001)
  expect(tegraSmmu.rootsFromRegs({ ptbData: 0xe008_0000n, config: 0n })).toEqual([])
  expect(() => tegraSmmu.rootsFromRegs({ ptbData: 1n << 32n })).toThrow(/ptbData 0x100000000: 32 bits expected/)
})
