/**
 * The memory of an adopted table: all of the caller's memory, of which the pool manages a piece. What the engine asks of a pool, for both:
 * new tables come from the pool; tables that were there before are never freed, but told to their owner when they leave the tree.
 */
import type { AllocOptions, PtPool, PtPtr } from '@io-pgtable/pt-allocator'
import { hex, IoPgtableError } from '../errors.ts'
import type { TableList } from '../tlb/gather.ts'

/** What the engine needs of a pool. */
export interface TablePool
  extends Pick<
    PtPool,
    | 'words'
    | 'doubles'
    | 'cells'
    | 'meta'
    | 'base'
    | 'size'
    | 'shared'
    | 'sync'
    | 'alloc'
    | 'free'
    | 'physOf'
    | 'bumpGeneration'
    | 'token'
    | 'stats'
  > {
  freeList(): TableList
}

/** Physical memory that the caller owns. */
export interface AdoptMemory {
  /** Physical address of the first byte: a multiple of 4096. */
  readonly base: bigint
  /** At most 4 GiB; the allocator's memory must be a piece of it. */
  readonly bytes: ArrayBuffer | SharedArrayBuffer | Uint8Array
}

export class AdoptedMemory implements TablePool {
  readonly meta: Int32Array
  readonly base: bigint
  readonly size: number
  readonly shared: boolean
  readonly sync: PtPool['sync']
  /** Tables that were there and are not the pool's, by their offset: bytes. */
  readonly foreign: Map<number, number> = new Map()
  /** Told when a foreign table left the tree, after its flush. */
  readonly onForeign: ((paddr: bigint, bytes: number) => void) | undefined
  readonly #pool: PtPool
  /** Whether it is all of the pool's memory, which may be elsewhere once it grew. */
  readonly #whole: boolean
  #words!: Int32Array
  #doubles!: Float64Array
  #cells!: BigInt64Array
  /** Where the pool's memory begins in this one. */
  readonly #shift: number

  /** @throws `EINVAL` when the allocator's memory is no piece of `memory` */
  constructor(pool: PtPool, memory: AdoptMemory | undefined, onForeign: ((paddr: bigint, bytes: number) => void) | undefined) {
    const { base, bytes } = memory === undefined ? { base: pool.base, bytes: bytesOf(pool) } : checkMemory(memory)
    const shift = Number(pool.base - base)
    const { buffer, byteOffset } = pool.words
    if (bytes.buffer !== buffer || byteOffset - bytes.byteOffset !== shift || shift + pool.size > bytes.byteLength) {
      const text = `the allocator's memory, ${hex(pool.size)} bytes at ${hex(pool.base)}, must be a piece of the memory given, by its bytes and by its address`
      throw new IoPgtableError('EINVAL', 'adopt', text, { value: pool.base })
    }
    this.#see(bytes)
    this.#whole = memory === undefined
    this.meta = pool.meta
    this.base = base
    this.size = bytes.byteLength
    this.shared = pool.shared
    this.sync = pool.sync
    this.onForeign = onForeign
    this.#pool = pool
    this.#shift = shift
  }

  #see({ buffer, byteOffset, byteLength }: Uint8Array): void {
    this.#words = new Int32Array(buffer, byteOffset, byteLength / 4)
    this.#doubles = new Float64Array(buffer, byteOffset, byteLength / 8)
    this.#cells = new BigInt64Array(buffer, byteOffset, byteLength / 8)
  }

  get words(): Int32Array {
    if (this.#words.length === 0 && this.#whole && this.#pool.words.length > 0) this.#see(bytesOf(this.#pool))
    return this.#words
  }

  get doubles(): Float64Array {
    return this.words.length === 0 ? new Float64Array(0) : this.#doubles
  }

  get cells(): BigInt64Array {
    return this.words.length === 0 ? new BigInt64Array(0) : this.#cells
  }

  alloc(bytes: number, options?: AllocOptions): PtPtr {
    return (this.#pool.alloc(bytes, options) + this.#shift) as PtPtr
  }

  free(ptr: PtPtr): void {
    this.#pool.free(this.#own(ptr))
  }

  physOf(ptr: PtPtr): bigint {
    return this.base + BigInt(ptr)
  }

  bumpGeneration(): void {
    this.#pool.bumpGeneration()
  }

  stats(): ReturnType<PtPool['stats']> {
    return this.#pool.stats()
  }

  token(): never {
    throw new IoPgtableError('EINVAL', 'share', 'an adopted table cannot be shared: adopt it in the other worker')
  }

  freeList(): TableList {
    const own = this.#pool.freeList()
    let foreign: PtPtr[] = []
    const add = (ptr: PtPtr): void => {
      if (this.foreign.has(ptr)) foreign.push(ptr)
      else own.add(this.#own(ptr))
    }
    return {
      add,
      addRun: (first, count, bytes) => {
        for (let i = 0; i < count; i++) add((first + i * bytes) as PtPtr)
      },
      get size() {
        return own.size + foreign.length
      },
      get bytes() {
        return own.bytes
      },
      putBack: () => {
        own.putBack()
        const left = foreign
        let told = 0
        try {
          while (told < left.length) this.#leave(left[told++]!)
        } finally {
          // what is left, should their owner throw, for another time
          foreign = left.slice(told)
        }
      },
    }
  }

  #leave(ptr: PtPtr): void {
    const bytes = this.foreign.get(ptr)
    this.foreign.delete(ptr)
    if (bytes !== undefined) this.onForeign?.(this.physOf(ptr), bytes)
  }

  #own(ptr: PtPtr): PtPtr {
    return (ptr - this.#shift) as PtPtr
  }
}

function bytesOf({ words, size }: PtPool): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, size)
}

function checkMemory({ base, bytes }: AdoptMemory): { base: bigint; bytes: Uint8Array } {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  if (typeof base !== 'bigint' || base < 0n || base % 4096n !== 0n)
    throw new IoPgtableError('EINVAL', 'adopt', `memory.base ${String(base)}: a multiple of 4096 expected`, { value: String(base) })
  if (view.byteOffset % 8 !== 0 || view.byteLength % 8 !== 0 || view.byteLength > 2 ** 32) {
    const text = `memory of ${hex(view.byteLength)} bytes at byte ${hex(view.byteOffset)} of its buffer: multiples of 8, and at most 4 GiB, expected`
    throw new IoPgtableError('EINVAL', 'adopt', text, { value: view.byteLength })
  }
  return { base, bytes: view }
}
