/** Big-endian bytes put together by hand from the recorded facts, and the geometry that Linux chooses. */
import { decode, IoPageTable, walkAddress } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { ppcTce } from '../src/index.ts'

test('the worked value, byte by byte: 4K, READ and WRITE at 0x50000000', () => {
  const memory = new Uint8Array(0x1000)
  memory.set([0, 0, 0, 0, 0x50, 0, 0, 3], 8)
  memory.set([0, 0, 0, 0, 0x60, 0, 0, 1], 16)
  const [window] = ppcTce.rootsFromRegs({ tceTable: 0n, tceLevels: 1n, tceTableSize: 0x1000n, tcePageSize: 0x1000n })
  expect(window).toMatchObject({ params: { levelBits: 9, ias: 21 }, last: 0x1f_ffffn })
  const geometry = ppcTce.geometry(window!.params)
  const at = (iova: bigint) =>
    walkAddress(geometry, [0n], (paddr, bytes) => memory.subarray(Number(paddr), Number(paddr) + bytes), iova).at(-1)!
  expect(at(0x1abcn)).toMatchObject({ raw: 0x5000_0003n, paddr: 0x5000_0000n })
  expect(ppcTce.prot(at(0x1000n).raw, at(0x1000n).kind as never, undefined)).toBe(3)
  expect(ppcTce.prot(at(0x2000n).raw, at(0x2000n).kind as never, undefined)).toBe(1)
  expect(at(0x3000n).type).toBe('empty')
})

test.each([
  [12, 30, 1, 18],
  [16, 42, 2, 13],
  [12, 51, 3, 13],
  [28, 50, 1, 22],
])('pages of 2^%i, a window of 2^%i, %i levels: %i bits a level', (pageShift, ias, levels, levelBits) => {
  const config = ppcTce.configure({ pgsizeBitmap: 1n << BigInt(pageShift), ias, oas: 52, levels })
  expect(ppcTce.params(config)).toMatchObject({ pageShift, levels, levelBits })
  const sizes = ppcTce.geometry(ppcTce.params(config)).nodes.map(({ tableBytes, bits }) => [tableBytes, bits])
  expect(sizes).toEqual(Array(levels).fill([8 << levelBits, levelBits]))
})

test('a table entry, an entry that no driver writes, and what cannot be', () => {
  const config = ppcTce.configure({ pgsizeBitmap: 4096n, ias: 51, oas: 52, levels: 3 })
  const [root, , leaf] = ppcTce.geometry(ppcTce.params(config)).nodes
  expect(decode(ppcTce.geometry(ppcTce.params(config)), root!, 0x1001_0003n)).toMatchObject({ type: 'table', next: 0x1001_0000n })
  const write = decode(ppcTce.geometry(ppcTce.params(config)), leaf!, 0x5000_0002n)
  expect(ppcTce.prot(write.raw, write.kind as never, undefined)).toBe(2)
  const configure = (more: object) => () => ppcTce.configure({ pgsizeBitmap: 4096n, ias: 51, oas: 52, levels: 3, ...more })
  expect(configure({ levels: 4 })).toThrow(/13 bits each reach 64 bits, below 55 expected/)
  expect(configure({ levels: 6 })).toThrow(/levels 6: 1 to 5 expected/)
  expect(configure({ ias: 30 })).toThrow(/ias 30: at least 39 expected for 3 levels of 13 bits/)
  expect(configure({ pgsizeBitmap: 0x2000n })).toThrow(/4K, 64K, 16M or 256M expected/)
  const call = { tceTable: 0n, tceLevels: 1n, tceTableSize: 0x1000n, tcePageSize: 0x1000n }
  expect(() => ppcTce.rootsFromRegs({ ...call, tcePageSize: 0x2000n })).toThrow(/tcePageSize 0x2000/)
  expect(() => ppcTce.rootsFromRegs({ ...call, tceLevels: 6n })).toThrow(/tceLevels 0x6: 1 to 5 expected/)
  expect(() => ppcTce.rootsFromRegs({ ...call, tceTableSize: 0x1800n })).toThrow(/tceTableSize 0x1800/)
  expect(() => ppcTce.rootsFromRegs({ ...call, tceLevels: 5n })).toThrow(/tceTableSize 0x1000: tables that reach less than 55 bits/)
})

test('the format only reads', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 0x20_0000 })
  expect(() => IoPageTable.createRaw(ppcTce, { allocator: pool, pgsizeBitmap: 4096n, ias: 21, oas: 52, cpuPageSize: 4096 })).toThrow(
    /reads/,
  )
})
