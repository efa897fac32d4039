/** The driver's side of a table under test: writes down every TLB event. */
import type { IotlbGather, TlbFlushOps } from '@io-pgtable/core'
import type { Invalidation, TlbEvent } from './operations.ts'

export class TlbLog {
  readonly #events: TlbEvent[] = []
  readonly #syncs: Invalidation[] = []
  readonly #levels: ((levels: number) => number) | undefined

  /**
   * @param levels turns the level bits of a gather into those of the files, for tables whose hardware is told the levels; without it they
   * are left out
   */
  constructor(levels: ((levels: number) => number) | undefined) {
    this.#levels = levels
  }

  /** Events since the last call. */
  takeEvents(): TlbEvent[] {
    return this.#events.splice(0)
  }

  /** Gathers synced since the last call. */
  takeSyncs(): Invalidation[] {
    return this.#syncs.splice(0)
  }

  /**
   * Callbacks for a table.
   * @param pages whether each run of unmapped leaves is an event; without it they only extend the gather
   */
  callbacks(pages: boolean): TlbFlushOps {
    const events = this.#events
    const syncs = this.#syncs
    const ops: TlbFlushOps = {
      flushAll: () => void events.push({ event: 'flushAll' }),
      flushWalk: (iova, size, granule) => void events.push({ event: 'flushWalk', iova, size, granule }),
      sync: (gather) => void syncs.push(this.invalidationOf(gather)),
    }
    if (!pages) return ops
    return { ...ops, addPages: (_, iova, granule, count) => void events.push({ event: 'addPage', iova, granule, count }) }
  }

  /** What a gather holds before its sync. */
  invalidationOf(gather: IotlbGather): Invalidation {
    const range = { start: gather.first, end: gather.last, freedTables: gather.pendingTables }
    if (this.#levels === undefined) return range
    return { ...range, leafLevels: this.#levels(gather.leafLevels), tableLevels: this.#levels(gather.tableLevels) }
  }
}
