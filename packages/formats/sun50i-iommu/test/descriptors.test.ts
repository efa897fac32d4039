/** Descriptors and registers as the manual has them, put together by hand. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { type Sun50iIommuHardware, sun50iIommu } from '../src/index.ts'

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
  expect(page).toMatchObject({ type: 'leaf', index: 0x23, raw: 0xabcd_e042n }) // domain 4, valid
  expect(table.walk(0xfff2_4000n)[1]?.raw).toBe(0xabcd_e022n)
  expect(table.walk(0xfff2_5000n)[1]?.raw).toBe(0xabcd_e032n)
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
  const { geometry, regs } = make()
  const page = (domain: number) => {
    const entry = decode(geometry, geometry.nodes[1]!, 0xabcd_e002n | BigInt(domain << 4))
    if (entry.type !== 'leaf') throw new Error('a page')
    return entry
  }
  const granted = (domain: number, registers: Sun50iIommuHardware) => {
    const [root] = sun50iIommu.rootsFromRegs(registers)
    return sun50iIommu.prot(page(domain).raw, page(domain).kind, root!.context)
  }
  const RW = Prot.READ | Prot.WRITE
  expect([0, 1, 2, 3, 4, 15].map((domain) => granted(domain, regs))).toEqual([RW, 0, Prot.READ, Prot.WRITE, RW, RW])
  // Linux's third write to the domains sets domain 3 in the register that it shares with domain 2, and clears domain 2
  const linux = { ttb: 0x4000_0000n, enable: 1n, bypass: 0n, dmAutCtrl0: 0x0fff_0000n, dmAutCtrl1: 0x0555_0000n }
  expect([1, 2, 3, 4].map((domain) => granted(domain, linux))).toEqual([0, RW, Prot.WRITE, RW])
  // master 3 alone may not write in domain 15
  const one = { ttb: 0x4000_3fffn, dmAutCtrl7: 1n << 23n }
  expect([granted(15, one), granted(15, { ...one, master: 3n })]).toEqual([RW, Prot.READ])
})

test('registers of hardware that does not translate, and values that it cannot have', () => {
  const ttb = 0x4000_3fffn
  expect(sun50iIommu.rootsFromRegs({ ttb })[0]!.roots).toEqual([0x4000_0000n])
  expect(sun50iIommu.rootsFromRegs({ ttb })[0]!.context.assumed).toContain('dmAutCtrl1 0x5550aaa')
  expect(sun50iIommu.rootsFromRegs({ ttb, enable: 0n })).toEqual([])
  expect(sun50iIommu.rootsFromRegs({ ttb, bypass: 2n, master: 1n })).toEqual([])
  expect(sun50iIommu.rootsFromRegs({ ttb, bypass: 2n })).toHaveLength(1)
  expect(() => sun50iIommu.rootsFromRegs({ ttb: 0x1_4000_0000n })).toThrow(/ttb 0x140000000: 32 bits expected/)
  expect(() => sun50iIommu.rootsFromRegs({ ttb, dmAutCtrl3: 1n << 32n })).toThrow(/dmAutCtrl3 0x100000000/)
  expect(() => sun50iIommu.rootsFromRegs({ ttb, master: 6n })).toThrow(/master 6: 0 to 5 expected/)
})

test('the interrupt status says which level, or whose permission', () => {
  const context = { ...sun50iIommu.context(make().config), master: 2 }
  const at = (type: 'translation' | 'permission', level: number) =>
    sun50iIommu.fault!({ type, level, access: 'write', privileged: true, reason: '' }, context).codes.INT_STA
  expect([at('translation', 1), at('translation', 2), at('permission', 2)]).toEqual([0x1_0000, 0x2_0000, 4])
})
