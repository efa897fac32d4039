/** One pool in several threads. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { PtPool, type PtPoolToken, type PtPtr } from '@io-pgtable/pt-allocator'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { Arena } from '../src/arena.ts'
import { LIVE, LOCK, layoutOf } from '../src/layout.ts'
import { spinUnlock } from '../src/lock.ts'
import { repair } from '../src/repair.ts'
import { BASE, errorOf, KiB, MiB, newPool } from './helpers.ts'

const folder = mkdtempSync(join(tmpdir(), 'pt-allocator-'))
const file = join(folder, 'worker.mjs')

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: file,
    conditions: ['@io-pgtable/source'],
  })
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What `worker.ts` reports. */
interface Report {
  readonly frees: number
  readonly allocations: number
  readonly kept: readonly { readonly ptr: PtPtr; readonly bytes: number }[]
  readonly owner: number
}

function start(token: PtPoolToken, seed: number): Promise<Report> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { workerData: { token, seed, operations: 40_000 } })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

test('three threads allocate and free at once, and every sum is exact', async () => {
  const pool = newPool({ size: 8 * MiB, shared: true })
  const [a, b, c] = await Promise.all([start(pool.token(), 1), start(pool.token(), 2), start(pool.token(), 3)])
  const reports = [a, b, c]
  const kept = reports.flatMap((report) => report.kept)
  const stats = pool.stats()
  expect(stats.live).toBe(kept.reduce((sum, { bytes }) => sum + bytes, 0))
  expect(stats.allocations).toBe(reports.reduce((sum, { allocations }) => sum + allocations, 0))
  expect(pool.generation).toBe(reports.reduce((sum, { frees }) => sum + frees, 0))
  expect(pool.leaks().map(({ ptr, bytes }) => ({ ptr, bytes }))).toEqual(kept.toSorted((x, y) => x.ptr - y.ptr))
  // the same name has a tag in each thread, which this one cannot name
  expect(new Set(pool.leaks().map(({ owner }) => owner))).toEqual(new Set(reports.map(({ owner }) => `#${owner}`)))
  expect(new Set(reports.map(({ owner }) => owner)).size).toBe(3)
  for (const { ptr } of kept) pool.free(ptr)
  expect(pool.stats().live).toBe(0)
  expect(pool.alloc(8 * MiB)).toBe(0)
})

test('attach opens the same pool with hooks of its own', () => {
  const sync = vi.fn()
  const memory = new SharedArrayBuffer(MiB + 64)
  const pool = newPool({ memory: new Uint8Array(memory, 64), name: 'gpu', ceiling: 8192, sync })
  const token = structuredClone({ token: pool.token() }).token
  const other = PtPool.attach(token, { onPressure: () => pool.free(first) })
  expect([other.name, other.base, other.size, other.shared, other.sync]).toEqual(['gpu', BASE, MiB, true, undefined])
  const first = pool.alloc(4096)
  const second = other.alloc(4096)
  expect(second).toBe(4096)
  pool.words[second >>> 2] = 5
  expect(other.view(second)[0]).toBe(5)
  expect(other.alloc(4096)).toBe(first)
  expect(pool.generation).toBe(1)
  expect(other.stats()).toEqual(pool.stats())
  expect(errorOf(() => pool.alloc(64))).toMatch('ENOMEM: alloc: gpu has no room')
  expect(PtPool.attach(token, { sync }).sync).toBe(sync)
})

test('tokens that are none are EINVAL', () => {
  expect(errorOf(() => newPool().token())).toBe('EINVAL: token: pool is not shared: create it with { shared: true }')
  const token = newPool({ shared: true }).token()
  const bad = (change: object) => errorOf(() => PtPool.attach({ ...token, ...change } as never))
  expect(errorOf(() => PtPool.attach(undefined as never))).toMatch('EINVAL: attach: undefined is no token')
  expect(bad({ type: 'IoPageTable' })).toMatch('EINVAL: attach')
  expect(bad({ memory: new ArrayBuffer(MiB) })).toMatch('memory is no SharedArrayBuffer')
  expect(bad({ meta: new ArrayBuffer(MiB) })).toMatch('meta is no SharedArrayBuffer')
  expect(bad({ meta: new SharedArrayBuffer(64) })).toMatch('EINVAL: attach: meta has 64 bytes')
  expect(bad({ meta: new SharedArrayBuffer(token.meta.byteLength) })).toMatch('is not the bookkeeping of this pool')
  expect(bad({ size: 2 * MiB })).toMatch('the pool ends at byte 0x200000 of its memory')
  expect(bad({ size: undefined })).toMatch('the pool ends at byte NaN')
  expect(bad({ size: 64 * 1024 })).toMatch('EINVAL: attach: meta has')
  expect(bad({ size: 1 })).toMatch('EINVAL: pool: size 0x1')
  expect(bad({ byteOffset: -8 })).toMatch('EINVAL')
  expect(bad({ base: 0 })).toMatch('EINVAL: pool: base')
  expect(errorOf(() => PtPool.attach(token, null as never))).toMatch('EINVAL: pool: hooks are null')
  expect(errorOf(() => PtPool.attach(token, { sync: 1 as never }))).toMatch('EINVAL: pool: sync is 0x1')
})

