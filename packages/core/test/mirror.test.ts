/**
 * The order of the memory's `sync` hook: a copy in a second memory, made of nothing but what the hook reports, is a valid table whenever
 * a callback runs. The copy forgets a table's memory when it is freed, so that a dangling pointer leads to no table.
 */
import { IotlbGather, Prot, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { deviceWalk } from './hardware.ts'
import { type Bench, BLOCK, bench, HUGE, MiB, PAGE, RW } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const POISON = 0xee

class Mirror {
  readonly bytes = new Uint8Array(MiB).fill(POISON)
  readonly b: Bench
  readonly roots: readonly bigint[]
  checks = 0
  /** What the copy translated when it was last looked at. */
  translated = new Map<bigint, bigint>()

  constructor(shape: Partial<Shape>) {
    const check = (): void => this.check()
    const sync = (paddr: bigint, byteLength: number): void => this.copy(paddr, byteLength)
    const copies: [bigint, number][] = []
    let ready = false
    const b = bench(shape, {
      pool: { sync: (paddr, byteLength) => void (ready ? sync(paddr, byteLength) : copies.push([paddr, byteLength])) },
      tlb: { flushWalk: check, addPages: check, sync: check, flushAll: check },
    })
    this.b = b
    this.roots = b.table.roots
    ready = true
    for (const [paddr, byteLength] of copies) this.copy(paddr, byteLength)
  }

  copy(paddr: bigint, byteLength: number): void {
    const { words, base } = this.b.pool
    const at = Number(paddr - base)
    expect(at >= 0 && at + byteLength <= MiB && byteLength > 0).toBe(true)
    this.bytes.set(new Uint8Array(words.buffer, at, byteLength), at)
    this.check()
  }

  /** Walks the copy: every table it leads to is allocated, is there, and holds only what a sound table holds. */
  check(): void {
    this.checks++
    const { pool, table } = this.b
    const live = new Set(pool.leaks().map(({ paddr }) => paddr))
    const wrong: string[] = []
    this.translated = new Map()
    const read = (paddr: bigint, byteLength: number): Uint8Array =>
      this.bytes.subarray(Number(paddr - pool.base), Number(paddr - pool.base) + byteLength)
    walkTables(table.geometry, this.roots, read, {
      table: ({ next, reserved }) => void ((!live.has(next) || reserved !== 0n) && wrong.push(`table ${next.toString(16)}`)),
      invalid: ({ iova }) => void wrong.push(`invalid ${iova}`),
      leaf: ({ iova, paddr, reserved }) => {
        this.translated.set(iova, paddr)
        if (reserved !== 0n) wrong.push(`reserved ${iova}`)
      },
    })
    expect(wrong).toEqual([])
  }

  /** Memory of freed blocks is poison in the copy: a stale pointer into it would be seen. */
  forgetFreed(): void {
    const live = this.b.pool.leaks()
    const kept = live.map(({ ptr, bytes }) => [ptr, this.bytes.slice(ptr, ptr + bytes)] as const)
    this.bytes.fill(POISON)
    for (const [ptr, bytes] of kept) this.bytes.set(bytes, ptr)
  }

  /** The copy is all of the table: every address translates alike. */
  same(): void {
    this.check()
    const { table, pool, shape } = this.b
    const wrong: bigint[] = []
    for (let iova = 0n; iova < 0x30_0000n; iova += 0x1000n) {
      const found = deviceWalk(shape, table.config.ias, { base: pool.base, bytes: this.bytes }, this.roots[0] ?? 0n, iova)
      if ((typeof found === 'string' ? undefined : found.paddr) !== table.iovaToPhys(iova)) wrong.push(iova)
    }
    expect(wrong).toEqual([])
    this.forgetFreed()
  }
}

const SHAPES: [string, Partial<Shape>][] = [
  ['walks first', {}],
  ['slot order', { policy: { flushOrder: 'slot-order', conflict: 'entry' } }],
  ['inverted valid bit: a table must be filled before it is reached', { inverted: true }],
  ['32-bit entries', { entryBytes: 4 }],
  ['32-bit entries, inverted', { entryBytes: 4, inverted: true }],
  ['break-before-make', { policy: { breakBeforeMake: { size: true, fields: ['C', 'M'] } } }],
  ['covered', { policy: { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } }],
]

test.each(SHAPES)('%s', (_name, shape) => {
  const mirror = new Mirror(shape)
  const { table, pool } = mirror.b
  mirror.same()
  const steps: (() => unknown)[] = [
    () => table.mapPages(0x8000n, 0x4000_0000n, PAGE, 60, RW),
    () => table.mapPages(0x10_0000n, 0x5000_0000n, PAGE, 256, RW),
    () => table.unmapPages(0x1_0000n, BLOCK, 2),
    () => table.mapPages(0x1_0000n, 0x6000_0000n, BLOCK, 1, RW),
    () => table.unmapPages(0x3_0000n, PAGE, 20),
    // memory of freed tables comes back at other levels
    () => table.unmapPages(0x10_0000n, HUGE, 1),
    // one page, in a table that a call before knows
    () => table.mapPages(0x8_0000n, 0n, PAGE, 1, RW),
    () => table.mapPages(0x8_1000n, 0n, PAGE, 1, RW),
    () => table.unmapPages(0x8_1000n, PAGE, 1),
    () => table.unmapPages(0x8_0000n, PAGE, 1),
    () => table.mapPages(0x8_0000n, 0n, BLOCK, 1, RW),
    () => table.unmapPages(0x8_0000n, BLOCK, 1),
    () => table.mapRange(0x0f_0000n, 0x7000_0000n, 3 * BLOCK, RW),
    () => table.mapPages(0x20_0000n, 0x4400_0000n, HUGE, 1, RW),
    () => table.mapPages(0x8000n, 0n, PAGE, 1, RW),
    () => table.unmap(0x8000n, 8 * PAGE),
    () => table.unmapPages(0x1_0000n, BLOCK, 1),
    // an empty table is replaced
    () => table.mapPages(0n, 0x4000_0000n, BLOCK, 1, RW),
    () => table.mapPages(0x1_1000n, 0x4000_0000n, PAGE, 1, RW),
    () => table.unmapPages(0x20_0000n, HUGE, 1),
    // leaves give way to smaller ones, and tables go that page by page unmaps left behind
    () => table.mapPages(0x20_0000n, 0x4400_0000n, HUGE, 1, RW),
    () => table.cut(0x21_3000n),
    () => table.cut(0x24_0000n),
    () => table.protect(0x21_0000n, 3 * PAGE, Prot.READ | Prot.CACHE),
    () => table.protect(0x22_1000n, 2 * BLOCK, RW | Prot.MMIO, { cut: true }),
    () => Array.from({ length: 32 }, (_, i) => table.unmap(0x21_0000n + BigInt(i * PAGE), PAGE)),
    () => table.trim({ first: 0x20_0000n, last: 0x2f_ffffn }),
    // memory of tables that were trimmed comes back at another level
    () => table.mapPages(0x30_0000n, 0x4800_0000n, HUGE, 1, RW),
    () => table.cut(0x30_1000n),
    () => table.unmap(0x30_0000n, HUGE),
    () => table.trim(),
  ]
  for (const step of steps) {
    step()
    mirror.same()
  }
  const gather = new IotlbGather()
  table.unmapPages(0n, HUGE, 1, gather)
  mirror.same()
  gather.sync()
  mirror.same()
  expect(mirror.checks).toBeGreaterThan(40)
  table.free()
  expect(pool.stats().live).toBe(0)
})

test('on unmap: clear, sync, flush, free; on map: fill, sync, install, sync', () => {
  const log: string[] = []
  const live = (): number => b.pool.stats().live / 128
  const b = bench(
    {},
    {
      pool: { sync: (_paddr, bytes) => void log.push(`memory ${bytes}`) },
      tlb: { flushWalk: () => void log.push(`walk, ${live()} live`), sync: () => void log.push(`sync, ${live()} live`) },
    },
  )
  expect(log.splice(0)).toEqual(['memory 128'])
  b.table.mapPages(0n, 0n, PAGE, 16, RW)
  expect(log.splice(0)).toEqual(['memory 128', 'memory 8', 'memory 128', 'memory 8', 'memory 128'])
  b.table.unmapPages(0n, BLOCK, 1)
  expect(log.splice(0).slice(0, 2)).toEqual(['memory 8', 'walk, 3 live'])
  expect(live()).toBe(2)
})

test('a pool without a hook is not told anything, one with a hook is told every byte that changed', () => {
  const told = new Set<number>()
  const pool = new PtPool({ base: 0n, size: MiB })
  expect(pool.sync).toBeUndefined()
  let base = 0n
  const sync = (paddr: bigint, bytes: number): void => {
    for (let i = 0; i < bytes; i++) told.add(Number(paddr - base) + i)
  }
  const b = bench({}, { pool: { sync } })
  base = b.pool.base
  told.clear()
  const before = new Uint8Array(b.pool.words.buffer).slice()
  // one page, in a table that is known
  b.table.mapPages(0x20_0000n, 0x1234_5000n, PAGE, 1, RW)
  b.table.mapPages(0x20_1000n, 0x1234_5000n, PAGE, 1, RW)
  b.table.mapPages(0x8000n, 0x1234_5000n, PAGE, 40, RW)
  b.table.mapPages(0x10_0000n, 0x1230_0000n, HUGE, 1, RW)
  b.table.unmapPages(0x1_0000n, PAGE, 3)
  const after = new Uint8Array(b.pool.words.buffer)
  const untold = [...after.keys()].filter((i) => after[i] !== before[i] && !told.has(i))
  expect(untold).toEqual([])
})
