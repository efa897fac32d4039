/**
 * The GPU VA space manager, after Linux's drm_gpuvm (kernel documentation, "DRM GPUVM": overview, split and merge): what is mapped where,
 * which steps a request takes, and all mappings of a buffer object.
 */
import { hex, IoPgtableError } from '@io-pgtable/core'
import { type GpuVmSeries, OwnPlan, OwnSeries, type OwnStep } from './own-plan.ts'
import type { GpuVmOps, GpuVmPlan } from './plan.ts'
import { Extent, type GpuVaRange, type GpuVmOptions, invalid, type MapRequest, type ReservedRange, type SparseRequest } from './request.ts'
import { type GpuVmOperation, inSeries, SeriesChanges } from './series.ts'
import { BoNode, checkBo, continues, type GpuBo, type GpuVa, type GpuVmBo, VaNode } from './va.ts'
import { VaTree } from './va-tree.ts'

/**
 * One GPU VA space. Requests are planned first ({@link GpuVm.smMap}, {@link GpuVm.smUnmap}), which changes nothing but makes all the
 * mappings that they will enter; {@link GpuVm.apply} takes the steps, and changes the VA space when all of them have succeeded, for which
 * it needs no memory. A request costs O(steps · log n).
 */
export class GpuVm<O extends GpuBo = GpuBo> {
  readonly #extent: Extent
  readonly #tree: VaTree<O> = new VaTree()
  readonly #bos: Map<O, BoNode<O>> = new Map()
  /** What sparse ranges have in place of a buffer object: nobody else sees its `object`. */
  readonly #sparse: BoNode<O> = new BoNode({ size: 1n << 64n } as O, 'sparse', true)
  #version = 0
  #obtained = 0
  #applying = false

  /** @throws `EINVAL` for reserved ranges that overlap, and for what is not aligned or empty; `ERANGE` for what is outside */
  constructor(options: GpuVmOptions) {
    this.#extent = new Extent(options)
  }

  get name(): string {
    return this.#extent.name
  }

  /** First address. */
  get start(): bigint {
    return this.#extent.start
  }

  /** Bytes. */
  get range(): bigint {
    return this.#extent.range
  }

  /** Bytes that addresses, ranges and offsets are multiples of. */
  get granule(): number {
    return this.#extent.granule
  }

  /** What no request may touch, by address. */
  get reserved(): readonly ReservedRange[] {
    return this.#extent.reserved
  }

  /** Mappings. */
  get size(): number {
    return this.#tree.size
  }

  /** The buffer objects that it knows. */
  get bos(): Iterable<GpuVmBo<O>> {
    return this.#bos.values()
  }

  /** The VM's view of a buffer object: the same one each time. @throws `EINVAL` for an object without a size */
  obtain(object: O): GpuVmBo<O> {
    const known = this.#bos.get(object)
    if (known !== undefined) return known
    checkBo(object)
    const bo = new BoNode(object, object.name ?? `bo${this.#obtained}`)
    this.#obtained++
    this.#bos.set(object, bo)
    return bo
  }

  /** Forgets a buffer object. @throws `EBUSY` while it has mappings, `EINVAL` for one of another VM */
  release(bo: GpuVmBo<O>): void {
    const own = this.#own('release', bo)
    if (own.count > 0) throw new IoPgtableError('EBUSY', 'release', `${own.name} has ${own.count} mappings`, { value: own.count })
    this.#bos.delete(own.object)
  }

  /** The mapping that holds an address. @throws `EINVAL` for what is no address */
  find(addr: bigint): GpuVa<O> | undefined {
    if (typeof addr !== 'bigint') throw invalid('find', `addr ${String(addr)}: a bigint expected`, addr)
    if (addr < this.start || addr >= this.start + this.range) return undefined
    const va = this.#tree.firstFrom(this.#extent.index(addr))
    return va !== undefined && va.addr <= addr ? va : undefined
  }

  /** The mappings that touch a range, by address; by default all. Requests while iterating end it. @throws `EINVAL`, `ERANGE` */
  mappings(addr: bigint = this.start, range: bigint = this.start + this.range - addr): Iterable<GpuVa<O>> {
    this.#extent.checkLook('mappings', { addr, range })
    return this.#touching({ addr, range })
  }

  /** Whether nothing is mapped in a range. @throws `EINVAL`, `ERANGE` */
  isEmpty(addr: bigint, range: bigint): boolean {
    this.#extent.checkLook('isEmpty', { addr, range })
    const [first] = this.#touching({ addr, range })
    return first === undefined
  }

  /**
   * The steps of mapping a range; what is there gives way. `keep` is set in the unmaps and remaps of mappings of which the request maps
   * the same bytes of the same buffer object, with the same flags, where both are.
   * @throws `EINVAL` for a range of zero, what is not aligned, a reserved range, a buffer object that the VM does not know, or bad flags;
   * `ERANGE` for what is beyond the VA space or the buffer object
   */
  smMap(request: MapRequest<O>): GpuVmPlan<O> {
    const bo = this.#own('smMap', request.bo)
    this.#extent.checkMap('smMap', request)
    const { addr, range, offset = 0n, flags = 0 } = request
    const va = this.#node(addr, range, bo, offset, flags)
    return this.#plan('map', request, [...this.#removals(va, va), { op: 'map', va }])
  }

