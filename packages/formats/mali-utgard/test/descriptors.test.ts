/** Entries and the register put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { type MaliUtgardQuirk, maliUtgard } from '../src/index.ts'

function make(...quirks: MaliUtgardQuirk[]) {
  const pool = new PtPool({ base: 0x4000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(maliUtgard, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32, quirks })
}

test('pages, their table and the register', () => {
  const table = make()
  table.map(0x8000_0000n, 0x1234_5000n, SZ_4K, Prot.READ | Prot.WRITE | Prot.CACHE)
  table.map(0x8000_1000n, 0xffff_f000n, SZ_4K, Prot.READ)
  table.map(0x8000_2000n, 0x0000_1000n, SZ_4K, Prot.WRITE | Prot.MMIO | Prot.CACHE)
  const [entry, page] = table.walk(0x8000_0fffn)
  expect(entry).toMatchObject({ type: 'table', index: 0x200, raw: 0x4000_1001n })
  expect(page).toMatchObject({ type: 'leaf', index: 0, raw: 0x1234_51dfn }) // all but write allocate
  expect(table.walk(0x8000_1000n)[1]?.raw).toBe(0xffff_f003n)
  expect(table.walk(0x8000_2000n)[1]?.raw).toBe(0x0000_1005n)
  expect(table.regs).toEqual({ dteAddr: 0x4000_0000n })
})

test('as lima, every page has the same flags', () => {
  const table = make('LIMA')
  table.map(0n, 0x1234_5000n, SZ_4K, Prot.READ)
  expect(table.walk(0n)[1]?.raw).toBe(0x1234_51dfn)
  expect(() => make().map(0x1000n, 0n, SZ_4K, Prot.READ | Prot.PRIV)).toThrow(/cannot express/)
})

test('cache bits count where they override, and the status register tells whether paging is on', () => {
  const { geometry } = make()
  const leaf = decode(geometry, geometry.nodes[1]!, 0xabcd_e0d7n) // R, W, WC, WB, RC without OC
  if (leaf.type !== 'leaf') throw new Error('a page')
  expect(maliUtgard.prot(leaf.raw, leaf.kind, undefined)).toBe(Prot.READ | Prot.WRITE)
  expect(decode(geometry, geometry.nodes[1]!, 0xabcd_ee01n)).toMatchObject({ type: 'leaf', reserved: 0xe00n })
  expect(maliUtgard.rootsFromRegs({ dteAddr: 0x4000_0fffn, status: 0x19n })[0]?.roots).toEqual([0x4000_0000n])
  expect(maliUtgard.rootsFromRegs({ dteAddr: 0x4000_0000n, status: 0x18n })).toEqual([])
  expect(() => maliUtgard.rootsFromRegs({ dteAddr: 1n << 32n })).toThrow(/MMU_DTE_ADDR 0x100000000: 32 bits/)
})
