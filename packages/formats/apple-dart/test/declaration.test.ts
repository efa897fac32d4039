/** The declaration by itself and under the engine: descriptors, fields, configurations, registers. */
import {
  bitsOf,
  decode,
  fieldValues,
  IoPageTable,
  type IoPgtableError,
  inputRanges,
  Prot,
  pgsizeBitmap,
  SZ_4K,
  SZ_16K,
  walkAddress,
  walkTables,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { appleDart, type DartConfig } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const CONFIG: DartConfig = { pgsizeBitmap: pgsizeBitmap(SZ_16K), ias: 36, oas: 36 }

function newTable(config: DartConfig) {
  const allocator = new PtPool({ base: 0xf_5a40_0000n, size: 8 * 2 ** 20 })
  return { allocator, table: IoPageTable.createRaw(appleDart, { ...config, allocator }) }
}

function codeOf(call: () => unknown): string | undefined {
  try {
    call()
  } catch (error) {
    return (error as IoPgtableError).code
  }
  return undefined
}

describe.each(appleDart.configs)('$name', ({ config }) => {
  test('maps, translates and unmaps at both ends of the input addresses', () => {
    const { allocator, table } = newTable(config)
    const pgsize = Number(table.config.pgsizeBitmap)
    const last = (1n << BigInt(table.config.ias)) - BigInt(pgsize)
    const paddr = (1n << 36n) - BigInt(pgsize)
    for (const iova of [0n, last]) {
      expect(table.mapPages(iova, paddr, pgsize, 1, RW)).toEqual({ mapped: pgsize, error: undefined })
      expect(table.iovaToPhys(iova + 0x123n)).toBe(paddr + 0x123n)
      expect(table.walk(iova + 0x123n).at(-1)).toMatchObject({ type: 'leaf', paddr, iova })
    }
    expect(table.mapPages(last + BigInt(pgsize), 0n, pgsize, 1, RW).error?.code).toBe('ERANGE')
    expect(table.mapPages(last, 0n, pgsize, 2, RW).error?.code).toBe('ERANGE')
    for (const iova of [0n, last]) expect(table.unmapPages(iova, pgsize, 1)).toBe(pgsize)
    expect(table.iovaToPhys(last)).toBeUndefined()
    table.free()
    expect(allocator.stats().live).toBe(0)
  })

  test('rootsFromRegs leads back to the tables', () => {
    const { table } = newTable(config)
    const pgsize = Number(table.config.pgsizeBitmap)
    const last = (1n << BigInt(table.config.ias)) - BigInt(pgsize)
    table.map(last, 0x8000_0000n, pgsize, RW)
    const [found] = appleDart.rootsFromRegs({ ...table.regs, pgsize })
    expect(found?.roots).toEqual(table.roots)
    expect(found?.params).toMatchObject({ ...appleDart.params(table.config), ias: expect.any(Number), oas: 36 })
    const geometry = appleDart.geometry(found?.params ?? appleDart.params(table.config))
    expect(geometry.nodes).toEqual(table.geometry.nodes)
    expect(found).toMatchObject(inputRanges(geometry)[0] ?? {})
    expect(walkAddress(geometry, found?.roots ?? [], table.readMemory, last).at(-1)).toMatchObject({ type: 'leaf', paddr: 0x8000_0000n })
    const leaves: bigint[] = []
    walkTables(geometry, found?.roots ?? [], table.readMemory, { leaf: ({ iova }) => void leaves.push(iova) })
    expect(leaves).toEqual([last])
  })

  test('every prot comes back from its descriptor', () => {
    const agreed = appleDart.configure(config)
    const node = appleDart.geometry(appleDart.params(agreed)).nodes.at(-1)
    const kind = node?.kinds.find((k) => k.type === 'leaf')
    if (node === undefined || kind === undefined) throw new Error('no leaf')
    for (let prot = 0; prot < 64; prot++) {
      const raw = kind.set | (appleDart.encodeLeaf(agreed, node, kind, prot) ?? 0n)
      expect(appleDart.prot(raw, kind, undefined)).toBe(prot & RW)
      expect(decode(appleDart.geometry(appleDart.params(agreed)), node, raw)).toMatchObject({ type: 'leaf', reserved: 0n, paddr: 0n })
    }
  })

  test('no bit belongs to two fields, and every value is of one kind', () => {
    const { nodes } = appleDart.geometry(appleDart.params(appleDart.configure(config)))
    for (const node of nodes) {
      for (const kind of node.kinds) {
        if (kind.type !== 'leaf' && kind.type !== 'table') continue
        let taken = kind.match.mask
        for (const bits of [bitsOf(kind.address), ...kind.fields.map((f) => bitsOf(f.pieces))]) {
          expect(taken & bits).toBe(0n)
          taken |= bits
        }
      }
      expect(node.kinds.map(({ match }) => match)).toEqual([
        { mask: 1n, value: 0n },
        { mask: 1n, value: 1n },
      ])
    }
  })
})

describe('roots', () => {
  test.each([
    [SZ_4K, 28, 3, 1],
    [SZ_4K, 31, 3, 2],
    [SZ_4K, 32, 3, 4],
    [SZ_4K, 33, 4, 1],
    [SZ_4K, 40, 4, 2],
    [SZ_4K, 41, 4, 4],
    [SZ_16K, 36, 3, 1],
    [SZ_16K, 37, 4, 1],
    [SZ_16K, 42, 4, 1],
  ])('pages of %i bytes, %i bits: %i levels, %i roots, each a page and aligned to it', (pgsize, ias, nLevels, roots) => {
    const { table } = newTable({ pgsizeBitmap: BigInt(pgsize), ias, oas: 42 })
    expect(table.regs).toEqual({ nLevels, ttbrs: Array.from({ length: roots }, (_, i) => (table.roots[0] ?? 0n) + BigInt(i * pgsize)) })
    for (const root of table.roots) expect(root % BigInt(pgsize)).toBe(0n)
    expect(table.tableBytes).toBe(roots * pgsize)
  })

  test('each translates its own part of the input addresses', () => {
    const { table } = newTable({ pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 36 })
    for (let i = 0n; i < 4n; i++) table.map(i << 30n, 0x1000n * (i + 1n), SZ_4K, RW)
    const tables: string[] = []
    walkTables(table.geometry, table.roots, table.readMemory, {
      table: ({ table: root, index, iova }) => void tables.push(`${table.roots.indexOf(root)} ${index} ${iova >> 30n}`),
    })
    expect(tables).toEqual(['0 0 0', '1 0 1', '2 0 2', '3 0 3'])
    expect(table.iovaToPhys(0xc000_0abcn)).toBe(0x4abcn)
  })
})

describe('configure', () => {
  test.each<[Partial<DartConfig>, RegExp]>([
    [{ pgsizeBitmap: 0x5000n }, /pgsizeBitmap 0x5000: either 4K or 16K/],
    [{ pgsizeBitmap: 0x10000n }, /pgsizeBitmap 0x10000/],
    [{ coherentWalk: false }, /coherentWalk false/],
    [{ oas: 40 }, /oas 40: 36 or 42/],
    [{ ias: 37 }, /ias 37: 15 to 36/],
    [{ ias: 14 }, /ias 14: 15 to 36/],
    [{ ias: 43, oas: 42 }, /ias 43: 15 to 42/],
    [{ pgsizeBitmap: 0x1000n, ias: 42, oas: 42 }, /ias 42: 13 to 41/],
    [{ quirks: ['MADE_UP' as 'NO_WARN'] }, /quirk MADE_UP/],
  ])('%o is refused and the limit named', (change, message) => {
    expect(() => appleDart.configure({ ...CONFIG, ...change })).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }),
    )
  })
  test('quirks of other formats have no effect, and are not agreed', () => {
    const quirks = ['ARM_NS', 'NO_WARN', 'ARM_HD'] as unknown as readonly 'NO_WARN'[]
    expect(appleDart.configure({ ...CONFIG, quirks })).toEqual({ ...CONFIG, quirks: ['NO_WARN'], coherentWalk: true, cpuPageSize: 4096 })
  })
})