  /**
   * The steps of making a range sparse: it has no buffer object. What an access meets there is what the driver's tables say: an entry of the
   * format's own, or a page of zeros.
   * @throws `EINVAL`, `ERANGE` as {@link GpuVm.smMap}
   */
  smSparse(request: SparseRequest): GpuVmPlan<O> {
    const { addr, range, flags = 0 } = request
    this.#extent.checkChange('smSparse', { addr, range })
    this.#extent.checkFlags('smSparse', flags)
    // at the offset of its address, a sparse range continues every other one
    const va = this.#node(addr, range, this.#sparse, addr, flags)
    return this.#plan('map', { addr, range }, [...this.#removals(va, va), { op: 'map', va }])
  }

  /** The steps of unmapping a range, whatever is there: none where nothing is. @throws `EINVAL`, `ERANGE` as {@link GpuVm.smMap} */
  smUnmap({ addr, range }: GpuVaRange): GpuVmPlan<O> {
    this.#extent.checkChange('smUnmap', { addr, range })
    return this.#plan('unmap', { addr, range }, [...this.#removals({ addr, end: addr + range }, undefined)])
  }

  /** Takes the translations of a buffer object away, all its mappings; they stay in the VA space. No steps when it is evicted already. */
  evict(bo: GpuVmBo<O>): GpuVmPlan<O> {
    const own = this.#own('evict', bo)
    const step = (va: VaNode<O>): OwnStep<O> => ({ op: 'unmap', va, keep: false })
    return this.#boPlan('evict', own, own.evicted ? [] : byAddress(own).map(step))
  }

  /** Gives a buffer object its translations back, by its memory as it is then. No steps when it is not evicted. */
  restore(bo: GpuVmBo<O>): GpuVmPlan<O> {
    const own = this.#own('restore', bo)
    const step = (va: VaNode<O>): OwnStep<O> => ({ op: 'map', va })
    return this.#boPlan('restore', own, own.evicted ? byAddress(own).map(step) : [])
  }

  /**
   * Takes the steps of a plan, then changes the VA space. Should a callback throw, `ops.abort` is called, the VA space stays as it was, and
   * the exception passes through.
   * @throws `EINVAL` for a plan of another VM, or one that another request has overtaken; `EBUSY` from inside a callback
   */
  apply(plan: GpuVmPlan<O>, ops: GpuVmOps<O>): void {
    if (!(plan instanceof OwnPlan) || plan.vm !== this) throw invalid('apply', `the plan is none of ${this.name}`)
    this.#change(plan, hex(plan.addr), () => take(plan, ops))
    this.#commit(plan)
  }

  /**
   * Plans operations that follow one another. Nothing changes.
   * @throws {@link SeriesError} with the place of the operation that cannot be
   */
  series(operations: readonly GpuVmOperation<O>[]): GpuVmSeries<O> {
    if (this.#applying) throw new IoPgtableError('EBUSY', 'series', `a request of ${this.name} is under way`)
    const version = this.#version
    const all = new SeriesChanges<O>()
    const plans: OwnPlan<O>[] = []
    try {
      for (const operation of operations) {
        const plan = this.#planned(operation)
        all.note(plan, plan.bo)
        plans.push(plan)
        this.#commit(plan)
      }
      return new OwnSeries({ operations, plans, changes: all.result() }, this, version)
    } catch (error) {
      throw inSeries(error, plans.length, operations[plans.length])
    } finally {
      for (const plan of plans.reverse()) this.#undo(plan)
      plans.reverse()
      this.#version = version
    }
  }

  /**
   * Changes the VA space as a series says, after `change` has changed the tables. Should that throw, the VA space stays as it was.
   * @throws as {@link GpuVm.apply}
   */
  applySeries(series: GpuVmSeries<O>, change: () => void): void {
    if (!(series instanceof OwnSeries) || series.vm !== this) throw invalid('applySeries', `the series is none of ${this.name}`)
    this.#change(series, undefined, change)
    for (const plan of series.plans) this.#commit(plan)
  }

  #planned(operation: GpuVmOperation<O>): OwnPlan<O> {
    switch (operation.op) {
      case 'map':
        return this.smMap(operation) as OwnPlan<O>
      case 'sparse':
        return this.smSparse(operation) as OwnPlan<O>
      case 'unmap':
        return this.smUnmap(operation) as OwnPlan<O>
      case 'evict':
      case 'restore':
        return this[operation.op](operation.bo) as OwnPlan<O>
      default:
        throw invalid('series', `op ${String((operation as { op: unknown }).op)}: map, sparse, unmap, evict or restore expected`)
    }
  }

