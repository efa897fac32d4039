/** Descriptors and registers put together by hand from the recorded facts, also those that no vector has. */
import { decode, IoPageTable, Prot, pgsizeBitmap, SZ_1M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { omapIommu } from '../src/index.ts'

const SIZES = pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M)

function make(more: object = {}) {
  const pool = new PtPool({ base: 0x8000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(omapIommu, { allocator: pool, pgsizeBitmap: SIZES, ias: 32, oas: 32, ...more })
}

test('the worked values, and the registers', () => {
  const table = make()
  const raw = (iova: bigint, paddr: bigint, size: number) => {
    table.map(iova, paddr, size, Prot.READ | Prot.WRITE)
    return table.walk(iova + BigInt(size) - 1n).at(-1)!.raw
  }
  expect(raw(0x1000n, 0x1234_5000n, SZ_4K)).toBe(0x1234_5002n)
  expect(raw(0x1_0000n, 0x7fff_0000n, SZ_64K)).toBe(0x7fff_0001n)
  expect(raw(0x10_0000n, 0x8000_0000n, SZ_1M)).toBe(0x8000_0002n)
  expect(raw(0x100_0000n, 0xff00_0000n, SZ_16M)).toBe(0xff04_0002n)
  expect(table.walk(0x1000n)[0]!.raw).toBe(0x8000_4001n)
  expect(table.regs).toEqual({ ttb: 0x8000_0000n, cntl: 6n })
})

test('attributes of a table, by level', () => {
  const table = make({ bigEndian: true, elementSize: 32, mixed: true })
  table.map(0x1000n, 0x9000_0000n, SZ_4K, Prot.READ)
  table.map(0x10_0000n, 0x9000_0000n, SZ_1M, Prot.READ)
  expect(table.walk(0x1000n)[1]!.raw).toBe(0x9000_0a22n) // M 11, E 9, ES 5:4 = 2
  expect(table.walk(0x10_0000n)[0]!.raw).toBe(0x9002_8802n) // M 17, E 15, ES 11:10 = 2
  expect(() => make({ elementSize: 64 })).toThrow(/elementSize 64: 8, 16, 32 or 0 expected/)
})

test('codes by level, and registers of an MMU that is off', () => {
  const { geometry } = make()
  const [first, second] = geometry.nodes
  const names = (node: typeof first, raws: bigint[]) => raws.map((raw) => decode(geometry, node!, raw).kind.name)
  expect(names(first, [0n, 1n, 2n, 0x4_0002n, 3n])).toEqual(['fault', 'second-level table', 'section', 'supersection', 'fault (11)'])
  expect(names(second, [0n, 1n, 2n, 3n])).toEqual(['fault', 'large page', 'small page', 'small page'])
  expect(omapIommu.rootsFromRegs({ ttb: 0x8000_7fffn })[0]!.roots).toEqual([0x8000_4000n])
  expect(omapIommu.rootsFromRegs({ ttb: 0x8000_0000n, cntl: 2n })).toEqual([])
  expect(() => omapIommu.rootsFromRegs({ ttb: 1n << 32n })).toThrow(/ttb 0x100000000: 32 bits expected/)
})
