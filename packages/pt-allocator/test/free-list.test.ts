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
