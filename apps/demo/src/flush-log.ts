/** A driver's TLB maintenance that only writes down what it is asked for. */
import type { IotlbGather, TlbFlushOps } from '@io-pgtable/core'
import type { TlbEvent } from './report.ts'

export class FlushLog implements TlbFlushOps {
  #events: TlbEvent[] = []

  flushAll(): void {
    this.#events.push({ call: 'flushAll' })
  }

  flushWalk(iova: bigint, size: number, granule: number): void {
    this.#events.push({ call: 'flushWalk', iova, size, granule })
  }

  addPages(gather: IotlbGather | undefined, iova: bigint, granule: number, count: number): void {
    gather?.addRange(iova, granule, count)
    this.#events.push({ call: 'addPages', iova, granule, count })
  }

  sync(gather: IotlbGather): void {
    const noted = gather.empty ? {} : { iova: gather.first, size: Number(gather.last - gather.first) + 1, granule: gather.granule }
    this.#events.push({ call: 'sync', ...noted })
  }

  /** The events since the last call. */
  take(): TlbEvent[] {
    const events = this.#events
    this.#events = []
    return events
  }
}