test('a lock that nobody will release is EBUSY, not a hang', () => {
  const pool = newPool({ shared: true })
  const ptr = pool.alloc(64)
  pool.meta[LOCK] = 1
  let clock = 0
  const now = vi.spyOn(Date, 'now').mockImplementation(() => (clock += 6000))
  for (const run of [() => pool.alloc(64), () => pool.free(ptr), () => pool.stats(), () => pool.leaks(), () => pool.freeAll([ptr])]) {
    expect(errorOf(run)).toMatch(/^EBUSY: \w+: a lock was not released for 10000 ms/)
  }
  // known to be lost by the first time-out: the others looked at the clock once at most
  expect(clock).toBeLessThan(6000 * 8)
  now.mockRestore()
  // who held it was only slow
  spinUnlock(pool.meta, LOCK)
  pool.free(ptr)
  expect([pool.stats().live, pool.recover()]).toEqual([0, false])
})

test('an owner who knows that no other thread lives recovers the pool', () => {
  const pool = newPool({ shared: true })
  const [page, small] = [pool.alloc(4096), pool.alloc(64)]
  const list = pool.freeList()
  list.add(small)
  pool.meta[LOCK] = 2
  expect(errorOf(() => list.putBack())).toMatch(/^EBUSY/)
  expect([list.size, list.bytes]).toEqual([1, 64])
  expect(pool.recover()).toBe(true)
  list.putBack()
  expect([list.size, pool.leaks().map(({ ptr }) => ptr)]).toEqual([0, [page]])
  pool.free(page)
  expect(pool.alloc(MiB)).toBe(0)
  expect(newPool().recover()).toBe(false)
})

test('whatever write a thread is terminated after, recovery keeps what was live, and loses no memory', () => {
  const size = 256 * KiB
  const layout = layoutOf(size, BASE)
  const random = seededIntegers(7)
  let torn = 0
  for (let run = 0; run < 300; run++) {
    const meta = new Int32Array(layout.words)
    let left = Number.POSITIVE_INFINITY
    const watched = new Proxy(meta, {
      get: (target, name) => Reflect.get(target, name, target) as unknown,
      set(target, name, value) {
        if (left-- <= 0) throw new Error('terminated')
        return Reflect.set(target, name, value, target)
      },
    })
    const arena = new Arena(watched, layout)
    arena.init(layout, size, true)
    const live = new Set<number>()
    left = 200 + random(1500)
    let moving = -1
    try {
      for (;;) {
        const [some] = [...live].slice(random(live.size || 1))
        moving = some !== undefined && random(2) === 0 ? some : -1
        if (moving >= 0) {
          arena.release(moving)
          live.delete(moving)
        } else {
          const ptr = arena.take(6 + random(9), size, random(3))
          if (ptr >= 0) live.add(ptr)
        }
      }
    } catch (error) {
      expect(String(error)).toBe('Error: terminated')
    }
    repair(meta, layout)
    const after = new Arena(meta, layout)
    const found = new Map<number, number>()
    after.forEachLive((ptr, shift) => void found.set(ptr, shift))
    // the block of the change itself may be there or not
    for (const ptr of live) if (ptr !== moving) expect(found.has(ptr)).toBe(true)
    const differs = Math.abs(found.size - live.size)
    expect(differs).toBeLessThanOrEqual(1)
    torn += differs
    expect(meta[LIVE]! * 64).toBe([...found.values()].reduce((sum, shift) => sum + 2 ** shift, 0))
    for (const ptr of found.keys()) expect(after.release(ptr)).toBeGreaterThan(0)
    expect([meta[LIVE], after.take(18, size, 0)]).toEqual([0, 0])
  }
  expect(torn).toBeGreaterThan(5)
})

test('errors leave a shared pool unlocked', () => {
  const pool = newPool({ shared: true })
  errorOf(() => pool.alloc(2 * MiB))
  errorOf(() => pool.free(0 as PtPtr))
  errorOf(() => pool.freeAll([0 as PtPtr]))
  expect(pool.meta[LOCK]).toBe(0)
})
