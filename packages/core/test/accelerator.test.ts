/** The accelerator leaves in memory what the loops leave: the module against a plain description of it, and tables against tables without it. */
import { IoPageTable, IotlbGather } from '@io-pgtable/core'
import { type PtMemory, PtPool } from '@io-pgtable/pt-allocator'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { kernelOf, moduleBytes, type RunKernel } from '../src/hot/accelerator.ts'
import { MiB, PAGE, RW } from './helpers.ts'
import { type Shape, toy } from './toy-format.ts'

const wasmMemory = (bytes: number): WebAssembly.Memory => new WebAssembly.Memory({ initial: bytes / 65_536 })

/** Not `toEqual`, which compares a million words one by one in a second. */
function isSame(a: Int32Array, b: Int32Array): boolean {
  return Buffer.compare(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), new Uint8Array(b.buffer, b.byteOffset, b.byteLength)) === 0
}

test('the module is valid, and small', () => {
  expect(WebAssembly.validate(moduleBytes())).toBe(true)
  expect(moduleBytes().length).toBeLessThan(512)
})

/** What the kernel is to do, entry by entry. */
const expected: (memory: Int32Array) => RunKernel = (memory) => (at, words, maskLo, maskHi, valueLo, valueHi, lo, hi, step, wide) => {
  for (let i = 0; i < words; i++) {
    const [mask, value] = i % 2 === 1 ? [maskHi, valueHi] : [maskLo, valueLo]
    if (((memory[at + i]! ^ value) & mask) !== 0) return 0
  }
  for (let i = 0; i < words; i++) {
    if (wide === 0) memory[at + i] = lo + Math.imul(i, step)
    else memory[at + i] = i % 2 === 1 ? hi : lo + Math.imul(i >> 1, step)
  }
  return 1
}

test('random runs: all checked before the first is written, none beyond the end', () => {
  const random = seededIntegers(7)
  const memory = wasmMemory(65_536)
  const words = new Int32Array(memory.buffer, 0, 1024)
  const kernel = kernelOf({ wasm: memory, shared: false })
  if (kernel === undefined) throw new Error('no WebAssembly here')
  const model = new Int32Array(words.length)
  let written = 0
  for (let round = 0; round < 3000; round++) {
    const wide = random(2)
    const count = 16 * (1 + random(8))
    const at = random(256) * 2
    const word = (): number => (random(65_536) << 16) | random(65_536)
    if (random(2) === 0) for (const memory of [words, model]) memory.fill(0, at, at + count)
    model.set(words)
    const maskLo = random(4) === 0 ? 0 : 1 << random(32)
    const valueLo = random(4) === 0 ? maskLo : 0
    const mask = [maskLo, wide === 1 ? random(2) << random(32) : maskLo] as const
    const run = [at, count, ...mask, valueLo, wide === 1 ? 0 : valueLo, word(), word(), random(3) << random(31), wide] as const
    const result = kernel(...run)
    expect(result).toBe(expected(model)(...run))
    written += result
    expect(isSame(words, model)).toBe(true)
  }
  expect(written).toBeGreaterThan(500)
  expect(written).toBeLessThan(2900)
})

const SIZE = 4 * MiB

function tableOn(memory: PtMemory, shape: Partial<Shape>): { pool: PtPool; table: IoPageTable } {
  const pool = new PtPool({ base: shape.entryBytes === 4 ? 0x8000_0000n : 0xa5_a5a0_0000n, memory, size: SIZE })
  const oas = shape.entryBytes === 4 ? 32 : 52
  const table = IoPageTable.createRaw(toy(shape), { allocator: pool, pgsizeBitmap: (1n << 60n) - 1n, ias: 30, oas }) as IoPageTable
  return { pool, table }
}

const SHAPES: Record<string, Partial<Shape>> = {
  'entries of 64 bits': { levels: 2, indexBits: 9 },
  'entries of 32 bits': { levels: 2, indexBits: 9, entryBytes: 4 },
  'empty is not 0': { levels: 2, indexBits: 9, inverted: true },
  'a moved address': { levels: 2, indexBits: 9, scattered: true },
  'repeated entries': { levels: 2, indexBits: 9, large: true, contiguous: 'encode' },
  'entry by entry': { levels: 2, indexBits: 9, policy: { conflict: 'entry' } },
  'covered tables': { levels: 2, indexBits: 9, policy: { freeTables: 'covered', flushOrder: 'range' } },
}

describe.each(Object.entries(SHAPES))('tables on a WebAssembly.Memory and on a buffer stay bit-identical: %s', (_, shape) => {
  test('random maps and unmaps in bulk, with conflicts and holes', () => {
    const random = seededIntegers(42)
    const fast = tableOn(wasmMemory(SIZE), shape)
    const plain = tableOn(new ArrayBuffer(SIZE), shape)
    for (let round = 0; round < 200; round++) {
      const iova = BigInt(random(4096) & (random(2) === 0 ? ~0 : ~15)) * BigInt(PAGE)
      const paddr = BigInt(random(16_384) + (random(2) << 18)) * BigInt(PAGE)
      const count = random(3) === 0 ? 1 + random(40) : 16 * (1 + random(80))
      const call = ({ table }: { table: IoPageTable }): unknown => {
        if (round % 3 === 2) return table.unmapPages(iova, PAGE, count)
        const { mapped, error } = table.mapPages(iova, paddr, PAGE, count, RW)
        if (error === undefined || round % 5 !== 0) return [mapped, error?.code]
        const gather = new IotlbGather()
        const unmapped = table.unmapRange(iova, 2 ** 21, gather)
        gather.sync()
        return [mapped, error.code, unmapped]
      }
      expect(call(fast)).toEqual(call(plain))
      expect(fast.table.tableBytes).toBe(plain.table.tableBytes)
      if (round % 20 === 0) expect(isSame(fast.pool.words, plain.pool.words)).toBe(true)
    }
    expect(isSame(fast.pool.words, plain.pool.words)).toBe(true)
  })
})

describe('without it everything works', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  test('memory of another kind, and memory that is shared with workers', () => {
    expect(kernelOf({ wasm: undefined, shared: false })).toBeUndefined()
    const shared = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true })
    const pool = new PtPool({ base: 0n, memory: shared })
    expect(pool.shared).toBe(true)
    expect(kernelOf(pool)).toBeUndefined()
  })

  test.each([
    ['forbidden', { Module: () => Promise.reject }],
    ['absent', undefined],
  ])('WebAssembly that is %s', async (_, stub) => {
    const memory = wasmMemory(MiB)
    vi.stubGlobal('WebAssembly', stub)
    vi.resetModules()
    const { kernelOf: fresh } = await import('../src/hot/accelerator.ts')
    expect(fresh({ wasm: memory, shared: false })).toBeUndefined()
  })
})
