/** Single ownership. */
import { Owned } from '@io-pgtable/pt-allocator'
import { expect, expectTypeOf, test } from 'vitest'
import { asPtr, BASE, errorOf, newPool, thrownBy } from './helpers.ts'

test('a block has one owner, who frees it', () => {
  const pool = newPool()
  const owned = Owned.alloc(pool, 4096, { owner: pool.owner('root') })
  expect([owned.ptr, owned.value, owned.paddr, owned.bytes, owned.owned]).toEqual([0, 0, BASE, 4096, true])
  owned.free()
  expect(owned.owned).toBe(false)
  expect(pool.stats().live).toBe(0)
  expect(errorOf(() => owned.free())).toBe('EFAULT: free: block 0x0 was freed before')
  expect(thrownBy(() => owned.ptr)).toMatchObject({ code: 'EFAULT', op: 'ptr', value: 0 })
  expect(() => owned[Symbol.dispose]()).not.toThrow()
})

test('disposal frees what is still owned', () => {
  const pool = newPool()
  const kept = Owned.alloc(pool, 64)
  const moved = Owned.alloc(pool, 64)
  const ptr = moved.take()
  for (const owned of [kept, moved]) owned[Symbol.dispose]()
  expect(pool.leaks().map((leak) => leak.ptr)).toEqual([ptr])
})

test('ownership moves to a raw physical address and back', () => {
  const pool = newPool()
  const first = Owned.alloc(pool, 1024)
  const raw = first.intoRaw()
  expect(raw).toBe(BASE)
  for (const use of [
    () => first.ptr,
    () => first.value,
    () => first.paddr,
    () => first.bytes,
    () => first.take(),
    () => first.intoRaw(),
    () => first.free(),
    () => first.as(() => 1),
  ]) {
    expect(errorOf(use)).toMatch(/^EFAULT: \w+: block 0x0 was moved before$/)
  }
  const second = Owned.fromRaw(pool, raw)
  expect(second.bytes).toBe(1024)
  second.free()
  expect(errorOf(() => Owned.fromRaw(pool, raw))).toMatch('EFAULT: ptrAt')
  expect(errorOf(() => Owned.adopt(pool, asPtr(0)))).toMatch('EFAULT: sizeOf')
})

test('a view is owned with its block', () => {
  const pool = newPool()
  const handle = Owned.alloc(pool, 4096)
  expect(() => handle.as(() => JSON.parse('{'))).toThrow(SyntaxError)
  expect(handle.owned).toBe(true)
  const words = handle.as((from, ptr) => from.view(ptr))
  expectTypeOf(words).toEqualTypeOf<Owned<Int32Array>>()
  expect(handle.owned).toBe(false)
  words.value[5] = 9
  expect(pool.words[5]).toBe(9)
  words.free()
  expect(errorOf(() => words.value)).toMatch('EFAULT: value: block 0x0 was freed before')
})

test('a block that was freed behind its owner is EFAULT', () => {
  const pool = newPool()
  const owned = Owned.alloc(pool, 4096)
  pool.free(owned.ptr)
  expect(errorOf(() => owned.paddr)).toMatch('EFAULT: physOf')
  expect(errorOf(() => owned.free())).toMatch('EFAULT: free')
})
