/** A VA space and the page tables that translate it: the steps of a request become operations of an `IoPageTable` of any format. */
import { type AddressRange, hex, type IoPageTable, IoPgtableError, IotlbGather, inputRanges, type Prot, pageSizes } from '@io-pgtable/core'
import { changesOf } from './changes.ts'
import type { GpuVmSeries } from './own-plan.ts'
import type { GpuVmPlan } from './plan.ts'
import { type GpuVaRange, invalid, type MapRequest, type SparseRequest } from './request.ts'
import { blamed, type GpuVmOperation, inSeries, SeriesError } from './series.ts'
import { type AddressSpaceStats, flush, repair, TableRequest, type Target } from './table-request.ts'
import { type Backing, contiguous, type SparseBacking } from './tables.ts'
import type { GpuBo, GpuVmBo } from './va.ts'
import type { GpuVm } from './vm.ts'

/** What an address space needs of its driver. */
export interface AddressSpaceOptions<O extends GpuBo> {
  /** Where the memory of buffer objects is. Default {@link contiguous}. */
  readonly backing?: Backing<O>
  /** What sparse ranges translate to. They are refused without it. */
  readonly sparse?: SparseBacking
  /** What the flags of a mapping grant. Default: they are core's `Prot`. */
  readonly prot?: (flags: number) => Prot
  /** Before the first change of a request: keep the device out of the range, whole blocks where one is cut. */
  readonly lock?: (range: AddressRange) => void
  /** After the last change, also that of a rollback: invalidate the range, and let the device in again. */
  readonly unlock?: (range: AddressRange) => void
}

/** How {@link GpuAddressSpace.bind} takes an operation that fails. */
export interface BindOptions {
  /** `rollback`: nothing is done, and the error is thrown. `stop`: what comes before it is done, and the error returned. Default `rollback`. */
  readonly onError?: 'rollback' | 'stop'
}

/** What {@link GpuAddressSpace.bind} did. */
export interface BindResult {
  /** Operations from the first on that are done. */
  readonly done: number
  /** Of the next one, where it failed. */
  readonly error?: SeriesError
}

/**
 * Applies requests to a VA space and to its tables. A request that throws leaves both as they were: see the README for what that says.
 * Nothing else may change the tables in the VA space's range, but in its reserved ranges.
 */
export class GpuAddressSpace<O extends GpuBo = GpuBo> {
  readonly vm: GpuVm<O>
  readonly table: IoPageTable
  readonly stats: AddressSpaceStats = { requests: 0, steps: 0, flushes: 0, cuts: 0, rollbacks: 0, kept: 0n }
  readonly #target: Target<O>

  /**
   * @throws `ERANGE` when the VA space is not within the table's input addresses; `EINVAL` when the VA space has a smaller granule than the
   * table has pages
   */
  constructor(vm: GpuVm<O>, table: IoPageTable, options: AddressSpaceOptions<O> = {}) {
    const { start, range, granule, name } = vm
    const last = start + range - 1n
    if (!inputRanges(table.geometry).some((window) => window.first <= start && last <= window.last))
      throw new IoPgtableError(
        'ERANGE',
        'GpuAddressSpace',
        `${name}, ${hex(start)}..${hex(last)}: the table does not translate all of it`,
        {
          value: start,
        },
      )
    const [smallest = 0] = pageSizes(table.config.pgsizeBitmap)
    if (smallest === 0 || granule % smallest !== 0)
      throw invalid('GpuAddressSpace', `granule ${hex(granule)}: the smallest page of the table has ${hex(smallest)} bytes`, granule)
    this.vm = vm
    this.table = table
    const { backing = contiguous, sparse, prot = (flags) => flags, lock, unlock } = options
    const gather = new IotlbGather()
    this.#target = { table, backing, sparse, prot, lock, unlock, gather, stats: this.stats, lost: [] }
  }

  /** Maps a range of a buffer object; what is there gives way. @returns the plan that was applied @throws see {@link GpuVm.smMap}; and what the table throws */
  map(request: MapRequest<O>): GpuVmPlan<O> {
    return this.apply(this.vm.smMap(request))
  }

  /** Makes a range sparse; what is there gives way. @returns the plan that was applied @throws see {@link GpuVm.smSparse}; and what the table throws */
  sparse(request: SparseRequest): GpuVmPlan<O> {
    return this.apply(this.vm.smSparse(request))
  }

  /** Unmaps a range, whatever is there. @returns the plan that was applied @throws see {@link GpuVm.smUnmap}; and what the table throws */
  unmap(range: GpuVaRange): GpuVmPlan<O> {
    return this.apply(this.vm.smUnmap(range))
  }

  /** Unmaps all mappings of a buffer object, whose memory goes away; they stay in the VA space. */
  evict(bo: GpuVmBo<O>): GpuVmPlan<O> {
    return this.apply(this.vm.evict(bo))
  }

  /** Maps all mappings of an evicted buffer object again, where its memory is now. */
  restore(bo: GpuVmBo<O>): GpuVmPlan<O> {
    return this.apply(this.vm.restore(bo))
  }

  /** Applies a plan of the VM. @returns it */
  apply(plan: GpuVmPlan<O>): GpuVmPlan<O> {
    const request = new TableRequest(this.#target, changesOf(plan))
    const none = (): void => undefined
    const ops = { begin: () => request.begin(), stepMap: none, stepUnmap: none, stepRemap: none, end: () => request.end() }
    this.vm.apply(plan, { ...ops, abort: (_plan, error) => request.abort(error) })
    return plan
  }

  /**
   * Does several operations as one request, each on what those before it leave: at most eight locks, one flush, and of what they undo of one another
   * nothing reaches the tables.
   *
   * @throws {@link SeriesError} with the place of the operation that failed; nothing has changed then. With `onError: 'stop'` that is
   * returned, and what comes before it is done
   */
  bind(operations: readonly GpuVmOperation<O>[], { onError = 'rollback' }: BindOptions = {}): BindResult {
    let result: BindResult = { done: operations.length }
    while (result.done > 0 || operations.length === 0) {
      try {
        this.#applySeries(this.vm.series(operations.slice(0, result.done)))
        return result
      } catch (error) {
        const place = error instanceof SeriesError && error.code !== 'EFAULT' ? error.index : undefined
        if (onError === 'rollback' || place === undefined) throw error
        result = { done: place, error: error as SeriesError }
      }
    }
    return result
  }

  #applySeries(series: GpuVmSeries<O>): void {
    const { operations, changes } = series
    const request = new TableRequest(this.#target, changes)
    this.vm.applySeries(series, () => {
      try {
        request.begin()
        request.end()
      } catch (error) {
        request.abort(error)
        const { place } = request
        const index = place === undefined ? -1 : blamed(operations, place, place.mapping)
        throw inSeries(error, index, operations[index])
      }
    })
  }

  /** Syncs what waits since a driver's `sync` threw in a rollback. Every request does so first. */
  flush(): void {
    flush(this.#target)
  }

  /** Puts back what a rollback could not. Every request does so first. @throws `EFAULT` when it still fails */
  repair(): void {
    repair(this.#target)
  }
}
