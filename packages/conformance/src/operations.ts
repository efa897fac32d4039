/** The operations of a vector file: their types, and their strict reader. */
import type { Prot, VectorBinding, VectorLevel } from '@io-pgtable/core'
import { anyMembers, countOf, hexOf, levelOf, listOf, malformed, members, nullOr, protAt, rawOf, textOf, tupleOf } from './fields.ts'

/** One TLB event: everything, a walk of `size` bytes, or `count` leaves of `granule` bytes from `iova` on. */
export type TlbEvent =
  | { readonly event: 'flushAll' }
  | { readonly event: 'flushWalk'; readonly iova: bigint; readonly size: number; readonly granule: number }
  | { readonly event: 'addPage'; readonly iova: bigint; readonly granule: number; readonly count: number }

/** What one invalidation of a generic_pt table covered: `start` to `end` inclusive, and how many tables were freed after it. */
export interface Invalidation {
  readonly start: bigint
  readonly end: bigint
  readonly freedTables: number
  /** Bit n: leaves, or tables, of level n went; recorded for hardware that is told. */
  readonly leafLevels?: number
  readonly tableLevels?: number
}

/** `count` consecutive leaf slots of one level from `iova` on, the raw value rising by `step`. */
export interface LeafFold {
  readonly iova: bigint
  readonly level: VectorLevel
  readonly raw: bigint
  readonly count: number
  readonly step: bigint
}

export interface TableEntry {
  readonly iova: bigint
  readonly level: VectorLevel
  /** Without the next table's address. */
  readonly raw: bigint
}

export interface MapOperation {
  readonly op: 'map'
  readonly iova: bigint
  readonly paddr: bigint
  readonly pgsize: number
  readonly pgcount: number
  readonly prot: Prot
  readonly mapped: number
  readonly error: string | null
  /** null: not recorded. */
  readonly tlb: readonly TlbEvent[] | null
}

export interface UnmapOperation {
  readonly op: 'unmap'
  readonly iova: bigint
  readonly pgsize: number
  readonly pgcount: number
  readonly unmapped: number
  /** null: not recorded. */
  readonly tlb: readonly TlbEvent[] | null
}

export interface MapRangeOperation {
  readonly op: 'mapRange'
  readonly iova: bigint
  readonly paddr: bigint
  readonly size: number
  readonly prot: Prot
  readonly mapped: number
  readonly error: string | null
  /** The level of the root, where it grew. */
  readonly newTopLevel: number | null
  /** null: not recorded. */
  readonly sync: readonly Invalidation[] | null
}

export interface UnmapRangeOperation {
  readonly op: 'unmapRange'
  readonly iova: bigint
  readonly size: number
  readonly unmapped: number
  /** null: nothing to invalidate; undefined: not recorded. */
  readonly gather: Invalidation | null | undefined
}

export interface TranslateOperation {
  readonly op: 'translate'
  readonly iova: bigint
  readonly result: bigint | null
}

export interface DumpOperation {
  readonly op: 'dump'
  /** The level of the root; recorded where it may grow. */
  readonly topLevel: number | null
  readonly leaves: readonly LeafFold[]
  readonly tables: readonly TableEntry[]
  readonly tableBytes: number
}

export interface FreeOperation {
  readonly op: 'free'
  /** null: not recorded. */
  readonly tlb: readonly TlbEvent[] | null
  readonly tableBytes: number
}

export type Operation =
  | MapOperation
  | UnmapOperation
  | MapRangeOperation
  | UnmapRangeOperation
  | TranslateOperation
  | DumpOperation
  | FreeOperation

type Family = Exclude<VectorBinding['family'], 'driver'>

/** Reads the operations of a file. TLB events that no operation of it has were not recorded. @throws `EBADMSG` */
export function operationsOf(value: unknown, at: string, family: Family): Operation[] {
  const recorded = Array.isArray(value) && value.some(hasEvents)
  const ops = listOf(value, at, (op, place) => operationOf(op, place, family))
  return recorded ? ops : ops.map(withoutEvents)
}

function hasEvents(op: unknown): boolean {
  return typeof op === 'object' && op !== null && ('tlb' in op || 'gather' in op || 'sync' in op)
}

/** An operation whose events were not recorded, where the reader took their absence for none. */
function withoutEvents(op: Operation): Operation {
  if (op.op === 'map') return { ...op, tlb: null }
  return op.op === 'mapRange' ? { ...op, sync: null } : op
}

function operationOf(value: unknown, at: string, family: Family): Operation {
  const name = textOf(anyMembers(value, at).op, `${at}.op`)
  const read = (family === 'generic_pt' ? RANGE_READERS : PAGE_READERS)[name] ?? READERS[name]
  if (read === undefined) throw malformed(`${at}.op`, `an operation of ${family}`, name)
  return read(value, at)
}

type Readers = Readonly<Record<string, ((value: unknown, at: string) => Operation) | undefined>>

const READERS: Readers = {
  translate(value, at) {
    const { iova, result } = members(value, at, ['op', 'iova', 'result'])
    return { op: 'translate', iova: hexOf(iova, `${at}.iova`), result: nullOr(result, `${at}.result`, hexOf) }
  },
  free(value, at) {
    const { tlb, tableBytes } = members(value, at, ['op', 'tableBytes'], ['tlb'])
    return { op: 'free', tlb: eventsOf(tlb, `${at}.tlb`), tableBytes: countOf(tableBytes, `${at}.tableBytes`) }
  },
}

