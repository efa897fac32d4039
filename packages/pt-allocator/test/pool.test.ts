import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'

test('basic', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 1 << 26 })
  const a = pool.alloc(4096)
  const b = pool.alloc(1024)
  expect(pool.physOf(b)).toBe(0x8000_1000n)
  expect(pool.ptrAt(0x8000_0000n)).toBe(a)
  expect(() => pool.free((b + 64) as never)).toThrow('inside of block')
  pool.free(a)
  pool.free(b)
  expect(() => pool.free(b)).toThrow('freed already')
  expect(pool.stats()).toMatchInlineSnapshot(`
    {
      "allocations": 2,
      "classes": {
        "1024": {
          "live": 0,
          "peak": 1,
        },
        "4096": {
          "live": 0,
          "peak": 1,
        },
      },
      "committed": 8192,
      "live": 0,
      "overhead": 548,
      "peak": 5120,
    }
  `)
  pool.alloc(1 << 26)
})
