/** Requests that fail halfway: the VA space, the translations and the pool are as before. */
import { diffSnapshots, type IoPageTable, Prot, SZ_4K, type TlbFlushOps } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { type Backing, GpuAddressSpace, GpuVm, type GpuVmPlan } from '../src/index.ts'
import { exhaust, FORMATS, newPool, RW, type TestFormat } from './support/formats.ts'

interface Object {
  readonly name: string
  readonly size: bigint
  readonly paddr: bigint
}

const START = 0x1000_0000n
const PAGE = BigInt(SZ_4K)

function world({ create }: TestFormat, tlb: Partial<TlbFlushOps> = {}, backing?: Backing<Object>) {
  const pool = newPool(0x10_0000)
  const table = create(pool, { flushAll() {}, flushWalk() {}, ...tlb })
  const vm = new GpuVm<Object>({ start: START, range: 0x1000_0000n })
  const space = new GpuAddressSpace(vm, table, backing ? { backing } : {})
  const bo = (name: string, paddr: bigint) => vm.obtain({ name, size: 0x1000_0000n, paddr })
  return { pool, table, vm, space, a: bo('a', 0x4000_0000n), odd: bo('odd', 0x6000_1000n) }
}

/** The state before a request, and a check that it is so again. */
function remember({ vm, table }: { vm: GpuVm<Object>; table: IoPageTable }): () => void {
  const mappings = [...vm.mappings()]
  const snapshot = table.snapshot()
  return () => {
    expect([...vm.mappings()]).toEqual(mappings)
    expect(diffSnapshots(snapshot, table.snapshot(), { sizes: false })).toEqual([])
  }
}

const lastTable = (table: IoPageTable): number => table.geometry.nodes.at(-1)!.tableBytes

function starved(pool: PtPool, table: IoPageTable, run: () => unknown): void {
  const release = exhaust(pool, lastTable(table), 0)
  try {
    expect(run).toThrow(expect.objectContaining({ code: 'ENOMEM' }))
  } finally {
    release()
  }
}

