/** Allocation: sizes, alignment, zeroing, reuse, limits. */
import { describe, expect, test } from 'vitest'
import { asPtr, BASE, errorOf, fillUp, GiB, isZero, KiB, MiB, newPool, thrownBy } from './helpers.ts'

const BOTH = [{ shared: false }, { shared: true }]

describe.each(BOTH)('a pool, $shared shared', ({ shared }) => {
  test('gives blocks of every size, aligned in physical addresses', () => {
    const pool = newPool({ base: 0x20_0000n, size: 16 * MiB, shared })
    for (let bytes = 64; bytes <= 4 * MiB; bytes *= 2) {
      const ptr = pool.alloc(bytes)
      expect(pool.physOf(ptr) % BigInt(bytes)).toBe(0n)
      expect(pool.physOf(ptr)).toBe(0x20_0000n + BigInt(ptr))
      expect(pool.sizeOf(ptr)).toBe(bytes)
      expect(pool.ptrAt(pool.physOf(ptr))).toBe(ptr)
      expect(pool.view(ptr).length).toBe(bytes / 4)
    }
  })

  test.each([64, 128, 256, 512, 1 * KiB, 2 * KiB, 4 * KiB, 8 * KiB, 64 * KiB, 1 * MiB])('zeroes reused blocks of %i bytes', (bytes) => {
    const pool = newPool({ shared })
    const first = fillUp(pool, bytes)
    expect(first.length).toBe(MiB / bytes)
    pool.words.fill(-1)
    for (const ptr of first) pool.free(ptr)
    const second = fillUp(pool, bytes)
    expect(second.length).toBe(MiB / bytes)
    expect(second.every((ptr) => isZero(pool, ptr))).toBe(true)
  })

  test('uses freed memory for other sizes, larger and smaller', () => {
    const pool = newPool({ shared })
    for (const bytes of [64, 1 * MiB, 1 * KiB, 4 * KiB, 256, 64 * KiB, 2 * KiB, 1 * MiB]) {
      const ptrs = fillUp(pool, bytes)
      expect(ptrs.length).toBe(MiB / bytes)
      // freed from both ends towards the middle, so that blocks merge from below and from above
      while (ptrs.length > 0) pool.free((ptrs.length % 2 === 0 ? ptrs.pop() : ptrs.shift()) ?? asPtr(-1))
      expect(pool.stats().live).toBe(0)
    }
  })
})

test('sub-page blocks share pages, and blocks of one page do not mix sizes', () => {
  const pool = newPool()
  const small = [pool.alloc(KiB), pool.alloc(KiB), pool.alloc(KiB), pool.alloc(KiB)]
  expect(small).toEqual([0, 1024, 2048, 3072])
  expect(pool.alloc(2 * KiB)).toBe(4096)
  expect(pool.alloc(KiB)).toBe(8192)
})

test('low addresses go first, also after frees', () => {
  const pool = newPool()
  const ptrs = fillUp(pool, 4 * KiB)
  expect(ptrs).toEqual(ptrs.map((_, i) => i * 4096))
  for (const i of [200, 90, 17, 40]) pool.free(ptrs[i] ?? asPtr(-1))
  // the page that was freed first is kept at hand
  expect(fillUp(pool, 4 * KiB)).toEqual([200, 17, 40, 90].map((i) => i * 4096))
})

test('a pool need not be a power of two', () => {
  const pool = newPool({ size: 5 * 4096 })
  expect(fillUp(pool, 4096).length).toBe(5)
  const other = newPool({ size: 5 * 4096 })
  expect(other.alloc(4 * 4096)).toBe(0)
  expect(other.alloc(4096)).toBe(4 * 4096)
  expect(errorOf(() => other.alloc(64))).toMatch('ENOMEM')
})

test('blocks larger than 2 MiB are aligned when the base is only to 2 MiB', () => {
  const pool = newPool({ base: 0x60_0000n, size: 12 * MiB })
  const ptr = pool.alloc(8 * MiB)
  expect(pool.physOf(ptr)).toBe(0x80_0000n)
  expect(pool.physOf(pool.alloc(2 * MiB))).toBe(0x60_0000n)
  expect(pool.physOf(pool.alloc(2 * MiB))).toBe(0x100_0000n)
  expect(errorOf(() => pool.alloc(64))).toMatch('ENOMEM')
})

