/** A pool of 4 GiB costs address space, not memory. */
import { expect, test } from 'vitest'
import { GiB, isZero, MiB, newPool } from './helpers.ts'

test.each([{ shared: false }, { shared: true }])('4 GiB commit nothing before they are touched (shared: $shared)', ({ shared }) => {
  const before = process.memoryUsage.rss()
  const pool = newPool({ base: 0n, size: 4 * GiB, shared })
  const high = newPool({ base: 0n, size: 4 * GiB, shared })
  const whole = high.alloc(4 * GiB)
  expect(high.sizeOf(whole)).toBe(4 * GiB)
  const low = pool.alloc(2 * GiB)
  const ptr = pool.alloc(4096)
  expect([low, ptr]).toEqual([0, 2 * GiB])
  pool.cells[(ptr + 8) / 8] = -1n
  high.words[2 ** 30 - 1] = 7
  expect(high.cells[2 ** 29 - 1]).toBe(7n << 32n)
  pool.free(ptr)
  const again = pool.alloc(4096)
  expect([again, isZero(pool, again)]).toEqual([ptr, true])
  expect(process.memoryUsage.rss() - before).toBeLessThan(32 * MiB)
})
