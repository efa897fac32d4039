/** The engine with this format: both ends of the address space, tables and pages above 4 GiB, and random tables walked as the manual walks. */
import { IoPageTable, Prot, pageSizes, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Sv32Config, sv32 } from '../src/index.ts'
import { translate } from './manual.ts'

const RW = Prot.READ | Prot.WRITE
const SZ_4M = 0x40_0000
const CONFIGS = sv32.configs.map(({ name, config }) => [name, config] as const)

/** The tables of a 34-bit configuration lie above 12 GiB. */
function newTable(config: Sv32Config): IoPageTable<typeof sv32> {
  const base = config.oas === 34 ? 0x3_2340_0000n : 0x8000_0000n
  return IoPageTable.createRaw(sv32, { allocator: new PtPool({ base, size: 4 * SZ_2M }), ...config })
}

describe.each(CONFIGS)('%s', (_name, config) => {
  test('every size at both ends of the address space', () => {
    const table = newTable(config)
    const end = 1n << BigInt(table.config.oas)
    for (const pgsize of pageSizes(table.config.pgsizeBitmap)) {
      const bytes = BigInt(pgsize)
      for (const iova of [0n, 0x1_0000_0000n - bytes]) {
        expect(table.mapPages(iova, end - bytes, pgsize, 1, RW)).toEqual({ mapped: pgsize, error: undefined })
        expect(table.iovaToPhys(iova + bytes - 1n)).toBe(end - 1n)
        expect(translate(table.regs.satp, table.readMemory, iova + bytes - 1n)).toBe(end - 1n)
        expect(table.walk(iova).at(-1)).toMatchObject({ type: 'leaf', size: { pgsize }, reserved: 0n })
        expect(table.unmapPages(iova, pgsize, 1)).toBe(pgsize)
        expect(table.iovaToPhys(iova)).toBeUndefined()
      }
    }
    expect(table.mapPages(0x1_0000_0000n, 0n, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    expect(table.mapPages(0n, end, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    table.free()
  })

  test('random tables translate as the manual says', () => {
    const range = fc.record({ iova: fc.nat(0x1fff), paddr: fc.nat(0xf_0000), pages: fc.integer({ min: 1, max: 3000 }) })
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), fc.array(fc.nat(0x3ff_ffff), { minLength: 40, maxLength: 40 }), (ranges, probes) => {
        const table = newTable(config)
        const high = (1n << BigInt(table.config.oas)) - (1n << 32n)
        for (const { iova, paddr, pages } of ranges)
          table.mapRange(BigInt(iova) * 0x1000n, high + BigInt(paddr) * 0x1000n, pages * SZ_4K, Prot.READ)
        for (const probe of probes.map(BigInt)) expect(translate(table.regs.satp, table.readMemory, probe)).toBe(table.iovaToPhys(probe))
        table.free()
      }),
      { numRuns: 20 },
    )
  })
})

test('descriptors', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K | SZ_4M), ias: 32, oas: 34 })
  table.map(0x40_0000n, 0x2_4080_0000n, SZ_4M + SZ_4K, RW | Prot.NOEXEC)
  expect(table.walk(0x40_0000n)).toMatchObject([{ type: 'leaf', raw: 0x9020_00d7n, index: 1 }])
  const [pointer, page] = table.walk(0x80_0000n)
  expect([pointer?.index, pointer?.raw, page?.index, page?.raw]).toEqual([2, 0xc8d0_0401n, 0, 0x9030_00d7n])
  table.free()
})

test('dirty tracking', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 34 })
  table.map(0x1000n, 0x9000_0000n, 2 * SZ_4K, RW)
  const found: bigint[] = []
  for (let i = 0; i < 2; i++) table.readAndClearDirty(0x1000n, 2 * SZ_4K, (iova) => void found.push(iova))
  expect(found).toEqual([0x1000n, 0x2000n])
  expect(table.walk(0x1000n).at(-1)?.raw).toBe(0x2400_005fn)
  table.free()
})

test('tables lie below 2^oas', () => {
  expect(() =>
    IoPageTable.createRaw(sv32, { allocator: new PtPool({ base: 1n << 32n, size: SZ_2M }), pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }),
  ).toThrow(expect.objectContaining({ code: 'ENOMEM' }))
})
