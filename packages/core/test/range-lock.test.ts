/** `debug.rangeLock`: calls that work on overlapping ranges at once are EBUSY, and the error names both ranges. */

import { Worker } from 'node:worker_threads'
import { IoPageTable, IotlbGather, type TlbFlushOps } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { beforeAll, describe, expect, test } from 'vitest'
import { BLOCK, HUGE, MiB, PAGE, RW, SIZES, thrownBy } from './helpers.ts'
import type { HoldData } from './hold-worker.ts'
import { bundled } from './threads.ts'
import { type Toy, toy } from './toy-format.ts'

const format = toy({ dirty: true })

/** A table with 64 KiB of pages at 0 and at 0x100000, and what a second view of it does while `during` an unmap of the first 64 KiB. */
function during(overlap: (other: IoPageTable<Toy>) => void, tlb: Partial<TlbFlushOps> = {}): IoPageTable<Toy> {
  const pool = new PtPool({ base: 0n, size: MiB, shared: true })
  let other: IoPageTable<Toy> | undefined
  const hook = (): void => void (other && overlap(other))
  const table = IoPageTable.createRaw(format, {
    allocator: pool,
    tlb: { flushAll() {}, flushWalk: hook, ...tlb },
    debug: { rangeLock: true },
    pgsizeBitmap: SIZES,
    ias: 24,
    oas: 52,
  })
  for (const iova of [0n, 0x10_0000n]) table.map(iova, iova, BLOCK - PAGE, RW)
  other = IoPageTable.attach(format, table.share())
  table.unmapPages(0n, BLOCK, 1)
  return table
}

const OVERLAPPING: [string, string, (table: IoPageTable<Toy>) => unknown][] = [
  ['mapPages', '0xf000..0xffff', (table) => table.mapPages(0xf000n, 0n, PAGE, 1, RW)],
  ['mapPages', '0x0..0xfffff', (table) => table.mapPages(0n, 0n, HUGE, 1, RW)],
  ['mapPages', '0xf000..0x1efff', (table) => table.mapRange(0xf000n, 0n, BLOCK, RW)],
  ['mapPages', '0x0..0xffff', (table) => table.map(0n, 0n, BLOCK, RW)],
  ['unmapPages', '0x4000..0x4fff', (table) => table.unmapPages(0x4000n, PAGE, 1)],
  ['unmapPages', '0x0..0xffff', (table) => table.unmapRange(0n, BLOCK)],
  ['unmapPages', '0x0..0xffff', (table) => table.unmap(0n, BLOCK)],
  ['iovaToPhys', '0xffff..0xffff', (table) => table.iovaToPhys(0xffffn)],
  ['iovaToPhys', '0x0..0x0', (table) => table.iovaToPhys(0n)],
  ['walk', '0x8000..0x8000', (table) => table.walk(0x8000n)],
  ['readAndClearDirty', '0xf000..0x10fff', (table) => table.readAndClearDirty(0xf000n, 2 * PAGE, () => {})],
]

test.each(OVERLAPPING)('%s of %s while 0x0..0xffff is unmapped', (op, range, call) => {
  let seen = 0
  during((other) => {
    const error = thrownBy(() => call(other))
    expect([error.code, error.op]).toEqual(['EBUSY', op])
    expect(error.message).toContain(`range ${range} overlaps 0x0..0xffff, which is in use`)
    seen++
  })
  expect(seen).toBe(1)
})

test('one page, in a table that both know', () => {
  const seen: unknown[] = []
  const table = during(() => {}, {
    addPages: () => {
      for (const call of [() => other.mapPages(0x10_1000n, 0n, PAGE, 1, RW), () => other.unmapPages(0x10_1000n, PAGE, 1)])
        seen.push(thrownBy(call).code)
      seen.push(thrownBy(() => other.iovaToPhys(0x10_1000n)).code, other.mapPages(0x10_f000n, 0n, PAGE, 1, RW).error?.code)
    },
  })
  const other = IoPageTable.attach(format, table.share())
  expect(other.iovaToPhys(0x10_1000n)).toBe(0x10_1000n)
  table.unmapPages(0x10_0000n, PAGE, 3, new IotlbGather())
  expect(seen).toEqual(['EBUSY', 'EBUSY', 'EBUSY', undefined])
})

