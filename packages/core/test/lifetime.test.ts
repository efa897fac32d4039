/** Making and freeing tables: what is checked, what `free` ends, leak reports. */
import { IoPageTable, IotlbGather, Prot } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, expectSound, HUGE, MiB, newPool, PAGE, RW, SIZES, TABLE, thrownBy } from './helpers.ts'
import { type Toy, toy } from './toy-format.ts'

const REQUEST = { pgsizeBitmap: SIZES, ias: 24, oas: 52 }

describe('a freed table', () => {
  const CALLS: [string, (table: IoPageTable<Toy>) => unknown][] = [
    ['mapPages', (table) => table.mapPages(0n, 0n, PAGE, 1, RW)],
    ['mapPages', (table) => table.mapPages(1n, 0n, 77, 0, 0)],
    ['mapRange', (table) => table.mapRange(0n, 0n, PAGE, RW)],
    ['mapRange', (table) => table.map(0n, 0n, PAGE, RW)],
    ['unmapPages', (table) => table.unmapPages(0n, PAGE, 1)],
    ['unmapRange', (table) => table.unmapRange(0n, PAGE)],
    ['unmapRange', (table) => table.unmap(0n, PAGE)],
    ['iovaToPhys', (table) => table.iovaToPhys(0n)],
    ['iovaToPhysMany', (table) => table.iovaToPhysMany(new BigUint64Array(1), new BigUint64Array(1))],
    ['walk', (table) => table.walk(0n)],
    ['readAndClearDirty', (table) => table.readAndClearDirty(0n, PAGE, () => {})],
    ['readMemory', (table) => table.readMemory(0n, 8)],
    ['share', (table) => table.share()],
    ['free', (table) => table.free()],
  ]

  test.each(CALLS)('%s throws ENODEV', (op, call) => {
    const { table, pool } = bench()
    table.map(0n, 0n, PAGE, RW)
    table.free()
    const error = thrownBy(() => call(table))
    expect([error.code, error.op]).toEqual(['ENODEV', op])
    expect(pool.stats().live).toBe(0)
  })

  test('dispose is for any number of times', () => {
    const { table, pool, log } = bench()
    table.map(0n, 0n, PAGE, RW)
    table[Symbol.dispose]()
    table[Symbol.dispose]()
    expect([pool.stats().live, log]).toEqual([0, ['all']])
    expect(thrownBy(() => table.free()).code).toBe('ENODEV')
  })

  test('what describes it stays: config, geometry, registers', () => {
    const { table } = bench()
    const roots = [...table.roots]
    table.free()
    expect([table.config.ias, table.geometry.top, table.regs, table.tableBytes]).toEqual([24, 'L1', { bases: roots, top: 'L1' }, 0])
  })

  test('its memory may be used again at once', () => {
    const pool = newPool({}, { ceiling: 3 * TABLE })
    for (let i = 0; i < 5; i++) {
      const table = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST })
      expect(table.iovaToPhys(0n)).toBeUndefined()
      table.map(0n, 0n, PAGE, RW)
      table.free()
    }
  })
})

