/** Entries and registers put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, pgsizeBitmap, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { habana } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const BASE = 0x1_2340_0000_0000n

function make(config: Parameters<typeof habana.configure>[0]) {
  return IoPageTable.createRaw(habana, { allocator: new PtPool({ base: BASE, size: SZ_1M }), ...config })
}

test('version 1: five hops to a page, four to a large one', () => {
  const table = make({ version: 1, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 50, oas: 50 })
  table.map(0x1_0000_0000_1000n, 0xff_1234_5000n, SZ_4K, RW)
  table.map(0x3_ff7f_ffe0_0000n, 0x1_ffff_ffe0_0000n, SZ_2M, RW)
  const small = table.walk(0x1_0000_0000_1000n)
  expect(small.map(({ index }) => index)).toEqual([1, 0, 0, 0, 1])
  expect(small.map(({ raw }) => raw)).toEqual([1n, 2n, 3n, 4n].map((n) => BASE + n * 0x1000n + 1n).concat(0xff_1234_5801n))
  expect(table.walk(0x3_ff7f_ffe0_0000n).map(({ index }) => index)).toEqual([3, 510, 511, 511])
  expect(table.walk(0x3_ff7f_ffe0_0000n).at(-1)?.raw).toBe(0x1_ffff_ffe0_0801n)
  expect(table.regs).toEqual({ hop0Pa43: 0x3400_0000n, hop0Pa63: 0x12n })
  expect(habana.rootsFromRegs({ ...table.regs, version: 1n })[0]?.roots).toEqual([BASE])
})

test('version 2: six hops, by the size of a page', () => {
  const small = make({ version: 2, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 64, oas: 57 })
  small.map(0xfff0_0000_0000_0000n, 0xff_1234_5000n, SZ_4K, RW)
  expect(small.walk(0xfff0_0000_0000_0000n).map(({ index }) => index)).toEqual([127, 496, 0, 0, 0, 0])
  const large = make({ pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_16M), ias: 64, oas: 57 })
  large.map(0xfff0_0000_0001_0000n, 0xff_1235_0000n, SZ_64K, RW)
  expect(large.walk(0xfff0_0000_0001_0000n).map(({ index }) => index)).toEqual([255, 240, 0, 0, 0, 1])
  expect(large.walk(0xfff0_0000_0001_0000n).at(-1)?.raw).toBe(0xff_1235_0801n)
})

test('what no hop has is told', () => {
  const { geometry } = make({ version: 1, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 50, oas: 50 })
  expect(decode(geometry, geometry.nodes[0]!, 0x801n).type).toBe('invalid') // a page in hop 0
  expect(decode(geometry, geometry.nodes[4]!, 0x1001n).type).toBe('invalid') // a table below the last hop
  expect(decode(geometry, geometry.nodes[3]!, 0x20_1801n)).toMatchObject({ type: 'leaf', paddr: 0x20_0000n, reserved: 0x1000n })
  expect(() => make({ version: 1, pgsizeBitmap: pgsizeBitmap(SZ_64K), ias: 50, oas: 50 })).toThrow(
    /pgsizeBitmap 0x10000: 4K or 2M expected/,
  )
  expect(() => habana.rootsFromRegs({ hop0Pa43: 1n, hop0Pa63: 64n, version: 1n })).toThrow(/HOP0_PA63_44 0x40: 6 bits/)
  expect(() => habana.rootsFromRegs({ hop0Pa43: 1n, hop0Pa63: 0n, version: 3n })).toThrow(/version 3/)
})
