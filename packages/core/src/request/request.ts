/** A call on a table: whether it may be made, the range that it holds, and why it was refused. */
import { LIVE, STATE_STATUS } from '../memory/table-memory.ts'
import type { AddressRange } from '../tree/leaf-range.ts'
import type { Tree } from '../tree/tree.ts'
import { busy, dead } from './errors.ts'
import type { RangeLock } from './range-lock.ts'

/**
 * One call at work. A table has one request, which all of its calls use in turn, so that a call allocates nothing. A call from inside one of
 * the table's own callbacks gets another one: the call around it goes on with its own.
 */
export class Request {
  readonly t: Tree
  /** The debug mode that finds callers which do not hold their range. */
  readonly lock: RangeLock | undefined
  /** The call comes from inside a callback of the table: it may read, within the range that the call around it holds. */
  readonly nested: boolean

  constructor(t: Tree, lock: RangeLock | undefined, nested: boolean) {
    this.t = t
    this.lock = lock
    this.nested = nested
  }

  /** Begins a call. @throws `ENODEV` when the table is freed */
  open(op: string): Request {
    const { t } = this
    if (t.state[STATE_STATUS] !== LIVE) throw dead(op, t.compiled.format.FORMAT)
    if (t.compiled.grows) t.refresh()
    return t.inCallback ? new Request(t, this.lock, true) : this
  }

  /** Begins a call that changes the table. @throws `ENODEV`, `EBUSY` from inside a callback */
  openChange(op: string): Request {
    const r = this.open(op)
    if (r.nested) throw busy(op)
    return r
  }
}

/** Does a call's work while the call holds its range. @throws `EBUSY` when somebody else holds a part of it */
export function held<T>(r: Request, op: string, range: AddressRange, work: () => T): T {
  return r.lock === undefined || r.nested ? work() : r.lock.holdTo(op, range.first, range.last, work)
}
