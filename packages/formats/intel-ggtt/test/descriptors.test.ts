/** Entries put together by hand from the README's tables. */
import { decode, IoPageTable, Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { type GgttGeneration, ggttProt, intelGgtt } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE

function make(generation: GgttGeneration) {
  const pool = new PtPool({ base: 0x4000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(intelGgtt, {
    allocator: pool,
    pgsizeBitmap: BigInt(SZ_4K),
    ias: 27,
    oas: 46,
    generation,
    scratch: 0x12_3000n,
  })
}

test.each<[GgttGeneration, number, number, boolean, bigint]>([
  [6, RW, 0, false, 0x2345_6013n],
  [6, RW, 2, false, 0x2345_6015n],
  [7, RW, 2, false, 0x2345_6017n],
  [71, Prot.READ, 0, false, 0x2345_6011n],
  [71, RW, 1, false, 0x2345_6017n],
  [75, RW, 1, false, 0x2345_6015n],
  [76, RW, 1, false, 0x2345_6811n],
  [76, RW, 3, false, 0x2345_601fn],
  [8, RW, 3, true, 0x1_2345_6003n],
  [12, RW, 3, true, 0x30_0001_2345_6003n],
])('generation %d, prot %d, PAT %d, local %s', (generation, flags, pat, local, raw) => {
  const table = make(generation)
  table.map(0x100_0000n, 0x1_2345_6000n, SZ_4K, ggttProt(flags, { pat, local }))
  expect(table.walk(0x100_0000n)).toMatchObject([{ type: 'leaf', index: 0x1000, raw }])
  expect(table.iovaToPhys(0x100_0fffn)).toBe(0x1_2345_6fffn)
})

test('what a dump tells leads to the table; the scratch page’s entry', () => {
  expect(make(12).regs).toEqual({ table: 0x4000_0000n, scratchEntry: 0x20_0000_0012_3001n })
  const [found] = intelGgtt.rootsFromRegs({ table: 0x4000_0000n, generation: 7n })
  expect(found).toMatchObject({ roots: [0x4000_0000n], last: 0x7fff_ffffn })
  expect(() => intelGgtt.rootsFromRegs({ table: 0n, generation: 9n })).toThrow(/generation 9: 6, 7, 71/)
  expect(() => intelGgtt.rootsFromRegs({ table: 0n, bytes: 12345n })).toThrow(/bytes 12345: a power of two/)
  const { geometry } = make(8)
  expect(decode(geometry, geometry.nodes[0]!, 0x1_2345_6ffen).type).toBe('empty')
  expect(decode(geometry, geometry.nodes[0]!, 0x30_4001_2345_6001n)).toMatchObject({ type: 'leaf', reserved: 0x30_4000_0000_0000n })
})
