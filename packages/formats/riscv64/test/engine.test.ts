/** The engine with this format: both ends of the address space, 64K pages, memory types, dirty tracking, and random tables walked as the manual walks. */
import { type FormatConfig, IoPageTable, inputRanges, Prot, pageSizes, SZ_2M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Riscv64Config, riscv64 } from '../src/index.ts'
import { translate } from './manual.ts'

const RW = Prot.READ | Prot.WRITE
const CONFIGS = riscv64.configs.map(({ name, config }) => [name, config] as const)

function newTable(config: Riscv64Config): IoPageTable<typeof riscv64> {
  return IoPageTable.createRaw(riscv64, { allocator: new PtPool({ base: 0x8000_0000n, size: 8 * SZ_2M }), ...config })
}

describe.each(CONFIGS)('%s', (_name, config) => {
  test('every size at both ends of the address space', () => {
    const table = newTable(config)
    const end = 1n << BigInt(table.config.oas)
    for (const pgsize of pageSizes(table.config.pgsizeBitmap)) {
      const bytes = BigInt(pgsize)
      if (bytes > end) continue
      for (const { first, last } of inputRanges(table.geometry))
        for (const iova of [first, last + 1n - bytes]) {
          expect(table.mapPages(iova, end - bytes, pgsize, 1, RW)).toEqual({ mapped: pgsize, error: undefined })
          expect(table.iovaToPhys(iova + bytes - 1n)).toBe(end - 1n)
          expect(table.walk(iova).at(-1)).toMatchObject({ type: 'leaf', size: { pgsize }, reserved: 0n })
          expect(table.unmapPages(iova, pgsize, 1)).toBe(pgsize)
          expect(table.iovaToPhys(iova)).toBeUndefined()
        }
    }
    const beyond = (inputRanges(table.geometry)[0]?.last ?? 0n) + 1n
    expect(table.mapPages(beyond, 0n, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    expect(table.mapPages(0n, end, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    table.free()
  })

  test('random tables translate as the manual says', () => {
    const range = fc.record({ iova: fc.nat(0xfff), paddr: fc.nat(0xfffff), pages: fc.integer({ min: 1, max: 1500 }), high: fc.boolean() })
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), fc.array(fc.nat(0x1fff_ffff), { minLength: 20, maxLength: 20 }), (ranges, probes) => {
        const table = newTable(config)
        const windows = inputRanges(table.geometry)
        const from = (high: boolean) => (high ? (windows.at(-1)?.first ?? 0n) : 0n)
        for (const { iova, paddr, pages, high } of ranges)
          table.mapRange(from(high) + BigInt(iova) * 0x1000n, BigInt(paddr) * 0x1000n, pages * SZ_4K, Prot.READ)
        for (const probe of probes)
          for (const iova of [from(false) + BigInt(probe % 0x200_0000), from(true) + BigInt(probe % 0x200_0000)])
            expect(translate(table.regs.satp, table.readMemory, iova)).toBe(table.iovaToPhys(iova))
        table.free()
      }),
      { numRuns: 20 },
    )
  })
})

describe('64K pages', () => {
  const config: FormatConfig<'SVNAPOT_64K'> = { pgsizeBitmap: BigInt(SZ_4K | SZ_64K | SZ_2M), ias: 39, oas: 56, quirks: ['SVNAPOT_64K'] }

  test('a range takes them where alignment and length allow; they go whole from their head', () => {
    const table = newTable(config)
    expect(table.mapRange(0xf000n, 0x9000_f000n, SZ_4K + SZ_64K + SZ_4K, RW)).toEqual({ mapped: SZ_64K + 2 * SZ_4K, error: undefined })
    const raws = [0xf000n, 0x1_0000n, 0x1_f000n, 0x2_0000n].map((iova) => table.walk(iova).at(-1)?.raw)
    expect(raws).toEqual([0x2400_3cdfn, 0x8000_0000_2400_60dfn, 0x8000_0000_2400_60dfn, 0x2400_80dfn])
    expect(table.unmapRange(0x1_1000n, SZ_4K)).toBe(0)
    expect(table.unmapRange(0x1_0000n, SZ_4K)).toBe(SZ_64K)
    expect(table.iovaToPhys(0x1_f000n)).toBeUndefined()
    expect(table.iovaToPhys(0x2_0123n)).toBe(0x9002_0123n)
    table.free()
  })
  test('D of any of its entries makes one dirty, and all are cleaned', () => {
    const table = newTable(config)
    table.map(0x1_0000n, 0x9001_0000n, SZ_64K, RW)
    table.map(0x2_0000n, 0x9002_0000n, SZ_4K, Prot.READ)
    const dirty = () => {
      const found: [bigint, number][] = []
      table.readAndClearDirty(0x1_0000n, SZ_64K + SZ_4K, (iova, pgsize) => void found.push([iova, pgsize]))
      return found
    }
    expect(dirty()).toEqual([[0x1_0000n, SZ_64K]])
    expect(table.walk(0x1_7000n).at(-1)?.raw).toBe(0x8000_0000_2400_605fn)
    expect(dirty()).toEqual([])
    table.free()
  })
})

test('memory types', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K), ias: 39, oas: 56, quirks: ['SVPBMT'] })
  for (const [i, prot] of [RW | Prot.CACHE, RW, RW | Prot.MMIO].entries()) {
    table.map(BigInt(i) * 0x1000n, 0x9000_0000n, SZ_4K, prot)
    const leaf = table.walk(BigInt(i) * 0x1000n).at(-1)
    expect(leaf?.raw).toBe((BigInt(i) << 61n) | 0x2400_00dfn)
    expect(leaf?.type === 'leaf' && riscv64.prot(leaf.raw, leaf.kind, table.context)).toBe(prot)
  }
  table.free()
})