test('the last block of an oddly placed pool does not merge with what is beyond', () => {
  const pool = newPool({ base: 0x20_0000n, size: 128 * MiB })
  expect(fillUp(pool, 2 * MiB).length).toBe(64)
  pool.freeAll([asPtr(0), asPtr(126 * MiB)])
  expect(errorOf(() => pool.alloc(4 * MiB))).toMatch('ENOMEM')
  expect([pool.alloc(64), pool.alloc(2 * MiB)]).toEqual([0, 126 * MiB])
})

test('never-used memory of its own is not zeroed, memory of the caller is', () => {
  const memory = new Uint8Array(MiB + 8).fill(0xee).subarray(8)
  const pool = newPool({ memory })
  expect(pool.size).toBe(MiB)
  for (const bytes of [64, KiB, 4 * KiB, 64 * KiB]) expect(isZero(pool, pool.alloc(bytes))).toBe(true)
  const own = newPool()
  own.words.fill(-1)
  expect(own.view(own.alloc(4096))[0]).toBe(-1)
  expect(own.view(own.alloc(64))[0]).toBe(-1)
})

test('a block that its caller writes is not zeroed', () => {
  const pool = newPool({ memory: new Uint8Array(MiB).fill(0xee) })
  const ptr = pool.alloc(4096, { zero: false })
  expect([...new Set(pool.view(ptr))]).toEqual([0xeeee_eeee | 0])
  pool.free(ptr)
  expect(isZero(pool, pool.alloc(4096, { zero: true }))).toBe(true)
})

describe('below', () => {
  const base = 0xffe0_0000n

  test('keeps the whole block under an address, also of full pages and after frees', () => {
    const pool = newPool({ base, size: 4 * MiB })
    const below = 0x1_0000_0000n
    const low = []
    for (;;) {
      const error = low.length < 512 ? undefined : thrownBy(() => pool.alloc(4096, { below }))
      if (error !== undefined) break
      low.push(pool.alloc(4096, { below }))
    }
    expect(pool.physOf(low.at(-1) ?? asPtr(-1))).toBe(below - 4096n)
    expect(pool.physOf(pool.alloc(4096))).toBe(below)
    pool.free(low[100] ?? asPtr(-1))
    pool.free(low[7] ?? asPtr(-1))
    expect(pool.alloc(1024, { below })).toBe(low[100])
    expect(pool.alloc(2048, { below })).toBe(low[7])
    expect(pool.alloc(2048, { below })).toBe((low[7] ?? 0) + 2048)
    expect(pool.physOf(pool.alloc(2048, { below: below * 2n }))).toBeGreaterThan(below)
    expect(errorOf(() => pool.alloc(2048, { below }))).toBe(
      'ENOMEM: alloc: pool has no free block of 0x800 bytes below 0x100000000: 0x200c00 of 0x400000 bytes at 0xffe00000 .. 0x1001fffff are live',
    )
  })

  test('takes the part of a page, and of a larger free block, that is under it', () => {
    const pool = newPool({ base })
    expect(errorOf(() => pool.alloc(2048, { below: base + 2047n }))).toMatch('below 0xffe007ff')
    expect(pool.alloc(2048, { below: base + 2048n })).toBe(0)
    expect(errorOf(() => pool.alloc(2048, { below: base + 2048n }))).toMatch('ENOMEM')
    expect(pool.alloc(2048, { below: base + 4096n })).toBe(2048)
    expect(pool.alloc(0x1_0000, { below: base + 0x2_0000n })).toBe(0x1_0000)
    expect(errorOf(() => pool.alloc(64, { below: base }))).toMatch('ENOMEM')
    expect(errorOf(() => pool.alloc(64, { below: 0n }))).toMatch('below 0x0')
  })

  test('skips a page that is at hand but too high, and merges it when that helps', () => {
    const pool = newPool({ base, size: 8 * 4096 })
    const ptrs = fillUp(pool, 4096)
    pool.free(ptrs[6] ?? asPtr(-1))
    pool.free(ptrs[1] ?? asPtr(-1))
    expect(pool.alloc(4096, { below: base + 0x4000n })).toBe(ptrs[1])
    expect(errorOf(() => pool.alloc(4096, { below: base + 0x4000n }))).toMatch('ENOMEM')
    pool.free(ptrs[7] ?? asPtr(-1))
    expect(pool.alloc(8192)).toBe(ptrs[6])
  })
})

