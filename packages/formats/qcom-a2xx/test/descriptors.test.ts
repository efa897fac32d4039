/** Entries and registers put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { qcomA2xx } from '../src/index.ts'

test('the window of Linux: the register gets the entry of its base', () => {
  const pool = new PtPool({ base: 0x4000_0000n, size: SZ_1M })
  const table = IoPageTable.createRaw(qcomA2xx, { allocator: pool, pgsizeBitmap: BigInt(SZ_4K), ias: 29, oas: 32 })
  expect(table.regs).toEqual({ vaRange: 0x0100_0fffn, ptBase: 0x4000_4000n })
  table.map(0x0100_0000n, 0x1234_5000n, 2 * SZ_4K, Prot.READ | Prot.WRITE)
  table.map(0x10fe_f000n, 0xffff_f000n, SZ_4K, Prot.WRITE)
  const [found] = qcomA2xx.rootsFromRegs(table.regs)
  expect(found).toMatchObject({ roots: [0x4000_0000n], first: 0x0100_0000n, last: 0x10fe_ffffn })
  const seen: [bigint, bigint][] = []
  const { params, roots, first, last } = found!
  walkTables(qcomA2xx.geometry(params), roots, table.readMemory, { leaf: ({ iova, raw }) => void seen.push([iova, raw]) }, { first, last })
  expect(seen).toEqual([
    [0x0100_0000n, 0x1234_5003n],
    [0x0100_1000n, 0x1234_6003n],
    [0x10fe_f000n, 0xffff_f001n],
  ])
})

test('an entry without rights is a page that nobody may use; zero is none', () => {
  const geometry = qcomA2xx.geometry({ ias: 24, oas: 32 })
  const [node] = geometry.nodes
  expect(decode(geometry, node!, 0n).type).toBe('empty')
  expect(decode(geometry, node!, 0x1234_5ffcn)).toMatchObject({ type: 'leaf', paddr: 0x1234_5000n, reserved: 0xffcn })
  expect(qcomA2xx.rootsFromRegs({ vaRange: 0x0100_0fffn, ptBase: 0x4000_4000n, config: 0n })).toEqual([])
  expect(() => qcomA2xx.rootsFromRegs({ vaRange: 0xf100_0fffn, ptBase: 0x4000_4000n })).toThrow(/a window and a table in 32 bits/)
})