/** A table of 64-bit addresses whose memory's sync hook calls `hook`, and a second view of it. */
function late(hook: () => void): [IoPageTable<Toy>, IoPageTable<Toy>] {
  const pool = new PtPool({ base: 0n, size: MiB, shared: true, sync: () => hook() })
  const table = IoPageTable.createRaw(format, { allocator: pool, debug: { rangeLock: true }, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
  return [table, IoPageTable.attach(format, table.share())]
}

test.each([
  ['mapRange', (table: IoPageTable) => table.mapRange(0x8000n, 0x8000n, 8 * PAGE + BLOCK, RW).mapped],
  ['unmapRange', (table: IoPageTable) => table.unmapRange(0x8000n, 8 * PAGE + BLOCK)],
])('%s holds the whole of its range, also of the sizes that come later', (name, call) => {
  const seen: string[] = []
  let inside = false
  const [table, other] = late(() => {
    if (!inside) return
    inside = false
    seen.push(thrownBy(() => other.mapPages(0x1_f000n, 0n, PAGE, 1, RW)).message)
    expect(other.mapPages(0x2_0000n, 0n, PAGE, 1, RW).error).toBeUndefined()
  })
  if (name === 'unmapRange') table.mapRange(0x8000n, 0x8000n, 8 * PAGE + BLOCK, RW)
  inside = true
  expect(call(table)).toBe(8 * PAGE + BLOCK)
  expect(seen).toEqual([expect.stringContaining('range 0x1f000..0x1ffff overlaps 0x8000..0x1ffff, which is in use')])
})

test('disjoint ranges at once are what it is for', () => {
  let seen = 0
  during((other) => {
    other.map(0x1_0000n, 0n, BLOCK, RW)
    expect(other.unmapPages(0x10_0000n, PAGE, 3)).toBe(3 * PAGE)
    expect(other.iovaToPhys(0x10_3000n)).toBe(0x10_3000n)
    expect(other.walk(0x10_3000n)).toHaveLength(3)
    seen++
  })
  expect(seen).toBe(1)
})

test('reads from inside a callback of the table itself are its own', () => {
  const seen: unknown[] = []
  const read = (): void => void seen.push(reader?.iovaToPhys(0x2000n), reader?.walk(0x2000n).length)
  let reader: IoPageTable<Toy> | undefined
  const table = during(() => {}, { flushWalk: read })
  reader = table
  table.map(0x2000n, 0x7000n, PAGE, RW)
  table.unmapPages(0n, BLOCK, 1)
  expect(seen.slice(-2)).toEqual([undefined, 2])
})

test('a range is let go when its call ends, also by an error', () => {
  const table = during(() => {})
  const other = IoPageTable.attach(format, table.share())
  let broken = true
  const breaking = IoPageTable.attach(format, table.share(), {
    tlb: {
      flushAll() {},
      flushWalk() {
        if (broken) throw new Error('the device hangs')
      },
    },
  })
  expect(() => breaking.unmapPages(0x10_0000n, BLOCK, 1)).toThrow('the device hangs')
  broken = false
  expect(other.map(0x10_0000n, 0n, BLOCK, RW)).toBeUndefined()
  expect(other.mapPages(0x10_0000n, 0n, PAGE, 1, RW).error?.code).toBe('EEXIST')
  for (let i = 0; i < 100; i++) expect(table.unmapPages(0x80_0000n, PAGE, 1)).toBe(0)
})

test('the sync of a gather holds no range', () => {
  const table = during(() => {})
  const other = IoPageTable.attach(format, table.share())
  const holder = IoPageTable.attach(format, table.share(), {
    tlb: { flushAll() {}, flushWalk() {}, sync: () => other.map(0x10_0000n, 0n, PAGE, RW) },
  })
  const gather = new IotlbGather()
  holder.unmapPages(0x10_0000n, BLOCK, 1, gather)
  gather.sync()
  expect(table.iovaToPhys(0x10_0000n)).toBe(0n)
})

test('without the option nobody looks', () => {
  const pool = new PtPool({ base: 0n, size: MiB, shared: true })
  let other: IoPageTable<Toy> | undefined
  let seen = 0
  const flushWalk = (): void => {
    seen++
    expect(other?.iovaToPhys(0n)).toBeUndefined()
  }
  const table = IoPageTable.createRaw(format, { allocator: pool, tlb: { flushAll() {}, flushWalk }, pgsizeBitmap: SIZES, ias: 24, oas: 52 })
  other = IoPageTable.attach(format, table.share())
  table.map(0n, 0n, PAGE, RW)
  table.unmapPages(0n, BLOCK, 1)
  expect(seen).toBe(1)
})

describe('across threads', () => {
  let code = ''
  beforeAll(async () => {
    code = await bundled('./hold-worker.ts')
  })

  test('a thread that is in the middle of an unmap', async () => {
    const table = during(() => {})
    const gate = new SharedArrayBuffer(4)
    const worker = new Worker(code, { eval: true, workerData: { token: table.share(), gate } satisfies HoldData })
    const next = (): Promise<unknown> => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    expect(await next()).toBe('holding')
    const error = thrownBy(() => table.mapPages(0x10_f000n, 0n, PAGE, 2, RW))
    expect([error.code, error.value]).toEqual(['EBUSY', 0x10_f000n])
    expect(error.message).toContain('range 0x10f000..0x110fff overlaps 0x100000..0x10ffff')
    expect(table.mapPages(0x11_0000n, 0n, PAGE, 1, RW).error).toBeUndefined()
    const done = next()
    Atomics.store(new Int32Array(gate), 0, 1)
    Atomics.notify(new Int32Array(gate), 0)
    expect(await done).toBe(BLOCK)
    expect(table.mapPages(0x10_f000n, 0n, PAGE, 1, RW).error).toBeUndefined()
  })
})