/** What io-pgtable has. */
const PAGE_READERS: Readers = {
  map(value, at) {
    const { tlb = [], ...op } = members(value, at, ['op', 'iova', 'paddr', 'pgsize', 'pgcount', 'prot', 'result'], ['tlb'])
    return {
      op: 'map',
      ...pages(op, at),
      paddr: hexOf(op.paddr, `${at}.paddr`),
      prot: protAt(op.prot, `${at}.prot`),
      ...mapResult(op.result, `${at}.result`),
      tlb: listOf(tlb, `${at}.tlb`, tlbEvent),
    }
  },
  unmap(value, at) {
    const op = members(value, at, ['op', 'iova', 'pgsize', 'pgcount', 'result'], ['tlb'])
    return { op: 'unmap', ...pages(op, at), unmapped: unmapResult(op.result, `${at}.result`), tlb: eventsOf(op.tlb, `${at}.tlb`) }
  },
  dump(value, at) {
    return { ...dump(members(value, at, ['op', 'leaves', 'tables', 'tableBytes']), at), topLevel: null }
  },
}

/** What generic_pt has. */
const RANGE_READERS: Readers = {
  mapRange(value, at) {
    const { sync = [], ...op } = members(value, at, ['op', 'iova', 'paddr', 'size', 'prot', 'result'], ['newTopLevel', 'sync'])
    return {
      op: 'mapRange',
      iova: hexOf(op.iova, `${at}.iova`),
      paddr: hexOf(op.paddr, `${at}.paddr`),
      size: countOf(op.size, `${at}.size`),
      prot: protAt(op.prot, `${at}.prot`),
      ...mapResult(op.result, `${at}.result`),
      newTopLevel: 'newTopLevel' in op ? countOf(op.newTopLevel, `${at}.newTopLevel`) : null,
      sync: listOf(sync, `${at}.sync`, invalidation),
    }
  },
  unmapRange(value, at) {
    const op = members(value, at, ['op', 'iova', 'size', 'result'], ['gather'])
    return {
      op: 'unmapRange',
      iova: hexOf(op.iova, `${at}.iova`),
      size: countOf(op.size, `${at}.size`),
      unmapped: unmapResult(op.result, `${at}.result`),
      gather: op.gather === undefined ? undefined : nullOr(op.gather, `${at}.gather`, invalidation),
    }
  },
  dump(value, at) {
    const op = members(value, at, ['op', 'topLevel', 'leaves', 'tables', 'tableBytes'])
    return { ...dump(op, at), topLevel: countOf(op.topLevel, `${at}.topLevel`) }
  },
}

function eventsOf(value: unknown, at: string): TlbEvent[] | null {
  return value === undefined ? null : listOf(value, at, tlbEvent)
}

function pages(op: Record<string, unknown>, at: string): { iova: bigint; pgsize: number; pgcount: number } {
  return {
    iova: hexOf(op.iova, `${at}.iova`),
    pgsize: countOf(op.pgsize, `${at}.pgsize`),
    pgcount: countOf(op.pgcount, `${at}.pgcount`),
  }
}

function mapResult(value: unknown, at: string): { mapped: number; error: string | null } {
  const { mapped, error } = members(value, at, ['mapped', 'error'])
  return { mapped: countOf(mapped, `${at}.mapped`), error: nullOr(error, `${at}.error`, textOf) }
}

function unmapResult(value: unknown, at: string): number {
  return countOf(members(value, at, ['unmapped']).unmapped, `${at}.unmapped`)
}

export function dump(op: Record<string, unknown>, at: string): Omit<DumpOperation, 'topLevel'> {
  return {
    op: 'dump',
    leaves: listOf(op.leaves, `${at}.leaves`, leafFold),
    tables: listOf(op.tables, `${at}.tables`, tableEntry),
    tableBytes: countOf(op.tableBytes, `${at}.tableBytes`),
  }
}

function leafFold(value: unknown, at: string): LeafFold {
  const [iova, level, raw, count, step] = tupleOf(value, at, 5)
  if (count === 0) throw malformed(at, 'a count of at least 1', value)
  return { iova: hexOf(iova, at), level: levelOf(level, at), raw: rawOf(raw, at), count: countOf(count, at), step: rawOf(step, at) }
}

function tableEntry(value: unknown, at: string): TableEntry {
  const [iova, level, raw] = tupleOf(value, at, 3)
  return { iova: hexOf(iova, at), level: levelOf(level, at), raw: rawOf(raw, at) }
}

function tlbEvent(value: unknown, at: string): TlbEvent {
  const [event] = listOf(value, at, (item) => item)
  if (event === 'flushAll') {
    tupleOf(value, at, 1)
    return { event }
  }
  if (event !== 'flushWalk' && event !== 'addPage') throw malformed(at, 'flushAll, flushWalk or addPage', value)
  const [, iova, second, third] = tupleOf(value, at, 4)
  if (event === 'flushWalk') return { event, iova: hexOf(iova, at), size: countOf(second, at), granule: countOf(third, at) }
  return { event, iova: hexOf(iova, at), granule: countOf(second, at), count: countOf(third, at) }
}

function invalidation(value: unknown, at: string): Invalidation {
  const op = members(value, at, ['start', 'end', 'freedTables'], ['leafLevels', 'tableLevels'])
  return {
    start: hexOf(op.start, `${at}.start`),
    end: hexOf(op.end, `${at}.end`),
    freedTables: countOf(op.freedTables, `${at}.freedTables`),
    ...('leafLevels' in op ? { leafLevels: countOf(op.leafLevels, `${at}.leafLevels`) } : {}),
    ...('tableLevels' in op ? { tableLevels: countOf(op.tableLevels, `${at}.tableLevels`) } : {}),
  }
}
