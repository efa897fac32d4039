/** Deferred frees. */
import { expect, test } from 'vitest'
import { asPtr, errorOf, MiB, newPool } from './helpers.ts'

test('blocks stay as they are until putBack, which frees them all in one go', () => {
  const pool = newPool()
  const list = pool.freeList()
  const ptrs = [64, 1024, 4096, 65_536].map((bytes) => pool.alloc(bytes))
  for (const ptr of ptrs) {
    pool.view(ptr).fill(7)
    list.add(ptr)
  }
  expect([list.size, list.bytes]).toEqual([4, 64 + 1024 + 4096 + 65_536])
  expect(pool.stats().live).toBe(list.bytes)
  expect(ptrs.every((ptr) => pool.view(ptr).every((word) => word === 7))).toBe(true)
  expect(pool.alloc(65_536)).not.toBe(ptrs[3])
  list.putBack()
  expect([list.size, list.bytes, pool.generation, pool.stats().live]).toEqual([0, 0, 1, 65_536])
  list.putBack()
  expect(pool.generation).toBe(1)
  list.add(pool.alloc(64))
  list.putBack()
  expect(pool.generation).toBe(2)
})

test.each([{ shared: false }, { shared: true }])('bad handles: nothing else is lost ($shared)', ({ shared }) => {
  const pool = newPool({ shared })
  const list = pool.freeList()
  const ptrs = Array.from({ length: 4 }, () => pool.alloc(4096))
  expect(errorOf(() => list.add(asPtr(MiB)))).toMatch('EFAULT')
  expect(errorOf(() => list.add(asPtr(64)))).toMatch('inside of block')
  expect([list.size, list.bytes]).toEqual([0, 0])
  for (const ptr of [...ptrs, ...ptrs.slice(2, 3)]) list.add(ptr)
  expect(errorOf(() => list.putBack())).toBe('EFAULT: freeAll: pool has no block 0x2000: it was freed already, or never allocated')
  expect(pool.stats().live).toBe(0)
  expect(list.size).toBe(0)
  expect(pool.alloc(MiB)).toBe(0)
})

test('freeAll frees what it can and tells of the first that it cannot', () => {
  const pool = newPool()
  const ptr = pool.alloc(64)
  expect(errorOf(() => pool.freeAll([asPtr('x'), ptr, ptr]))).toMatch('EFAULT: freeAll: pool has no block "x"')
  expect(pool.stats().live).toBe(0)
  expect(errorOf(() => pool.freeAll(5 as never))).toMatch('EINVAL: freeAll: pool frees an array of handles, not 0x5')
})

test.each([{ shared: false }, { shared: true }])('runs of blocks that follow one another ($shared)', ({ shared }) => {
  const pool = newPool({ shared })
  const list = pool.freeList()
  const [a = 0, , c = 0, d = 0] = Array.from({ length: 6 }, () => pool.alloc(4096))
  list.addRun(asPtr(c), 2, 4096)
  list.addRun(asPtr(d + 4096), 2, 4096)
  list.addRun(asPtr(a), 2, 4096)
  expect([list.size, list.bytes]).toEqual([6, 6 * 4096])
  list.putBack()
  expect([pool.stats().live, pool.alloc(MiB)]).toEqual([0, 0])
  pool.free(asPtr(0))
  const small = [pool.alloc(64), pool.alloc(64)]
  list.addRun(small[0] as (typeof small)[0], 2, 64)
  list.putBack()
  expect(pool.stats().live).toBe(0)
})

test('a run that is none frees what it can', () => {
  const pool = newPool()
  const list = pool.freeList()
  const last = Array.from({ length: MiB / 4096 }, () => pool.alloc(4096)).at(-1) as ReturnType<typeof pool.alloc>
  expect(errorOf(() => list.addRun(last, 2, 4096))).toMatch('EFAULT')
  expect(list.bytes).toBe(4096)
  list.putBack()
  list.addRun(asPtr(last - 4096), 2, 4096)
  expect(errorOf(() => list.putBack())).toMatch('EFAULT: freeAll: pool has no block 0xff000')
  expect(pool.stats().live).toBe(MiB - 2 * 4096)
})
