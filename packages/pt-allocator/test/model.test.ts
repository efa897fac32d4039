/** Random operations against a model that is obviously right: an array of who owns each 64 bytes. Replay: PT_SEED=n vitest run model */
import { IoPgtableError, type PtPool, type PtPtr } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { BASE, fillUp, isZero, MiB, newPool } from './helpers.ts'

const OPERATIONS = 8_000
const UNIT = 64
const PAGE = 4096

interface Block {
  readonly ptr: PtPtr
  readonly bytes: number
  readonly owner: string
}

class Model {
  readonly blocks: Block[] = []
  readonly unitOwner: Int32Array
  readonly peaks = new Map<number, number>()
  live = 0
  peak = 0
  allocations = 0
  #mark = 0
  readonly pool: PtPool

  constructor(pool: PtPool) {
    this.pool = pool
    this.unitOwner = new Int32Array(pool.size / UNIT)
  }

  add(block: Block): void {
    const { ptr, bytes } = block
    expect(this.isFree(ptr, bytes), `block ${ptr} of ${bytes} overlaps another`).toBe(true)
    expect(this.pool.physOf(ptr) % BigInt(bytes)).toBe(0n)
    expect(isZero(this.pool, ptr)).toBe(true)
    this.unitOwner.fill(++this.#mark, ptr / UNIT, (ptr + bytes) / UNIT)
    this.pool.view(ptr).fill(this.#mark)
    this.blocks.push(block)
    this.allocations++
    this.live += bytes
    this.peak = Math.max(this.peak, this.live)
    this.peaks.set(bytes, Math.max(this.peaks.get(bytes) ?? 0, this.countOf(bytes)))
  }

  /** Forgets a block, whose bytes nobody else has written. */
  remove(index: number): Block {
    const block = this.blocks[index]
    if (block === undefined) throw new Error('no such block')
    const mark = this.unitOwner[block.ptr / UNIT]
    expect(this.pool.view(block.ptr).every((word) => word === mark)).toBe(true)
    this.unitOwner.fill(0, block.ptr / UNIT, (block.ptr + block.bytes) / UNIT)
    this.blocks[index] = this.blocks.at(-1) ?? block
    this.blocks.pop()
    this.live -= block.bytes
    return block
  }

  countOf(bytes: number): number {
    return this.blocks.filter((block) => block.bytes === bytes).length
  }

  isFree(ptr: number, bytes: number): boolean {
    return this.unitOwner.subarray(ptr / UNIT, (ptr + bytes) / UNIT).every((owner) => owner === 0)
  }

  /** Whether a block may be had: aligned free memory, which for a sub-page block is a free page, or a page of its size. */
  hasRoom(bytes: number, end: number): boolean {
    const own = new Set(this.blocks.filter((block) => block.bytes === bytes).map(({ ptr }) => Math.floor(ptr / PAGE)))
    const first = Number(-this.pool.base & (BigInt(bytes) - 1n))
    for (let ptr = first; ptr + bytes <= end; ptr += bytes) {
      if (!this.isFree(ptr, bytes)) continue
      if (bytes >= PAGE || own.has(Math.floor(ptr / PAGE)) || this.isFree(ptr - (ptr % PAGE), PAGE)) return true
    }
    return false
  }

  check(): void {
    const classes: Record<number, object> = {}
    for (const [bytes, peak] of this.peaks) classes[bytes] = { live: this.countOf(bytes), peak }
    expect(this.pool.stats()).toMatchObject({ live: this.live, peak: this.peak, allocations: this.allocations })
    expect(this.pool.stats().classes).toEqual(classes)
    const blocks = this.blocks.toSorted((a, b) => a.ptr - b.ptr)
    expect(this.pool.leaks()).toEqual(blocks.map((block) => ({ ...block, paddr: this.pool.base + BigInt(block.ptr) })))
  }
}

function run(seed: number, pool: PtPool): void {
  const below = seededIntegers(seed)
  const model = new Model(pool)
  const owners = ['(no owner)', 'a', 'b', 'c']
  const tags = owners.map((name, i) => (i === 0 ? 0 : pool.owner(name)))
  let refused = 0

  function alloc(): void {
    const bytes = UNIT * 2 ** (below(4) === 0 ? below(16) : below(8))
    const which = below(10) === 0 ? below(4) : 1
    const end = below(4) === 0 ? below(pool.size) : pool.size
    const options = { owner: tags[which] ?? 0, ...(end < pool.size && { below: pool.base + BigInt(end) }) }
    try {
      const ptr = pool.alloc(bytes, options)
      expect(ptr + bytes).toBeLessThanOrEqual(end)
      model.add({ ptr, bytes, owner: owners[which] ?? '' })
    } catch (error) {
      if (!(error instanceof IoPgtableError) || error.code !== 'ENOMEM') throw error
      expect(model.hasRoom(bytes, end), `refused ${bytes} below ${end} though there is room`).toBe(false)
      refused++
    }
  }

  function free(count: number): void {
    const list = pool.freeList()
    for (; count > 0 && model.blocks.length > 0; count--) {
      const { ptr } = model.remove(below(model.blocks.length))
      if (count === 1) pool.free(ptr)
      else list.add(ptr)
    }
    list.putBack()
  }

  for (let i = 0; i < OPERATIONS; i++) {
    // tides: the pool fills, is full for a while, and empties
    const tide = Math.sin(i / 700)
    if (below(1000) < 500 + tide * 300) alloc()
    else free(below(50) === 0 ? below(40) : 1)
    if (i % 1000 === 0) model.check()
  }
  expect(refused).toBeGreaterThan(100)
  free(model.blocks.length)
  model.check()
  expect(pool.stats().live).toBe(0)
}

const SEEDS = process.env.PT_SEED === undefined ? [1, 2, 3] : [Number(process.env.PT_SEED)]

test.each(
  SEEDS.flatMap((seed) => [
    { seed, shared: false },
    { seed, shared: true },
  ]),
)('seed $seed, shared $shared', ({ seed, shared }) => {
  // by seed: an odd size, an odd place, memory of the caller
  const size = (seed % 2 === 0 ? 6 : 3) * MiB + 12 * PAGE
  const base = seed % 2 === 0 ? BASE + BigInt(2 * MiB) : BASE
  const memory = shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size)
  const pool = newPool({ size, shared, base, ...(seed % 3 === 0 && { memory }) })
  run(seed, pool)
  // all is merged again
  if (seed % 2 === 0) pool.alloc(4 * MiB)
  expect(fillUp(pool, 2 * MiB).length).toBe(1)
})
