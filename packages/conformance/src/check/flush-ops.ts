/** A device's TLB as a driver's invalidation commands reach it, and the callbacks of the architectures that the laws know. */
import type { IotlbGather, TlbFlushOps } from '@io-pgtable/core'
import type { Case } from './case.ts'
import type { CachedEntry } from './iotlb.ts'
import { Fault } from './law.ts'

/** What a driver makes of a device's TLB: the callbacks that invalidate it. */
export type MakeFlushOps = (device: DeviceTlb) => TlbFlushOps

/**
 * The TLB of a device under test, as its hardware's invalidation commands reach it. A driver's model calls `remove` for what a command
 * really removes, no more: addresses are those that the driver was given.
 */
export interface DeviceTlb {
  remove(which: (entry: CachedEntry) => boolean): void
  removeAll(): void
  /** Removes what translates any of `count` addresses from `iova` on, `step` bytes apart. */
  removeAt(iova: bigint, step: number, count: number, which?: (entry: CachedEntry) => boolean): void
}

export const leafOnly = (entry: CachedEntry): boolean => entry.type === 'leaf'

/** The invalidations of the Arm architecture, or for a flush order of `range` those of one range with its levels. */
export function referenceFlushOps(c: Case): MakeFlushOps {
  return c.policy.flushOrder === 'range' ? rangeOps : byAddressOps
}

/** TLBI by address: `flushWalk` all levels, `addPages` the last level alone, done by the time of the sync. */
const byAddressOps: MakeFlushOps = (tlb) => ({
  flushAll: () => tlb.removeAll(),
  flushWalk: (iova, size, granule) => tlb.removeAt(iova, granule, Math.ceil(size / granule)),
  addPages: (gather, iova, granule, count) => {
    if (gather === undefined) tlb.removeAt(iova, granule, count, leafOnly)
    else notes(gather).push({ iova, granule, count })
  },
  sync: (gather) => {
    if (gather.queued) tlb.removeAll()
    for (const { iova, granule, count } of notes(gather).splice(0)) tlb.removeAt(iova, granule, count, leafOnly)
  },
})

interface Note {
  readonly iova: bigint
  readonly granule: number
  readonly count: number
}

const noted = new WeakMap<IotlbGather, Note[]>()

function notes(gather: IotlbGather): Note[] {
  const list = noted.get(gather) ?? []
  noted.set(gather, list)
  return list
}

/** Only `sync` is called: leaves of the levels that the gather names, in its range; tables when any wait, of the levels that it names. */
const rangeOps: MakeFlushOps = (tlb) => ({
  flushAll: () => {
    throw new Fault('flushAll is called, where the flush order is `range`: only sync is expected')
  },
  flushWalk: () => {
    throw new Fault('flushWalk is called, where the flush order is `range`: only sync is expected')
  },
  sync: (gather) => {
    if (gather.empty) return
    const { first, last, granule, leafLevels, tableLevels, pendingTables } = gather
    const count = Number((last - first) / BigInt(granule)) + 1
    tlb.removeAt(first, granule, count, ({ type, level }) =>
      type === 'leaf' ? (leafLevels >> level) % 2 === 1 : pendingTables > 0 && (tableLevels >> level) % 2 === 1,
    )
  },
})
