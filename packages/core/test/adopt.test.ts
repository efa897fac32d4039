/** `adopt`: tables that something else built, in memory that the caller owns. */
import { IoPageTable, IotlbGather, Prot } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { deviceWalk } from './hardware.ts'
import { BLOCK, HUGE, KiB, logged, MiB, PAGE, RW, TABLE, thrownBy } from './helpers.ts'
import { type Shape, type Toy, toy } from './toy-format.ts'

/** Guest memory: tables of a guest are written into its first 2 MiB by hand, the rest is a pool's. */
const BASE = 0xa_5a40_0000n
const SIZE = 2 * MiB + 64 * KiB

interface Guest {
  readonly ram: ArrayBuffer
  readonly view: DataView
  readonly pool: PtPool
  readonly log: string[]
  readonly foreign: string[]
  put(table: number, index: number, raw: bigint): void
  adopt(more?: object, format?: Toy): IoPageTable<Toy>
  find(iova: bigint): bigint | string
}

const V = 1n
const T = 2n
const R = 4n
const W = 8n

function guest(shape: Partial<Shape> = {}): Guest {
  const ram = new ArrayBuffer(SIZE)
  const view = new DataView(ram)
  const pool = new PtPool({ base: BASE + BigInt(2 * MiB), memory: new Uint8Array(ram, 2 * MiB), size: 64 * KiB })
  const log: string[] = []
  const foreign: string[] = []
  return {
    ram,
    view,
    pool,
    log,
    foreign,
    put: (table, index, raw) => view.setBigUint64(table + index * 8, raw, true),
    adopt: (more = {}, format = toy({ ...shape, levels: 3 })) =>
      IoPageTable.adopt(format, {
        allocator: pool,
        memory: { base: BASE, bytes: ram },
        registers: { base: BASE + 0x1000n },
        tlb: logged(log),
        onForeign: (paddr, bytes) => void foreign.push(`${(paddr - BASE).toString(16)} ${bytes}`),
        ...more,
      }),
    find: (iova) => {
      const found = deviceWalk(shape, 24, { base: BASE, bytes: new Uint8Array(ram) }, BASE + 0x1000n, iova)
      return typeof found === 'string' ? found : found.paddr
    },
  }
}

const table = (offset: number): bigint => (BASE + BigInt(offset)) | T | V

/** Root at 0x1000, a level 2 table at 0x2000, a level 3 table at 0x3000 with two pages; a block at level 2 and one at level 1. */
function built(shape: Partial<Shape> = {}): Guest {
  const g = guest(shape)
  g.put(0x1000, 0, table(0x2000))
  g.put(0x2000, 0, table(0x3000))
  g.put(0x3000, 0, 0x1234_5000n | R | W | V)
  g.put(0x3000, 1, 0x1234_6000n | R | V)
  g.put(0x2000, 2, 0x5002_0000n | R | W | V)
  g.put(0x1000, 3, 0x7000_0000n | R | W | V)
  return g
}

test('should onForeign throw, the tables that it was not told of are told with the next flush', () => {
  const g = built()
  let armed = true
  const onForeign = (paddr: bigint): void => {
    g.foreign.push((paddr - BASE).toString(16))
    if (!armed) return
    armed = false
    throw new Error('the owner is busy')
  }
  const t = g.adopt({ onForeign })
  expect(() => t.unmapPages(0n, 0x10_0000, 1)).toThrow('the owner is busy')
  expect(g.foreign).toEqual(['2000'])
  expect(t.trim()).toBe(0)
  expect(g.foreign).toEqual(['2000', '3000'])
})

