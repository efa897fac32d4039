/** What a pool tells of itself: sums and leaks. Cold; the caller holds the lock. */
import type { Arena } from './arena.ts'
import * as L from './layout.ts'
import type { OwnerNames } from './owners.ts'
import type { PtPtr } from './pool.ts'

/** Byte totals are of what was asked for, exactly. */
export interface PtPoolStats {
  /** Bytes allocated now, and the most that ever were. */
  readonly live: number
  readonly peak: number
  /** Allocations made since the pool was created. */
  readonly allocations: number
  /** Blocks by their size in bytes, for each size that was ever allocated. */
  readonly classes: Readonly<Record<number, { readonly live: number; readonly peak: number }>>
  /** Bytes of the pool up to the end of the highest block ever allocated: the operating system had to provide no more. */
  readonly committed: number
  /** Bytes of bookkeeping for the committed memory. */
  readonly overhead: number
}

/** A block that is still allocated. */
export interface PtLeak {
  readonly ptr: PtPtr
  readonly paddr: bigint
  readonly bytes: number
  /** Name of its owner; `#7` when another thread named it. */
  readonly owner: string
}

export function statsOf(meta: Int32Array, layout: L.Layout): PtPoolStats {
  const classes: Record<number, { live: number; peak: number }> = {}
  for (let shift = L.MIN_SHIFT; shift <= L.MAX_SHIFT; shift++) {
    const peak = meta[L.CLASS_PEAK + shift]!
    if (peak > 0) classes[2 ** shift] = { live: meta[L.CLASS_LIVE + shift]!, peak }
  }
  return {
    live: meta[L.LIVE]! * L.UNIT,
    peak: meta[L.PEAK]! * L.UNIT,
    allocations: (meta[L.ALLOCS_LO]! >>> 0) + meta[L.ALLOCS_HI]! * 2 ** 32,
    classes,
    committed: meta[L.MARK]! * L.PAGE,
    overhead: overheadOf(meta, layout),
  }
}

/** The header, then records and free sets as far as they cover committed pages, then side records. */
function overheadOf(meta: Int32Array, layout: L.Layout): number {
  const sets = layout.records - L.HEADER_WORDS
  const share = meta[L.MARK]! / layout.pages
  return L.HEADER_WORDS * 4 + meta[L.MARK]! * L.RECORD_WORDS * 4 + Math.ceil(share * sets) * 4 + meta[L.SIDE_BYTES]!
}

export function leaksOf(arena: Arena, owners: OwnerNames, base: bigint): readonly PtLeak[] {
  const leaks: PtLeak[] = []
  arena.forEachLive((ptr, shift, owner) => {
    leaks.push({ ptr: ptr as PtPtr, paddr: base + BigInt(ptr), bytes: 2 ** shift, owner: owners.nameOf(owner) })
  })
  return leaks
}
