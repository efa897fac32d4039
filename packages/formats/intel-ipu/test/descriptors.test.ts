/** Entries and the register put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { intelIpu } from '../src/index.ts'

const DUMMIES = { dummyPage: 0x9400_0000n, dummyTable: 0x9400_1000n }

function make(more: Partial<Parameters<typeof intelIpu.configure>[0]> = {}) {
  const pool = new PtPool({ base: 0x4000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(intelIpu, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 39, ...DUMMIES, ...more })
}

test('entries are page numbers, the unused ones those of the dummies', () => {
  const table = make()
  table.map(0xffff_e000n, 0x71_2345_6000n, SZ_4K, Prot.READ | Prot.WRITE)
  const [l1, page] = table.walk(0xffff_e000n)
  expect(l1).toMatchObject({ type: 'table', index: 1023, raw: 0x4_0001n })
  expect(page).toMatchObject({ type: 'leaf', index: 1022, raw: 0x712_3456n })
  expect(table.walk(0xffff_f000n)[1]).toMatchObject({ type: 'empty', raw: 0x9_4000n })
  expect(table.walk(0n)).toMatchObject([{ type: 'empty', raw: 0x9_4001n }])
  expect(table.regs).toEqual({ l1Phys: 0x4_0000n })
  const [found] = intelIpu.rootsFromRegs({ ...table.regs, ...DUMMIES })
  expect(found?.roots).toEqual([0x4000_0000n])
  expect(decode(table.geometry, table.geometry.nodes[1]!, 0xf800_0001n)).toMatchObject({
    type: 'leaf',
    paddr: 0x1000n,
    reserved: 0xf800_0000n,
  })
})

test('dummies are pages, and two', () => {
  expect(() => make({ dummyPage: 0x123n })).toThrow(/dummyPage 0x123: a multiple of 4K below 2\^39/)
  expect(() => make({ dummyTable: DUMMIES.dummyPage })).toThrow(/dummyTable 0x94000000: another page/)
  expect(() => intelIpu.rootsFromRegs({ l1Phys: 1n << 27n, ...DUMMIES })).toThrow(/L1_PHYS 0x8000000: 27 bits/)
})