test('reads, maps, unmaps, cuts and protects what a guest built; a device sees it', () => {
  const g = built()
  const t = g.adopt()
  expect(t.tableBytes).toBe(0)
  expect(t.snapshot().runs.map(({ iova, paddr, pgsize }) => [iova, paddr, pgsize])).toEqual([
    [0n, 0x1234_5000n, PAGE],
    [0x1000n, 0x1234_6000n, PAGE],
    [0x2_0000n, 0x5002_0000n, BLOCK],
    [0x30_0000n, 0x7000_0000n, HUGE],
  ])
  t.map(0x2000n, 0x6666_6000n, PAGE, RW)
  t.map(0x80_0000n, 0x8888_8000n, PAGE, RW)
  expect(t.tableBytes).toBe(2 * TABLE)
  t.unmap(0n, PAGE)
  t.cut(0x31_1000n)
  t.unmap(0x31_1000n, PAGE)
  t.protect(0x1000n, PAGE, RW)
  expect([0n, 0x1000n, 0x2000n, 0x2_1000n, 0x31_0000n, 0x31_1000n, 0x31_2000n, 0x80_0000n].map((iova) => g.find(iova))).toEqual([
    'empty',
    0x1234_6000n,
    0x6666_6000n,
    0x5002_1000n,
    0x7001_0000n,
    'empty',
    0x7001_2000n,
    0x8888_8000n,
  ])
  expect(g.view.getBigUint64(0x3008, true)).toBe(0x1234_6000n | R | W | V)
})

test('a foreign table that goes is told after its flush, and not freed; free leaves the others, without what was added', () => {
  const g = built()
  const t = g.adopt()
  t.map(0x2000n, 0n, PAGE, RW)
  t.map(0x4_0000n, 0n, PAGE, RW)
  expect(t.unmapPages(0n, BLOCK, 1)).toBe(BLOCK)
  expect(g.foreign).toEqual(['3000 128'])
  expect(g.log).toContain('walk 0 10000 1000')
  const gather = new IotlbGather()
  g.put(0x2000, 0, 0n)
  t.unmapPages(0n, HUGE, 1, gather)
  expect([g.foreign.length, gather.pendingTables]).toEqual([1, 2])
  gather.sync()
  expect(g.foreign).toEqual(['3000 128', '2000 128'])
  t.map(0x50_0000n, 0n, PAGE, RW)
  expect(g.pool.stats().live).toBe(2 * TABLE)
  t.free()
  expect(g.pool.leaks()).toEqual([])
  expect(g.find(0x50_0000n)).toBe('empty')
  expect(g.find(0x30_0000n)).toBe(0x7000_0000n)
  expect(g.foreign).toHaveLength(2)
  expect(thrownBy(() => t.snapshot()).code).toBe('ENODEV')
})

test('blocks of the pool are its own, whoever built the table', () => {
  const pool = new PtPool({ base: BASE, size: MiB })
  const config = { pgsizeBitmap: (1n << 60n) - 1n, ias: 24, oas: 52 }
  const first = IoPageTable.createRaw(toy(), { allocator: pool, ...config })
  first.map(0x1000n, 0n, PAGE, RW)
  const t = IoPageTable.adopt(toy(), { allocator: pool, roots: first.roots, ...config })
  expect(t.tableBytes).toBe(3 * TABLE)
  t.map(0x20_0000n, 0n, PAGE, RW)
  t.free()
  expect(pool.leaks()).toEqual([])
})

test('a marked mapping that is only read: translated, unmapped whole, not in part, cut', () => {
  for (const unmap of [true, false]) {
    const g = built({ contiguous: 'decode' })
    for (let i = 0; i < 8; i++) g.put(0x3000, 8 + i, (0x4000_0000n + BigInt(i * PAGE)) | (2n << 8n) | R | W | V)
    const warnings: string[] = []
    const t = g.adopt({ onWarn: (error: Error) => void warnings.push(error.message) }, toy({ contiguous: 'decode' }))
    expect(t.iovaToPhys(0xa123n)).toBe(0x4000_2123n)
    expect(t.unmapPages(0x8000n, PAGE, 1)).toBe(0)
    expect(t.unmapPages(0x9000n, PAGE, 7)).toBe(0)
    expect(warnings).toHaveLength(2)
    if (unmap) {
      expect(t.unmapPages(0x8000n, PAGE, 8)).toBe(8 * PAGE)
      expect(t.iovaToPhys(0xa000n)).toBeUndefined()
    } else {
      t.cut(0x9000n)
      expect(t.unmapPages(0x9000n, PAGE, 1)).toBe(PAGE)
      expect(g.find(0xa000n)).toBe(0x4000_2000n)
    }
  }
})

