/** What a table is made with, beside its format's configuration. */
import type { PtPool } from '@io-pgtable/pt-allocator'
import type { LifetimeDebug } from '../device/lifetime.ts'
import type { IoPgtableError } from '../errors.ts'
import type { TlbFlushOps } from '../tlb/flush.ts'

export interface DebugOptions {
  /** End a call at the end of a table, as a kernel does, so that the caller's loop can be tested. */
  readonly oneTablePerCall?: boolean
  /** Throw `EBUSY` when two calls work on overlapping ranges at once. */
  readonly rangeLock?: boolean
  /** Report a table of `createRaw` that outlives its device, or that nobody frees. */
  readonly lifetime?: LifetimeDebug
}

/** What a table needs beside its format's configuration. */
export interface TableOptions {
  readonly allocator: PtPool
  /** The driver's TLB maintenance. Default {@link NOOP_FLUSH_OPS}. */
  readonly tlb?: TlbFlushOps
  /** Told of conflicts and of unmaps of a part of a leaf, unless the configuration has the NO_WARN quirk. */
  readonly onWarn?: (warning: IoPgtableError) => void
  readonly debug?: DebugOptions
  /**
   * The root grew (formats that declare it): the device must get these registers before it is given an address that only the new root
   * reaches. Called before the call that grew it returns.
   */
  readonly onRoot?: (regs: unknown) => void
  /** For leak reports. Default: the format's id. */
  readonly name?: string
}

/** The members of {@link TableOptions}: of what is made with a table, all others are its configuration's. */
export const TABLE_OPTIONS: readonly string[] = Object.keys({
  allocator: true,
  tlb: true,
  onWarn: true,
  debug: true,
  onRoot: true,
  name: true,
} satisfies Record<keyof TableOptions, true>)

/** The hooks of a table that a worker opens by its token. */
export interface AttachOptions extends Pick<TableOptions, 'tlb' | 'onWarn' | 'onRoot'> {
  /** As the pool's `sync`. */
  readonly sync?: (paddr: bigint, byteLength: number) => void
  /** As the pool's `onPressure`. */
  readonly onPressure?: (bytes: number) => void
}
