/** Descriptors and registers put together by hand from the recorded facts, also those that no vector has. */
import { decode, IoPageTable, Prot, pgsizeBitmap, SZ_1M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { exynosSysmmu } from '../src/index.ts'

const SIZES = pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M)
const RW = Prot.READ | Prot.WRITE

function make(variant: 'v1' | 'v5', base: bigint) {
  const pool = new PtPool({ base, size: SZ_1M })
  return IoPageTable.createRaw(exynosSysmmu, { allocator: pool, variant, pgsizeBitmap: SIZES, ias: 32, oas: 36 })
}

test('the worked values of v1', () => {
  const table = make('v1', 0x8000_0000n)
  const raw = (iova: bigint, paddr: bigint, size: number, prot: Prot) => {
    table.map(iova, paddr, size, prot)
    return table.walk(iova).at(-1)!.raw
  }
  expect(raw(0x1000n, 0x1234_5000n, SZ_4K, RW)).toBe(0x1234_5012n)
  expect(raw(0x2000n, 0x1234_5000n, SZ_4K, Prot.READ)).toBe(0x1234_5212n)
  expect(raw(0x3000n, 0x1234_5000n, SZ_4K, Prot.WRITE)).toBe(0x1234_5012n)
  expect(raw(0x1_0000n, 0x7fff_0000n, SZ_64K, Prot.READ)).toBe(0x7fff_0211n)
  expect(raw(0x10_0000n, 0x8000_0000n, SZ_1M, RW)).toBe(0x8000_0402n)
  expect(raw(0x20_0000n, 0xfff0_0000n, SZ_1M, Prot.READ)).toBe(0xfff0_8402n)
  expect(table.regs.flptBase).toBe(0x8000_0000n)
})

test('the worked values of v5: everything is shifted right by 4', () => {
  const table = make('v5', 0xc_98c0_0000n)
  table.map(0x1000n, 0xf_1234_5000n, SZ_4K, RW)
  table.map(0x1_0000n, 0xa_7fff_0000n, SZ_64K, Prot.READ)
  table.map(0x10_0000n, 0x5_8000_0000n, SZ_1M, RW)
  expect([0x1000n, 0x1_f000n, 0x10_0000n].map((iova) => table.walk(iova).at(-1)!.raw)).toEqual([0xf123_450en, 0xa7ff_f005n, 0x5800_0032n])
  expect(table.walk(0x1000n)[0]!.raw).toBe(0xc98c_0401n) // the 1 KiB after the 16 KiB of the root
  expect(table.regs.flptBase).toBe(0xc9_8c00n)
})

test('a root that Linux filled with links to its table of zeros is an ordinary tree without pages', () => {
  const { geometry } = make('v1', 0x8000_0000n)
  const [first, second] = geometry.nodes
  expect(decode(geometry, first!, 0x8765_4401n)).toMatchObject({ type: 'table', next: 0x8765_4400n, reserved: 0n })
  expect([0n, 1n, 2n, 3n].map((code) => decode(geometry, first!, code).type)).toEqual(['empty', 'table', 'leaf', 'invalid'])
  expect([0n, 1n, 2n, 3n].map((code) => decode(geometry, second!, code).kind.name)).toEqual([
    'fault',
    'large page',
    'small page',
    'small page',
  ])
})

test('registers of an MMU that is off, and values that it cannot have', () => {
  const root = (variant: 'v1' | 'v5', flptBase: bigint) => exynosSysmmu.rootsFromRegs({ variant, flptBase })[0]!.roots[0]
  expect([root('v1', 0x8000_4fffn), root('v5', 0xc9_8c47n)]).toEqual([0x8000_4000n, 0xc_98c4_4000n])
  expect(exynosSysmmu.rootsFromRegs({ flptBase: 0x8000_4000n, ctrl: 0n })).toEqual([])
  expect(() => exynosSysmmu.rootsFromRegs({ flptBase: 1n << 32n })).toThrow(/flptBase 0x100000000: 32 bits expected/)
})