test('a prot is refused where the context of the registers gives its bits another meaning', () => {
  const g = built()
  const strict: Toy = {
    ...toy(),
    rootsFromRegs: (raw) =>
      toy()
        .rootsFromRegs(raw)
        .map((found) => ({ ...found, context: { readOnly: true } })),
  }
  const t = g.adopt({}, strict)
  expect(t.mapPages(0x5000n, 0n, PAGE, 1, RW).error?.code).toBe('EINVAL')
  expect(t.mapPages(0x5000n, 0n, PAGE, 1, Prot.READ).error).toBeUndefined()
})

test('hostile tables: outside of the memory, cycles, shared and skipping ones, and what the allocator may hand out', () => {
  const cases: [string, (g: Guest) => void, string, Partial<Shape>?][] = [
    ['outside', (g) => g.put(0x2000, 1, (BASE + BigInt(SIZE)) | T | V), 'EFAULT'],
    ['below', (g) => g.put(0x2000, 1, 0x1000n | T | V), 'EFAULT'],
    ['4 GiB apart', (g) => g.put(0x2000, 1, (BASE + (1n << 32n) + 0x4000n) | T | V), 'EFAULT'],
    ['a cycle', (g) => g.put(0x1000, 1, table(0x1000)), 'EFAULT'],
    ['a cycle of two', (g) => g.put(0x2000, 5, table(0x2000)), 'EFAULT'],
    ['reached twice', (g) => g.put(0x1000, 5, table(0x2000)), 'EFAULT'],
    ['in free memory of the pool', (g) => g.put(0x1000, 5, table(2 * MiB + 0x1000)), 'EINVAL'],
    ['skips a level', (g) => g.put(0x1000, 5, table(0x4000) | (3n << 4n)), 'EINVAL', { skips: true }],
  ]
  for (const [what, spoil, code, shape] of cases) {
    const g = shape === undefined ? built() : guest(shape)
    spoil(g)
    const before = Buffer.from(g.ram.slice(0))
    expect(thrownBy(() => g.adopt({}, toy(shape))).code, what).toBe(code)
    expect(before.equals(Buffer.from(g.ram)), what).toBe(true)
    expect(g.pool.leaks(), what).toEqual([])
  }
})