describe('createRaw', () => {
  test('refuses what is no pool, before anything else', () => {
    for (const allocator of [undefined, null, {}, 5] as never[])
      expect(thrownBy(() => IoPageTable.createRaw(toy(), { allocator, ...REQUEST })).code).toBe('EINVAL')
  })

  test('a hook that throws when the root is told leaves nothing behind', () => {
    const sync = (): never => {
      throw new Error('memory failed')
    }
    for (const shape of [{}, { inverted: true }]) {
      const pool = newPool({}, { sync })
      expect(() => IoPageTable.createRaw(toy(shape), { allocator: pool, ...REQUEST })).toThrow('memory failed')
      expect(pool.stats().live).toBe(0)
    }
  })

  test('what the format refuses leaves the pool as it was', () => {
    const pool = newPool()
    const wrong = [{ pgsizeBitmap: 0n }, { ias: -1 }, { ias: 11 }, { oas: 0 }, { quirks: ['ARM_NS'] }, { cpuPageSize: 3000 }] as object[]
    for (const change of wrong) {
      const error = thrownBy(() => IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST, ...change }))
      expect([error.code, error.op]).toEqual(['EINVAL', 'toy config'])
    }
    expect(pool.stats().allocations).toBe(0)
  })

  test('the config as agreed: narrowed, complete, frozen', () => {
    const pool = newPool()
    const table = IoPageTable.createRaw(toy(), { allocator: pool, pgsizeBitmap: SIZES | 0x7_0000n, ias: 64, oas: 64 })
    expect(table.config).toEqual({ pgsizeBitmap: SIZES, ias: 24, oas: 52, quirks: [], coherentWalk: true, cpuPageSize: 4096 })
    expect(Object.isFrozen(table.config)).toBe(true)
    expect(table.regs).toEqual({ bases: table.roots, top: 'L1' })
    expect(table.context).toEqual({ readOnly: false })
  })

  test('a configuration without any page size maps nothing, and says so', () => {
    const { table } = bench({}, { config: { pgsizeBitmap: 0x2000n } })
    expect(table.config.pgsizeBitmap).toBe(0n)
    expect(table.mapPages(0n, 0n, PAGE, 1, RW).error?.code).toBe('EINVAL')
    expect(table.mapRange(0n, 0n, PAGE, RW).error?.code).toBe('EINVAL')
    expect(thrownBy(() => table.unmapPages(0n, PAGE, 1)).code).toBe('EINVAL')
    expect(thrownBy(() => table.unmapRange(0n, PAGE)).code).toBe('EINVAL')
    expect(table.iovaToPhys(0n)).toBeUndefined()
  })

  test('an alignment of the root above its size', () => {
    for (const rootAlign of [64, 256, 4096]) {
      const pool = newPool()
      // the next place for a root that is aligned to its size alone
      pool.alloc(TABLE)
      const table = IoPageTable.createRaw(toy({ rootAlign }), { allocator: pool, ...REQUEST })
      expect((table.roots[0] ?? 0n) % BigInt(rootAlign)).toBe(0n)
      expect(table.tableBytes).toBe(TABLE)
      table.map(0n, 0n, PAGE, RW)
      table.free()
      expect([pool.stats().live, table.tableBytes]).toEqual([TABLE, 0])
    }
  })

  test('tables of one format and configuration share nothing that matters', () => {
    const format = toy()
    const pool = newPool()
    const [a, b] = [0, 1].map(() => IoPageTable.createRaw(format, { allocator: pool, ...REQUEST })) as [IoPageTable<Toy>, IoPageTable<Toy>]
    a.map(0n, 0x1000n, PAGE, RW)
    b.map(0n, 0x2000n, PAGE, Prot.READ)
    expect([a.iovaToPhys(0n), b.iovaToPhys(0n), a.roots[0] === b.roots[0]]).toEqual([0x1000n, 0x2000n, false])
    a.free()
    expect(b.iovaToPhys(0n)).toBe(0x2000n)
    expect(pool.stats().live).toBe(b.tableBytes)
  })
})

test('leak reports have the name of the table, or of its format', () => {
  const pool = newPool()
  const request = { allocator: pool, ...REQUEST }
  const [named] = [IoPageTable.createRaw(toy(), { ...request, name: 'gpu vm 3' }), IoPageTable.createRaw(toy(), request)]
  named.map(0n, 0n, PAGE, RW)
  expect(pool.leaks().map(({ owner }) => owner)).toEqual(['gpu vm 3', 'toy', 'gpu vm 3', 'gpu vm 3'])
})

test("memory that the caller owns: whatever it held, the tables are clean, and the rest is the caller's", () => {
  for (const shape of [{}, { inverted: true }, { entryBytes: 4 }] as const) {
    const memory = new Uint8Array(new ArrayBuffer(2 * MiB), MiB, MiB).fill(0xff)
    const pool = new PtPool({ base: 0x4000_0000n, memory })
    const table = IoPageTable.createRaw(toy(shape), { allocator: pool, ...REQUEST, oas: 32 })
    table.map(0x1_2000n, 0x5000n, PAGE, RW)
    expect([table.iovaToPhys(0x1_2000n), table.iovaToPhys(0x1_3000n), table.iovaToPhys(0x90_0000n)]).toEqual([
      0x5000n,
      undefined,
      undefined,
    ])
    expectSound({ pool, table })
    expect(new Uint8Array(memory.buffer, 0, MiB).every((byte) => byte === 0)).toBe(true)
    const used = pool.stats().committed
    expect(memory.subarray(used).every((byte) => byte === 0xff)).toBe(true)
    table.free()
  }
})

test('tableBytes: every table, those in gathers until their sync', () => {
  const { table } = bench()
  expect(table.tableBytes).toBe(TABLE)
  table.map(0n, 0n, PAGE, RW)
  table.mapPages(0x1_0000n, 0n, PAGE, 16, RW)
  expect(table.tableBytes).toBe(4 * TABLE)
  const gather = new IotlbGather()
  table.unmapPages(0n, HUGE, 1, gather)
  expect(table.tableBytes).toBe(4 * TABLE)
  table.mapPages(0n, 0n, BLOCK, 1, RW)
  expect(table.tableBytes).toBe(5 * TABLE)
  gather.sync()
  expect(table.tableBytes).toBe(2 * TABLE)
})

test('readMemory gives what the pool has, and nothing else', () => {
  const { table, pool } = bench()
  expect(table.readMemory(pool.base - 8n, 8)).toBeUndefined()
  expect(table.readMemory(pool.base + BigInt(MiB), 8)).toBeUndefined()
  expect(table.readMemory(pool.base + BigInt(MiB) - 8n, 64)).toHaveLength(8)
  expect(table.readMemory(pool.base, 64)).toHaveLength(64)
})
