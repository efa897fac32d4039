/** The lock of a shared pool. It spins, since a browser's main thread may not wait; what it guards is a few dozen instructions long. */
import { IoPgtableError } from './errors.ts'
import { LOCK } from './layout.ts'

/** Milliseconds after which a lock is taken for lost. */
const LOST_AFTER = 10_000
/** The word of a lock: nobody holds it; somebody does; he does not let go, as somebody else found out by waiting. */
const FREE = 0
const HELD = 1
const LOST = 2

/** The pool's lock: see {@link spinLock}. */
export function lock(meta: Int32Array, op: string): void {
  spinLock(meta, LOCK, op)
}

export function unlock(meta: Int32Array): void {
  spinUnlock(meta, LOCK)
}

/**
 * Takes the lock that is one word of shared memory, zero while nobody holds it.
 * @throws `EBUSY` when nobody lets go for ten seconds, which means that a worker was terminated inside of a call; from then on, at once
 */
export function spinLock(words: Int32Array, at: number, op: string): void {
  if (Atomics.compareExchange(words, at, FREE, HELD) !== FREE) spin(words, at, op)
}

/** Lets go of a lock that {@link spinLock} took. One that was taken for lost meanwhile is sound again. */
export function spinUnlock(words: Int32Array, at: number): void {
  Atomics.store(words, at, FREE)
}

function spin(words: Int32Array, at: number, op: string): void {
  const start = Date.now()
  for (let spins = 1; ; spins++) {
    // looking before taking leaves the cache line with its owner
    const state = Atomics.load(words, at)
    if (state === FREE && Atomics.compareExchange(words, at, FREE, HELD) === FREE) return
    const late = (spins & 0xffff) === 0 && Date.now() - start > LOST_AFTER
    if (late) Atomics.compareExchange(words, at, HELD, LOST)
    if (late || state === LOST)
      throw new IoPgtableError('EBUSY', op, `a lock was not released for ${LOST_AFTER} ms: was a worker terminated inside of a call?`)
  }
}
