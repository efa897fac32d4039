/** One call on a table at work: where it stands, what it wants, why it stopped. */
import type { LeafPlan } from '../compile/leaf-plan.ts'
import type { IoPgtableError } from '../errors.ts'
import { enterLanes, isBelow64, join } from '../hot/lanes.ts'
import type { OnePage } from '../hot/one-page.ts'
import { syncOwn } from '../memory/owed.ts'
import type { TableToken } from '../memory/share.ts'
import { LIVE, STATE_STATUS } from '../memory/table-memory.ts'
import type { AddressRange } from '../read/walk.ts'
import { gatheredOf, IotlbGather } from '../tlb/gather.ts'
import { rootView } from '../tree/root-view.ts'
import type { Tree } from '../tree/tree.ts'
import { busy, dead } from './errors.ts'
import type { RangeLock } from './range-lock.ts'

/**
 * Why a call ended before its end: an argument was refused, a mapping is in the way, there is no memory for a table; nothing is mapped there,
 * or a part of a larger leaf.
 */
export type Stop = '' | 'refused' | 'exists' | 'no-memory' | 'hole' | 'part'

/** What `mapPages` and `mapRange` answer: both values matter, whatever the other one is. */
export interface MapResult {
  /** Bytes mapped, from the start of the range on. */
  readonly mapped: number
  /** Why it stopped; undefined when it did not, or (with `debug.oneTablePerCall`) when the caller is to go on with the remainder. */
  readonly error: IoPgtableError | undefined
}

/** What a map of nothing returns, to begin with. */
const NOTHING: MapResult = Object.freeze({ mapped: 0, error: undefined })

/** What the calls of a table have beside its tree. */
export interface Hooks {
  readonly onWarn: ((warning: IoPgtableError) => void) | undefined
  readonly onRoot: ((regs: unknown) => void) | undefined
  readonly debug: TableToken['debug']
  /** End a map at the end of a table. */
  readonly single: boolean
  /** The debug mode that finds callers which do not hold their range. */
  readonly lock: RangeLock | undefined
  /** The fast path of changes, where there is one: not in memory that is synced. */
  readonly one: OnePage | undefined
}

/**
 * A table has one request, which all of its calls use in turn, so that a call allocates nothing. A call from inside one of the table's own
 * callbacks gets another one, since the call around it goes on with its own.
 */
export class Request {
  readonly t: Tree
  readonly hooks: Hooks
  /** The call comes from inside a callback of the table: it may read, within the range that the call around it holds. */
  readonly nested: boolean
  /** Where it stands, by lane: the input address, and the output address that it is, or is to be, translated to. An unmap has the first one twice. */
  hi = 0
  lo = 0
  paddrHi = 0
  paddrLo = 0
  /** What comes next: so many pages of this size. */
  size: LeafPlan
  count = 0
  /** Bytes that are not yet done; negative where an unmap took more than was asked for. */
  left = 0
  prot = 0
  stop: Stop = ''
  /** The refusal, or what the allocator said. */
  cause: IoPgtableError | undefined = undefined
  /** The gather that the caller gave; and the one that the call has of its own where it needs one, which ends with it. */
  gather: IotlbGather | undefined = undefined
  own: IotlbGather | undefined = undefined
  /** The last success, since most are alike. */
  success: MapResult = NOTHING
  /** The root that the driver knows of. */
  reportedRoot: number

  constructor(t: Tree, hooks: Hooks, nested: boolean) {
    this.t = t
    this.hooks = hooks
    this.nested = nested
    this.size = t.last.leaves[0] as LeafPlan
    this.reportedRoot = t.rootState
  }

  /** The tree, and what its root is now. @throws `ENODEV` when the table is freed */
  live(op: string): Tree {
    const { t } = this
    if (t.state[STATE_STATUS] !== LIVE) throw dead(op, t.compiled.format.FORMAT)
    if (t.words.length === 0) t.regain(op)
    if (t.compiled.grows) t.refresh()
    return t
  }

  /** Begins a call. @throws `ENODEV` when the table is freed */
  open(op: string): Request {
    const t = this.live(op)
    return t.inCallback ? new Request(t, this.hooks, true) : this
  }

  /** Begins a call that changes the table. @throws `ENODEV`, `EBUSY` from inside a callback */
  openChange(op: string): Request {
    const r = this.open(op)
    if (r.nested) throw busy(op)
    return r
  }

  /** Begins at two addresses. False for what is no pair of 64-bit addresses. */
  enter(iova: bigint, paddr: bigint): boolean {
    if (typeof iova !== 'bigint' || typeof paddr !== 'bigint') return false
    enterLanes(this, iova, paddr)
    this.stop = ''
    this.cause = undefined
    this.gather = undefined
    return isBelow64(iova, this.hi) && isBelow64(paddr, this.paddrHi)
  }

  /** So many pages of this size are wanted next. */
  want(size: LeafPlan, count: number): void {
    this.size = size
    this.count = count
  }

  /** Goes on behind `bytes` that are done. */
  advance(bytes: number): void {
    const lo = (this.lo >>> 0) + bytes
    const paddrLo = (this.paddrLo >>> 0) + bytes
    if (lo >= 0x1_0000_0000) this.hi = (this.hi + Math.floor(lo / 0x1_0000_0000)) | 0
    if (paddrLo >= 0x1_0000_0000) this.paddrHi = (this.paddrHi + Math.floor(paddrLo / 0x1_0000_0000)) | 0
    this.lo = lo | 0
    this.paddrLo = paddrLo | 0
    this.left -= bytes
  }

  get iova(): bigint {
    return join(this.hi, this.lo)
  }

  get paddr(): bigint {
    return join(this.paddrHi, this.paddrLo)
  }

  /** The gather of a flush order of `range`: the caller's, or the call's own. */
  rangeGather(): IotlbGather {
    if (this.gather !== undefined) return this.gather
    this.own ??= new IotlbGather()
    gatheredOf(this.own).bind(this.t)
    return this.own
  }

  /** Syncs the call's own gather, if it used one. */
  finishGather(): void {
    const own = this.own
    if (own === undefined) return
    this.own = undefined
    syncOwn(this.t, own)
  }

  /**
   * The end of a map: reports a root that grew, and syncs the call's own gather. The device learns of a new root before the sync frees tables:
   * the old root may be among them, replaced by a large page.
   */
  finish(): void {
    const { t } = this
    // A call from inside a callback was refused, and has no end: the call around it has.
    if (this.nested) return
    if (this.reportedRoot !== t.rootState) {
      const { rootState } = t
      t.call(() => this.hooks.onRoot?.(rootView(t).regs))
      this.reportedRoot = rootState
    }
    this.finishGather()
  }

  warn(warning: IoPgtableError): void {
    this.t.call(() => this.hooks.onWarn?.(warning))
  }
}

/**
 * Does a call's work while the call holds its range: by default the one that it has yet to do.
 * @throws `EBUSY` when somebody else holds a part of it
 */
export function held<T>(r: Request, op: string, work: (r: Request) => T, range?: AddressRange): T {
  const { lock } = r.hooks
  return lock === undefined || r.nested ? work(r) : locked(r, lock, op, work, range)
}

// Apart, since a closure's variables cost every call of the function that holds it.
function locked<T>(r: Request, lock: RangeLock, op: string, work: (r: Request) => T, range?: AddressRange): T {
  const { first, last } = range ?? { first: r.iova, last: r.iova + BigInt(r.left) - 1n }
  return lock.hold(op, first, last, () => work(r))
}