describe.each(FORMATS)('$name', (format) => {
  const BLOCK = BigInt(format.block)

  test('no memory for a cut: found before anything changed', () => {
    const w = world(format)
    w.space.map({ addr: START, range: BLOCK, bo: w.a, flags: RW })
    const unchanged = remember(w)
    const { tableBytes } = w.table
    starved(w.pool, w.table, () => w.space.unmap({ addr: START, range: PAGE }))
    unchanged()
    expect([w.table.tableBytes, w.space.stats.flushes]).toEqual([tableBytes, 0])
    w.space.unmap({ addr: START, range: PAGE })
    expect(w.table.iovaToPhys(START)).toBe(undefined)
  })

  test('no memory for a map after the unmaps: what was there is mapped again, with the tables that it had', () => {
    const w = world(format)
    w.space.map({ addr: START, range: BLOCK, bo: w.a, flags: RW })
    w.space.map({ addr: START + BLOCK, range: BLOCK, bo: w.odd, flags: RW })
    const unchanged = remember(w)
    const { tableBytes } = w.table
    // the first block becomes a table, the second the table that the first unmap freed; there is none for the third
    starved(w.pool, w.table, () => w.space.map({ addr: START, range: 3n * BLOCK, bo: w.odd, offset: 4n * PAGE, flags: RW }))
    unchanged()
    expect([w.table.tableBytes, w.space.stats.rollbacks]).toEqual([tableBytes, 1])
    w.space.map({ addr: START, range: 3n * BLOCK, bo: w.odd, offset: 4n * PAGE, flags: RW })
    expect(w.table.iovaToPhys(START + 2n * BLOCK)).toBe(w.odd.object.paddr + 4n * PAGE + 2n * BLOCK)
  })

  test('no memory for a map, and the tables that the unmaps freed are in it: they are taken back for what was there', () => {
    const w = world(format)
    w.space.map({ addr: START + BLOCK, range: BLOCK, bo: w.odd, flags: RW })
    const unchanged = remember(w)
    const { tableBytes } = w.table
    // the only table that is left goes to the first block's pages
    starved(w.pool, w.table, () => w.space.map({ addr: START, range: 2n * BLOCK, bo: w.odd, offset: 4n * PAGE, flags: RW }))
    unchanged()
    expect(w.table.tableBytes).toBe(tableBytes)
  })

  test('no memory for a map where mappings shared a leaf: they share it again', () => {
    const w = world(format)
    w.space.map({ addr: START, range: BLOCK, bo: w.a, flags: RW })
    w.space.map({ addr: START + PAGE, range: PAGE, bo: w.a, offset: PAGE, flags: RW })
    const unchanged = remember(w)
    starved(w.pool, w.table, () => w.space.map({ addr: START, range: BLOCK, bo: w.odd, flags: RW }))
    unchanged()
  })

  test('no memory to restore an object: it stays evicted', () => {
    const w = world(format)
    w.space.map({ addr: START, range: BLOCK, bo: w.a, flags: RW })
    w.space.map({ addr: START + BLOCK, range: PAGE, bo: w.a, flags: RW })
    w.space.evict(w.a)
    w.table.trim()
    const unchanged = remember(w)
    starved(w.pool, w.table, () => w.space.restore(w.a))
    unchanged()
    expect(w.a.evicted).toBe(true)
    w.space.restore(w.a)
    expect([w.a.evicted, w.table.iovaToPhys(START + BLOCK)]).toEqual([false, w.a.object.paddr])
  })

  test('what the driver throws passes through, from wherever it is called', () => {
    const boom = new Error('boom')
    let armed = ''
    const may = (where: string): void => {
      if (armed !== where) return
      armed = ''
      throw boom
    }
    const w = world(format, { sync: () => may('sync') }, (object, offset, size) => {
      may('backing')
      return [{ paddr: object.paddr + offset, size }]
    })
    w.space.map({ addr: START, range: 2n * BLOCK, bo: w.a, flags: RW })
    const unchanged = remember(w)
    for (armed of ['sync', 'backing']) {
      expect(() => w.space.map({ addr: START + PAGE, range: BLOCK, bo: w.odd, flags: RW })).toThrow(boom)
      expect(armed).toBe('')
      unchanged()
    }
  })

  test('a callback that throws in the rollback, too, does not end it', () => {
    let armed = 0
    const may = (): void => {
      // what a callback that threw left undone is told once more, with the next gather
      if (armed === 0) return
      armed--
      throw new Error('boom')
    }
    const noted: NonNullable<TlbFlushOps['addPages']> = (gather, iova, granule, count) => {
      gather?.addRange(iova, granule, count)
      may()
    }
    const backing: Backing<Object> = function* ({ name, paddr }, offset, size) {
      if (name === 'a') yield { paddr: paddr + offset, size }
      else {
        for (const at of [0n, 16n, 32n]) yield { paddr: paddr + at * PAGE, size: SZ_4K }
        armed = 2
        throw new Error('no memory there')
      }
    }
    const w = world(format, { addPages: noted }, backing)
    w.space.map({ addr: START + 4n * PAGE, range: 4n * PAGE, bo: w.a, flags: RW })
    const unchanged = remember(w)
    expect(() => w.space.map({ addr: START + PAGE, range: 5n * PAGE, bo: w.odd, flags: RW })).toThrow('no memory there')
    unchanged()
    expect(armed).toBe(format.ranged ? 2 : 0)
  })

  test('what was locked is unlocked', () => {
    const calls: string[] = []
    const { vm, table, a, odd } = world(format)
    const space = new GpuAddressSpace(vm, table, {
      lock: ({ first }) => void calls.push(`lock ${first}`),
      unlock: ({ first }) => void calls.push(`unlock ${first}`),
    })
    space.map({ addr: START, range: PAGE, bo: a, flags: RW })
    calls.length = 0
    expect(() => space.map({ addr: START, range: PAGE, bo: odd, flags: 0 })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect(calls).toEqual([`lock ${START}`, `unlock ${START}`])
  })

  test('prots, and memory, that cannot be mapped', () => {
    const bad: Record<string, { paddr: bigint; size: number }[]> = {
      less: [{ paddr: 0n, size: SZ_4K }],
      more: [{ paddr: 0n, size: 4 * SZ_4K }],
      crooked: [{ paddr: 1n, size: 2 * SZ_4K }],
      'no address': [{ paddr: 0 as unknown as bigint, size: 2 * SZ_4K }],
      'no size': [{ paddr: 0n, size: 0 }],
    }
    let given: { paddr: bigint; size: number }[] = [{ paddr: 0x4000_0000n, size: 2 * SZ_4K }]
    const w = world(format, {}, () => given)
    w.space.map({ addr: START, range: 2n * PAGE, bo: w.a, flags: RW })
    given = [{ paddr: 0x7000_0000n, size: 2 * SZ_4K }]
    w.space.map({ addr: START + 2n * PAGE, range: 2n * PAGE, bo: w.odd, flags: RW })
    given = [{ paddr: 0x4000_0000n, size: 2 * SZ_4K }]
    const unchanged = remember(w)
    const original = given
    for (const [name, segments] of globalThis.Object.entries(bad)) {
      // the object that is there keeps its memory: only the new one's is bad
      const backing: Backing<Object> = (object) => (object.name === 'odd' ? segments : original)
      const space = new GpuAddressSpace(w.vm, w.table, { backing })
      given = original
      expect(() => space.map({ addr: START, range: 2n * PAGE, bo: w.odd, flags: RW }), name).toThrow(
        expect.objectContaining({ code: 'EINVAL' }),
      )
      unchanged()
    }
    expect(() => w.space.map({ addr: START, range: 2n * PAGE, bo: w.odd, flags: 0 })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    unchanged()
  })

  test('somebody else changed the table: found, and the request undone', () => {
    const w = world(format)
    w.space.map({ addr: START, range: 4n * PAGE, bo: w.a, flags: RW })
    w.table.unmap(START + 2n * PAGE, SZ_4K)
    w.table.map(START + 8n * PAGE, 0x5000_0000n, SZ_4K, Prot.READ)
    const unchanged = remember(w)
    expect(() => w.space.unmap({ addr: START, range: 4n * PAGE })).toThrow(
      expect.objectContaining({ code: 'EFAULT', value: START + 2n * PAGE }),
    )
    unchanged()
    expect(() => w.space.map({ addr: START + 6n * PAGE, range: 8n * PAGE, bo: w.odd, flags: RW })).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    )
    unchanged()
  })

  test('a rollback that cannot: EFAULT says where, the device faults there, and the next request repairs it', () => {
    let broken = false
    const boom = new Error('gone')
    const w = world(format, {}, (object, offset, size) => {
      if (broken) throw boom
      return [{ paddr: object.paddr + offset, size }]
    })
    w.space.map({ addr: START, range: 4n * PAGE, bo: w.a, flags: RW })
    const unchanged = remember(w)
    broken = true
    const run = (): GpuVmPlan<Object> => w.space.map({ addr: START + PAGE, range: PAGE, bo: w.odd, flags: RW })
    expect(run).toThrow(expect.objectContaining({ code: 'EFAULT', op: 'rollback', value: START + PAGE, cause: boom }))
    expect([0n, 1n, 2n].map((at) => w.table.iovaToPhys(START + at * PAGE))).toEqual([0x4000_0000n, undefined, 0x4000_2000n])
    expect(run).toThrow(expect.objectContaining({ code: 'EFAULT', op: 'repair', cause: boom }))
    broken = false
    w.space.repair()
    unchanged()
    run()
    expect(w.table.iovaToPhys(START + PAGE)).toBe(w.odd.object.paddr)
  })

  test('a table that is freed', () => {
    const w = world(format)
    w.space.map({ addr: START, range: PAGE, bo: w.a, flags: RW })
    w.table.free()
    expect(() => w.space.unmap({ addr: START, range: PAGE })).toThrow(expect.objectContaining({ code: 'ENODEV' }))
    expect(w.vm.size).toBe(1)
  })
})

test('an address space that cannot be', () => {
  const [format] = FORMATS as [TestFormat]
  const table = format.create(newPool())
  const made = (options: ConstructorParameters<typeof GpuVm>[0]) => () => new GpuAddressSpace(new GpuVm<Object>(options), table)
  expect(made({ start: 1n << 47n, range: 1n << 48n })).toThrow(expect.objectContaining({ code: 'ERANGE', value: 1n << 47n }))
  expect(made({ range: 1n << 30n, granule: 1024 })).toThrow(expect.objectContaining({ code: 'EINVAL', value: 1024 }))
  const vm = new GpuVm({ range: 1n << 30n })
  const space = new GpuAddressSpace(vm, table)
  expect(() => space.map({ addr: 0n, range: PAGE, bo: vm.obtain({ size: PAGE, name: 'bare' }), flags: RW })).toThrow(
    expect.objectContaining({ code: 'EINVAL', value: 'bare' }),
  )
})
