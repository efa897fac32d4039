/** Descriptors as the manual has them, put together by hand: the one test that a consistent mistake in the declaration cannot pass. */
import { IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { acmeIommu } from '../src/index.ts'

test('a page, its table, a section and the register are the bits of the manual', () => {
  const [configuration] = acmeIommu.configs
  const pool = new PtPool({ base: 0x8000_0000n, size: SZ_1M })
  const table = IoPageTable.createRaw(acmeIommu, { allocator: pool, ...configuration!.config })
  table.map(0x12_3000n, 0xabcd_e000n, SZ_4K, Prot.READ)
  table.map(0x20_0000n, 0xcba0_0000n, SZ_1M, Prot.READ | Prot.WRITE | Prot.CACHE)

  const [entry, page] = table.walk(0x12_3000n)
  expect(entry).toMatchObject({ type: 'table', index: 1, raw: 0x8000_0401n }) // the next 1 KiB of the pool, P
  expect(page).toMatchObject({ type: 'leaf', index: 0x23, raw: 0xabcd_e005n }) // R, P
  expect(table.walk(0x20_0000n)).toMatchObject([{ type: 'leaf', index: 2, raw: 0xcba0_001fn }]) // C, W, R, S, P
  expect(table.regs).toEqual({ base: 0x8000_0001n })
})
