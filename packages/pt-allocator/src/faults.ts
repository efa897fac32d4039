/** The errors of a pool in words: cold, and apart from the code that allocates. */
import type { Arena } from './arena.ts'
import { type ErrorCode, hex, IoPgtableError, show } from './errors.ts'
import { CEILING, LIVE, MARK, PAGE_SHIFT, UNIT } from './layout.ts'

/** What the messages tell of the pool. */
interface Described {
  readonly name: string
  readonly base: bigint
  readonly size: number
  readonly meta: Int32Array
}

export class Faults {
  readonly #pool: Described
  readonly #arena: Arena

  constructor(pool: Described, arena: Arena) {
    this.#pool = pool
    this.#arena = arena
  }

  error(code: ErrorCode, op: string, message: string, value?: number | bigint): IoPgtableError {
    return new IoPgtableError(code, op, `${this.#pool.name} ${message}`, value === undefined ? {} : { value })
  }

  /** A handle that no block of the pool can have. */
  foreign(op: string, ptr: unknown): IoPgtableError {
    const value = typeof ptr === 'number' || typeof ptr === 'bigint' ? ptr : undefined
    return this.error('EFAULT', op, `has no block ${show(ptr)}: handles are whole numbers below ${hex(this.#pool.size)}`, value)
  }

  /** A physical address outside of the pool. */
  outside(op: string, paddr: bigint): IoPgtableError {
    if (typeof paddr !== 'bigint') return this.error('EFAULT', op, `has no block at ${show(paddr)}: that is no bigint`)
    return this.error('EFAULT', op, `has no block at ${hex(paddr)}: it spans ${this.#span()}`, paddr)
  }

  /** A place in the pool where no live block starts. */
  notLive(op: string, ptr: number): IoPgtableError {
    const block = this.#arena.blockAround(ptr)
    if (block >= 0) {
      const bytes = hex(2 ** this.#arena.shiftAt(block))
      return this.error('EFAULT', op, `has no block ${hex(ptr)}: that is inside of block ${hex(block)} of ${bytes} bytes`, ptr)
    }
    const never = ptr >>> PAGE_SHIFT >= this.#pool.meta[MARK]!
    return this.error('EFAULT', op, `has no block ${hex(ptr)}: it was ${never ? '' : 'freed already, or '}never allocated`, ptr)
  }

  noMemory(bytes: number, shift: number, below: bigint | undefined): IoPgtableError {
    const { meta, size } = this.#pool
    const live = hex(meta[LIVE]! * UNIT)
    const ceiling = meta[CEILING]! * UNIT
    const why =
      ceiling === size || this.#arena.fitsCeiling(shift)
        ? `no free block of ${hex(bytes)} bytes${below === undefined ? '' : ` below ${hex(below)}`}`
        : `no room for ${hex(bytes)} bytes under its ceiling of ${hex(ceiling)}`
    return this.error('ENOMEM', 'alloc', `has ${why}: ${live} of ${hex(size)} bytes at ${this.#span()} are live`, bytes)
  }

  #span(): string {
    const { base, size } = this.#pool
    return `${hex(base)} .. ${hex(base + BigInt(size) - 1n)}`
  }
}
