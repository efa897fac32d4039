/** Memory that goes away: a buffer that is detached or shrunk, a `WebAssembly.Memory` that grows. The kit's law `table/memory` asks every format. */
import { IoPageTable, IotlbGather } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { expectNoLeak, expectSound, MiB, PAGE, RW, SIZES, thrownBy } from './helpers.ts'
import { type Shape, toy } from './toy-format.ts'

const REQUEST = { pgsizeBitmap: SIZES, ias: 24, oas: 52 }

const SHAPES: [string, Partial<Shape>][] = [
  ['plain', {}],
  ['where an empty entry is not zero', { inverted: true }],
  ['32-bit entries', { entryBytes: 4 }],
]

test.each(SHAPES)('a buffer that shrank is EFAULT: %s', (_name, shape) => {
  // TypeScript's ES2022 does not know of resizable buffers
  const memory = Reflect.construct(ArrayBuffer, [MiB, { maxByteLength: MiB }]) as ArrayBuffer & { resize(bytes: number): void }
  const pool = new PtPool({ base: 0n, memory })
  const table = IoPageTable.createRaw(toy(shape), { allocator: pool, ...REQUEST, oas: 32 })
  table.mapPages(0n, 0n, PAGE, 1, RW)
  memory.resize(4096)
  const gather = new IotlbGather()
  const calls = [
    () => table.mapPages(0x1000n, 0n, PAGE, 1, RW),
    () => table.unmapPages(0n, PAGE, 1),
    () => table.unmapPages(0n, PAGE, 1, gather),
    () => table.iovaToPhys(0n),
    () => table.readMemory(0n, 8),
    () => pool.alloc(64),
    () => pool.view(pool.leaks()[0]!.ptr),
  ]
  for (const call of calls) expect(thrownBy(call).code).toBe('EFAULT')
})

test('a memory that grows inside a callback: what the call goes on with is in the new one', () => {
  const memory = new WebAssembly.Memory({ initial: 16 })
  let grows = 0
  const grow = (): void => {
    memory.grow(1)
    grows++
  }
  const relieve = (): void => {
    grow()
    table.iovaToPhys(0n)
  }
  const pool = new PtPool({ base: 0n, memory, ceiling: 128 * 5, onPressure: relieve })
  const tlb = { flushAll() {}, flushWalk: grow, addPages: grow, sync: grow }
  const table = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST, tlb })
  table.map(0n, 0x7000_1000n, 40 * PAGE, RW)
  expect(table.mapRange(0x10_0000n, 0n, 2 * PAGE, RW).error?.code).toBe('ENOMEM')
  expect(grows).toBeGreaterThan(0)
  expect(table.protect(0x3000n, PAGE, 1)).toBe(PAGE)
  expect(table.unmap(0n, 33 * PAGE)).toBe(33 * PAGE)
  expect([table.iovaToPhys(0x2_0000n), table.iovaToPhys(0x2_1000n)]).toEqual([undefined, 0x7002_2000n])
  expect(table.map(0n, 0n, 16 * PAGE, RW)).toBeUndefined()
  expectSound({ pool, table })
  expectNoLeak({ pool, table })
})

test('an adopted table in a memory that grows goes on, too', () => {
  const memory = new WebAssembly.Memory({ initial: 16 })
  const pool = new PtPool({ base: 0n, memory })
  const theirs = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST })
  theirs.map(0n, 0x7000_0000n, 4 * PAGE, RW)
  const table = IoPageTable.adopt(toy(), { allocator: pool, registers: { base: theirs.roots[0] as bigint }, pgsizeBitmap: SIZES })
  memory.grow(1)
  expect(table.iovaToPhys(0x1000n)).toBe(0x7000_1000n)
  expect(table.cut(0x1000n)).toBe(false)
  table.unmap(0n, PAGE)
  expect([theirs.iovaToPhys(0n), theirs.iovaToPhys(0x1000n)]).toEqual([undefined, 0x7000_1000n])
})