  #change({ version }: { readonly version: number }, value: string | undefined, change: () => void): void {
    if (this.#applying) throw new IoPgtableError('EBUSY', 'apply', `a request of ${this.name} is under way`)
    if (version !== this.#version) throw invalid('apply', 'the plan is out of date: plan the request again', value)
    this.#applying = true
    try {
      change()
    } finally {
      this.#applying = false
    }
  }

  /** Cannot fail: every node is there. */
  #commit({ kind, steps, bo }: OwnPlan<O>): void {
    this.#version++
    if (bo !== undefined) {
      bo.evicted = kind === 'evict'
      return
    }
    for (const step of steps) {
      if (step.op === 'map') this.#enter(step.va)
      else this.#remove(step.va)
      if (step.prev !== undefined) this.#enter(step.prev)
      if (step.next !== undefined) this.#enter(step.next)
    }
  }

  /** Takes back what entering the plan did last. */
  #undo({ steps, bo, wasEvicted }: OwnPlan<O>): void {
    if (bo !== undefined) {
      bo.evicted = wasEvicted
      return
    }
    for (let i = steps.length - 1; i >= 0; i--) {
      const step = steps[i] as OwnStep<O>
      if (step.next !== undefined) this.#remove(step.next)
      if (step.prev !== undefined) this.#remove(step.prev)
      if (step.op === 'map') this.#remove(step.va)
      else this.#enter(step.va)
    }
  }

  #enter(va: VaNode<O>): void {
    this.#tree.insert(va)
    va.bo.add(va)
  }

  #remove(va: VaNode<O>): void {
    this.#tree.remove(va)
    va.bo.remove(va)
  }

  *#touching({ addr, range }: GpuVaRange): Generator<VaNode<O>> {
    const end = addr + range
    const first = this.#tree.firstFrom(this.#extent.index(addr))
    for (let va = first; va !== undefined && va.addr < end; va = va.after) yield va
  }

  /** What gives way to a range, and what is left of it. */
  *#removals({ addr, end }: { readonly addr: bigint; readonly end: bigint }, wanted: VaNode<O> | undefined): Generator<OwnStep<O>> {
    for (const va of this.#touching({ addr, range: end - addr })) {
      const keep = wanted !== undefined && continues(va, wanted)
      if (va.addr >= addr && va.end <= end) yield { op: 'unmap', va, keep }
      else yield this.#remap(va, va.addr < addr ? addr : va.addr, va.end > end ? end : va.end, keep)
    }
  }

  /** Takes the part from `from` to `to` out of a mapping. */
  #remap(va: VaNode<O>, from: bigint, to: bigint, keep: boolean): OwnStep<O> {
    const { addr, end, bo, offset, flags } = va
    const prev = from > addr ? { prev: this.#node(addr, from - addr, bo, offset, flags) } : {}
    const next = to < end ? { next: this.#node(to, end - to, bo, offset + (to - addr), flags) } : {}
    return { op: 'remap', va, ...prev, ...next, addr: from, range: to - from, keep }
  }

  #node(addr: bigint, range: bigint, bo: BoNode<O>, offset: bigint, flags: number): VaNode<O> {
    return new VaNode({ addr, range, bo, offset, flags }, this.#extent.index(addr), this.#extent.index(addr + range))
  }

  #own(op: string, bo: GpuVmBo<O>): BoNode<O> {
    if (bo instanceof BoNode && this.#bos.get(bo.object) === bo) return bo
    throw invalid(op, `${bo?.name ?? String(bo)} is no buffer object of ${this.name}: obtain it first`, bo?.name)
  }

  #boPlan(kind: 'evict' | 'restore', bo: BoNode<O>, steps: readonly OwnStep<O>[]): GpuVmPlan<O> {
    const [first] = steps
    const last = steps.at(-1)
    const hull =
      first === undefined || last === undefined ? { addr: 0n, range: 0n } : { addr: first.va.addr, range: last.va.end - first.va.addr }
    return this.#plan(kind, hull, steps, bo)
  }

  #plan(kind: GpuVmPlan['kind'], { addr, range }: GpuVaRange, steps: readonly OwnStep<O>[], bo?: BoNode<O>): GpuVmPlan<O> {
    return new OwnPlan({ kind, addr, range, steps }, this, this.#version, bo)
  }
}

/** Calls the callbacks of a plan, and `abort` when one throws. */
function take<O extends GpuBo>(plan: GpuVmPlan<O>, ops: GpuVmOps<O>): void {
  try {
    ops.begin?.(plan)
    for (const step of plan.steps) {
      if (step.op === 'map') ops.stepMap(step)
      else if (step.op === 'unmap') ops.stepUnmap(step)
      else ops.stepRemap(step)
    }
    ops.end?.(plan)
  } catch (error) {
    ops.abort?.(plan, error)
    throw error
  }
}

function byAddress<O extends GpuBo>(bo: BoNode<O>): VaNode<O>[] {
  return [...bo.mappings()].sort((a, b) => a.first - b.first)
}
