/** The pool: page-table memory by size in bytes, behind plain handles; its state is in buffers, so that workers can share it. */
import { Arena } from './arena.ts'
import { IoPgtableError, show } from './errors.ts'
import { Faults } from './faults.ts'
import { PtFreeList } from './free-list.ts'
import { GENERATION, type Layout, LOCK, layoutOf, PAGE, UNIT } from './layout.ts'
import { lock, unlock } from './lock.ts'
import { checkHooks, checkOptions, newBuffer, type PtPoolHooks, type PtPoolOptions, type PtWasmMemory } from './options.ts'
import { OwnerNames } from './owners.ts'
import { repair } from './repair.ts'
import { leaksOf, type PtLeak, type PtPoolStats, statsOf } from './report.ts'
import { adoptMeta, checkToken, type PtPoolToken } from './token.ts'
import { type Zero, zeroOf } from './zero.ts'

declare const brand: unique symbol

/**
 * A block of a pool, opaque to users: the offset of its first byte from the pool's start, 0 .. 2^32 - 1 (0 is a block like any other).
 * Table code may compute word indices from it.
 */
export type PtPtr = number & { readonly [brand]: 'PtPtr' }

export interface AllocOptions {
  /** The whole block must lie below this physical address. */
  readonly below?: bigint | undefined
  /** Fail at once, without calling `onPressure`. */
  readonly nowait?: boolean
  /** `false`: the block's bytes stay what they are, for a caller that writes all of them before anything may read them. */
  readonly zero?: boolean
  /** A tag of {@link PtPool.owner}, for leak reports. */
  readonly owner?: number
}

const NO_OPTIONS: AllocOptions = Object.freeze({})
const ADOPT = Symbol('adopt')

/** How `attach` hands the constructor bookkeeping that exists already. */
interface AdoptingOptions extends PtPoolOptions {
  readonly [ADOPT]?: PtPoolToken
}

/** Physically contiguous memory for page tables; see the README for the memory model. */
export class PtPool {
  readonly name: string
  readonly base: bigint
  /** Bytes. */
  readonly size: number
  readonly shared: boolean
  /** The `WebAssembly.Memory` that the pool was given. */
  readonly wasm: PtWasmMemory | undefined
  /** The bookkeeping. Table code reads one word of it: `meta[GENERATION]`. */
  readonly meta: Int32Array
  readonly sync: ((paddr: bigint, byteLength: number) => void) | undefined
  readonly #onPressure: ((bytes: number) => void) | undefined
  readonly #layout: Layout
  readonly #arena: Arena
  readonly #owners: OwnerNames
  readonly #faults: Faults
  // The views: another set once a `WebAssembly.Memory` has grown, which takes the old ones away.
  #words!: Int32Array
  #cells!: BigInt64Array
  #doubles!: Float64Array
  #zero!: Zero
  #underPressure = false

