/** What a pool may be made of. */
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test, vi } from 'vitest'
import { BASE, errorOf, GiB, MiB, newPool } from './helpers.ts'

test.each([
  ['options undefined', undefined],
  ['base is undefined, not a bigint', { size: MiB }],
  ['base is 0x80000000, not a bigint', { base: 0x8000_0000, size: MiB }],
  ['base 0x80001000 is not a multiple of 2 MiB', { base: 0x8000_1000n, size: MiB }],
  ['base -0x200000 is not', { base: -0x20_0000n, size: MiB }],
  ['base 0xfffffffe00000 + size 0x201000 ends above 2^52', { base: 0xf_ffff_ffe0_0000n, size: 2 * MiB + 4096 }],
  ['size undefined', { base: BASE }],
  ['size 0x0', { base: BASE, size: 0 }],
  ['size -0x1000', { base: BASE, size: -4096 }],
  ['size 0x1001', { base: BASE, size: 4097 }],
  ['size 4096.5', { base: BASE, size: 4096.5 }],
  ['size NaN', { base: BASE, size: Number.NaN }],
  ['size 0x100001000', { base: BASE, size: 4 * GiB + 4096 }],
  ['size 0x1000n', { base: BASE, size: 4096n }],
  ['size "4096"', { base: BASE, size: '4096' }],
  ['size 0xfff is not', { base: BASE, memory: new ArrayBuffer(4095) }],
  ['memory has 0x1000 bytes, fewer than size 0x2000', { base: BASE, size: 8192, memory: new ArrayBuffer(4096) }],
  ['memory starts at byte 0x4 of its buffer', { base: BASE, memory: new Uint8Array(8192).subarray(4, 4100) }],
  [
    'memory is no ArrayBuffer, SharedArrayBuffer, Uint8Array or WebAssembly.Memory',
    { base: BASE, size: 4096, memory: new DataView(new ArrayBuffer(4096)) },
  ],
  ['memory is no ArrayBuffer', { base: BASE, size: 4096, memory: null }],
  ['memory is no SharedArrayBuffer', { base: BASE, memory: new ArrayBuffer(4096), shared: true }],
  ['shared is 0x1, not a boolean', { base: BASE, size: MiB, shared: 1 }],
  ['ceiling -0x1 is not', { base: BASE, size: MiB, ceiling: -1 }],
  ['ceiling 0.5', { base: BASE, size: MiB, ceiling: 0.5 }],
  ['ceiling Infinity', { base: BASE, size: MiB, ceiling: Number.POSITIVE_INFINITY }],
  ['sync is of type object, not a function', { base: BASE, size: MiB, sync: {} }],
  ['onPressure is "x", not a function', { base: BASE, size: MiB, onPressure: 'x' }],
  ['name is 0x1, not a string', { base: BASE, size: MiB, name: 1 }],
])('EINVAL: %s', (message, options) => {
  const text = errorOf(() => new PtPool(options as never))
  expect(text).toMatch(/^EINVAL: pool: /)
  if (message !== 'options undefined') expect(text).toContain(message)
})

test('the last bytes below 2^52 can be had', () => {
  const pool = newPool({ base: 0xf_ffff_ffe0_0000n, size: 2 * MiB })
  expect(pool.physOf(pool.alloc(2 * MiB))).toBe(0xf_ffff_ffe0_0000n)
})

test('words and cells are the same memory, which may be the caller’s', () => {
  const memory = new Uint8Array(MiB + 64).subarray(32, 32 + MiB)
  const pool = newPool({ memory })
  const ptr = [pool.alloc(4096), pool.alloc(4096)][1]!
  pool.cells[ptr >>> 3] = 0x1122_3344_5566_7788n
  expect(pool.words[ptr >>> 2]).toBe(0x5566_7788)
  expect(pool.view(ptr)[1]).toBe(0x1122_3344)
  expect(memory[ptr]).toBe(0x88)
  expect(newPool({ memory, size: 8192 }).size).toBe(8192)
})

test('a pool is shared when its memory is, unless it is told otherwise', () => {
  const memory = new SharedArrayBuffer(MiB)
  expect(newPool().shared).toBe(false)
  expect(newPool().words.buffer).toBeInstanceOf(ArrayBuffer)
  expect(newPool({ shared: true }).words.buffer).toBeInstanceOf(SharedArrayBuffer)
  expect(newPool({ shared: true }).meta.buffer).toBeInstanceOf(SharedArrayBuffer)
  expect(newPool({ memory }).shared).toBe(true)
  const alone = newPool({ memory, shared: false })
  expect([alone.shared, alone.meta.buffer instanceof ArrayBuffer]).toEqual([false, true])
  alone.words.fill(-1)
  expect(alone.view(alone.alloc(4096)).every((word) => word === 0)).toBe(true)
})

test('sync is there for table code; the pool does not call it', () => {
  const sync = vi.fn()
  const pool = newPool({ sync })
  pool.free(pool.alloc(4096))
  expect(pool.sync).toBe(sync)
  expect(sync).not.toHaveBeenCalled()
  expect(newPool().sync).toBeUndefined()
})

test('a platform without shared memory, or without enough of any, says so', () => {
  vi.stubGlobal('SharedArrayBuffer', undefined)
  expect(errorOf(() => newPool({ shared: true }))).toMatch('EINVAL: pool: shared: there is no SharedArrayBuffer here')
  expect(newPool().alloc(64)).toBe(0)
  vi.stubGlobal(
    'ArrayBuffer',
    class {
      constructor() {
        throw new RangeError('Array buffer allocation failed')
      }
    },
  )
  expect(errorOf(() => newPool())).toBe('ENOMEM: pool: the platform gives no buffer of 0x100000 bytes')
  vi.unstubAllGlobals()
})
