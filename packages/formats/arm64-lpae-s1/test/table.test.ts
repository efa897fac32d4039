/** The engine on this format, where the numbers of the manual show: sizes of tables, spanning unmaps, what an OS wrote, dirty state. */
import {
  IoPageTable,
  type IotlbGather,
  Prot,
  pgsizeBitmap,
  ReadDirty,
  SZ_1G,
  SZ_1M,
  SZ_2M,
  SZ_4K,
  SZ_16K,
  SZ_64K,
  SZ_512M,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { type ArmLpaeS1Config, arm64LpaeS1 } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const SIZES = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

function make(config: Partial<ArmLpaeS1Config> = {}): { table: IoPageTable<typeof arm64LpaeS1>; pool: PtPool } {
  const allocator = new PtPool({ base: 0x8000_0000n, size: 16 * SZ_1M })
  return { pool: allocator, table: IoPageTable.createRaw(arm64LpaeS1, { allocator, pgsizeBitmap: SIZES, ias: 48, oas: 48, ...config }) }
}

/** The device, or an OS, writes to the leaf of an address. */
function change({ table, pool }: ReturnType<typeof make>, iova: bigint, bits: (raw: bigint) => bigint): void {
  const leaf = table.walk(iova).at(-1)
  if (leaf?.type !== 'leaf') throw new Error('nothing is mapped')
  pool.cells[Number(leaf.table - pool.base) / 8 + leaf.index] = BigInt.asIntN(64, bits(leaf.raw))
}

test('map(0, 4K x 256); map(1M, 4K x 256); unmap(0, 2M x 1) frees the whole level 3 table', () => {
  const { table, pool } = make()
  table.mapPages(0n, 0x9000_0000n, SZ_4K, 256, RW)
  table.mapPages(0x10_0000n, 0xa000_0000n, SZ_4K, 256, Prot.READ)
  expect(table.tableBytes).toBe(4 * SZ_4K)
  expect(table.unmapPages(0n, SZ_2M, 1)).toBe(SZ_2M)
  expect(table.tableBytes).toBe(3 * SZ_4K)
  expect(table.iovaToPhys(0x10_0000n)).toBeUndefined()
  table.free()
  expect(pool.stats().live).toBe(0)
})

test('tables are as large as the granule, roots as large as their entries, and at least 64 bytes', () => {
  const bytes = (config: Partial<ArmLpaeS1Config>): number => make(config).table.tableBytes
  expect([48, 40, 39, 36, 32, 25].map((ias) => bytes({ ias }))).toEqual([4096, 64, 4096, 512, 64, 128])
  expect(bytes({ pgsizeBitmap: pgsizeBitmap(SZ_16K), ias: 48 })).toBe(64)
  expect(bytes({ pgsizeBitmap: pgsizeBitmap(SZ_64K), ias: 52, oas: 52 })).toBe(8192)
  expect(bytes({ pgsizeBitmap: pgsizeBitmap(SZ_64K), ias: 42 })).toBe(65536)
})

test('the last page of the space, for TTBR0 and for TTBR1, and the first address beyond', () => {
  const low = make().table
  low.map(2n ** 48n - 0x1000n, 2n ** 48n - 0x1000n, SZ_4K, RW)
  expect(low.iovaToPhys(2n ** 48n - 1n)).toBe(2n ** 48n - 1n)
  expect(low.mapPages(2n ** 48n, 0n, SZ_4K, 1, RW).error?.code).toBe('ERANGE')
  expect(low.mapPages(0n, 2n ** 48n - 0x1000n, SZ_4K, 2, RW).error?.code).toBe('ERANGE')
  const high = make({ quirks: ['ARM_TTBR1'] }).table
  high.map(2n ** 64n - 0x1000n, 0n, SZ_4K, RW)
  high.map(2n ** 64n - 2n ** 48n, 0x1000n, SZ_4K, RW)
  expect([high.iovaToPhys(2n ** 64n - 1n), high.iovaToPhys(2n ** 64n - 2n ** 48n)]).toEqual([0xfffn, 0x1000n])
  for (const iova of [0n, 2n ** 48n, 2n ** 64n - 2n ** 48n - 0x1000n])
    expect(high.mapPages(iova, 0n, SZ_4K, 1, RW).error).toMatchObject({ code: 'ERANGE', value: iova })
})

describe('what an OS wrote is read', () => {
  test('contiguous entries, pages without the access flag, software bits, execute-never by halves', () => {
    const made = make()
    const { table } = made
    table.mapPages(0n, 0x9000_0000n, SZ_4K, 32, RW)
    for (let i = 0n; i < 16n; i++) change(made, i * 0x1000n, (raw) => raw | (1n << 52n))
    expect(table.walk(0x3000n).at(-1)).toMatchObject({ size: { pgsize: SZ_64K, slots: 16 }, paddr: 0x9000_3000n, reserved: 0n })
    expect(table.iovaToPhys(0x3456n)).toBe(0x9000_3456n)
    change(made, 0x1_0000n, (raw) => (raw & ~(1n << 10n)) | (5n << 55n) | (1n << 53n))
    const leaf = table.walk(0x1_0000n).at(-1)
    if (leaf?.type !== 'leaf') throw new Error('a page expected')
    expect(leaf.reserved).toBe(0n)
    expect(arm64LpaeS1.prot(leaf.raw, leaf.kind, table.context)).toBe(RW)
    expect(table.iovaToPhys(0x1_0000n)).toBe(0x9001_0000n)
    // they are unmapped as what they are here: pages
    expect(table.unmapPages(0n, SZ_2M, 1)).toBe(SZ_2M)
  })

  test('a reserved descriptor is in the way, translates nothing, and ends an unmap', () => {
    const made = make()
    const { table } = made
    table.mapPages(0n, 0x9000_0000n, SZ_4K, 4, RW)
    change(made, 0x2000n, (raw) => raw & ~2n)
    expect(table.iovaToPhys(0x2000n)).toBeUndefined()
    expect(table.walk(0x2000n).at(-1)?.type).toBe('invalid')
    expect(table.mapPages(0x2000n, 0n, SZ_4K, 1, RW).error?.code).toBe('EEXIST')
    expect(table.unmapPages(0n, SZ_4K, 4)).toBe(2 * SZ_4K)
  })
})

describe('dirty tracking (ARM_HD)', () => {
  const DBM = 1n << 51n
  const AP_RDONLY = 1n << 7n
  const dirty = ({ table }: ReturnType<typeof make>, iova: bigint, size: number, flags = 0, gather?: IotlbGather): bigint[] => {
    const seen: bigint[] = []
    table.readAndClearDirty(iova, size, (at) => void seen.push(at), flags, gather)
    return seen
  }

  test('what is mapped writable begins dirty; cleaned, hardware makes it dirty again by clearing AP[2]', () => {
    const made = make({ quirks: ['ARM_HD'] })
    const { table } = made
    table.mapPages(0n, 0x9000_0000n, SZ_4K, 3, RW)
    table.mapPages(0x3000n, 0x9000_0000n, SZ_4K, 1, Prot.READ)
    expect(dirty(made, 0n, 4 * SZ_4K, ReadDirty.NO_CLEAR)).toEqual([0n, 0x1000n, 0x2000n])
    expect(dirty(made, 0n, 4 * SZ_4K)).toEqual([0n, 0x1000n, 0x2000n])
    const clean = table.walk(0x1000n).at(-1)?.raw ?? 0n
    expect(clean & (DBM | AP_RDONLY)).toBe(DBM | AP_RDONLY)
    expect(dirty(made, 0n, 4 * SZ_4K)).toEqual([])
    change(made, 0x1000n, (raw) => raw & ~AP_RDONLY)
    expect(dirty(made, 0n, 4 * SZ_4K)).toEqual([0x1000n])
    // clean or dirty, it is writable, and is unmapped as ever
    expect(arm64LpaeS1.prot(clean, { fields: [] } as never, table.context) & Prot.WRITE).toBe(Prot.WRITE)
    expect(table.unmapPages(0n, SZ_4K, 4)).toBe(4 * SZ_4K)
  })

  test('blocks, a hole, and a read-only leaf, which is never dirty', () => {
    const made = make({ quirks: ['ARM_HD'], pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M), ias: 52, oas: 52 })
    made.table.mapPages(0n, 0xf_0000_0000_0000n, SZ_512M, 1, RW)
    made.table.mapPages(BigInt(SZ_512M), 0n, SZ_64K, 1, Prot.READ)
    expect(() => dirty(made, 0n, SZ_512M + 2 * SZ_64K)).toThrow(/^EINVAL: readAndClearDirty: nothing is mapped at 0x20010000/)
    expect(dirty(made, 0n, SZ_512M)).toEqual([])
    expect(made.table.iovaToPhys(5n)).toBe(0xf_0000_0000_0005n)
  })

  test('without the quirk it is EINVAL', () => {
    const made = make()
    made.table.map(0n, 0n, SZ_4K, RW)
    expect(() => dirty(made, 0n, SZ_4K)).toThrow(/^EINVAL/)
  })
})
