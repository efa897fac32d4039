/**
 * The debug mode of lifetimes: a table of `createRaw` is its owner's to free, before its device unbinds. This finds owners that do not. Nothing
 * here refers to the table itself, which could otherwise never be collected.
 */

import { IoPgtableError } from '../errors.ts'
import { LIVE, STATE_STATUS } from '../memory/table-memory.ts'
import { type Device, Devres } from './device.ts'

/** What to watch of a table's lifetime. */
export interface LifetimeDebug {
  /**
   * Told, as `ENODEV`: a table that was garbage before it was freed; that was not freed when `device` was unbound; that was freed only after
   * that. It must not refer to the table: one that is reachable is never garbage.
   */
  readonly report: (misuse: IoPgtableError) => void
  /** The device that uses the table. */
  readonly device?: Device
}

/** What a report says of a table. */
export interface WatchedTable {
  readonly name: string
  readonly state: Int32Array
}

interface Watch extends WatchedTable {
  readonly report: LifetimeDebug['report']
}

const collected: FinalizationRegistry<Watch> = new FinalizationRegistry((watch) => {
  if (isLive(watch)) report(watch, 'was dropped before it was freed: its tables stay allocated, and a device may still walk them')
})

export class LifetimeWatch {
  readonly #watch: Watch
  readonly #binding: Devres<Disposable> | undefined

  /** @throws `ENODEV` when the device is not bound */
  constructor(watched: WatchedTable, { report: tell, device }: LifetimeDebug) {
    const watch = { ...watched, report: tell }
    this.#watch = watch
    if (device !== undefined) this.#binding = new Devres(device, { [Symbol.dispose]: () => checkFreed(watch, device.name) })
  }

  /** From now on it is told when the table is garbage. */
  watch(table: object): void {
    collected.register(table, this.#watch, this)
  }

  /** The table was shared: when it is garbage in this thread, others may still use it. */
  shared(): void {
    collected.unregister(this)
  }

  /** The table was freed. */
  freed(): void {
    collected.unregister(this)
    const { device, revoked } = this.#binding ?? {}
    if (revoked) report(this.#watch, `was freed after device ${device?.name} was unbound`)
    else this.#binding?.revoke()
  }
}

function checkFreed(watch: Watch, device: string): void {
  if (isLive(watch)) report(watch, `is not freed, and device ${device}, which may walk it, is unbound`)
}

function isLive({ state }: Watch): boolean {
  return Atomics.load(state, STATE_STATUS) === LIVE
}

function report({ name, report: tell }: Watch, what: string): void {
  tell(new IoPgtableError('ENODEV', 'createRaw', `table ${name} ${what}`, { value: name }))
}
