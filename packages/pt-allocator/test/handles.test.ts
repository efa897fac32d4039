/** Handles that are not those of a live block. */
import type { PtPtr } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { asPtr, BASE, errorOf, KiB, MiB, newPool, thrownBy } from './helpers.ts'

describe.each([{ shared: false }, { shared: true }])('a handle, $shared shared', ({ shared }) => {
  test.each([-1, -4096, 1.5, Number.NaN, Number.POSITIVE_INFINITY, MiB, 2 ** 32, 2 ** 40, '0', 0n, null, undefined, {}])(
    '%s is foreign',
    (value) => {
      const pool = newPool({ shared })
      pool.alloc(4096)
      const before = pool.stats()
      for (const op of ['free', 'sizeOf', 'physOf', 'view'] as const) {
        expect(errorOf(() => pool[op](asPtr(value)))).toMatch(
          /^EFAULT: (free|sizeOf|physOf): pool has no block .*: handles are whole numbers below 0x100000$/,
        )
      }
      expect(pool.stats()).toEqual(before)
      expect(pool.generation).toBe(0)
    },
  )

  test.each([64, 1 * KiB, 4 * KiB, 64 * KiB])('of %i bytes can be freed once', (bytes) => {
    const pool = newPool({ shared })
    const kept = pool.alloc(bytes)
    const ptr = pool.alloc(bytes)
    pool.free(ptr)
    const before = pool.stats()
    for (const run of [() => pool.free(ptr), () => pool.sizeOf(ptr), () => pool.physOf(ptr), () => pool.ptrAt(BASE + BigInt(ptr))]) {
      expect(errorOf(run)).toMatch(`has no block 0x${ptr.toString(16)}: it was freed already, or never allocated`)
    }
    expect(pool.stats()).toEqual(before)
    expect(pool.generation).toBe(1)
    pool.free(kept)
    expect(errorOf(() => pool.free(kept))).toMatch('EFAULT: free')
  })

  test('that was never given', () => {
    const pool = newPool({ shared })
    pool.alloc(64)
    expect(errorOf(() => pool.free(asPtr(0x8_0000)))).toBe('EFAULT: free: pool has no block 0x80000: it was never allocated')
  })

  test.each([
    [64 * KiB, 64],
    [64 * KiB, 4096],
    [64 * KiB, 65_472],
    [4096, 1],
    [4096, 2048],
    [4096, 4095],
    [1024, 1],
    [1024, 512],
    [64, 63],
  ])('into a block of %i bytes, %i bytes from its start', (bytes, offset) => {
    const pool = newPool({ shared })
    const ptr = [pool.alloc(bytes), pool.alloc(bytes)][1] ?? asPtr(-1)
    const error = thrownBy(() => pool.free(asPtr(ptr + offset)))
    expect(error.message).toBe(
      `EFAULT: free: pool has no block 0x${(ptr + offset).toString(16)}: that is inside of block 0x${ptr.toString(16)} of 0x${bytes.toString(16)} bytes`,
    )
    expect(error.value).toBe(ptr + offset)
    expect(pool.sizeOf(ptr)).toBe(bytes)
  })

  test('into the largest block of an oddly placed pool', () => {
    const pool = newPool({ shared, base: 0x60_0000n, size: 12 * MiB })
    const ptr = pool.alloc(8 * MiB)
    expect(errorOf(() => pool.free(asPtr(ptr + 7 * MiB)))).toMatch('inside of block 0x200000 of 0x800000 bytes')
    expect(errorOf(() => pool.free(asPtr(0)))).toMatch('freed already, or never')
  })

  test('that is stale: its memory was allocated again at another size', () => {
    const pool = newPool({ shared, size: 8 * 4096 })
    const pages = Array.from({ length: 8 }, () => pool.alloc(4096))
    for (const ptr of pages) pool.free(ptr)
    const large = pool.alloc(8 * 4096)
    for (const ptr of pages.slice(1)) expect(errorOf(() => pool.free(ptr))).toMatch('inside of block 0x0 of 0x8000 bytes')
    pool.free(large)
    const small = [pool.alloc(1024), pool.alloc(1024), pool.alloc(1024)]
    pool.free(small[1] ?? asPtr(-1))
    expect(errorOf(() => pool.free(small[1] ?? asPtr(-1)))).toMatch('freed already')
    for (const ptr of [small[0], small[2]] as PtPtr[]) pool.free(ptr)
    pool.alloc(4096)
    expect(errorOf(() => pool.free(small[2] ?? asPtr(-1)))).toMatch('inside of block 0x0 of 0x1000 bytes')
  })
})

test('ptrAt takes addresses of live blocks only', () => {
  const pool = newPool()
  pool.alloc(64)
  expect(pool.ptrAt(BASE)).toBe(0)
  expect(errorOf(() => pool.ptrAt(BASE + 8n))).toMatch('EFAULT: ptrAt: pool has no block 0x8: that is inside of block 0x0 of 0x40 bytes')
  expect(errorOf(() => pool.ptrAt(BASE - 1n))).toBe('EFAULT: ptrAt: pool has no block at 0x7fffffff: it spans 0x80000000 .. 0x800fffff')
  expect(errorOf(() => pool.ptrAt(BASE + BigInt(MiB)))).toMatch('no block at 0x80100000')
  expect(errorOf(() => pool.ptrAt(1n << 100n))).toMatch('EFAULT')
  expect(errorOf(() => pool.ptrAt(0x8000_0000 as never))).toMatch('EFAULT: ptrAt: pool has no block at 0x80000000: that is no bigint')
})
