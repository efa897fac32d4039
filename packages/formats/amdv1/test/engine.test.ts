/** What is this format's own when the engine runs it: a root that grows, sizes beyond 4 GiB, skipped levels, dirty bits. */
import { IoPageTable, IotlbGather, Prot, walkAddress, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { type AmdV1Config, type AmdV1Regs, amdV1 } from '../src/index.ts'
import { setBits, translate } from './manual.ts'

const RW = Prot.READ | Prot.WRITE
const CONFIG: AmdV1Config = { pgsizeBitmap: (1n << 52n) - 0x1000n, ias: 64, oas: 52 }
const D = 1n << 6n

function newTable(config: Partial<AmdV1Config> = {}, size = 2 ** 22) {
  const allocator = new PtPool({ base: 0x5a5a_5a40_0000n, size })
  const roots: AmdV1Regs[] = []
  const table = IoPageTable.createRaw(amdV1, { ...CONFIG, ...config, allocator, onRoot: (regs) => void roots.push(regs as AmdV1Regs) })
  return { allocator, table, roots }
}

/** The physical address of the last entry on the way of an address. */
function entryAt(table: IoPageTable<typeof amdV1>, iova: bigint): bigint {
  const last = table.walk(iova).at(-1)
  if (last === undefined) throw new Error('no way')
  return last.table + 8n * BigInt(last.index)
}

describe.each(amdV1.configs)('$name', ({ config }) => {
  test('every size at both ends of both address spaces', () => {
    const { table, allocator } = newTable(config)
    const inputs = 1n << BigInt(table.config.ias)
    const outputs = 1n << BigInt(table.config.oas)
    for (let lg = 12n; lg < 52n; lg++) {
      if (((table.config.pgsizeBitmap >> lg) & 1n) === 0n) continue
      const bytes = 1n << lg
      for (const iova of [0n, inputs - bytes]) {
        const paddr = outputs - bytes
        expect(table.mapRange(iova, paddr, Number(bytes), RW)).toEqual({ mapped: Number(bytes), error: undefined })
        expect(table.walk(iova).at(-1)).toMatchObject({ type: 'leaf', paddr, size: { pgsize: Number(bytes) }, reserved: 0n })
        for (const offset of [0n, bytes / 2n + 0x123n, bytes - 1n]) {
          expect(table.iovaToPhys(iova + offset)).toBe(paddr + offset)
          expect(translate(table.regs.dte, table.readMemory, iova + offset)).toMatchObject({ paddr: paddr + offset, pgsize: bytes })
        }
        if (lg > 12n) expect(table.unmapRange(iova + bytes / 2n, 4096)).toBe(0)
        expect(table.unmapRange(iova, 4096)).toBe(Number(bytes))
        expect(table.iovaToPhys(iova)).toBeUndefined()
      }
    }
    expect(table.mapRange(inputs - 4096n, 0n, 8192, RW).error?.code).toBe('ERANGE')
    expect(table.mapRange(0n, outputs - 4096n, 8192, RW).error?.code).toBe('ERANGE')
    table.free()
    expect(allocator.stats().live).toBe(0)
  })

  test('the device table entry leads to the same tables', () => {
    const { table } = newTable(config)
    const last = (1n << BigInt(table.config.ias)) - 4096n
    table.map(last, 0x1000n, 4096, RW)
    const [found] = amdV1.rootsFromRegs(table.regs)
    if (found === undefined) throw new Error('no root')
    const leaves: bigint[] = []
    walkTables(amdV1.geometry(found.params), found.roots, table.readMemory, { leaf: ({ iova }) => void leaves.push(iova) })
    expect(leaves).toEqual([last])
  })
})

describe('a root that grows', () => {
  test('from one level to six, the old root at entry 0 of the new one', () => {
    const { table, roots } = newTable({ topLevel: 1 })
    table.map(0x1000n, 0x8000_0000n, 4096, RW)
    expect(table.regs.mode).toBe(1)
    for (const [i, shift] of [21n, 30n, 39n, 48n, 57n].entries()) {
      const small = table.roots[0]
      expect(table.iovaToPhys((1n << shift) | 0x1000n)).toBeUndefined()
      expect(table.unmapRange(1n << shift, 4096)).toBe(0)
      expect(table.walk((1n << shift) | 0x1000n)).toEqual([])
      table.map(1n << shift, 0x9000_0000n, 4096, RW)
      expect(table.regs.mode).toBe(i + 2)
      expect(roots.at(-1)).toEqual(table.regs)
      expect(table.walk(0x1abcn)[0]).toMatchObject({ type: 'table', next: small, index: 0, node: { level: i + 2 } })
      expect(table.iovaToPhys(0x1abcn)).toBe(0x8000_0abcn)
      expect(translate(table.regs.dte, table.readMemory, 0x1abcn)?.paddr).toBe(0x8000_0abcn)
    }
    expect(roots.map(({ mode }) => mode)).toEqual([2, 3, 4, 5, 6])
  })

  test('a page larger than the root reaches needs its level, also at address 0', () => {
    const { table, roots } = newTable({ topLevel: 1 })
    table.map(0n, 0n, 2 ** 40, Prot.READ)
    // the levels below the new root were empty, and are gone
    expect([table.regs.mode, table.tableBytes]).toEqual([4, 4096])
    expect(roots).toHaveLength(1)
    expect(table.walk(0x80_0000_0000n)).toMatchObject([{ type: 'leaf', paddr: 0n, size: { pgsize: 2 ** 40, slots: 2 } }])
  })

  test('a range over the end of the reach', () => {
    const { table } = newTable()
    const iova = (1n << 39n) - 0x3000n
    expect(table.mapRange(iova, 0x5000n, 0x6000, RW)).toEqual({ mapped: 0x6000, error: undefined })
    expect(table.regs.mode).toBe(4)
    for (let at = 0n; at < 0x6000n; at += 0x800n) expect(table.iovaToPhys(iova + at)).toBe(0x5000n + at)
    expect(table.unmapRange(iova, 0x6000)).toBe(0x6000)
  })

  test('reads of dirty bits beyond the reach find a hole, not what has the same index bits', () => {
    const { table } = newTable()
    table.map(0x1000n, 0n, 4096, RW)
    setBits(table.readMemory, entryAt(table, 0x1000n), D)
    expect(() => table.readAndClearDirty((1n << 39n) | 0x1000n, 4096, () => expect.fail('visited'))).toThrow(/nothing is mapped/)
  })

  test('in another worker, too', () => {
    const allocator = new PtPool({ base: 0x8000_0000n, size: 2 ** 22, shared: true })
    const one = IoPageTable.createRaw(amdV1, { ...CONFIG, allocator })
    const two = IoPageTable.attach(amdV1, one.share())
    one.map(1n << 63n, 0x3000n, 4096, RW)
    expect([two.regs, two.iovaToPhys(1n << 63n)]).toEqual([one.regs, 0x3000n])
    two.map(0x4000n, 0x4000n, 4096, RW)
    expect(one.iovaToPhys(0x4000n)).toBe(0x4000n)
  })
})

describe('sizes', () => {
  test('2^39 is never written, but read', () => {
    const { table } = newTable()
    table.map(0n, 0n, 2 ** 39, RW)
    expect(table.walk(0n).at(-1)).toMatchObject({ size: { pgsize: 2 ** 38, slots: 256 } })
    const { geometry, roots, readMemory } = newTable({ topLevel: 4 }).table
    setBits(readMemory, roots[0] ?? 0n, 0x6000_0080_0000_0001n)
    expect(walkAddress(geometry, roots, readMemory, 0x12_3456_789an).at(-1)).toMatchObject({ type: 'leaf', paddr: 0x80_0000_0000n })
  })

  test('a run of pages whose low address lane carries, and one whose step is above it', () => {
    const { table } = newTable()
    table.map(0n, 0xffff_0000n, 0x30_0000, RW)
    for (const at of [0n, 0xffffn, 0x1_0000n, 0x2f_ffffn]) expect(table.iovaToPhys(at)).toBe(0xffff_0000n + at)
    table.map(1n << 34n, 0x3_0000_0000n, 5 * 2 ** 32, RW)
    for (const at of [0n, 0x1_2345_6789n, 0x4_ffff_ffffn]) expect(table.iovaToPhys((1n << 34n) + at)).toBe(0x3_0000_0000n + at)
    expect(table.unmapRange(1n << 34n, 5 * 2 ** 32)).toBe(5 * 2 ** 32)
  })

  test('a large page over several empty tables takes them down; over a live one it does not', () => {
    const { table } = newTable()
    for (const iova of [0x40_0000n, 0x60_0000n]) {
      table.map(iova, 0n, 4096, RW)
      table.unmap(iova, 4096)
    }
    const before = table.tableBytes
    expect(table.mapPages(0x40_0000n, 0x80_0000n, 0x40_0000, 1, RW).error).toBeUndefined()
    expect(table.tableBytes).toBe(before - 2 * 4096)
    table.map(0x80_0000n, 0n, 4096, RW)
    table.map(0xa0_0000n, 0n, 4096, RW)
    table.unmap(0x80_0000n, 4096)
    expect(table.mapPages(0x80_0000n, 0n, 0x40_0000, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
    expect(table.iovaToPhys(0xa0_0000n)).toBe(0n)
  })

  test('a table goes when the range covers it, not when a page that reaches its end does', () => {
    const { table } = newTable()
    const gather = new IotlbGather()
    const map = (): void => table.map(0n, 0x10_0000n, 0x20_0000, RW) // two pages of 1 MiB
    map()
    const before = table.tableBytes
    expect(table.unmapRange(0n, 0x10_1000, gather)).toBe(0x20_0000)
    expect([gather.first, gather.last, gather.pendingTables, gather.leafLevels, gather.tableLevels]).toEqual([0n, 0x1f_ffffn, 0, 2, 0])
    gather.sync()
    map()
    expect(table.unmapRange(0n, 0x20_0000, gather)).toBe(0x20_0000)
    expect([gather.pendingTables, gather.leafLevels, gather.tableLevels]).toEqual([1, 2, 4])
    gather.sync()
    expect(table.tableBytes).toBe(before - 4096)
  })
})

test('skipped levels: the address bits between must be zero', () => {
  const { table } = newTable({ topLevel: 4 })
  table.map(0x1000n, 0x5000n, 4096, Prot.READ)
  const [root = 0n] = table.roots
  const page = table.walk(0x1000n).at(-1)?.table ?? 0n
  // level 4, entry 2, points to the page table: addresses 0x100_0000_0000 to 0x100_001f_ffff
  setBits(table.readMemory, root + 16n, page | 0x2000_0000_0000_0201n)
  const way = (iova: bigint) => walkAddress(table.geometry, table.roots, table.readMemory, iova)
  expect(way(0x100_0000_1abcn)).toMatchObject([
    { type: 'table', child: { level: 1 }, reserved: 0n },
    { type: 'leaf', paddr: 0x5000n, iova: 0x100_0000_1000n },
  ])
  expect(way(0x100_0020_1abcn)).toMatchObject([{ type: 'table' }])
  for (const iova of [0x100_0000_1abcn, 0x100_0020_1abcn, 0x110_0000_1abcn])
    expect(translate(table.regs.dte, table.readMemory, iova) !== undefined).toBe(way(iova).at(-1)?.type === 'leaf')
  const leaves: bigint[] = []
  walkTables(table.geometry, table.roots, table.readMemory, { leaf: ({ iova }) => void leaves.push(iova) })
  expect(leaves).toEqual([0x1000n, 0x100_0000_1000n])
})

describe('dirty', () => {
  test('any entry of a page that has D makes it dirty; all of them are cleaned', () => {
    const { table } = newTable()
    table.map(0n, 0x10_0000n, 0x1_0000, RW) // 64K, 16 entries
    table.map(0x1_0000n, 0x50_1000n, 4096, RW)
    for (const iova of [0x3000n, 0x9000n, 0x1_0000n]) setBits(table.readMemory, entryAt(table, iova), D)
    const visits: [bigint, number][] = []
    const gather = new IotlbGather()
    table.readAndClearDirty(0n, 0x1_1000, (iova, pgsize) => void visits.push([iova, pgsize]), 0, gather)
    expect(visits).toEqual([
      [0n, 0x1_0000],
      [0x1_0000n, 4096],
    ])
    expect([gather.first, gather.last, gather.leafLevels]).toEqual([0n, 0x1_0fffn, 2])
    gather.sync()
    table.readAndClearDirty(0n, 0x1_1000, () => expect.fail('still dirty'))
    expect(table.walk(0x9000n).at(-1)?.raw).toBe(0x6000_0000_0010_7e01n)
  })
})
