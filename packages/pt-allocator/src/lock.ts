/** The lock of a shared pool. It spins, since a browser's main thread may not wait; what it guards is a few dozen instructions long. */
import { IoPgtableError } from './errors.ts'
import { LOCK } from './layout.ts'

/** Milliseconds after which a lock is taken for lost. */
const LOST_AFTER = 10_000

/** @throws `EBUSY` when nobody lets go for ten seconds: a worker was terminated inside of a call */
export function lock(meta: Int32Array, op: string): void {
  if (Atomics.compareExchange(meta, LOCK, 0, 1) !== 0) spin(meta, op)
}

export function unlock(meta: Int32Array): void {
  Atomics.store(meta, LOCK, 0)
}

function spin(meta: Int32Array, op: string): void {
  const start = Date.now()
  for (let spins = 1; ; spins++) {
    // looking before taking leaves the cache line with its owner
    if (Atomics.load(meta, LOCK) === 0 && Atomics.compareExchange(meta, LOCK, 0, 1) === 0) return
    if ((spins & 0xffff) === 0 && Date.now() - start > LOST_AFTER) {
      throw new IoPgtableError(
        'EBUSY',
        op,
        `the pool's lock was not released for ${LOST_AFTER} ms: was a worker terminated inside of a call?`,
      )
    }
  }
}