test('every table pointer of random memory is followed only where it leads to memory', () => {
  const next = seededIntegers(5)
  const codes = new Map<string, number>()
  for (let round = 0; round < 200; round++) {
    const g = guest()
    for (const at of [0x1000, 0x2000, 0x3000]) {
      for (let i = 0; i < 16; i++) {
        const to =
          [table(0x2000), table(0x3000), table(next(SIZE / 128) * 128), BigInt(next(2 ** 32)) << 20n, 0n, 0n, 0x5000_0000n | V][next(7)] ??
          0n
        g.put(at, i, to)
      }
    }
    try {
      const t = g.adopt()
      t.snapshot()
      t.unmap(0n, HUGE)
      t.free()
      codes.set('adopted', (codes.get('adopted') ?? 0) + 1)
    } catch (error) {
      const { code } = error as { code: string }
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
    expect(g.pool.leaks()).toEqual([])
  }
  expect(new Set(codes.keys())).toEqual(new Set(['adopted', 'EFAULT', 'EINVAL']))
})

test('arguments', () => {
  const g = built()
  const other = new ArrayBuffer(SIZE)
  const cases: [object, string][] = [
    [{ allocator: undefined }, 'EINVAL'],
    [{ registers: undefined }, 'EINVAL'],
    [{ roots: [BASE] }, 'EINVAL'],
    [{ memory: { base: BASE, bytes: other } }, 'EINVAL'],
    [{ memory: { base: BASE + 0x1000n, bytes: g.ram } }, 'EINVAL'],
    [{ memory: { base: BASE + 1n, bytes: g.ram } }, 'EINVAL'],
    [{ memory: { base: BASE, bytes: new Uint8Array(g.ram, 4) } }, 'EINVAL'],
    [{ registers: { base: BASE + BigInt(SIZE) } }, 'EFAULT'],
    [{ registers: { base: BASE - 0x1000n } }, 'EFAULT'],
    [{ registers: { base: BASE + 8n } }, 'EINVAL'],
    [{ root: 'ttbr1' }, 'EINVAL'],
    [{ registers: undefined, roots: [], pgsizeBitmap: 0x1000n, ias: 24, oas: 52 }, 'EINVAL'],
    [{ registers: undefined, roots: [BASE + 0x1000n] }, 'EINVAL'],
    [{ quirks: ['NOPE'] }, 'EINVAL'],
  ]
  for (const [more, code] of cases) expect(thrownBy(() => g.adopt(more)).code, JSON.stringify(Object.keys(more))).toBe(code)
  const t = g.adopt()
  expect(thrownBy(() => t.share()).code).toBe('EINVAL')
  expect([t.roots, t.format.FORMAT, t.config.ias, t.regs.bases]).toEqual([[BASE + 0x1000n], 'toy', 24, [BASE + 0x1000n]])
})

test('registers that lead to several tables: one must be named; to none: EINVAL', () => {
  const g = built()
  const both: Toy = {
    ...toy(),
    rootsFromRegs: (raw) =>
      toy()
        .rootsFromRegs(raw)
        .flatMap((found) => [found, { ...found, name: 'other' }]),
  }
  expect(thrownBy(() => g.adopt({}, both)).message).toContain('base, other')
  expect(g.adopt({ root: 'other' }, both).iovaToPhys(0n)).toBe(0x1234_5000n)
  expect(thrownBy(() => g.adopt({}, { ...toy(), rootsFromRegs: () => [] })).message).toContain('none')
})

test('the rest of the memory is not touched, and the sync hook tells every byte that changed', () => {
  const told = new Set<number>()
  const ram = new ArrayBuffer(SIZE)
  const sync = (paddr: bigint, bytes: number): void => {
    for (let i = 0; i < bytes; i++) told.add(Number(paddr - BASE) + i)
  }
  const allocator = new PtPool({ base: BASE + BigInt(2 * MiB), memory: new Uint8Array(ram, 2 * MiB), size: 64 * KiB, sync })
  const view = new DataView(ram)
  view.setBigUint64(0x1000, 0x5000_0000n | R | V, true)
  const t = IoPageTable.adopt(toy(), { allocator, memory: { base: BASE, bytes: ram }, registers: { base: BASE + 0x1000n } })
  const before = new Uint8Array(ram.slice(0))
  t.cut(0x1000n)
  t.protect(0x1000n, 3 * PAGE, RW)
  t.map(0x20_0000n, 0n, PAGE, RW)
  t.unmap(0x1000n, PAGE)
  t.trim()
  t.free()
  const after = new Uint8Array(ram)
  const changed: number[] = []
  for (let i = 0; i < SIZE; i++) if (after[i] !== before[i]) changed.push(i)
  expect(changed.length).toBeGreaterThan(100)
  expect(changed.filter((i) => !told.has(i))).toEqual([])
  expect(changed.filter((i) => i < 2 * MiB && (i < 0x1000 || i >= 0x1080))).toEqual([])
})

test('a freed one translates nothing, though none of its memory went back to a pool and its last callback read it', () => {
  const g = built()
  const t: IoPageTable<Toy> = g.adopt({ tlb: { flushAll: () => expect(t.iovaToPhys(0x1000n)).toBe(0x1234_6000n), flushWalk: () => {} } })
  expect(t.iovaToPhys(0x1000n)).toBe(0x1234_6000n)
  t.free()
  expect(thrownBy(() => t.iovaToPhys(0x1000n)).code).toBe('ENODEV')
  expect(thrownBy(() => t.unmapPages(0x1000n, PAGE, 1)).code).toBe('ENODEV')
  expect(g.find(0x1000n)).toBe(0x1234_6000n)
})
