/** Single ownership of a block, as a type. */
import { hex, IoPgtableError } from './errors.ts'
import type { AllocOptions, PtPool, PtPtr } from './pool.ts'

/**
 * The one owner of a block. It is freed with `free()` or `[Symbol.dispose]()`, or handed on with `take()`, `intoRaw()` or `as()`; after that
 * every use throws `EFAULT`, except that disposing again does nothing.
 * @typeParam T what the block is used as: its handle, or a view made with {@link Owned.as}
 */
export class Owned<T = PtPtr> {
  readonly pool: PtPool
  readonly #ptr: PtPtr
  readonly #value: T
  #gone: string | undefined

  private constructor(pool: PtPool, ptr: PtPtr, value: T) {
    this.pool = pool
    this.#ptr = ptr
    this.#value = value
  }

  /** Allocates a block. @throws as `pool.alloc` */
  static alloc(pool: PtPool, bytes: number, options?: AllocOptions): Owned {
    return Owned.adopt(pool, pool.alloc(bytes, options))
  }

  /** Takes ownership of a live block. @throws `EFAULT` when `ptr` is not one */
  static adopt(pool: PtPool, ptr: PtPtr): Owned {
    pool.sizeOf(ptr)
    return new Owned(pool, ptr, ptr)
  }

  /** Takes ownership back from a raw physical address, of `intoRaw()` or a register. @throws `EFAULT` when no live block starts there */
  static fromRaw(pool: PtPool, paddr: bigint): Owned {
    return Owned.adopt(pool, pool.ptrAt(paddr))
  }

  get ptr(): PtPtr {
    return this.#use('ptr')
  }

  /** What `as()` made of the block; its handle when it was not called. */
  get value(): T {
    this.#use('value')
    return this.#value
  }

  /** Physical address. */
  get paddr(): bigint {
    return this.pool.physOf(this.#use('paddr'))
  }

  /** Bytes. */
  get bytes(): number {
    return this.pool.sizeOf(this.#use('bytes'))
  }

  /** Whether the block is still owned here. */
  get owned(): boolean {
    return this.#gone === undefined
  }

  /** Moves the block into an owner of a view of it: `Owned.alloc(pool, 4096).as((pool, ptr) => pool.view(ptr))` is an `Owned<Int32Array>`. */
  as<U>(view: (pool: PtPool, ptr: PtPtr) => U): Owned<U> {
    const owned = new Owned(this.pool, this.#ptr, view(this.pool, this.#use('as')))
    this.#gone = 'moved'
    return owned
  }

  /** Gives up ownership: the block now belongs to whoever has the handle. */
  take(): PtPtr {
    const ptr = this.#use('take')
    this.#gone = 'moved'
    return ptr
  }

  /** Gives up ownership as a raw physical address, as a register or a descriptor holds it. */
  intoRaw(): bigint {
    const paddr = this.pool.physOf(this.#use('intoRaw'))
    this.#gone = 'moved'
    return paddr
  }

  /** Frees the block. */
  free(): void {
    this.pool.free(this.#use('free'))
    this.#gone = 'freed'
  }

  [Symbol.dispose](): void {
    if (this.#gone === undefined) this.free()
  }

  #use(op: string): PtPtr {
    if (this.#gone !== undefined)
      throw new IoPgtableError('EFAULT', op, `block ${hex(this.#ptr)} was ${this.#gone} before`, { value: this.#ptr })
    return this.#ptr
  }
}
