/** TLB maintenance belongs to the driver: the callbacks that a table issues, with the semantics of Linux's `struct iommu_flush_ops`. */
import type { IotlbGather } from './gather.ts'

/**
 * What a driver does when a table changes. Every callback may read the table; changing it from inside one is `EBUSY`. One that throws loses
 * nothing: what it had to invalidate is told again with the next gather of the table, and tables that it was called for wait for that.
 */
export interface TlbFlushOps {
  /** Invalidate everything of this table. */
  flushAll(): void
  /**
   * Invalidate leaf entries and walk caches of `size` bytes from `iova`, whose table is about to be freed.
   * @param granule smallest page size, bytes
   */
  flushWalk(iova: bigint, size: number, granule: number): void
  /**
   * `count` entries of `granule` bytes each, from `iova` on, were unmapped (a repeated mapping counts every entry): invalidate them, or
   * note them in the gather for `sync`.
   * Without this callback the engine notes the range in the gather itself.
   * @param gather undefined when the caller unmaps without one (formats that report pages all the same)
   */
  addPages?(gather: IotlbGather | undefined, iova: bigint, granule: number, count: number): void
  /** Invalidate what the gather noted and wait until it is done. Called by {@link IotlbGather.sync}; the gather's tables are freed after it. */
  sync?(gather: IotlbGather): void
}

/** For devices whose firmware invalidates by range, once for many operations: every callback does nothing. */
export const NOOP_FLUSH_OPS: TlbFlushOps = Object.freeze({
  flushAll(): void {},
  flushWalk(): void {},
  addPages(): void {},
  sync(): void {},
})

/** `addPages` in Linux's form: `addPage(gather, iova, granule)` once for each leaf. */
export function perPage(
  addPage: (gather: IotlbGather | undefined, iova: bigint, granule: number) => void,
): NonNullable<TlbFlushOps['addPages']> {
  return (gather, iova, granule, count) => {
    for (let i = 0; i < count; i++) addPage(gather, iova + BigInt(granule) * BigInt(i), granule)
  }
}
