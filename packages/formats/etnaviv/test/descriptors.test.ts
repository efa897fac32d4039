/** Entries and registers put together by hand from the README's tables. */
import { IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { type EtnavivConfig, etnaviv } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE

function make(config: Partial<EtnavivConfig>) {
  const pool = new PtPool({ base: 0x4000_0000n, size: 4 * SZ_1M })
  return IoPageTable.createRaw(etnaviv, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 40, ...config })
}

test('MMUv2: MTLB, STLB and registers', () => {
  const table = make({ badPage: 0x12_9400_0000n })
  table.map(0x8000_0000n, 0xff_1234_5000n, SZ_4K, RW)
  table.map(0x8000_1000n, 0xff_1234_5000n, SZ_4K, Prot.READ)
  const [mtlb, page] = table.walk(0x8000_0fffn)
  expect(mtlb).toMatchObject({ type: 'table', index: 0x200, raw: 0x4000_1001n })
  expect(page).toMatchObject({ type: 'leaf', index: 0, raw: 0x1234_5ff5n })
  expect(table.walk(0x8000_1000n)[1]?.raw).toBe(0x1234_5ff1n)
  expect(table.walk(0x8000_2000n)[1]).toMatchObject({ type: 'empty', raw: 2n }) // the exception bit
  expect(table.regs).toEqual({
    configuration: 0x4000_0000n,
    safeAddress: 0x9400_0000n,
    control: 1n,
    ptaAddress: 0n,
    ptaConfig: 0n,
    safeAddressConfig: 0x12_0012n,
  })
  expect(() => etnaviv.rootsFromRegs({ configuration: 0x4000_0001n })).toThrow(/MODE 1/)
  expect(etnaviv.rootsFromRegs({ configuration: 0x4000_0000n, control: 0n })).toEqual([])
})

test('MMUv2 with a table of contexts: the context’s entry leads to the MTLB', () => {
  const { regs } = make({ pta: 0x7000_0000n, context: 3 })
  const entry = new Uint8Array([0, 0x10, 0, 0x40, 0, 0, 0, 0])
  const read = (paddr: bigint) => (paddr === 0x7000_0018n ? entry : undefined)
  expect(etnaviv.rootsFromRegs(regs as { configuration: bigint; ptaAddress: bigint; ptaConfig: bigint }, read)[0]?.roots).toEqual([
    0x4000_1000n,
  ])
  expect(() => etnaviv.rootsFromRegs({ ptaAddress: 0x7000_0000n, ptaConfig: 4n }, read)).toThrow(/0x70000020/)
  expect(() => etnaviv.rootsFromRegs({ ptaAddress: 0x7000_0000n })).toThrow(/PTA_ADDRESS: memory to read the entry at 0x70000000 from/)
})

test('MMUv1: a flat table of addresses, the unused ones those of the bad page', () => {
  const table = make({ version: 1, ias: 31, oas: 32, badPage: 0x9400_0000n })
  table.map(0x8000_1000n, 0x1234_5000n, SZ_4K, Prot.READ)
  expect(table.walk(0x8000_1000n)).toMatchObject([{ type: 'leaf', index: 1, raw: 0x1234_5000n }])
  expect(table.walk(0xffff_f000n)).toMatchObject([{ type: 'empty', index: 524_287, raw: 0x9400_0000n }])
  expect(table.regs).toEqual({ pageTable: 0x4000_0000n })
  expect(etnaviv.rootsFromRegs({ pageTable: 0x4000_0000n, badPage: 0x9400_0000n })[0]).toMatchObject({ first: 0x8000_0000n })
  expect(() => make({ version: 1, ias: 31, oas: 32, badPage: 0x12_0000_0000n })).toThrow(
    /badPage 0x1200000000: a multiple of 4K below 2\^32/,
  )
})
