/** Descriptors and registers put together by hand from the recorded facts, also those that no vector has. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { rockchipIommu } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE

function make(variant: 'v1' | 'v2', base: bigint) {
  const pool = new PtPool({ base, size: SZ_1M })
  return IoPageTable.createRaw(rockchipIommu, { allocator: pool, variant, pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 40 })
}

test('the worked values of v2: scattered nibbles in pages, tables and the register', () => {
  const table = make('v2', 0xb3_28a0_0000n)
  table.map(0x1000n, 0xa7_80d7_a000n, SZ_4K, RW)
  table.map(0x2000n, 0xf0_0000_0000n, SZ_4K, Prot.READ)
  const [entry, page] = table.walk(0x1000n)
  expect(page!.raw).toBe(0x80d7_a7a7n)
  expect(table.walk(0x2000n)[1]!.raw).toBe(0x0000_00f3n)
  expect(entry!.raw).toBe(0x28a0_13b1n) // the next 4 KiB of the pool
  expect(table.regs.dteAddr).toBe(0x28a0_03b1n)
  expect(table.iovaToPhys(0x1abcn)).toBe(0xa7_80d7_aabcn)
})

test('the worked values of v1, and the cache bits of Lima', () => {
  const table = make('v1', 0x8000_0000n)
  expect(table.config).toMatchObject({ variant: 'v1', oas: 32 })
  table.map(0x1000n, 0x1234_5000n, SZ_4K, RW)
  table.map(0x2000n, 0x1234_5000n, SZ_4K, Prot.READ)
  expect([0x1000n, 0x2000n].map((iova) => table.walk(iova)[1]!.raw)).toEqual([0x1234_5007n, 0x1234_5003n])
  expect(table.walk(0x1000n)[0]!.raw).toBe(0x8000_1001n)
  const lima = decode(table.geometry, table.geometry.nodes[1]!, 0x1234_51dfn)
  if (lima.type !== 'leaf') throw new Error('a page')
  const values = { Override: 1, 'Write cacheable': 1, 'Read cacheable': 1 }
  expect(lima.kind.memory!.of(values, undefined)).toEqual({ name: 'cacheable', caching: 'cached' })
  expect(lima.reserved).toBe(0n)
  expect(decode(table.geometry, table.geometry.nodes[1]!, 0x1234_5006n).type).toBe('empty') // what Linux's unmap leaves
})

test('the version is told by the register where nobody says it; paging that is off has no root', () => {
  const roots = (dteAddr: bigint) => rockchipIommu.rootsFromRegs({ dteAddr })[0]
  expect(roots(0x28b7_43b1n)).toMatchObject({ roots: [0xb3_28b7_4000n], params: { variant: 'v2', oas: 40 } })
  expect(roots(0x8000_0001n)).toMatchObject({ roots: [0x8000_0000n], params: { variant: 'v1', oas: 32 } })
  expect(rockchipIommu.rootsFromRegs({ dteAddr: 0x8000_0001n, status: 0n })).toEqual([])
  expect(() => rockchipIommu.rootsFromRegs({ dteAddr: 1n << 32n })).toThrow(/dteAddr 0x100000000: 32 bits expected/)
})

test('a fault as MMU_STATUS and MMU_INT_RAWSTAT tell it', () => {
  const fault = (access: 'read' | 'write', type: 'translation' | 'unknown-memory') =>
    rockchipIommu.fault!({ type, access, level: 2, privileged: true, reason: '' }, undefined).codes
  expect(fault('write', 'translation')).toEqual({ INT_RAWSTAT: 1, STATUS: 0x23 })
  expect(fault('read', 'unknown-memory')).toEqual({ INT_RAWSTAT: 2, STATUS: 3 })
})
