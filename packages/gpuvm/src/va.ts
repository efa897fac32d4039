/** A mapping of a GPU VA space, and the buffer object that it maps, as a VM knows it. */
import { IoPgtableError } from '@io-pgtable/core'

/** A buffer object of the driver: whatever has a size. */
export interface GpuBo {
  /** Bytes. */
  readonly size: bigint
  /** For messages. */
  readonly name?: string
}

/** `range` bytes at the address `addr` show the buffer object from `offset` on. It is never changed: a split makes new ones. */
export interface GpuVa<O extends GpuBo = GpuBo> {
  readonly addr: bigint
  /** Bytes. */
  readonly range: bigint
  /** The first address behind it. */
  readonly end: bigint
  readonly bo: GpuVmBo<O>
  /** Where in the buffer object it begins, bytes; of a sparse range its address. */
  readonly offset: bigint
  /** The driver's; {@link GpuAddressSpace} takes them for core's `Prot` unless told otherwise. */
  readonly flags: number
}

/** Whether two mappings show the same bytes of the same buffer object, with the same flags, wherever both are. */
export function continues<O extends GpuBo>(one: GpuVa<O>, other: GpuVa<O>): boolean {
  return one.bo === other.bo && one.flags === other.flags && one.offset - one.addr === other.offset - other.addr
}

/** What a mapping is made of. */
export type VaParts<O extends GpuBo> = Pick<VaNode<O>, 'addr' | 'range' | 'bo' | 'offset' | 'flags'>

/**
 * A mapping with its places in the tree, in the order of addresses and in the list of its buffer object. They are part of it, so that
 * entering and removing one allocates nothing.
 */
export class VaNode<O extends GpuBo = GpuBo> implements GpuVa<O> {
  readonly addr: bigint
  readonly range: bigint
  readonly bo: BoNode<O>
  readonly offset: bigint
  readonly flags: number
  /** First granule, and the first one behind it, counted from the VA space's start: numbers, which compare faster than bigints. */
  readonly first: number
  readonly last: number
  parent: VaNode<O> | undefined = undefined
  left: VaNode<O> | undefined = undefined
  right: VaNode<O> | undefined = undefined
  height = 1
  before: VaNode<O> | undefined = undefined
  after: VaNode<O> | undefined = undefined
  boBefore: VaNode<O> | undefined = undefined
  boAfter: VaNode<O> | undefined = undefined

  constructor({ addr, range, bo, offset, flags }: VaParts<O>, first: number, last: number) {
    this.addr = addr
    this.range = range
    this.bo = bo
    this.offset = offset
    this.flags = flags
    this.first = first
    this.last = last
  }

  get end(): bigint {
    return this.addr + this.range
  }
}

/** A buffer object in one VM, with all its mappings there. {@link GpuVm.obtain} makes it. */
export interface GpuVmBo<O extends GpuBo = GpuBo> {
  readonly object: O
  /** For messages: the object's, or `bo` and a number. */
  readonly name: string
  /** Bytes. */
  readonly size: bigint
  /** Its memory is away: its mappings stay in the VA space, and translate nothing. */
  readonly evicted: boolean
  /** It stands for sparse ranges, which have no buffer object: see {@link GpuVm.smSparse}. */
  readonly sparse: boolean
  /** Mappings. */
  readonly count: number
  /** Its mappings, in no order. Requests while iterating may make it miss some. */
  mappings(): Iterable<GpuVa<O>>
}

/** As the VM has it: with the list of its mappings. */
export class BoNode<O extends GpuBo = GpuBo> implements GpuVmBo<O> {
  readonly object: O
  readonly name: string
  readonly size: bigint
  readonly sparse: boolean
  evicted = false
  count = 0
  #first: VaNode<O> | undefined = undefined

  constructor(object: O, name: string, sparse = false) {
    this.object = object
    this.name = name
    this.size = object.size
    this.sparse = sparse
  }

  *mappings(): Generator<VaNode<O>> {
    for (let va = this.#first; va !== undefined; va = va.boAfter) yield va
  }

  add(va: VaNode<O>): void {
    va.boBefore = undefined
    va.boAfter = this.#first
    if (this.#first !== undefined) this.#first.boBefore = va
    this.#first = va
    this.count++
  }

  remove(va: VaNode<O>): void {
    if (va.boBefore === undefined) this.#first = va.boAfter
    else va.boBefore.boAfter = va.boAfter
    if (va.boAfter !== undefined) va.boAfter.boBefore = va.boBefore
    this.count--
  }
}

/** @throws `EINVAL` for what is no buffer object */
export function checkBo(object: GpuBo): void {
  if (typeof object !== 'object' || object === null || typeof object.size !== 'bigint' || object.size <= 0n)
    throw new IoPgtableError('EINVAL', 'obtain', 'a buffer object with a positive bigint size expected', {
      value: String((object as GpuBo | null)?.size),
    })
}
