/** What differs from `apple-dart`: shifted addresses, NO_CACHE, and what has no place in a descriptor. */
import { bitsOf, decode, fieldValues, IoPageTable, Prot, pgsizeBitmap, SZ_4K, SZ_16K, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { appleDart2, type DartConfig } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const CONFIG: DartConfig = { pgsizeBitmap: pgsizeBitmap(SZ_16K), ias: 42, oas: 42 }

function newTable(config: DartConfig) {
  const allocator = new PtPool({ base: 0x5_5a40_0000n, size: 8 * 2 ** 20 })
  return { allocator, table: IoPageTable.createRaw(appleDart2, { ...config, allocator }) }
}

describe.each(appleDart2.configs)('$name', ({ config }) => {
  test('maps, translates and unmaps at both ends, and rootsFromRegs finds it', () => {
    const { allocator, table } = newTable(config)
    const pgsize = Number(table.config.pgsizeBitmap)
    const last = (1n << BigInt(table.config.ias)) - BigInt(pgsize)
    const paddr = (1n << BigInt(table.config.oas)) - BigInt(SZ_16K)
    for (const iova of [0n, last]) {
      expect(table.mapPages(iova, paddr, pgsize, 1, RW)).toEqual({ mapped: pgsize, error: undefined })
      expect(table.iovaToPhys(iova + 0xabcn)).toBe(paddr + 0xabcn)
    }
    const [found] = appleDart2.rootsFromRegs({ ...table.regs, pgsize })
    const leaves: bigint[] = []
    const visitor = { leaf: (leaf: { iova: bigint; paddr: bigint }) => void leaves.push(leaf.iova, leaf.paddr) }
    walkTables(appleDart2.geometry(found?.params ?? appleDart2.params(table.config)), found?.roots ?? [], table.readMemory, visitor)
    expect(leaves).toEqual([0n, paddr, last, paddr])
    for (const iova of [0n, last]) expect(table.unmapPages(iova, pgsize, 1)).toBe(pgsize)
    table.free()
    expect(allocator.stats().live).toBe(0)
  })

  test('every prot comes back, and no bit belongs to two fields', () => {
    const agreed = appleDart2.configure(config)
    const geometry = appleDart2.geometry(appleDart2.params(agreed))
    const node = geometry.nodes.at(-1)
    const kind = node?.kinds.find((k) => k.type === 'leaf')
    if (node === undefined || kind === undefined) throw new Error('no leaf')
    for (let prot = 0; prot < 64; prot++) {
      const raw = kind.set | (appleDart2.encodeLeaf(agreed, node, kind, prot) ?? 0n)
      expect(appleDart2.prot(raw, kind, undefined)).toBe(prot & (RW | Prot.CACHE))
      expect(decode(geometry, node, raw)).toMatchObject({ type: 'leaf', reserved: 0n })
    }
    let taken = kind.match.mask
    for (const bits of [bitsOf(kind.address), ...kind.fields.map((f) => bitsOf(f.pieces))]) {
      expect(taken & bits).toBe(0n)
      taken |= bits
    }
  })
})

describe('address bits 13:12 have no place', () => {
  const config = { ...CONFIG, pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 36 }
  test.each([0x1000n, 0x2000n, 0x3000n, 0x35a_5a5a_5000n])('a page at %i is refused', (paddr) => {
    const { table } = newTable(config)
    const bits = `0x${(paddr & 0x3000n).toString(16)}`
    expect(table.mapPages(0n, paddr, SZ_4K, 1, RW)).toMatchObject({
      mapped: 0,
      error: { code: 'EINVAL', message: expect.stringContaining(`no place for the address bits ${bits}`) },
    })
    expect(table.mapRange(0n, paddr, SZ_4K, RW)).toMatchObject({ mapped: 0, error: { code: 'EINVAL' } })
    expect(() => table.map(0n, paddr, SZ_4K, RW)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })
  test('so is a run, whose second page has one of them', () => {
    const { table } = newTable(config)
    const wrong = { mapped: 0, error: { code: 'EINVAL', message: expect.stringContaining('bits 0x1000') } }
    expect(table.mapPages(0n, 0x4000n, SZ_4K, 2, RW)).toMatchObject(wrong)
    expect(table.mapPages(0n, 0x4000n, SZ_4K, 1, RW)).toEqual({ mapped: SZ_4K, error: undefined })
    expect(table.iovaToPhys(0x123n)).toBe(0x4123n)
  })
  test('of tables neither: all but the roots are aligned to 16K', () => {
    const { table } = newTable(config)
    for (let i = 0n; i < 40n; i++) table.map(i << 21n, i << 14n, SZ_4K, RW)
    for (let i = 0n; i < 40n; i++) expect(table.iovaToPhys(i << 21n)).toBe(i << 14n)
    let tables = 0
    walkTables(table.geometry, table.roots, table.readMemory, {
      table({ next }) {
        expect(next % BigInt(SZ_16K)).toBe(0n)
        tables++
      },
    })
    expect(tables).toBe(41)
    table.free()
  })
  test('with 16K pages every address has one', () => {
    const { table } = newTable(CONFIG)
    expect(table.mapPages(0n, 0x35a_5a5a_4000n, SZ_16K, 2500, RW)).toEqual({ mapped: 2500 * SZ_16K, error: undefined })
    for (const page of [0n, 1n, 0x3e7n, 2499n]) expect(table.iovaToPhys(page << 14n)).toBe(0x35a_5a5a_4000n + (page << 14n))
  })
})

test('names of a descriptor', () => {
  const geometry = appleDart2.geometry(appleDart2.params(appleDart2.configure(CONFIG)))
  const node = geometry.nodes[2]
  if (node === undefined) throw new Error('three levels of tables')
  const raw = 0x0018_0035_a5a5_a405n
  const entry = decode(geometry, node, raw)
  expect(entry).toMatchObject({ type: 'leaf', paddr: 0x35a_5a5a_4000n, reserved: 0n })
  expect(fieldValues(entry.kind, raw)).toEqual({ SP_START: 1n, SP_END: 0x800n, NO_CACHE: 0n, NO_WRITE: 1n, NO_READ: 0n })
  expect(decode(geometry, node, raw | 0xf0n)).toMatchObject({ reserved: 0xf0n })
})
