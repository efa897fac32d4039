/**
 * Random requests against a model that knows each page by itself: after every request, failed or not, the VA space, the translations and
 * what a TLB may still hold are compared with it.
 */
import { seededIntegers } from '@io-pgtable/conformance'
import { type IoPageTable, IoPgtableError, SZ_4K, type TlbFlushOps } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { type AddressSpaceStats, GpuAddressSpace, GpuVm, type GpuVmBo, type GpuVmOperation, type Segment } from '../../src/index.ts'
import { exhaust, newPool, type TestFormat } from './formats.ts'

const PAGES = 2048
const RESERVED = 16
const USABLE = PAGES - RESERVED
const START = 0x1000_0000n
const PAGE = BigInt(SZ_4K)
const NOWHERE = 0xffff_ffff
/** The page of sparse ranges, and what the model has for their object. */
const ZERO = 0x3fff_f000
const SPARSE = 64
const POOL_BYTES = 512 * 1024

/** A buffer object. `chunk`: pages of a contiguous piece of its memory. */
interface Bo {
  readonly name: string
  readonly size: bigint
  readonly chunk: number
  /** Where its memory is; it moves when the object is evicted. */
  base: number
}

/** What can be made to fail, once a request. */
const FAULTS = ['memory', 'memory', 'memory', 'sync', 'flushWalk', 'addPages', 'backing', 'lock', 'unlock'] as const
type Fault = (typeof FAULTS)[number]

class Injected extends Error {}

/** What a run saw, so that a test can tell that it tried what it was to try. */
export interface Tally {
  requests: number
  failed: Record<string, number>
  steps: number
  cuts: number
  flushes: number
  keptBytes: bigint
  /** Series that ended at an operation, with those before it done. */
  stopped: number
}

/** An operation, and what it does to the model. */
interface RandomOperation<T = GpuVmOperation<Bo>> {
  readonly operation: T
  readonly update: () => void
}

type Op<K> = Extract<GpuVmOperation<Bo>, { readonly op: K }>

export class RandomRequests {
  readonly #pick: (limit: number) => number
  readonly #format: TestFormat
  readonly #pool: PtPool = newPool(POOL_BYTES)
  readonly #table: IoPageTable
  readonly #vm: GpuVm<Bo>
  readonly #space: GpuAddressSpace<Bo>
  readonly #bos: readonly GpuVmBo<Bo>[]
  // the model: of each page the object (-1: none), the page in it, the flags
  readonly #bo: Int8Array = new Int8Array(PAGES).fill(-1)
  readonly #offset: Int32Array = new Int32Array(PAGES)
  readonly #flags: Uint8Array = new Uint8Array(PAGES)
  readonly #iovas: BigUint64Array = BigUint64Array.from({ length: PAGES }, (_, page) => START + BigInt(page) * PAGE)
  readonly #out: BigUint64Array = new BigUint64Array(PAGES)
  readonly #outLanes: Uint32Array = new Uint32Array(this.#out.buffer)
  readonly #tlb: Map<number, number> = new Map()
  #fault: Fault | undefined = undefined
  #faultAfter = 0
  #syncs = 0
  readonly tally: Tally = { requests: 0, failed: {}, steps: 0, cuts: 0, flushes: 0, keptBytes: 0n, stopped: 0 }

