/** Entries and registers put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, pgsizeBitmap, SZ_1M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { v3d } from '../src/index.ts'

function make(illegal = 0n) {
  const pool = new PtPool({ base: 0x8000_0000n, size: 8 * SZ_1M })
  return IoPageTable.createRaw(v3d, { allocator: pool, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M), ias: 32, oas: 36, illegal })
}

test('a range is a super page, then a big page, then pages: each entry has its own page number', () => {
  const table = make()
  table.map(0x10_0000n, 0x1230_0000n, SZ_1M + SZ_64K + SZ_4K, Prot.READ | Prot.WRITE)
  const raw = (iova: bigint) => table.walk(iova)[0]?.raw
  expect(raw(0x10_0000n)).toBe(0xb001_2300n)
  expect(raw(0x1f_f000n)).toBe(0xb001_23ffn)
  expect(raw(0x20_0000n)).toBe(0x7001_2400n)
  expect(raw(0x20_f000n)).toBe(0x7001_240fn)
  expect(raw(0x21_0000n)).toBe(0x3001_2410n)
  expect(raw(0x21_1000n)).toBe(0n)
  table.map(0x80ff_f000n, 0xf_ffff_e000n, SZ_4K, Prot.READ)
  expect(raw(0x80ff_f000n)).toBe(0x10ff_fffen) // V, not W
})

test('registers hold page numbers; bit 31 turns the page for lost accesses on', () => {
  expect(make(0x9400_0000n).regs).toEqual({ ptPaBase: 0x80000n, ctl: 0x060d_0c01n, illegalAddr: 0x8009_4000n, addrCap: 0n })
  expect(make().regs.illegalAddr).toBe(0n)
  expect(v3d.rootsFromRegs({ ptPaBase: 0x94400n })[0]).toMatchObject({ roots: [0x9440_0000n], last: 0xffff_ffffn })
  expect(v3d.rootsFromRegs({ ptPaBase: 0x94400n, ctl: 0x060d_0c00n })).toEqual([])
  expect(v3d.rootsFromRegs({ ptPaBase: 0x94401n, addrCap: 0x8000_0030n })[0]).toMatchObject({
    params: { ias: 26 },
    roots: [0x9440_1000n],
    last: 0x2ff_ffffn,
  })
  expect(() => v3d.rootsFromRegs({ ptPaBase: 0x1000_0000n })).toThrow(/MMU_PT_PA_BASE 0x10000000: 28 bits/)
  expect(() => make(0x123n)).toThrow(/illegal 0x123: a multiple of 4K below 2\^36/)
})

test('an entry without bit 28 translates nothing, whatever else it holds', () => {
  const { geometry } = make()
  expect(decode(geometry, geometry.nodes[0]!, 0xefff_ffffn).type).toBe('empty')
  expect(decode(geometry, geometry.nodes[0]!, 0x3fff_ffffn)).toMatchObject({ type: 'leaf', paddr: 0xff_ffff_f000n })
})
