/** What a table is made with, beside its format's configuration. */
import type { PtPool } from '@io-pgtable/pt-allocator'
import type { LifetimeDebug } from '../device/lifetime.ts'
import { IoPgtableError } from '../errors.ts'
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

/** What a caller may give that is called. */
interface Called extends Pick<TableOptions, 'tlb' | 'onWarn' | 'onRoot' | 'debug'> {
  readonly onForeign?: unknown
}

/** A callback that is none would be found out when it is wanted, at the latest by `free`. @throws `EINVAL` that names it */
export function checkHooks(op: string, options: Called): void {
  const { tlb, onWarn, onRoot, onForeign, debug } = objectOf(op, 'options', options)
  const report = debug?.lifetime === undefined ? undefined : objectOf(op, 'debug.lifetime', debug.lifetime).report
  const known = { onWarn, onRoot, onForeign, 'debug.lifetime.report': report, 'tlb.addPages': tlb?.addPages, 'tlb.sync': tlb?.sync }
  for (const [name, hook] of Object.entries(known)) if (hook !== undefined) mustCall(op, name, hook)
  if (tlb === undefined) return
  const { flushAll, flushWalk } = objectOf(op, 'tlb', tlb)
  mustCall(op, 'tlb.flushAll', flushAll)
  mustCall(op, 'tlb.flushWalk', flushWalk)
}

function mustCall(op: string, name: string, hook: unknown): void {
  if (typeof hook !== 'function') throw new IoPgtableError('EINVAL', op, `${name} is ${show(hook)}, not a function`)
}

function objectOf<T>(op: string, name: string, value: T): T {
  if (typeof value === 'object' && value !== null) return value
  throw new IoPgtableError('EINVAL', op, `${name} is ${show(value)}, not an object`)
}

function show(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
