/** From the engine's callbacks to an IOMMU's invalidation commands: the part of a driver that all IOMMUs share. */
import type { IotlbGather, TlbFlushOps } from '@io-pgtable/core'
import type { Stage } from './iommu.ts'

/** The commands of an IOMMU. */
export interface Invalidate {
  /** All translations of the address space. */
  all(): void
  /** The leaf that translates an address, of `granule` bytes; with `walk` what was cached of the tables above, too. */
  page(iova: bigint, granule: number, walk: boolean): void
}

/**
 * `each-page`: pages are invalidated as the engine reports them, with `addPages`. `gather`: the engine notes ranges in the gather, and they
 * are invalidated in `sync`. Formats that report a range for the whole call use `sync` in either style.
 */
export type TlbStyle = 'each-page' | 'gather'

/** More commands than this for a range cost more than a cold TLB. */
const MOST_COMMANDS = 2048n

/** The callbacks as commands. */
export function tlbOf(invalidate: Invalidate, style: TlbStyle): Stage<unknown>['tlb'] {
  const range = (first: bigint, last: bigint, granule: number, walk = false): void => {
    const step = BigInt(granule)
    if ((last - first) / step >= MOST_COMMANDS) invalidate.all()
    else for (let iova = first; iova <= last; iova += step) invalidate.page(iova, granule, walk)
  }
  const tlb = {
    flushAll: (): void => invalidate.all(),
    flushWalk: (iova: bigint, size: number, granule: number): void => range(iova, iova + BigInt(size) - 1n, granule, true),
    sync: (gather: IotlbGather): void => {
      if (!gather.empty) range(gather.first, gather.last, gather.granule, gather.tableLevels !== 0)
    },
  }
  if (style === 'gather') return tlb
  const addPages: TlbFlushOps['addPages'] = (_gather, iova, granule, count) =>
    range(iova, iova + BigInt(granule) * BigInt(count) - 1n, granule)
  return { ...tlb, addPages }
}
