/**
 * The debug mode of the locking regime: the caller must hold the range that it changes or reads, and this finds callers that do not.
 * The held ranges are in the table's shared state, so that workers see one another's.
 */
import { spinLock, spinUnlock } from '@io-pgtable/pt-allocator'
import { hex, IoPgtableError } from '../errors.ts'
import { highOf, join, lowOf } from '../hot/lanes.ts'

const SLOTS = 32
/** One held range: in use, first lo, first hi, last lo, last hi. */
const SLOT_WORDS = 5

/** Words of state that the lock needs: its own lock word and the held ranges. */
export const RANGE_LOCK_WORDS: number = 1 + SLOTS * SLOT_WORDS

export class RangeLock {
  readonly #state: Int32Array
  readonly #base: number

  constructor(state: Int32Array, base: number) {
    this.#state = state
    this.#base = base
  }

  /** Runs `work` while holding `first` to `last`. @throws `EBUSY` naming both ranges when somebody holds a part of it. */
  hold<T>(op: string, first: bigint, last: bigint, work: () => T): T {
    const slot = this.#acquire(op, first, last)
    try {
      return work()
    } finally {
      Atomics.store(this.#state, slot, 0)
    }
  }

  #acquire(op: string, first: bigint, last: bigint): number {
    spinLock(this.#state, this.#base, op)
    try {
      let free = -1
      for (let i = 0; i < SLOTS; i++) {
        const slot = this.#base + 1 + i * SLOT_WORDS
        if (Atomics.load(this.#state, slot) === 0) free = slot
        else this.#refuseOverlap(op, slot, first, last)
      }
      if (free < 0) throw new IoPgtableError('EBUSY', op, `more than ${SLOTS} ranges are held at once`)
      this.#state.set([lowOf(first), highOf(first), lowOf(last), highOf(last)], free + 1)
      Atomics.store(this.#state, free, 1)
      return free
    } finally {
      spinUnlock(this.#state, this.#base)
    }
  }

  #refuseOverlap(op: string, slot: number, first: bigint, last: bigint): void {
    const word = (i: number): number => this.#state[slot + i] ?? 0
    const heldFirst = join(word(2), word(1))
    const heldLast = join(word(4), word(3))
    if (last < heldFirst || first > heldLast) return
    const text = `range ${hex(first)}..${hex(last)} overlaps ${hex(heldFirst)}..${hex(heldLast)}, which is in use: callers must hold their range`
    throw new IoPgtableError('EBUSY', op, text, { value: first })
  }
}
