/** Every allocation of a scenario fails once: what was mapped stays, nothing else is, no table is lost, and going on makes the same tables. */
import { IoPageTable, IotlbGather, type MapResult } from '@io-pgtable/core'
import { type AllocOptions, IoPgtableError, PtPool, type PtPtr } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { BLOCK, expectNoLeak, expectSound, HUGE, leavesOf, MiB, PAGE, RW, SIZES } from './helpers.ts'
import { type Shape, type Toy, toy } from './toy-format.ts'

/** A pool whose n-th allocation finds no memory. */
class FailingPool extends PtPool {
  left = Number.POSITIVE_INFINITY
  failures = 0

  override alloc(bytes: number, options?: AllocOptions): PtPtr {
    if (--this.left === 0) {
      this.failures++
      throw new IoPgtableError('ENOMEM', 'alloc', 'as the test wants it')
    }
    return super.alloc(bytes, options)
  }
}

type Step = (table: IoPageTable<Toy>, map: Map) => unknown
type Map = (iova: bigint, paddr: bigint, size: number, call: (iova: bigint, paddr: bigint, size: number) => MapResult) => void

const pages = (iova: bigint, paddr: bigint, pgsize: number, count: number): Step => {
  return (table, map) => map(iova, paddr, pgsize * count, (at, to, size) => table.mapPages(at, to, pgsize, size / pgsize, RW))
}

/** Fresh tables, tables that replace others, tables at several levels at once, memory that comes back. */
const SCENARIO: readonly Step[] = [
  pages(0x8000n, 0x4000_0000n, PAGE, 40),
  pages(0x10_0000n, 0x5000_0000n, BLOCK, 3),
  (table, map) => map(0x1f_f000n, 0x701f_f000n, HUGE + 2 * PAGE, (at, to, size) => table.mapRange(at, to, size, RW)),
  (table) => table.unmap(0x1_0000n, BLOCK),
  pages(0x1_8000n, 0x6000_0000n, PAGE, 4),
  (table) => table.unmapPages(0x1_8000n, PAGE, 4),
  pages(0x1_0000n, 0x6000_0000n, BLOCK, 1),
  (table) => {
    const gather = new IotlbGather()
    table.unmapRange(0x1f_f000n, HUGE + 2 * PAGE, gather)
    gather.sync()
  },
  pages(0xf0_0000n, 0x5000_0000n, PAGE, 100),
]

const SHAPES: [string, Partial<Shape>][] = [
  ['by tables', {}],
  ['by entries', { policy: { conflict: 'entry', flushOrder: 'slot-order' } }],
  ['inverted', { inverted: true }],
  ['32-bit entries', { entryBytes: 4 }],
  ['covered', { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }],
  ['a root that grows', { levels: 4, grows: 2 }],
]

/** Runs the scenario; each mapping that failed goes on where it ended. `after`: called when an allocation failed. */
function run(shape: Partial<Shape>, failAt: number, after: (pool: FailingPool, table: IoPageTable<Toy>) => void): string[] {
  const pool = new FailingPool({ base: 0x8000_0000n, size: MiB })
  const table = IoPageTable.createRaw(toy(shape), { allocator: pool, pgsizeBitmap: SIZES, ias: shape.grows ? 28 : 24, oas: 32 })
  pool.left = failAt
  for (const step of SCENARIO)
    step(table, (iova, paddr, size, call) => {
      const before = new Set(leavesOf(table))
      const first = call(iova, paddr, size)
      if (first.error === undefined) {
        expect(first.mapped).toBe(size)
        return
      }
      expect([first.error.code, first.mapped < size]).toEqual(['ENOMEM', true])
      // the prefix and what was there before, and nothing else
      const bytes = leavesOf(table)
        .filter((leaf) => !before.delete(leaf))
        .reduce((sum, leaf) => sum + Number.parseInt(leaf.split(' ')[2] ?? '', 16), 0)
      expect([bytes, before.size]).toEqual([first.mapped, 0])
      for (let done = 0; done < size; done += PAGE) {
        const at = BigInt(done)
        expect(table.iovaToPhys(iova + at)).toBe(done < first.mapped ? paddr + at : undefined)
      }
      after(pool, table)
      const rest = size - first.mapped
      expect(call(iova + BigInt(first.mapped), paddr + BigInt(first.mapped), rest)).toEqual({ mapped: rest, error: undefined })
    })
  expectSound({ pool, table })
  const leaves = leavesOf(table)
  expectNoLeak({ pool, table })
  return leaves
}

test.each(SHAPES)('%s', (_name, shape) => {
  const wanted = run(shape, Number.POSITIVE_INFINITY, () => {})
  expect(wanted.length).toBeGreaterThan(100)
  let failures = 0
  for (let n = 1; n < 100; n++) {
    let failed = 0
    const leaves = run(shape, n, (pool, table) => {
      failed = pool.failures
      expectSound({ pool, table })
    })
    expect(leaves).toEqual(wanted)
    failures += failed
    if (failed === 0) break
  }
  expect(failures).toBeGreaterThan(12)
  expect(failures).toBeLessThan(99)
})

test.each(SHAPES)('%s: map takes back what it mapped, whichever allocation fails', (_name, shape) => {
  let failures = 0
  for (let n = 1; n < 20; n++) {
    const pool = new FailingPool({ base: 0x8000_0000n, size: MiB })
    const table = IoPageTable.createRaw(toy(shape), { allocator: pool, pgsizeBitmap: SIZES, ias: shape.grows ? 28 : 24, oas: 32 })
    table.map(0x0n, 0n, PAGE, RW)
    pool.left = n
    try {
      table.map(0x1000n, 0x4000_1000n, 2 * HUGE, RW)
    } catch (error) {
      failures++
      expect(String(error)).toMatch(/ENOMEM/)
      expect(leavesOf(table)).toHaveLength(1)
    }
    expectSound({ pool, table })
    expectNoLeak({ pool, table })
  }
  expect(failures).toBeGreaterThan(1)
  expect(failures).toBeLessThan(19)
})