  constructor(format: TestFormat, seed: number) {
    this.#pick = seededIntegers(seed)
    this.#format = format
    this.#table = format.create(this.#pool, this.#flushOps())
    const reserved = [{ addr: START + BigInt(USABLE) * PAGE, range: BigInt(RESERVED) * PAGE, name: 'kernel' }]
    this.#vm = new GpuVm({ start: START, range: BigInt(PAGES) * PAGE, reserved })
    this.#space = new GpuAddressSpace(this.#vm, this.#table, {
      backing: (bo, offset, bytes) => this.#backing(bo, offset, bytes),
      sparse: (_addr, bytes) => Array.from({ length: bytes / SZ_4K }, () => ({ paddr: BigInt(ZERO), size: SZ_4K })),
      lock: () => this.#may('lock'),
      unlock: () => this.#may('unlock'),
    })
    const size = BigInt(2 * PAGES) * PAGE
    this.#bos = [
      { name: 'whole', size, chunk: 2 * PAGES, base: 0x4000_0000 },
      { name: 'odd', size, chunk: 2 * PAGES, base: 0x5000_1000 },
      { name: 'chunks', size, chunk: 16, base: 0x6000_0000 },
      { name: 'pages', size, chunk: 1, base: 0x7000_0000 },
    ].map((bo) => this.#vm.obtain(bo))
  }

  /** One request, and a look at everything. @throws when anything is not as the model says */
  step(): void {
    this.#touch(16)
    const { kind, run, update } = this.#request()
    const before = { ...this.#space.stats }
    this.#syncs = 0
    const release = this.#inject()
    try {
      run()
      update()
      this.#countFlushes(before)
    } catch (error) {
      if (!(error instanceof Injected) && !(error instanceof IoPgtableError && (error.code === 'ENOMEM' || kind === 'bad'))) throw error
      const why = error instanceof Injected ? error.message : kind === 'bad' ? `bad: ${error.code}` : error.code
      this.tally.failed[why] = (this.tally.failed[why] ?? 0) + 1
    } finally {
      release()
      this.#fault = undefined
    }
    this.#compare()
    this.tally.requests++
    const { steps, cuts, flushes, kept } = this.#space.stats
    Object.assign(this.tally, { steps, cuts, flushes, keptBytes: kept })
  }

  /** Unmaps everything; nothing may be left in the pool then. Returns the bytes that are. */
  finish(): number {
    for (const bo of this.#bos) if (bo.evicted) this.#space.restore(bo)
    this.#space.unmap({ addr: START, range: BigInt(USABLE) * PAGE })
    if (this.#table.snapshot().runs.length > 0 || this.#vm.size > 0) throw new Error('something is left')
    this.#table.free()
    return this.#pool.stats().live
  }

  #request(): { kind: string; run: () => void; update: () => void } {
    const kind = this.#pick(100)
    if (kind < 4) return this.#badRequest()
    if (kind < 24) return this.#series()
    if (kind < 32) return this.#moveRequest(this.#pick(this.#bos.length))
    const { operation, update } = kind < 34 ? this.#unmap(0, USABLE) : this.#operation()
    if (operation.op === 'map') return { kind: 'map', run: () => void this.#space.map(operation), update }
    if (operation.op === 'sparse') return { kind: 'sparse', run: () => void this.#space.sparse(operation), update }
    return { kind: 'unmap', run: () => void this.#space.unmap(operation), update }
  }

  /** Several operations at once; where they may end early, the last of them may be a bad one. */
  #series(): { kind: string; run: () => void; update: () => void } {
    const evicted = new Map(this.#bos.map((bo) => [bo, bo.evicted]))
    const all = Array.from({ length: 1 + this.#pick(this.#pick(4) === 0 ? 40 : 6) }, (): RandomOperation => {
      if (this.#pick(5) > 0) return this.#operation()
      const bo = this.#bos[this.#pick(this.#bos.length)]!
      const op = evicted.get(bo) ? 'restore' : 'evict'
      evicted.set(bo, op === 'evict')
      return { operation: { op, bo }, update: () => {} }
    })
    const stops = this.#pick(2) === 0
    if (stops && this.#pick(4) === 0)
      all.splice(this.#pick(all.length), 0, { operation: { op: 'unmap', addr: START, range: 1n }, update: () => {} })
    let { length: done } = all
    const run = (): void => {
      const result = this.#space.bind(
        all.map(({ operation }) => operation),
        { onError: stops ? 'stop' : 'rollback' },
      )
      done = result.done
      if (result.error !== undefined) this.tally.stopped++
      if (done < all.length !== (result.error !== undefined)) throw new Error(`${done} of ${all.length} operations, ${result.error}`)
      if (result.error !== undefined && result.error.index !== done) throw new Error(`stopped before ${done}, at ${result.error.index}`)
    }
    const update = (): void => {
      for (const one of all.slice(0, done)) one.update()
    }
    return { kind: 'series', run, update }
  }

  #sparse(first: number, count: number): RandomOperation<Op<'sparse'>> {
    const flags = 1 + 2 * this.#pick(2)
    const update = (): void => {
      this.#bo.fill(SPARSE, first, first + count)
      this.#flags.fill(flags, first, first + count)
      for (let i = 0; i < count; i++) this.#offset[first + i] = Number(START / PAGE) + first + i
    }
    return { operation: { op: 'sparse', addr: START + BigInt(first) * PAGE, range: BigInt(count) * PAGE, flags }, update }
  }

  #unmap(first: number, count: number): RandomOperation<Op<'unmap'>> {
    const operation = { op: 'unmap', addr: START + BigInt(first) * PAGE, range: BigInt(count) * PAGE } as const
    return { operation, update: () => void this.#bo.fill(-1, first, first + count) }
  }

  #operation(): RandomOperation<Op<'map' | 'unmap' | 'sparse'>> {
    const [first, count] = this.#range()
    if (this.#pick(8) === 0) return this.#sparse(first, Math.min(count, 64))
    if (this.#pick(100) < 30) return this.#unmap(first, count)
    const range = { addr: START + BigInt(first) * PAGE, range: BigInt(count) * PAGE }
    const index = this.#pick(2) * this.#pick(this.#bos.length)
    const bo = this.#bos[index]!
    const offset = [first, first, 512 * this.#pick(3), this.#pick(PAGES)][this.#pick(4)]!
    const flags = [1, 3, 3, 3][this.#pick(4)]!
    const update = (): void => {
      this.#bo.fill(index, first, first + count)
      this.#flags.fill(flags, first, first + count)
      for (let i = 0; i < count; i++) this.#offset[first + i] = offset + i
    }
    return { operation: { op: 'map', ...range, bo, offset: BigInt(offset) * PAGE, flags }, update }
  }

  /** Moves an object away, or back to another place. */
  #moveRequest(index: number): { kind: string; run: () => void; update: () => void } {
    const bo = this.#bos[index]!
    if (!bo.evicted) return { kind: 'evict', run: () => void this.#space.evict(bo), update: () => {} }
    bo.object.base ^= 0x0080_0000
    return { kind: 'restore', run: () => void this.#space.restore(bo), update: () => {} }
  }

  #badRequest(): { kind: string; run: () => void; update: () => void } {
    const [first, count] = this.#range()
    const good = { addr: START + BigInt(first) * PAGE, range: BigInt(count) * PAGE, bo: this.#bos[0]! }
    const bad = [
      { ...good, range: 0n },
      { ...good, addr: good.addr + 1n },
      { ...good, addr: START - PAGE },
      { ...good, addr: START + BigInt(USABLE - 1) * PAGE, range: 2n * PAGE },
      { ...good, offset: BigInt(2 * PAGES) * PAGE },
      { ...good, addr: (1n << 64n) - PAGE, range: 2n * PAGE },
    ][this.#pick(6)]!
    return {
      kind: 'bad',
      run: () => void this.#space.map(bad),
      update: () => {
        throw new Error(`a bad request was taken: ${bad.addr} ${bad.range}`)
      },
    }
  }

  /** First page and pages: mostly a few, sometimes whole blocks, sometimes many. */
  #range(): [first: number, count: number] {
    const shape = this.#pick(10)
    const block = this.#format.block / SZ_4K
    if (shape < 4) {
      const first = block * this.#pick(Math.floor(USABLE / block))
      return [first, Math.min(block * (1 + this.#pick(2)), USABLE - first)]
    }
    const first = this.#pick(USABLE)
    return [first, Math.min(1 + this.#pick(shape < 8 ? 32 : 1024), USABLE - first)]
  }

  #paddrOf(bo: Bo, page: number): number {
    const { base, chunk } = bo
    const piece = Math.floor(page / chunk)
    // pieces lie two apart, so that none is the next one's neighbour
    return base + (piece * 2 * chunk + (page % chunk)) * SZ_4K
  }

  *#backing(bo: Bo, offset: bigint, bytes: number): Generator<Segment> {
    for (let done = 0; done < bytes; ) {
      if (this.#pick(16) === 0) this.#touch(4)
      this.#may('backing')
      const page = (Number(offset) + done) / SZ_4K
      const size = Math.min(bytes - done, (bo.chunk - (page % bo.chunk)) * SZ_4K)
      yield { paddr: BigInt(this.#paddrOf(bo, page)), size }
      done += size
    }
  }

  #flushOps(): TlbFlushOps {
    const forget = (first: bigint, last: bigint): void => {
      for (const page of [...this.#tlb.keys()]) {
        const iova = this.#iovas[page]!
        if (iova >= first && iova <= last) this.#tlb.delete(page)
      }
    }
    return {
      flushAll: () => this.#tlb.clear(),
      flushWalk: (iova, size) => {
        this.#may('flushWalk')
        forget(iova, iova + BigInt(size) - 1n)
      },
      addPages: (gather, iova, granule, count) => {
        gather?.addRange(iova, granule, count)
        this.#may('addPages')
      },
      sync: ({ first, last }) => {
        this.#may('sync')
        this.#syncs++
        forget(first, last)
      },
    }
  }

  /** The device reads some pages, which its TLB remembers. */
  #touch(count: number): void {
    for (let i = 0; i < count; i++) {
      const page = this.#pick(PAGES)
      const paddr = this.#table.iovaToPhys(this.#iovas[page]!)
      if (paddr !== undefined && !this.#tlb.has(page)) this.#tlb.set(page, Number(paddr))
    }
  }

  #inject(): () => void {
    if (this.#pick(4) !== 0) return () => {}
    this.#fault = FAULTS[this.#pick(FAULTS.length)]
    this.#faultAfter = this.#pick(3)
    if (this.#fault !== 'memory') return () => {}
    const bytes = this.#table.geometry.nodes.at(-1)!.tableBytes
    return exhaust(this.#pool, bytes, Math.max(0, this.#pick(5) - 2))
  }

  #may(fault: Fault): void {
    if (this.#fault !== fault || this.#faultAfter-- > 0) return
    this.#fault = undefined
    throw new Injected(fault)
  }

  #countFlushes(before: AddressSpaceStats): void {
    const { cuts, flushes } = this.#space.stats
    const broken = this.#format.breaks ? cuts - before.cuts : 0
    // a series that stops at an error may have tried, and put back, more
    if (this.#space.stats.rollbacks > before.rollbacks) return
    if (flushes - before.flushes > 1) throw new Error(`${flushes - before.flushes} gathers for a request`)
    if (!this.#format.ranged && this.#syncs > 1 + broken)
      throw new Error(`${this.#syncs} flushes for a request with ${broken} broken blocks`)
  }

  #compare(): void {
    this.#table.iovaToPhysMany(this.#iovas, this.#out)
    for (let page = 0; page < PAGES; page++) {
      const index = this.#bo[page]!
      const bo = this.#bos[index]
      const paddr = index === SPARSE ? ZERO : bo === undefined || bo.evicted ? NOWHERE : this.#paddrOf(bo.object, this.#offset[page]!)
      if (this.#outLanes[2 * page] !== paddr)
        throw new Error(`page ${page}: ${this.#outLanes[2 * page]!.toString(16)}, not ${paddr.toString(16)}`)
    }
    for (const [page, paddr] of this.#tlb)
      if (this.#outLanes[2 * page] !== paddr) throw new Error(`page ${page}: the TLB still holds ${paddr.toString(16)}`)
    this.#compareVas()
    if (this.tally.requests % 256 === 0) this.#compareFlags()
  }

  #compareVas(): void {
    let pages = 0
    let mappings = 0
    let sparse = 0
    for (const { addr, range, bo, offset, flags } of this.#vm.mappings()) {
      mappings++
      const first = Number((addr - START) / PAGE)
      const count = Number(range / PAGE)
      const from = Number(offset / PAGE)
      const index = bo.sparse ? SPARSE : this.#bos.indexOf(bo)
      if (bo.sparse) sparse++
      for (let i = 0; i < count; i++)
        if (this.#bo[first + i] !== index || this.#offset[first + i] !== from + i || this.#flags[first + i] !== flags)
          throw new Error(`page ${first + i}: the VA space has ${bo.name} page ${from + i}`)
      pages += count
    }
    const expected = this.#bo.reduce((sum, bo) => sum + (bo < 0 ? 0 : 1), 0)
    if (pages !== expected) throw new Error(`${pages} pages in the VA space, not ${expected}`)
    const listed = this.#bos.reduce((sum, bo) => sum + [...bo.mappings()].length, 0)
    if (mappings !== this.#vm.size || mappings !== listed + sparse)
      throw new Error(`${mappings} mappings, size ${this.#vm.size}, ${listed} in lists`)
  }

  #compareFlags(): void {
    this.#table.forEachLeaf(undefined, ({ iova, size, prot }) => {
      const first = Number((iova - START) / PAGE)
      for (let page = first; page < first + size / SZ_4K; page++)
        if ((prot & 3) !== this.#flags[page]) throw new Error(`page ${page}: prot ${prot}, not ${this.#flags[page]}`)
    })
  }
}
