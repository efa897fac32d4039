/** The engine with this format: both ends of the address space, encryption, dirty tracking, and random tables walked as the manual walks. */
import { IoPageTable, inputRanges, Prot, pageSizes, SZ_1G, SZ_2M, SZ_4K, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type X8664Config, x8664 } from '../src/index.ts'
import { translate } from './manual.ts'

const RW = Prot.READ | Prot.WRITE
const CONFIGS = x8664.configs.map(({ name, config }) => [name, config] as const)

function newTable(config: X8664Config): IoPageTable<typeof x8664> {
  return IoPageTable.createRaw(x8664, { allocator: new PtPool({ base: 0x8000_0000n, size: 8 * SZ_2M }), ...config })
}

describe.each(CONFIGS)('%s', (_name, config) => {
  const encryption = config.encryptionBit === undefined ? 0n : 1n << BigInt(config.encryptionBit)

  test('every size at both ends of the address space', () => {
    const table = newTable(config)
    const end = 1n << BigInt(table.config.oas)
    for (const pgsize of pageSizes(table.config.pgsizeBitmap))
      for (const { first, last } of inputRanges(table.geometry))
        for (const iova of [first, last + 1n - BigInt(pgsize)]) {
          expect(table.mapPages(iova, end - BigInt(pgsize), pgsize, 1, RW)).toEqual({ mapped: pgsize, error: undefined })
          expect(table.iovaToPhys(iova + BigInt(pgsize) - 1n)).toBe(end - 1n)
          const { cr3, cr4 } = table.regs
          expect(translate(cr3, cr4, table.readMemory, iova + BigInt(pgsize) - 1n, encryption)).toBe(end - 1n)
          for (const entry of table.walk(iova)) expect(entry.reserved).toBe(0n)
          expect(table.unmapPages(iova, pgsize, 1)).toBe(pgsize)
          expect(table.iovaToPhys(iova)).toBeUndefined()
        }
    const beyond = (inputRanges(table.geometry)[0]?.last ?? 0n) + 1n
    expect(table.mapPages(beyond, 0n, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    expect(table.mapPages(0n, end, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
    table.free()
  })

  test('random tables translate as the manual says', () => {
    const range = fc.record({ iova: fc.nat(0xfff), paddr: fc.nat(0xfffff), pages: fc.integer({ min: 1, max: 1500 }), high: fc.boolean() })
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), fc.array(fc.nat(0x1ff_ffff), { minLength: 20, maxLength: 20 }), (ranges, probes) => {
        const table = newTable(config)
        const windows = inputRanges(table.geometry)
        const from = (high: boolean) => (high ? (windows.at(-1)?.first ?? 0n) : 0n)
        for (const { iova, paddr, pages, high } of ranges)
          table.mapRange(from(high) + BigInt(iova) * 0x1000n, BigInt(paddr) * 0x1000n, pages * SZ_4K, Prot.READ)
        const { cr3, cr4 } = table.regs
        for (const probe of probes)
          for (const iova of [from(false) + BigInt(probe), from(true) + BigInt(probe)])
            expect(translate(cr3, cr4, table.readMemory, iova, encryption)).toBe(table.iovaToPhys(iova))
        table.free()
      }),
      { numRuns: 20 },
    )
  })
})

test('encryption: tables and memory have the C-bit, MMIO has not', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K | SZ_2M | SZ_1G), ias: 47, oas: 46, encryptionBit: 51 })
  const C = 1n << 51n
  table.map(0x1000n, 0x9000_0000n, SZ_4K, RW)
  table.map(0x2000n, 0xfee0_0000n, SZ_4K, RW | Prot.MMIO)
  expect(table.walk(0x1000n).map(({ raw }) => raw & C)).toEqual([C, C, C, C])
  expect(table.walk(0x1000n).at(-1)?.raw).toBe(C | 0x9000_0067n)
  expect(table.walk(0x2000n).at(-1)?.raw).toBe(0xfee0_0067n)
  expect([table.iovaToPhys(0x1234n), table.iovaToPhys(0x2234n)]).toEqual([0x9000_0234n, 0xfee0_0234n])
  table.free()
})

test('dirty tracking', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K | SZ_2M), ias: 48, oas: 46, quirks: ['SIGN_EXTEND'] })
  table.map(0x20_0000n, 0x9020_0000n, SZ_2M + SZ_4K, RW)
  table.map(0x40_1000n, 0x9040_1000n, SZ_4K, Prot.READ)
  const dirty = () => {
    const found: [bigint, number][] = []
    table.readAndClearDirty(0x20_0000n, SZ_2M + 2 * SZ_4K, (iova, pgsize) => void found.push([iova, pgsize]))
    return found
  }
  expect(dirty()).toEqual([
    [0x20_0000n, SZ_2M],
    [0x40_0000n, SZ_4K],
  ])
  expect(table.walk(0x20_0000n).at(-1)?.raw).toBe(0x9020_00a7n)
  expect(dirty()).toEqual([])
  table.free()
})

test('an entry of the root outside of the 46-bit halves is not taken for one inside', () => {
  const table = newTable({ pgsizeBitmap: BigInt(SZ_4K), ias: 47, oas: 46, quirks: ['SIGN_EXTEND'] })
  table.map(0x1000n, 0x9000_0000n, SZ_4K, RW)
  const [root = 0n] = table.roots
  const page = Uint8Array.from(table.readMemory(root, SZ_4K) ?? [])
  // what index 0 points to is seen at index 128 (bit 46) and 384 (bits 47 and 46) as well
  for (const index of [128, 384]) page.copyWithin(index * 8, 0, 8)
  const read = (paddr: bigint, bytes: number) => (paddr === root ? page : table.readMemory(paddr, bytes))
  const seen: bigint[] = []
  walkTables(table.geometry, table.roots, read, { leaf: ({ iova }) => void seen.push(iova) })
  expect(seen).toEqual([0x1000n, 0xffff_c000_0000_1000n])
  table.free()
})
