/** Descriptors and registers put together by hand from the recorded facts, also those that no vector has. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { mtkIommuV1 } from '../src/index.ts'

test('the worked values, in the one table of 4 MiB', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 8 * SZ_1M })
  const table = IoPageTable.createRaw(mtkIommuV1, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 40, oas: 40 })
  expect(table.config).toMatchObject({ ias: 32, oas: 32 })
  table.map(0x1000n, 0x5000_0000n, SZ_4K, Prot.READ)
  table.map(0xffff_f000n, 0xffff_f000n, SZ_4K, Prot.READ | Prot.WRITE)
  expect(table.walk(0x1000n)).toMatchObject([{ type: 'leaf', index: 1, raw: 0x5000_000an }])
  expect(table.walk(0xffff_f000n)).toMatchObject([{ type: 'leaf', index: 0xf_ffff, raw: 0xffff_f00an }])
  expect([table.tableBytes, table.regs.ptBaseAddr]).toEqual([4 * SZ_1M, 0x8000_0000n])
  expect(decode(table.geometry, table.geometry.nodes[0]!, 0x5000_0008n).type).toBe('empty')
  table.free()
})

test('the register of a dump, and values that it cannot have', () => {
  const found = (ias?: number) => mtkIommuV1.rootsFromRegs({ ptBaseAddr: 0x8000_0fffn, ...(ias !== undefined && { ias }) })
  expect(found()[0]).toMatchObject({ roots: [0x8000_0000n], last: 0xffff_ffffn })
  expect(found(20)[0]).toMatchObject({ params: { ias: 20 }, last: 0xf_ffffn })
  expect(() => found(33)).toThrow(/ias 33: an integer from 16 to 32 expected/)
  expect(() => mtkIommuV1.rootsFromRegs({ ptBaseAddr: 1n << 32n })).toThrow(/ptBaseAddr 0x100000000: 32 bits expected/)
})