describe('when memory is exhausted', () => {
  test('onPressure is called once, may free, and the allocation is retried', () => {
    const asked: number[] = []
    const onPressure = (bytes: number) => {
      asked.push(bytes)
      pool.free(kept.pop() ?? asPtr(-1))
    }
    const pool = newPool({ onPressure })
    const kept = fillUp(pool, 4096, { nowait: true })
    expect(pool.alloc(1024)).toBe(255 * 4096)
    expect(asked).toEqual([1024])
  })

  test('onPressure that frees nothing is called once, then it is ENOMEM', () => {
    let calls = 0
    const pool = newPool({ size: 4096, onPressure: () => void calls++ })
    pool.alloc(4096)
    const error = thrownBy(() => pool.alloc(64))
    expect(error.message).toBe(
      'ENOMEM: alloc: pool has no free block of 0x40 bytes: 0x1000 of 0x1000 bytes at 0x80000000 .. 0x80000fff are live',
    )
    expect([error.code, error.op, error.value]).toEqual(['ENOMEM', 'alloc', 64])
    expect(calls).toBe(1)
    expect(errorOf(() => pool.alloc(64, { nowait: true }))).toMatch('ENOMEM')
    expect(calls).toBe(1)
    expect(pool.stats().live).toBe(4096)
  })

  test.each(BOTH)('the hook runs without the lock, may allocate, and may throw ($shared)', ({ shared }) => {
    let depth = 0
    let most = 0
    const pool = newPool({
      shared,
      size: 4096,
      onPressure() {
        most = Math.max(most, ++depth)
        try {
          pool.alloc(4096)
        } finally {
          depth--
        }
      },
    })
    pool.alloc(1024)
    expect(errorOf(() => pool.alloc(4096))).toMatch('ENOMEM')
    expect(most).toBe(1)
    expect(pool.alloc(1024)).toBe(1024)
  })

  test('the ceiling counts bytes as asked, and says so', () => {
    let asked = 0
    const pool = newPool({ name: 'gpu', ceiling: 10_000, onPressure: (bytes) => void (asked = bytes) })
    const page = pool.alloc(4096)
    pool.alloc(4096)
    pool.alloc(1024)
    expect(errorOf(() => pool.alloc(1024))).toMatch(
      'ENOMEM: alloc: gpu has no room for 0x400 bytes under its ceiling of 0x2700: 0x2400 of 0x100000 bytes',
    )
    expect(asked).toBe(1024)
    pool.alloc(512)
    pool.free(page)
    pool.alloc(1024)
    expect(pool.stats().live).toBe(4096 + 1024 + 512 + 1024)
    expect(errorOf(() => newPool({ ceiling: 0 }).alloc(64))).toMatch('ENOMEM')
  })

  test('a block that is larger than the pool is ENOMEM', () => {
    expect(errorOf(() => newPool().alloc(2 * MiB))).toMatch('ENOMEM')
    expect(errorOf(() => newPool().alloc(4 * GiB))).toMatch('ENOMEM')
  })
})

test.each([0, 1, 32, 63, 65, 96, 4095, 4097, 3 * MiB, 1.5, 64.5, -64, 2 ** 33, Number.NaN, Number.POSITIVE_INFINITY])(
  'bytes %d are EINVAL',
  (bytes) => {
    const pool = newPool()
    expect(errorOf(() => pool.alloc(bytes))).toMatch('EINVAL: alloc: bytes')
    expect(pool.stats().allocations).toBe(0)
  },
)

test('arguments of the wrong type are EINVAL', () => {
  const pool = newPool()
  expect(errorOf(() => pool.alloc('64' as never))).toBe('EINVAL: alloc: bytes "64" is not a power of two in 0x40 .. 2^32')
  expect(errorOf(() => pool.alloc(64n as never))).toMatch('EINVAL: alloc: bytes 0x40n')
  expect(errorOf(() => pool.alloc(undefined as never))).toMatch('EINVAL: alloc: bytes undefined')
  expect(errorOf(() => pool.alloc(64, null as never))).toMatch('EINVAL: alloc: pool got options null')
  expect(errorOf(() => pool.alloc(64, { below: 4096 as never }))).toMatch('EINVAL: alloc: below 0x1000 is no physical address')
  expect(errorOf(() => pool.alloc(64, { below: -1n }))).toMatch('EINVAL: alloc: below -0x1n')
  for (const owner of [1, -1, 1.5, 65_536, Number.NaN, '1' as never]) {
    expect(errorOf(() => pool.alloc(64, { owner }))).toMatch('EINVAL: alloc: pool gave out no owner tag')
  }
  expect(pool.stats().allocations).toBe(0)
})

test('a buffer that was detached is EFAULT', () => {
  const memory = new ArrayBuffer(MiB)
  const pool = newPool({ memory, base: BASE })
  structuredClone(memory, { transfer: [memory] })
  expect(errorOf(() => pool.alloc(64))).toBe('EFAULT: alloc: pool lost its memory: the buffer was detached, or is too small now')
})
