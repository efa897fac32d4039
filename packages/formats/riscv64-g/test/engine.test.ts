/** The engine with this format: both ends of the guest's address space, the 16 KiB root, and random tables walked as the manual walks. */
import { IoPageTable, Prot, pageSizes, SZ_2M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Riscv64GConfig, riscv64G } from '../src/index.ts'
import { translate } from './manual.ts'

const RW = Prot.READ | Prot.WRITE
const CONFIGS = riscv64G.configs.map(({ name, config }) => [name, config] as const)

function newTable(config: Riscv64GConfig): IoPageTable<typeof riscv64G> {
  return IoPageTable.createRaw(riscv64G, { allocator: new PtPool({ base: 0x8000_0000n, size: 8 * SZ_2M }), ...config })
}

describe.each(CONFIGS)('%s', (_name, config) => {
  test('every size at both ends of the address space', () => {
    const table = newTable(config)
    const end = 1n << BigInt(table.config.oas)
    const top = 1n << BigInt(table.config.ias)
    for (const pgsize of pageSizes(table.config.pgsizeBitmap)) {
      const bytes = BigInt(pgsize)
      if (bytes > end) continue
      for (const iova of [0n, top - bytes]) {
        expect(table.mapPages(iova, end - bytes, pgsize, 1, RW)).toEqual({ mapped: pgsize, error: undefined })
        expect(table.iovaToPhys(iova + bytes - 1n)).toBe(end - 1n)
        expect(translate(table.regs.hgatp, table.readMemory, iova + bytes - 1n)).toBe(end - 1n)
        expect(table.walk(iova).at(-1)).toMatchObject({ type: 'leaf', size: { pgsize }, reserved: 0n })
        expect(table.unmapPages(iova, pgsize, 1)).toBe(pgsize)
        expect(table.iovaToPhys(iova)).toBeUndefined()
      }
    }
    expect(table.mapPages(top, 0n, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    expect(table.mapPages(0n, end, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    table.free()
  })

  test('the root is 16 KiB, aligned to its size, and each quarter translates', () => {
    const table = newTable(config)
    expect([table.tableBytes, (table.roots[0] ?? 1n) % 0x4000n]).toEqual([16_384, 0n])
    const quarter = 1n << BigInt(table.config.ias - 2)
    for (let i = 0n; i < 4n; i++) table.map(i * quarter + 0x5000n, 0x9000_0000n + (i << 20n), SZ_4K, Prot.READ)
    for (let i = 0n; i < 4n; i++) {
      expect(table.iovaToPhys(i * quarter + 0x5678n)).toBe(0x9000_0678n + (i << 20n))
      expect(table.walk(i * quarter + 0x5000n)[0]?.index).toBe(Number(i) * 512)
    }
    table.free()
  })

  test('random tables translate as the manual says', () => {
    const range = fc.record({ gpa: fc.nat(0xfff), paddr: fc.nat(0xfffff), pages: fc.integer({ min: 1, max: 1500 }), quarter: fc.nat(3) })
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), fc.array(fc.nat(0x1ff_ffff), { minLength: 20, maxLength: 20 }), (ranges, probes) => {
        const table = newTable(config)
        const from = (quarter: number) => BigInt(quarter) << BigInt(table.config.ias - 2)
        for (const { gpa, paddr, pages, quarter } of ranges)
          table.mapRange(from(quarter) + BigInt(gpa) * 0x1000n, BigInt(paddr) * 0x1000n, pages * SZ_4K, Prot.READ)
        for (const probe of probes)
          for (const quarter of [0, 1, 2, 3]) {
            const gpa = from(quarter) + BigInt(probe)
            expect(translate(table.regs.hgatp, table.readMemory, gpa)).toBe(table.iovaToPhys(gpa))
          }
        table.free()
      }),
      { numRuns: 20 },
    )
  })
})

test('64K pages of 16 equal entries', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K | SZ_64K), ias: 41, oas: 56, quirks: ['SVNAPOT_64K'] })
  table.map(0x1_0000n, 0x9001_0000n, SZ_64K, RW)
  expect(table.walk(0x1_f000n).at(-1)).toMatchObject({ raw: 0x8000_0000_2400_60dfn, kind: { name: '64K NAPOT page' } })
  expect(table.unmapRange(0x1_0000n, SZ_64K)).toBe(SZ_64K)
  table.free()
})

test('dirty tracking', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K), ias: 41, oas: 56 })
  table.map(0x1000n, 0x9000_0000n, SZ_4K, RW)
  const found: bigint[] = []
  for (let i = 0; i < 2; i++) table.readAndClearDirty(0x1000n, SZ_4K, (iova) => void found.push(iova))
  expect(found).toEqual([0x1000n])
  table.free()
})
