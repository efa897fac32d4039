/** An accumulated IOTLB invalidation, as Linux's `struct iommu_iotlb_gather`, with the tables that wait for it. */
import type { PtFreeList, PtPtr } from '@io-pgtable/pt-allocator'
import { IoPgtableError } from '../errors.ts'
import { advanceHi, advanceLo, highOf, isBelow, join, lowOf } from '../hot/lanes.ts'

/** Tables that wait for a flush. */
export type TableList = Pick<PtFreeList, 'add' | 'addRun' | 'size' | 'bytes' | 'putBack'>

/** What a gather needs of the table that it serves. */
export interface GatherOwner {
  newFreeList(): TableList
  syncGather(gather: IotlbGather): void
  /** The tables of a list went back to the pool. */
  freed(list: TableList): void
}

/**
 * Collects what several unmaps of one table must invalidate. Tables that those unmaps took out of use stay allocated until
 * {@link IotlbGather.sync}, since a walker may still be in them. A gather serves one table at a time, and may be used again after a sync.
 */
export class IotlbGather {
  /** Set by a driver that flushes everything later: `addPages` is then not called. */
  queued: boolean
  /** The granule of the noted leaves, bytes; 0 when nothing was noted. Different granules keep the smallest. */
  granule = 0
  /** Bit n: leaves, or tables, of level n (the manual's number) were unmapped; noted for formats whose flush order is `range`. */
  leafLevels = 0
  tableLevels = 0
  // The range as lanes, so that a call for one page makes no bigint.
  #noted = false
  #firstHi = 0
  #firstLo = 0
  #lastHi = -1
  #lastLo = -1
  #owner: GatherOwner | undefined
  #tables: TableList | undefined

  constructor(options: { readonly queued?: boolean } = {}) {
    this.queued = options.queued ?? false
  }

  /** First address noted by {@link IotlbGather.addRange}; meaningless when {@link IotlbGather.empty}. */
  get first(): bigint {
    return this.#noted ? join(this.#firstHi, this.#firstLo) : 0n
  }

  /** Last address noted, inclusive. */
  get last(): bigint {
    return this.#noted ? join(this.#lastHi, this.#lastLo) : -1n
  }

  /** Whether no range was noted. Tables may wait all the same: see {@link IotlbGather.pendingTables}. */
  get empty(): boolean {
    return !this.#noted
  }

  /** Tables that wait for the sync. */
  get pendingTables(): number {
    return this.#tables?.size ?? 0
  }

  /** Notes `count` leaves of `granule` bytes from `iova` on, extending the range; for drivers' `addPages`. */
  addRange(iova: bigint, granule: number, count: number): void {
    const address = BigInt.asUintN(64, iova)
    this.note(highOf(address), lowOf(address), granule, count)
  }

  /** {@link IotlbGather.addRange} for an address in lanes. */
  note(hi: number, lo: number, granule: number, count: number): void {
    // In two steps: the bytes of a range, less one, may have more bits than a number.
    const before = granule * (count - 1)
    const leafHi = advanceHi(hi, lo, before)
    const leafLo = advanceLo(lo, before)
    const lastHi = advanceHi(leafHi, leafLo, granule - 1)
    const lastLo = advanceLo(leafLo, granule - 1)
    if (!this.#noted || isBelow(hi, lo, this.#firstHi, this.#firstLo)) {
      this.#firstHi = hi
      this.#firstLo = lo
    }
    if (!this.#noted || isBelow(this.#lastHi, this.#lastLo, lastHi, lastLo)) {
      this.#lastHi = lastHi
      this.#lastLo = lastLo
    }
    if (!this.#noted || granule < this.granule) this.granule = granule
    this.#noted = true
  }

  /** Ties the gather to a table until its next sync. @throws `EINVAL` when it serves another one. */
  bind(owner: GatherOwner): void {
    if (this.#owner === owner) return
    if (this.#owner !== undefined) throw new IoPgtableError('EINVAL', 'gather', 'the gather holds unsynced work of another table')
    this.#owner = owner
  }

  /** Puts a table that left the tree on the list; it goes back to the pool in {@link IotlbGather.sync}. */
  defer(table: PtPtr): void {
    if (this.#owner === undefined) throw new IoPgtableError('EINVAL', 'gather', 'the gather serves no table yet')
    this.#tables ??= this.#owner.newFreeList()
    this.#tables.add(table)
  }

  /** Calls the driver's `sync`, then frees the waiting tables and starts afresh. A `sync` that throws leaves everything as it was. */
  sync(): void {
    const owner = this.#owner
    if (owner === undefined) return
    owner.syncGather(this)
    const tables = this.abandon()
    if (tables !== undefined) owner.freed(tables)
  }

  /** Starts afresh without a sync, and hands over the tables that wait: for a gather whose `sync` failed for good. */
  abandon(): TableList | undefined {
    this.#noted = false
    this.granule = 0
    this.leafLevels = 0
    this.tableLevels = 0
    this.#owner = undefined
    const tables = this.#tables
    this.#tables = undefined
    return tables
  }
}
