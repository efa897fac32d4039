/** Big-endian bytes put together by hand from the manual's pictures and the recorded facts. */
import { decode, IoPageTable, nodeOf, walkAddress } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { s390Zpci } from '../src/index.ts'

/** A root of each kind at 0x10000, and below it one table a level, at the ends of what each indexes. */
function memoryOf(levels: number): (paddr: bigint, bytes: number) => Uint8Array {
  const memory = new DataView(new ArrayBuffer(0x4_0000))
  const codes = [0xfn, 0xbn, 0x7n, 0n].slice(4 - levels)
  for (const [i, code] of codes.entries()) {
    const table = 0x1_0000 + i * 0x4000
    for (let at = 0; at < 0x4000; at += 8) memory.setBigUint64(table + at, 0x20n)
    memory.setBigUint64(table + 0x3ff8, BigInt(table + 0x4000) | code)
  }
  const pages = 0x1_0000 + levels * 0x4000
  for (let at = 0; at < 0x800; at += 8) memory.setBigUint64(pages + at, 0x400n)
  memory.setUint8(pages + 0x7fc, 0x50) // 0x50001200 in the last entry, byte by byte
  memory.setUint8(pages + 0x7fd, 0x00)
  memory.setUint8(pages + 0x7fe, 0x12)
  memory.setUint8(pages + 0x7ff, 0x00)
  return (paddr, bytes) => new Uint8Array(memory.buffer, Number(paddr), bytes)
}

test.each([
  [0x1_0800n, 1, 0x7fff_ffffn],
  [0x1_0804n, 2, 0x3ff_ffff_ffffn],
  [0x1_0808n, 3, 0x1f_ffff_ffff_ffffn],
  [0x1_080cn, 4, 0xffff_ffff_ffff_ffffn],
])('IOTA 0x%s leads over %i tables to the last page', (iota, levels, last) => {
  const [root] = s390Zpci.rootsFromRegs({ iota })
  expect(root).toMatchObject({ roots: [0x1_0000n], last })
  const geometry = s390Zpci.geometry(root!.params)
  const way = walkAddress(geometry, root!.roots, memoryOf(levels), last)
  expect(way.map(({ type }) => type)).toEqual([...Array<string>(levels).fill('table'), 'leaf'])
  const page = way.at(-1)!
  expect(page).toMatchObject({ raw: 0x5000_1200n, paddr: 0x5000_1000n })
  expect(s390Zpci.prot(page.raw, page.kind as never, undefined)).toBe(1)
  expect(walkAddress(geometry, root!.roots, memoryOf(levels), last - 0x1000n).at(-1)!.type).toBe('empty')
})

test('zero is valid, what an unmap leaves is empty, and another table type is a misconfiguration', () => {
  const geometry = s390Zpci.geometry({ variant: 'rt', ias: 42, oas: 52 })
  const at = (id: string, raw: bigint) => decode(geometry, nodeOf(geometry, id), raw)
  expect([at('PT', 0n).type, at('ST', 0n).type, at('RT', 0n).type]).toEqual(['leaf', 'table', 'invalid'])
  expect([at('PT', 0x5000_1400n).type, at('ST', 0x20n).type]).toEqual(['empty', 'empty'])
  expect(at('RT', 0x1_400bn)).toMatchObject({ type: 'invalid', kind: { fault: 'misconfigured' } })
  expect(at('ST', 0x8000_8800n)).toMatchObject({ type: 'table', next: 0x8000_8800n, reserved: 0n })
})

test('a root whose translation is off, values that no register has, and that the format only reads', () => {
  expect(s390Zpci.rootsFromRegs({ iota: 0x1_0004n })).toEqual([])
  expect(() => s390Zpci.rootsFromRegs({ iota: 1n << 64n })).toThrow(/iota 0x10000000000000000: 64 bits expected/)
  const pool = new PtPool({ base: 0x8000_0000n, size: 0x20_0000 })
  expect(() => IoPageTable.createRaw(s390Zpci, { allocator: pool, pgsizeBitmap: 4096n, ias: 42, oas: 52 })).toThrow(/reads/)
})
