/** What a VA space is asked: requests, their checks, and the VA space's own description. */
import { hex, IoPgtableError, isPowerOfTwo } from '@io-pgtable/core'
import type { GpuBo, GpuVmBo } from './va.ts'

/** A range of addresses. */
export interface GpuVaRange {
  readonly addr: bigint
  /** Bytes. */
  readonly range: bigint
}

/** A range that no request may touch: the kernel's own mappings. */
export interface ReservedRange extends GpuVaRange {
  /** For messages. */
  readonly name?: string
}

/** Map a range; whatever is there gives way. */
export interface MapRequest<O extends GpuBo = GpuBo> extends GpuVaRange {
  readonly bo: GpuVmBo<O>
  /** Where in the buffer object it begins, bytes. Default 0. */
  readonly offset?: bigint
  /** The driver's. Default 0. */
  readonly flags?: number
}

/** Make a range sparse; whatever is there gives way. */
export interface SparseRequest extends GpuVaRange {
  /** The driver's. Default 0. */
  readonly flags?: number
}

/** What a {@link GpuVm} is made with. */
export interface GpuVmOptions {
  /** For messages. Default `vm`. */
  readonly name?: string
  /** First address. Default 0. */
  readonly start?: bigint
  /** Bytes. */
  readonly range: bigint
  /** What addresses, ranges and offsets are multiples of, bytes: a power of two. Default 4096. */
  readonly granule?: number
  readonly reserved?: readonly ReservedRange[]
}

/** The end of the 64-bit address space. */
const TOP = 1n << 64n
/** Granules are counted in numbers. */
const MOST_GRANULES = 2n ** 53n

/** The extent of a VA space, and what of it requests may use. */
export class Extent {
  readonly name: string
  readonly start: bigint
  readonly range: bigint
  readonly granule: number
  /** By address. */
  readonly reserved: readonly ReservedRange[]
  readonly #unit: bigint

  /** @throws `EINVAL`, `ERANGE` */
  constructor({ name = 'vm', start = 0n, range, granule = 4096, reserved = [] }: GpuVmOptions) {
    if (!isPowerOfTwo(granule)) throw invalid('GpuVm', `granule ${show(granule)} is no power of two`, granule)
    this.name = name
    this.granule = granule
    this.#unit = BigInt(granule)
    this.#checkRange('GpuVm', { addr: start, range })
    if (range / this.#unit > MOST_GRANULES)
      throw new IoPgtableError('ERANGE', 'GpuVm', `range ${hex(range)}: at most 2^53 granules of ${hex(granule)} bytes`, { value: range })
    this.start = start
    this.range = range
    for (const one of reserved) this.#checkWithin('GpuVm', one)
    this.reserved = [...reserved].sort((a, b) => (a.addr < b.addr ? -1 : 1))
    for (const [i, one] of this.reserved.entries()) {
      const next = this.reserved[i + 1]
      if (next !== undefined && next.addr < one.addr + one.range)
        throw invalid('GpuVm', `reserved ranges overlap: ${describe(one)} and ${describe(next)}`, next.addr)
    }
  }

  /** The granule in which an address lies, counted from the start. */
  index(addr: bigint): number {
    return Number((addr - this.start) / this.#unit)
  }

  /** A range for looking only. @throws `EINVAL`, `ERANGE` */
  checkLook(op: string, wanted: GpuVaRange): void {
    this.#checkWithin(op, wanted)
  }

  /** A range that is to change. @throws `EINVAL`, `ERANGE` */
  checkChange(op: string, wanted: GpuVaRange): void {
    this.#checkWithin(op, wanted)
    const { addr, range } = wanted
    const hit = this.reserved.find((one) => addr < one.addr + one.range && one.addr < addr + range)
    if (hit !== undefined) throw invalid(op, `${describe(wanted)} touches the reserved range ${describe(hit)}`, addr)
  }

  /** @throws `EINVAL`, `ERANGE` */
  checkMap<O extends GpuBo>(op: string, { addr, range, bo, offset = 0n, flags = 0 }: MapRequest<O>): void {
    this.checkChange(op, { addr, range })
    this.#checkAligned(op, 'offset', offset)
    if (offset + range > bo.size) {
      const text = `offset ${hex(offset)} + range ${hex(range)} ends behind ${bo.name}, which has ${hex(bo.size)} bytes`
      throw new IoPgtableError('ERANGE', op, text, { value: offset })
    }
    this.checkFlags(op, flags)
  }

  /** @throws `EINVAL` */
  checkFlags(op: string, flags: number): void {
    if (!Number.isSafeInteger(flags) || flags < 0) throw invalid(op, `flags ${show(flags)}: a whole number expected`, flags)
  }

  #checkWithin(op: string, wanted: GpuVaRange): void {
    this.#checkRange(op, wanted)
    const { addr, range } = wanted
    if (addr >= this.start && addr + range <= this.start + this.range) return
    const text = `${describe(wanted)} is outside ${this.name}, which is ${describe({ addr: this.start, range: this.range })}`
    throw new IoPgtableError('ERANGE', op, text, { value: addr })
  }

  #checkRange(op: string, { addr, range }: GpuVaRange): void {
    this.#checkAligned(op, 'addr', addr)
    this.#checkAligned(op, 'range', range)
    if (range === 0n) throw invalid(op, `range 0 at addr ${hex(addr)}: at least one granule expected`, range)
    if (addr + range > TOP) {
      const text = `addr ${hex(addr)} + range ${hex(range)} is beyond the 64-bit address space`
      throw new IoPgtableError('ERANGE', op, text, { value: addr })
    }
  }

  #checkAligned(op: string, what: string, value: bigint): void {
    if (typeof value !== 'bigint' || value < 0n) throw invalid(op, `${what} ${show(value)}: a bigint from 0 on expected`, value)
    if (value % this.#unit !== 0n) throw invalid(op, `${what} ${hex(value)} is no multiple of the granule, ${hex(this.granule)}`, value)
  }
}

/** An `EINVAL`. */
export function invalid(op: string, message: string, value?: unknown): IoPgtableError {
  const known = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string'
  return new IoPgtableError('EINVAL', op, message, known ? { value } : {})
}

function describe({ addr, range, name }: GpuVaRange & { readonly name?: string }): string {
  return `${hex(addr)}..${hex(addr + range - 1n)}${name === undefined ? '' : ` (${name})`}`
}

function show(value: unknown): string {
  return typeof value === 'number' || typeof value === 'bigint' ? hex(value) : String(value)
}
