/** Entries and the register put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { gma500Sgx } from '../src/index.ts'

test('pages of all rights, their table and the register', () => {
  const pool = new PtPool({ base: 0x4000_0000n, size: SZ_1M })
  const table = IoPageTable.createRaw(gma500Sgx, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 })
  table.map(0x8000_0000n, 0xff34_5000n, SZ_4K, Prot.READ | Prot.CACHE)
  table.map(0x8000_1000n, 0x0000_1000n, SZ_4K, Prot.WRITE)
  table.map(0x8000_2000n, 0xffff_f000n, SZ_4K, Prot.READ | Prot.WRITE | Prot.MMIO)
  const [entry, page] = table.walk(0x8000_0fffn)
  expect(entry).toMatchObject({ type: 'table', index: 0x200, raw: 0x4000_1001n })
  expect(page).toMatchObject({ type: 'leaf', index: 0, raw: 0xff34_500dn })
  expect(table.walk(0x8000_1000n)[1]?.raw).toBe(0x0000_1003n)
  expect(table.walk(0x8000_2000n)[1]?.raw).toBe(0xffff_f001n)
  expect(table.regs).toEqual({ dirListBase: 0x4000_0000n })
  expect(() => table.map(0n, 0n, SZ_4K, Prot.READ | Prot.PRIV)).toThrow(/cannot express/)
  const [pd, pt] = table.geometry.nodes
  expect(decode(table.geometry, pd!, 0x4000_1fffn)).toMatchObject({ type: 'table', reserved: 0xffen })
  expect(decode(table.geometry, pt!, 0xff34_500en).type).toBe('empty')
  expect(() => gma500Sgx.rootsFromRegs({ dirListBase: 1n << 32n })).toThrow(/BIF_DIR_LIST_BASE 0x100000000: 32 bits/)
})