  /** @throws `EINVAL` that names the option; `ENOMEM` when the platform has not the memory */
  constructor(options: PtPoolOptions) {
    const checked = checkOptions(options)
    this.name = checked.name
    this.base = checked.base
    this.size = checked.size
    this.shared = checked.shared
    this.#see(checked.buffer, checked.byteOffset)
    this.wasm = checked.wasm
    this.sync = options.sync
    this.#onPressure = options.onPressure
    this.#layout = layoutOf(checked.size, checked.base)
    const adopted = (options as AdoptingOptions)[ADOPT]
    this.meta = adopted === undefined ? new Int32Array(newBuffer(this.#layout.words * 4, checked.shared)) : adoptMeta(adopted)
    this.#arena = new Arena(this.meta, this.#layout)
    if (adopted === undefined) this.#arena.init(this.#layout, checked.ceiling, checked.own)
    this.#owners = new OwnerNames(this.meta, checked.shared)
    this.#faults = new Faults(this, this.#arena)
  }

  #see(buffer: ArrayBuffer | SharedArrayBuffer, byteOffset: number): void {
    this.#words = new Int32Array(buffer, byteOffset, this.size / 4)
    this.#cells = new BigInt64Array(buffer, byteOffset, this.size / 8)
    this.#doubles = new Float64Array(buffer, byteOffset, this.size / 8)
    this.#zero = zeroOf(this.#words)
  }

  /** Views whose buffer was detached or shrunk have no element: those of a `WebAssembly.Memory` that grew are made anew. */
  #follow(): void {
    const { wasm } = this
    if (this.#words.length === 0 && wasm !== undefined && wasm.buffer.byteLength >= this.size) this.#see(wasm.buffer, 0)
  }

  /** The tables' memory as 32-bit lanes, at index `ptr >>> 2`. Ask anew after a `WebAssembly.Memory` has grown; empty where the memory is gone. */
  get words(): Int32Array {
    this.#follow()
    return this.#words
  }

  /** The same memory as 64-bit cells, for compare-and-exchange. */
  get cells(): BigInt64Array {
    this.#follow()
    return this.#cells
  }

  /** The same, each cell a double: what writes 64 bits at once without a bigint. */
  get doubles(): Float64Array {
    this.#follow()
    return this.#doubles
  }

  /**
   * Opens the pool of a token, usually in another thread. Hooks are each thread's own.
   * @throws `EINVAL` when the token is none
   */
  static attach(token: PtPoolToken, hooks: PtPoolHooks = {}): PtPool {
    checkToken(token)
    checkHooks(hooks)
    const { name, base, size } = token
    const memory = new Uint8Array(token.memory, token.byteOffset, size)
    const options: AdoptingOptions = { ...hooks, name, base, size, memory, shared: true, [ADOPT]: token }
    return new PtPool(options)
  }

  /** What another thread needs to attach to this pool; structured-cloneable. @throws `EINVAL` when the pool is not shared */
  token(): PtPoolToken {
    if (!this.shared) throw this.#faults.error('EINVAL', 'token', 'is not shared: create it with { shared: true }')
    const memory = this.words.buffer as SharedArrayBuffer
    const meta = this.meta.buffer as SharedArrayBuffer
    return { type: 'PtPool', name: this.name, base: this.base, size: this.size, memory, byteOffset: this.words.byteOffset, meta }
  }

  /**
   * A block, zeroed unless the options say otherwise.
   * @param bytes a power of two, at least 64; the block is aligned to it in physical addresses
   * @throws `EINVAL` for a bad argument; `ENOMEM` when the pool, or its ceiling, has no room
   */
  alloc(bytes: number, options: AllocOptions = NO_OPTIONS): PtPtr {
    const shift = shiftOf(bytes)
    if (typeof options !== 'object' || options === null) throw this.#faults.error('EINVAL', 'alloc', `got options ${show(options)}`)
    const owner = options.owner ?? 0
    if (owner !== 0 && !this.#owners.knows(owner)) throw this.#faults.error('EINVAL', 'alloc', `gave out no owner tag ${show(owner)}`)
    const limit = options.below === undefined ? this.size : this.#limitOf(options.below)
    let ptr = this.#take(shift, limit, owner)
    if (ptr < 0 && options.nowait !== true && this.#onPressure !== undefined && !this.#underPressure) {
      this.#relieve(this.#onPressure, bytes)
      ptr = this.#take(shift, limit, owner)
    }
    if (ptr < 0) throw this.#faults.noMemory(bytes, shift, options.below)
    if (this.#arena.dirty !== 0 && options.zero !== false) this.#zero(ptr, this.#arena.dirty)
    return ptr as PtPtr
  }

  /** Frees a block. @throws `EFAULT` when `ptr` is not the start of a live block of this pool; nothing has changed then */
  free(ptr: PtPtr): void {
    this.#checkRange('free', ptr)
    if (!this.shared) {
      if (this.#arena.release(ptr) === 0) throw this.#faults.notLive('free', ptr)
      this.meta[GENERATION] = (this.meta[GENERATION]! + 1) | 0
    } else if (!this.#releaseShared(ptr)) throw this.#faults.notLive('free', ptr)
  }

  /**
   * Frees many blocks under one lock, as one change of the generation.
   * @throws `EFAULT` for the first that is not the start of a live block; all others are freed all the same
   */
  freeAll(ptrs: readonly PtPtr[]): void {
    if (!Array.isArray(ptrs)) throw this.#faults.error('EINVAL', 'freeAll', `frees an array of handles, not ${show(ptrs)}`)
    const bad = this.#locked('freeAll', () => {
      let first = -1
      for (let i = 0; i < ptrs.length; i++) if (!(this.#inRange(ptrs[i]!) && this.#arena.release(ptrs[i]!) !== 0) && first < 0) first = i
      if (ptrs.length > 0) this.bumpGeneration()
      return first
    })
    if (bad < 0) return
    this.#checkRange('freeAll', ptrs[bad]!)
    throw this.#faults.notLive('freeAll', ptrs[bad]!)
  }

  /**
   * What a free list puts back: `freeAll` of runs. `counts[i]` blocks of one page each from `starts[i]` on, or one block of any size. All were
   * live blocks of the pool once.
   * @internal
   */
  freeRuns(starts: readonly PtPtr[], counts: readonly number[]): void {
    const bad = this.shared ? this.#locked('freeAll', () => this.#releaseRuns(starts, counts)) : this.#releaseRuns(starts, counts)
    if (bad >= 0) throw this.#faults.notLive('freeAll', bad as PtPtr)
  }

  /** The first that is no live block, or -1. */
  #releaseRuns(starts: readonly PtPtr[], counts: readonly number[]): number {
    let bad = -1
    for (let i = 0; i < starts.length; i++) {
      let ptr: number = starts[i]!
      for (let left = counts[i]!; left > 0; ) {
        const pages = left > 1 ? this.#arena.releasePages(ptr, left) : 0
        if (pages === 0 && this.#arena.release(ptr) === 0 && bad < 0) bad = ptr
        const done = pages === 0 ? 1 : pages
        ptr += done * PAGE
        left -= done
      }
    }
    this.bumpGeneration()
    return bad
  }

  /** A list whose blocks are freed together, later. */
  freeList(): PtFreeList {
    return new PtFreeList(this)
  }

  /** Physical address of a live block. @throws `EFAULT` */
  physOf(ptr: PtPtr): bigint {
    this.#shiftOfLive('physOf', ptr)
    return this.base + BigInt(ptr)
  }

  /** Bytes of a live block. @throws `EFAULT` */
  sizeOf(ptr: PtPtr): number {
    return powerOfTwo(this.#shiftOfLive('sizeOf', ptr))
  }

  /** The live block that starts at a physical address. @throws `EFAULT` when none does */
  ptrAt(paddr: bigint): PtPtr {
    const offset = typeof paddr === 'bigint' ? paddr - this.base : -1n
    if (offset < 0n || offset >= BigInt(this.size)) throw this.#faults.outside('ptrAt', paddr)
    const ptr = Number(offset) as PtPtr
    this.#shiftOfLive('ptrAt', ptr)
    return ptr
  }

  /** The words of a live block, as a view of the pool's memory. @throws `EFAULT` */
  view(ptr: PtPtr): Int32Array {
    const bytes = this.sizeOf(ptr)
    return this.#present('view').subarray(ptr / 4, (ptr + bytes) / 4)
  }

  /** The tag of a name, for {@link AllocOptions.owner}. After 65,534 names the others share one tag. @throws `EINVAL` */
  owner(name: string): number {
    return this.#owners.tagOf(name)
  }

  /** An int32 that changes whenever a table was freed or replaced: what was remembered of tables is then void. */
  get generation(): number {
    return this.meta[GENERATION]!
  }

  /** For code that replaces a table by another one without freeing it here. */
  bumpGeneration(): void {
    if (this.shared) Atomics.add(this.meta, GENERATION, 1)
    else this.meta[GENERATION] = (this.meta[GENERATION]! + 1) | 0
  }

  /**
   * Takes the lock of a shared pool from a worker that was terminated inside of a call, and makes the bookkeeping sound again. Only for an owner
   * who knows that no other thread is in a call. The blocks of that worker stay live: {@link PtPool.leaks} tells them.
   * @returns whether the lock was held
   */
  recover(): boolean {
    if (!this.shared || Atomics.load(this.meta, LOCK) === 0) return false
    repair(this.meta, this.#layout)
    this.bumpGeneration()
    unlock(this.meta)
    return true
  }

  stats(): PtPoolStats {
    return this.#locked('stats', () => statsOf(this.meta, this.#layout))
  }

  /** All blocks that are live, by rising address. */
  leaks(): readonly PtLeak[] {
    return this.#locked('leaks', () => leaksOf(this.#arena, this.#owners, this.base))
  }

  #locked<T>(op: string, run: () => T): T {
    if (!this.shared) return run()
    lock(this.meta, op)
    try {
      return run()
    } finally {
      unlock(this.meta)
    }
  }

  #take(shift: number, limit: number, owner: number): number {
    this.#present('alloc')
    if (!this.shared) return this.#arena.take(shift, limit, owner)
    lock(this.meta, 'alloc')
    try {
      return this.#arena.take(shift, limit, owner)
    } finally {
      unlock(this.meta)
    }
  }

  #present(op: string): Int32Array {
    const { words } = this
    if (words.length === 0) throw this.#faults.error('EFAULT', op, 'lost its memory: the buffer was detached, or is too small now')
    return words
  }

  #releaseShared(ptr: number): boolean {
    lock(this.meta, 'free')
    try {
      if (this.#arena.release(ptr) === 0) return false
      // before the block can be had again, so that nobody who sees it reused still trusts what he remembers
      Atomics.add(this.meta, GENERATION, 1)
      return true
    } finally {
      unlock(this.meta)
    }
  }

  /** Calls the hook; allocations that it makes itself do not call it again. */
  #relieve(onPressure: (bytes: number) => void, bytes: number): void {
    this.#underPressure = true
    try {
      onPressure(bytes)
    } finally {
      this.#underPressure = false
    }
  }

  /** Bytes of the pool that lie below a physical address. */
  #limitOf(below: bigint): number {
    if (typeof below !== 'bigint' || below < 0n) throw new IoPgtableError('EINVAL', 'alloc', `below ${show(below)} is no physical address`)
    const bytes = below - this.base
    if (bytes <= 0n) return 0
    return bytes >= BigInt(this.size) ? this.size : Number(bytes)
  }

  #shiftOfLive(op: string, ptr: PtPtr): number {
    this.#checkRange(op, ptr)
    const shift = this.#arena.shiftAt(ptr)
    if (shift === 0) throw this.#faults.notLive(op, ptr)
    return shift
  }

  #checkRange(op: string, ptr: PtPtr): void {
    if (!this.#inRange(ptr)) throw this.#faults.foreign(op, ptr)
  }

  #inRange(ptr: PtPtr): boolean {
    return typeof ptr === 'number' && ptr >>> 0 === ptr && ptr < this.size
  }
}

/** log2 of a block's size. */
function shiftOf(bytes: number): number {
  if (typeof bytes === 'number') {
    if (bytes >= UNIT && (bytes | 0) === bytes && (bytes & (bytes - 1)) === 0) return 31 - Math.clz32(bytes)
    // 2^31 and 2^32 are no positive int32s
    if (bytes === 2 ** 31 || bytes === 2 ** 32) return Math.log2(bytes)
  }
  const value = typeof bytes === 'number' || typeof bytes === 'bigint' ? { value: bytes } : {}
  throw new IoPgtableError('EINVAL', 'alloc', `bytes ${show(bytes)} is not a power of two in 0x40 .. 2^32`, value)
}

function powerOfTwo(shift: number): number {
  return shift < 31 ? 1 << shift : 2 ** shift
}
