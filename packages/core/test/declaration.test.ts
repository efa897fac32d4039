/** What a declaration may say of any node holds there: alignment below the root, and the order of kinds where tables are told. */
import { type AnyFmt, type Geometry, IoPageTable, IotlbGather, type Kind, type LevelNode, Prot, walkTables, when } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { BLOCK, HUGE, newPool, PAGE, RW, SIZES } from './helpers.ts'
import { type Toy, toy } from './toy-format.ts'

/** A Toy with changed nodes. */
function declared(change: (node: LevelNode) => Partial<LevelNode>, base: Toy = toy()): Toy {
  const changed = (geometry: Geometry): Geometry => ({ ...geometry, nodes: geometry.nodes.map((node) => ({ ...node, ...change(node) })) })
  return { ...base, geometry: (params) => changed(base.geometry(params)) }
}

function table(format: Toy, pool = newPool()): IoPageTable<Toy> {
  return IoPageTable.createRaw(format, { allocator: pool, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
}

/** Every table below the roots, once: an address that is met twice is a fault. */
function tablesOf(t: IoPageTable<Toy>): bigint[] {
  const found: bigint[] = []
  walkTables(t.geometry, t.roots, t.readMemory, { table: ({ next }) => void found.push(next) })
  expect(new Set(found).size).toBe(found.length)
  return found
}

/** Tables of 128 bytes below the root that lie at multiples of `align`; the entries of their parents hold no lower bits. */
function aligned(align: number, base?: Toy): Toy {
  const address = [[51, Math.log2(align), Math.log2(align)]] as const
  const kinds = (node: LevelNode): Kind[] => node.kinds.map((kind) => (kind.type === 'table' ? { ...kind, address } : kind))
  return declared((node) => ({ ...(node.level > 1 && { align }), kinds: kinds(node) }), base)
}

test('tables of every level lie at multiples of their alignment, and none on another', () => {
  for (const align of [64, 256, 4096]) {
    for (const shared of [false, true]) {
      const pool = newPool({}, { shared })
      pool.alloc(128)
      const t = table(aligned(align), pool)
      // page by page, whole tables at once, and a cut: each makes tables in its own way
      for (let i = 0; i < 20; i++) expect(t.mapPages(BigInt(i * BLOCK), BigInt(i * PAGE), PAGE, 1, RW).mapped).toBe(PAGE)
      t.map(BigInt(4 * HUGE), 0n, HUGE / 2, RW)
      t.map(BigInt(8 * HUGE), BigInt(8 * HUGE), HUGE, RW)
      expect(t.cut(BigInt(8 * HUGE + PAGE))).toBe(true)
      const tables = tablesOf(t)
      for (const paddr of tables) expect(paddr % BigInt(align)).toBe(0n)
      for (let i = 0; i < 20; i++) expect(t.iovaToPhys(BigInt(i * BLOCK))).toBe(BigInt(i * PAGE))
      for (let i = 0; i < HUGE / 2; i += PAGE) expect(t.iovaToPhys(BigInt(4 * HUGE + i))).toBe(BigInt(i))
      const block = Math.max(align, 128)
      expect(pool.stats().live - 128).toBe(t.tableBytes)
      expect(t.tableBytes).toBe(tables.length * block + 128)
      const gather = new IotlbGather()
      expect(t.unmap(BigInt(8 * HUGE), HUGE)).toBe(HUGE)
      expect(t.unmap(0n, 19 * BLOCK, gather)).toBe(19 * BLOCK)
      gather.sync()
      expect(t.unmap(BigInt(19 * BLOCK), PAGE)).toBe(PAGE)
      const before = t.tableBytes
      expect(t.trim()).toBe(before - t.tableBytes)
      t.free()
      expect([pool.stats().live, t.tableBytes]).toEqual([128, 0])
    }
  }
})

test('a root that is aligned to more than its size, and grows, is freed with its block', () => {
  const pool = newPool()
  const t = table(aligned(4096, toy({ grows: 1 })), pool)
  expect([t.tableBytes, pool.stats().live]).toEqual([128, 4096])
  t.map(BigInt(8 * HUGE), 0n, PAGE, RW)
  t.map(0n, 0n, PAGE, RW)
  expect(t.geometry.top).toBe('L1')
  expect([t.tableBytes, pool.stats().live]).toEqual([128 + 4 * 4096, 128 + 4 * 4096])
  t.map(BigInt(PAGE), 0n, PAGE, RW)
  t.free()
  expect([t.tableBytes, pool.stats().live]).toEqual([0, 0])
})

test('an adopted table with aligned tables is freed by what its tables take', () => {
  const pool = newPool()
  const format = aligned(4096)
  const t = table(format, pool)
  t.map(0n, 0n, PAGE, RW)
  const live = pool.stats().live
  const again = IoPageTable.adopt(format, { allocator: pool, roots: t.roots, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
  expect([again.tableBytes, live]).toEqual([live, 128 + 2 * 4096])
  again.free()
  expect(pool.stats().live).toBe(0)
})

const MARK = 1n << 11n

/** A leaf is what has the mark, a table any other valid entry: the leaf's match alone, which comes first, tells them apart. */
function marked(match = when(MARK, MARK), table: Partial<Kind> = {}): Toy {
  const base = declared((node) => ({
    kinds: node.kinds.map((kind): Kind => {
      if (kind.type === 'leaf') return { ...kind, match, set: 1n | match.value }
      return kind.type === 'table' ? ({ ...kind, set: 1n, address: [[51, 12, 12]], ...table } as Kind) : kind
    }),
  }))
  return aligned(4096, base)
}

test.each([
  ['a low bit', when(1n << 8n, 1n << 8n)],
  ['a bit above 31', when(1n << 60n, 1n << 60n)],
])('a leaf kind before a table kind is a leaf: told by %s', (_, match) => {
  const t = table(marked(match))
  t.map(0n, BigInt(HUGE), HUGE, RW)
  t.map(BigInt(HUGE), BigInt(2 * BLOCK), BLOCK, RW)
  t.map(BigInt(2 * HUGE), 0n, PAGE, RW)
  expect(t.iovaToPhys(0x1234n)).toBe(BigInt(HUGE) + 0x1234n)
  expect(t.iovaToPhys(BigInt(HUGE) + 0x123n)).toBe(BigInt(2 * BLOCK) + 0x123n)
  expect(t.iovaToPhys(BigInt(HUGE + BLOCK))).toBeUndefined()
  const sizes: number[] = []
  t.forEachLeaf(undefined, ({ size }) => void sizes.push(size))
  expect(sizes).toEqual([HUGE, BLOCK, PAGE])
  expect(t.mapPages(0n, 0n, PAGE, 1, RW).error?.code).toBe('EEXIST')
  expect(t.protect(0n, HUGE, Prot.READ)).toBe(HUGE)
  expect(t.cut(BigInt(PAGE))).toBe(true)
  expect(t.iovaToPhys(0x5678n)).toBe(BigInt(HUGE) + 0x5678n)
  expect(t.unmap(0n, HUGE + BLOCK)).toBe(HUGE + BLOCK)
  expect(t.iovaToPhys(0n)).toBeUndefined()
  t.free()
})

test('a table that no bit beside its address tells from an earlier kind is refused, with the names', () => {
  const create = (): AnyFmt => table(marked(when(1n << 12n, 1n << 12n))).format
  expect(create).toThrow(/node L1: a table that is written must exclude block, earlier in its kinds/)
})
