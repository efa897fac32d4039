/**
 * What callbacks that threw left undone. The change had been made, so that the same call made again finds nothing to do: what it did not tell
 * is told with the next gather of the table, and the tables that wait for that go back to the pool after it.
 */
import type { Compiled } from '../compile/compile.ts'
import type { TlbFlushOps } from '../tlb/flush.ts'
import { Gathered, type GatherOwner, gatheredOf, IotlbGather, type TableList } from '../tlb/gather.ts'

/** What this file needs of a table. */
export interface Owing extends GatherOwner {
  readonly compiled: Compiled
  readonly tlb: TlbFlushOps
  /** Undefined while there is nothing. */
  owed: Owed | undefined
  /** Tables whose flush failed. */
  readonly stranded: TableList[]
  /** Runs a callback. */
  call(callback: () => void): void
  /** Tells the walker of table memory. */
  tell(at: number, count: number): void
}

export class Owed {
  /** Table memory that the walker was not told of: word index and number of words. */
  readonly memory: [at: number, count: number][] = []
  /** Addresses whose leaves, and whose tables, the driver was to invalidate. */
  readonly leaves: Gathered = new Gathered()
  readonly walks: Gathered = new Gathered()
}

/** Entries from which on one invalidation of everything costs a driver less than one for each. */
const MOST = 0x1_0000

/** Notes that the leaves of a range may be in a TLB. */
export function oweLeaves(t: Owing, first: bigint, bytes: number): void {
  const { granule, policy, chain } = t.compiled
  const { leaves } = owedOf(t)
  leaves.addRange(first, granule, Math.ceil(bytes / granule))
  if (policy.flushOrder === 'range') for (const { node } of chain) leaves.leafLevels |= 1 << node.level
}

/** Notes that what a table translated may be in a TLB, and the way to it in a walk cache. */
export function oweWalk(t: Owing, first: bigint, bytes: number): void {
  const { granule } = t.compiled
  owedOf(t).walks.addRange(first, granule, Math.ceil(bytes / granule))
}

/** Notes that the walker was not told of table memory. */
export function oweMemory(t: Owing, at: number, count: number): void {
  owedOf(t).memory.push([at, count])
}

/** Ends a call's own gather after a callback threw: its range and its tables, in which a walker may still be, go into the next one. */
export function strand(t: Owing, own: IotlbGather): void {
  const gathered = gatheredOf(own)
  const { leaves } = owedOf(t)
  const { granule } = t.compiled
  if (gathered.noted) leaves.addRange(gathered.first, granule, entries(gathered, granule))
  leaves.leafLevels |= gathered.leafLevels
  leaves.tableLevels |= gathered.tableLevels
  t.stranded.push(...gathered.abandon())
}

/** Tells what is owed: at once what needs no gather, the rest by the gather that is about to be synced. */
export function tellOwed(t: Owing, owed: Owed, gather: IotlbGather): void {
  tellMemory(t, owed)
  tellWalks(t, owed.walks)
  tellLeaves(t, owed.leaves, gather)
  gatheredOf(gather).take(t.stranded)
}

/** Pays what is owed before a change whose caller gives no gather that would. */
export function settle(t: Owing, owed: Owed): void {
  tellMemory(t, owed)
  if (!owed.leaves.noted && !owed.walks.noted && t.stranded.length === 0) {
    t.owed = undefined
    return
  }
  syncOwn(t, new IotlbGather())
}

/** Syncs a gather that ends with its call. */
export function syncOwn(t: Owing, own: IotlbGather): void {
  gatheredOf(own).bind(t)
  try {
    own.sync()
  } catch (error) {
    strand(t, own)
    throw error
  }
}

export function tellMemory(t: Owing, { memory }: Owed): void {
  for (let first = memory[0]; first !== undefined; first = memory[0]) {
    t.tell(...first)
    memory.shift()
  }
}

function tellWalks(t: Owing, walks: Gathered): void {
  if (!walks.noted) return
  const { first, granule } = walks
  const bytes = granule * entries(walks, granule)
  t.call(() => (Number.isSafeInteger(bytes) ? t.tlb.flushWalk(first, bytes, granule) : t.tlb.flushAll()))
  walks.abandon()
}

function tellLeaves(t: Owing, leaves: Gathered, gather: IotlbGather): void {
  const gathered = gatheredOf(gather)
  gathered.leafLevels |= leaves.leafLevels
  gathered.tableLevels |= leaves.tableLevels
  if (!leaves.noted || gather.queued) return
  const { first, granule } = leaves
  const count = entries(leaves, granule)
  if (t.compiled.policy.flushOrder === 'range' || t.tlb.addPages === undefined) gathered.addRange(first, granule, count)
  else t.call(() => (count > MOST ? t.tlb.flushAll() : t.tlb.addPages?.(gather, first, granule, count)))
}

/** How many entries of a size a range takes. */
function entries({ first, last }: Gathered, granule: number): number {
  return Number((last - first) / BigInt(granule)) + 1
}

function owedOf(t: Owing): Owed {
  t.owed ??= new Owed()
  return t.owed
}
