/** Entries and the register put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, rightsByParty, SZ_1M, SZ_2M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { powervrRogue } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE

function make(pgsize: number) {
  const pool = new PtPool({ base: 0x12_4000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(powervrRogue, { allocator: pool, pgsizeBitmap: BigInt(pgsize), ias: 40, oas: 40 })
}

test('catalogue, directory and page of 4K, and the register', () => {
  const table = make(SZ_4K)
  table.map(0xff_ffc0_0000n, 0xff_0000_0000n, SZ_4K, RW | Prot.CACHE | Prot.PRIV)
  table.map(0xff_ffc0_1000n, 0x1000n, SZ_4K, Prot.READ)
  const [pc, pd, page] = table.walk(0xff_ffc0_0fffn)
  expect(pc).toMatchObject({ type: 'table', index: 1023, raw: 0x1240_0011n }) // address bits 39:12 in 31:4
  expect(pd).toMatchObject({ type: 'table', index: 510, raw: 0x12_4000_2001n })
  expect(page).toMatchObject({ type: 'leaf', index: 0, raw: 0x4000_00ff_0000_0001n })
  expect(table.walk(0xff_ffc0_1000n)[2]?.raw).toBe(0x100bn) // read-only, past the SLC
  expect(table.regs).toEqual({ catBase: 0x12_4000_0000n })
})

test('the page size stands in the directory entry', () => {
  const table = make(SZ_64K)
  table.map(0xff_ffc1_0000n, 0xff_0001_0000n, SZ_64K, RW | Prot.CACHE)
  expect(table.walk(0xff_ffc1_0000n)[1]?.raw).toBe(0x12_4000_2005n)
  expect(table.walk(0xff_ffc1_0000n)[2]).toMatchObject({ index: 1, raw: 0xff_0001_0001n })
  const large = make(SZ_2M)
  large.map(0n, 0xff_ffe0_0000n, SZ_2M, RW | Prot.CACHE)
  expect(large.walk(0x1f_ffffn)[1]?.raw).toBe(0x12_4000_200bn)
  expect(large.walk(0x1f_ffffn)[2]).toMatchObject({ index: 0, raw: 0xff_ffe0_0001n })
})

test('directories of others may mix sizes; two codes are no size', () => {
  const { geometry } = make(SZ_4K)
  const [, pd] = geometry.nodes
  expect(decode(geometry, pd!, 0x12_3456_7029n)).toMatchObject({ type: 'table', next: 0x12_3456_7020n, child: { id: 'PT20' } })
  expect(decode(geometry, pd!, 0x12_3456_700dn).type).toBe('invalid')
  expect(decode(geometry, pd!, 0x100_0000_0000n).type).toBe('empty') // pending
})

test('a protected page is the firmware’s', () => {
  const { geometry } = make(SZ_4K)
  const page = decode(geometry, geometry.nodes[2]!, 0x4000_0000_0000_1003n)
  if (page.type !== 'leaf') throw new Error('a page')
  const rights = page.kind.grants?.of({ ReadOnly: 1, Protect: 1 }, undefined) ?? 0
  expect(rightsByParty(rights, powervrRogue.parties?.(undefined))).toEqual({ gpu: '---', firmware: 'r--' })
})
