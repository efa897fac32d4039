/** What every format's configuration has, and the policy that follows from one. */
import type { Match } from './bits.ts'

/** What frameworks and hardware do differently, as data. */
export interface Policy {
  /**
   * What is checked before anything is written: `table`, the run inside one table as a whole;
   * `entry`, each mapping by itself, so that a conflict leaves a prefix.
   */
  readonly conflict: 'table' | 'entry'
  /** Slots after which a run of `conflict: 'table'` ends, where that is less than the table (concatenated roots). */
  readonly runSlots?: number
  /**
   * What an unmap takes down. `slot`: entries of the pgsize; a table in such an entry goes whole, whatever it holds, and a part of a larger
   * leaf is refused. `never`: the same, but a table is in the way. `covered`: mapping by mapping up to the first hole, and each table that
   * the range covers; a larger leaf goes whole when the range starts at its head (more is then unmapped than was asked), and is refused
   * from its middle.
   */
  readonly freeTables: 'slot' | 'never' | 'covered'
  /**
   * TLB events of a run: all `flushWalk` and then one `addPages` for every slot; slot by slot, tables without `addPages`; or `range`, one
   * gather for the whole call that holds the range, the levels and the tables: then only `sync` is called, also by `free`.
   */
  readonly flushOrder: 'walks-first' | 'slot-order' | 'range'
  /** Whether `addPages` is called when the caller gave no gather. */
  readonly addPagesWithoutGather: boolean
  /**
   * What hardware must not see change from one valid descriptor to another. The entry is then emptied, and its translations are flushed,
   * before it is written again. `size`: a leaf that gives way to smaller ones, or to a table. `fields`: attributes, by their names.
   */
  readonly breakBeforeMake?: { readonly size: boolean; readonly fields: readonly string[] }
  /** Dirty tracking: a leaf is dirty when `dirty` matches; `clear` and `set` make it clean. */
  readonly dirty?: { readonly dirty: Match; readonly clear: bigint; readonly set: bigint }
}

/** What every format's configuration holds, as Linux's `struct io_pgtable_cfg`. */
export interface FormatConfig<Q extends string = string> {
  /** The page sizes wanted; the format narrows them. See {@link pgsizeBitmap}. */
  readonly pgsizeBitmap: bigint
  /** Input address bits. */
  readonly ias: number
  /** Output address bits. */
  readonly oas: number
  /** Default: none. */
  readonly quirks?: readonly Q[]
  /** Whether the walker snoops CPU caches. Default true. */
  readonly coherentWalk?: boolean
  /** The granule preferred where several are offered, bytes. Default 4096. */
  readonly cpuPageSize?: number
}

/** A configuration as agreed: narrowed, nothing left out. */
export type Agreed<C> = Readonly<Required<C>>
