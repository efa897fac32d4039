/** Descriptors and registers as the manual has them, put together by hand. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { sun50iIommu } from '../src/index.ts'

function make() {
  const pool = new PtPool({ base: 0x4000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(sun50iIommu, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 })
}

test('pages of each domain, their table and the register are the bits of the manual', () => {
  const table = make()
  const rights = [Prot.READ | Prot.WRITE, Prot.READ, Prot.WRITE]
  for (const [i, prot] of rights.entries()) table.map(0xfff2_3000n + BigInt(i * SZ_4K), 0xabcd_e000n, SZ_4K, prot)

  const [entry, page] = table.walk(0xfff2_3fffn)
  expect(entry).toMatchObject({ type: 'table', index: 0xfff, raw: 0x4000_4001n }) // the 1 KiB after the 16 KiB of the root, 01
  expect(page).toMatchObject({ type: 'leaf', index: 0x23, raw: 0xabcd_e002n }) // domain 0, valid
  expect(table.walk(0xfff2_4000n)[1]?.raw).toBe(0xabcd_e012n)
  expect(table.walk(0xfff2_5000n)[1]?.raw).toBe(0xabcd_e022n)
  expect(table.regs.ttb).toBe(0x4000_0000n)
})

test('codes that are no table are faults, whatever else they hold', () => {
  const { geometry } = make()
  const [level1, level2] = geometry.nodes
  const types = [0n, 1n, 2n, 3n].map((code) => decode(geometry, level1!, 0x4000_4000n | code).type)
  expect(types).toEqual(['empty', 'table', 'invalid', 'invalid'])
  expect(decode(geometry, level2!, 0xabcd_eff1n).type).toBe('empty')
  expect(decode(geometry, level2!, 0xabcd_e013n)).toMatchObject({ type: 'leaf', paddr: 0xabcd_e000n, reserved: 1n })
})

test('what a page grants is what the domain registers say', () => {
  const { geometry } = make()
  const entry = decode(geometry, geometry.nodes[1]!, 0xabcd_e0f2n)
  if (entry.type !== 'leaf') throw new Error('a page')
  const [own] = sun50iIommu.rootsFromRegs({ ttb: 0x4000_0000n })
  const [other] = sun50iIommu.rootsFromRegs({ ttb: 0x4000_3fffn, domains: [...Array<number>(15).fill(3), 0] })
  expect(sun50iIommu.prot(entry.raw, entry.kind, own!.context)).toBe(Prot.READ | Prot.WRITE)
  expect(sun50iIommu.prot(entry.raw, entry.kind, other!.context)).toBe(0)
  expect(other!.roots).toEqual([0x4000_0000n])
  expect(sun50iIommu.rootsFromRegs({ ttb: 0x4000_0000n, enable: 0n })).toEqual([])
  expect(() => sun50iIommu.rootsFromRegs({ ttb: 0x1_4000_0000n })).toThrow(/TTB 0x140000000/)
})