describe('addresses', () => {
  test('of 36 bits, whatever the oas: no descriptor holds more', () => {
    const { table } = newTable({ ...CONFIG, ias: 42, oas: 42 })
    expect(table.mapPages(0n, 1n << 36n, SZ_16K, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'EINVAL', message: /0x1000000000/ } })
    expect(table.mapPages(0n, (1n << 36n) - 0x8000n, SZ_16K, 3, RW)).toMatchObject({ mapped: 0, error: { code: 'EINVAL' } })
    expect(table.mapPages(0n, (1n << 36n) - 0x8000n, SZ_16K, 2, RW)).toMatchObject({ mapped: 0x8000, error: undefined })
    expect(table.mapPages(0n, 1n << 42n, SZ_16K, 1, RW)).toMatchObject({ mapped: 0, error: { code: 'ERANGE' } })
  })
  test('and tables lie below that', () => {
    const allocator = new PtPool({ base: 1n << 36n, size: 2 ** 21 })
    expect(codeOf(() => IoPageTable.createRaw(appleDart, { ...CONFIG, ias: 42, oas: 42, allocator }))).toBe('ENOMEM')
  })
})

describe('decoding', () => {
  const geometry = appleDart.geometry(appleDart.params(appleDart.configure(CONFIG)))
  const [l1, l2] = geometry.nodes
  if (l1 === undefined || l2 === undefined) throw new Error('two levels')
  test('a page with sub-page protection', () => {
    const raw = 0x004f_ff0a_5a50_4101n
    const entry = decode(geometry, l2, raw)
    expect(entry).toMatchObject({ type: 'leaf', paddr: 0xa_5a50_4000n, reserved: 0n })
    expect(fieldValues(entry.kind, raw)).toEqual({ SP_START: 0x004n, SP_END: 0xfffn, SP_DIS: 0n, NO_WRITE: 0n, NO_READ: 1n })
    expect(appleDart.prot(raw, entry.kind as never, undefined)).toBe(Prot.WRITE)
  })
  test('bits that nobody knows are told', () => {
    expect(decode(geometry, l2, 0xfff_0080_0002_03n | (1n << 38n))).toMatchObject({ type: 'leaf', reserved: 0x40_0000_0200n })
    expect(decode(geometry, l1, 0x8000_4003n)).toMatchObject({ type: 'table', next: 0x8000_4000n, reserved: 2n })
  })
  test('levels and names', () => {
    expect(geometry.nodes.map(({ name, level, shift, bits }) => [name, level, shift, bits])).toEqual([
      ['L1', 1, 25, 11],
      ['L2', 2, 14, 11],
    ])
  })
})

test.each([
  [{ pgsize: 65536 }, /pgsize 65536/],
  [{ nLevels: 2 as 3 }, /nLevels 2/],
  [{ ttbrs: [0n, 0x4000n, 0x8000n] }, /ttbrs 3/],
  [{ ttbrs: [0x1234n] }, /ttbr 4660/],
])('rootsFromRegs refuses %o', (change, message) => {
  const regs = { ttbrs: [0x8000_0000n], nLevels: 3 as const, pgsize: SZ_16K }
  expect(appleDart.rootsFromRegs(regs)).toHaveLength(1)
  expect(() => appleDart.rootsFromRegs({ ...regs, ...change })).toThrow(message)
})

test('tables stay when they are emptied, and a run over a conflict writes nothing of its table', () => {
  const { table } = newTable(CONFIG)
  table.map(0x10000n, 0n, SZ_16K, RW)
  expect(table.mapPages(0n, 0n, SZ_16K, 8, RW)).toMatchObject({ mapped: 0, error: { code: 'EEXIST' } })
  expect(table.unmapPages(0x10000n, SZ_16K, 1)).toBe(SZ_16K)
  expect(table.tableBytes).toBe(2 * SZ_16K)
})
