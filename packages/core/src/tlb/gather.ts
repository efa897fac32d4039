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
  /** The tables of the lists go back to the pool. */
  freed(lists: readonly TableList[]): void
}

/** What is in a gather, as the engine uses it: a driver has no way to these members. */
export class Gathered {
  /** Smallest granule noted, bytes; 0 when nothing was noted. */
  granule = 0
  leafLevels = 0
  tableLevels = 0
  noted = false
  // The range as lanes, so that a call for one page makes no bigint.
  #firstHi = 0
  #firstLo = 0
  #lastHi = -1
  #lastLo = -1
  owner: GatherOwner | undefined
  /** Lists of tables that wait: what a flush that threw left behind comes as a list of its own. */
  #tables: TableList[] = []
  #own: TableList | undefined

  get first(): bigint {
    return this.noted ? join(this.#firstHi, this.#firstLo) : 0n
  }

  get last(): bigint {
    return this.noted ? join(this.#lastHi, this.#lastLo) : -1n
  }

  get pendingTables(): number {
    return this.#tables.reduce((sum, { size }) => sum + size, 0)
  }

  /** Notes `count` leaves of `granule` bytes from an address on, extending the range. */
  note(hi: number, lo: number, granule: number, count: number): void {
    // In two steps: the bytes of a range, less one, may have more bits than a number.
    const before = granule * (count - 1)
    const leafHi = advanceHi(hi, lo, before)
    const leafLo = advanceLo(lo, before)
    const lastHi = advanceHi(leafHi, leafLo, granule - 1)
    const lastLo = advanceLo(leafLo, granule - 1)
    if (!this.noted || isBelow(hi, lo, this.#firstHi, this.#firstLo)) {
      this.#firstHi = hi
      this.#firstLo = lo
    }
    if (!this.noted || isBelow(this.#lastHi, this.#lastLo, lastHi, lastLo)) {
      this.#lastHi = lastHi
      this.#lastLo = lastLo
    }
    if (!this.noted || granule < this.granule) this.granule = granule
    this.noted = true
  }

  /** {@link Gathered.note} for an address that is a bigint. */
  addRange(iova: bigint, granule: number, count: number): void {
    const address = BigInt.asUintN(64, iova)
    this.note(highOf(address), lowOf(address), granule, count)
  }

  /** Ties the gather to a table until its next sync. @throws `EINVAL` when it serves another one. */
  bind(owner: GatherOwner): void {
    if (this.owner === owner) return
    if (this.owner !== undefined) throw new IoPgtableError('EINVAL', 'gather', 'the gather holds unsynced work of another table')
    this.owner = owner
  }

  /** Puts a table that left the tree on the list; it goes back to the pool in {@link IotlbGather.sync}. */
  defer(table: PtPtr): void {
    if (this.#own === undefined) {
      if (this.owner === undefined) throw new Error('the gather serves no table yet')
      this.#own = this.owner.newFreeList()
      this.#tables.push(this.#own)
    }
    this.#own.add(table)
  }

  /** Takes lists over of tables that wait already. */
  take(lists: TableList[]): void {
    this.#tables.push(...lists.splice(0))
  }

  /** Starts afresh, and hands over the tables that wait. */
  abandon(): TableList[] {
    this.noted = false
    this.granule = 0
    this.leafLevels = 0
    this.tableLevels = 0
    this.owner = undefined
    const tables = this.#tables
    this.#tables = []
    this.#own = undefined
    return tables
  }
}

/** The engine's way into a gather, which the package does not export. */
export let gatheredOf: (gather: IotlbGather) => Gathered
/** Whether a value is a gather, and no proxy of one, which has no such way. */
export let isGather: (value: unknown) => boolean

/**
 * Collects what several unmaps of one table must invalidate. Tables that those unmaps took out of use stay allocated until
 * {@link IotlbGather.sync}, since a walker may still be in them. A gather serves one table at a time, and may be used again after a sync.
 */
export class IotlbGather {
  /** Set by a driver that flushes everything later: `addPages` is then not called. */
  queued: boolean
  readonly #gathered: Gathered = new Gathered()

  static {
    gatheredOf = (gather) => gather.#gathered
    isGather = (value) => typeof value === 'object' && value !== null && #gathered in value
  }

  constructor(options: { readonly queued?: boolean } = {}) {
    this.queued = options.queued ?? false
  }

  /** First address noted by {@link IotlbGather.addRange}; meaningless when {@link IotlbGather.empty}. */
  get first(): bigint {
    return this.#gathered.first
  }

  /** Last address noted, inclusive. */
  get last(): bigint {
    return this.#gathered.last
  }

  /** The granule of the noted leaves, bytes; 0 when nothing was noted. Different granules keep the smallest. */
  get granule(): number {
    return this.#gathered.granule
  }

  /** Bit n: leaves of level n (the manual's number) were unmapped; noted for formats whose flush order is `range`. */
  get leafLevels(): number {
    return this.#gathered.leafLevels
  }

  /** Notes the level of tables that were unmapped. */
  get tableLevels(): number {
    return this.#gathered.tableLevels
  }

  /** Whether no range was noted. Tables may wait all the same: see {@link IotlbGather.pendingTables}. */
  get empty(): boolean {
    return !this.#gathered.noted
  }

  /** Tables that wait for the sync. */
  get pendingTables(): number {
    return this.#gathered.pendingTables
  }

  /** Notes `count` leaves of `granule` bytes from `iova` on, extending the range; for drivers' `addPages`. */
  addRange(iova: bigint, granule: number, count: number): void {
    if (typeof iova !== 'bigint') throw new IoPgtableError('EINVAL', 'gather', `iova ${String(iova)}: a bigint expected`)
    this.#gathered.addRange(iova, granule, count)
  }

  /**
   * Calls the driver's `sync`, then frees the waiting tables and starts afresh. A `sync` that throws leaves everything as it was. What flushes
   * of this table that threw before left undone is done with it.
   * @throws `EBUSY` from inside a callback of the table, except `onPressure`
   */
  sync(): void {
    const gathered = this.#gathered
    const { owner } = gathered
    if (owner === undefined) return
    owner.syncGather(this)
    owner.freed(gathered.abandon())
  }
}
