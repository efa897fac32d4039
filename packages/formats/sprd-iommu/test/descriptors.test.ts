/** Descriptors and registers put together by hand from the recorded facts, and the page that has no entry. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { sprdIommu } from '../src/index.ts'

function make() {
  const pool = new PtPool({ base: 0x8000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(sprdIommu, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 40, oas: 40 })
}

test('the worked values: entries and the register hold page numbers', () => {
  const table = make()
  expect(table.config).toMatchObject({ ias: 28, oas: 32 })
  table.map(0x1000n, 0x5000_0000n, SZ_4K, Prot.READ)
  table.map(0xfff_f000n, 0xffff_f000n, SZ_4K, Prot.READ | Prot.WRITE)
  expect(table.walk(0x1000n)).toMatchObject([{ type: 'leaf', raw: 0x5_0000n }])
  expect(table.walk(0xfff_f000n)).toMatchObject([{ type: 'leaf', index: 0xffff, raw: 0xf_ffffn }])
  expect(table.regs).toEqual({ firstVpn: 0n, vpnRange: 0xffffn, firstPpn: 0x8_0000n })
  expect(decode(table.geometry, table.geometry.nodes[0]!, 0x10_0001n)).toMatchObject({ type: 'leaf', paddr: 0x1000n, reserved: 0x10_0000n })
})

test('page 0 would be the empty entry: it is refused by every way, and nothing is mapped', () => {
  const table = make()
  const reason = 'paddr 0x0: at least 0x1000 expected'
  expect(table.mapPages(0x1000n, 0n, SZ_4K, 1, Prot.READ)).toMatchObject({ mapped: 0, error: { code: 'EINVAL' } })
  expect(table.mapPages(0x1000n, 0n, SZ_4K, 3, Prot.READ).error?.message).toContain(reason)
  expect(table.mapRange(0x1000n, 0n, 2 * SZ_4K, Prot.READ).error?.message).toContain(reason)
  expect(table.iovaToPhys(0x1000n)).toBeUndefined()
  expect(table.mapPages(0x1000n, 0x1000n, SZ_4K, 1, Prot.READ).mapped).toBe(SZ_4K)
})

test('registers of a dump: the window is the table', () => {
  const found = sprdIommu.rootsFromRegs({ firstPpn: 0x8_0040n, vpnRange: 0xfffn })
  expect(found).toMatchObject([{ roots: [0x8004_0000n], params: { ias: 24 }, last: 0xff_ffffn }])
  expect(sprdIommu.rootsFromRegs({ firstPpn: 0x8_0040n, cfg: 0n })).toEqual([])
  expect(sprdIommu.rootsFromRegs({ firstPpn: 0x8_0040n, cfg: 0x11n })).toEqual([])
  expect(() => sprdIommu.rootsFromRegs({ firstPpn: 0n, vpnRange: 0xffen })).toThrow(/vpnRange 0xffe/)
  expect(() => sprdIommu.rootsFromRegs({ firstPpn: 0n, firstVpn: 1n })).toThrow(/firstVpn 0x1/)
  expect(() => sprdIommu.rootsFromRegs({ firstPpn: 1n << 32n })).toThrow(/firstPpn 0x100000000: 32 bits/)
})
