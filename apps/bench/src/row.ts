/** What is measured: a row is one figure, prepared before the clock starts and verified after it stopped. */

/** A row's work, ready to run. */
export interface Pass {
  /** What is timed: all units of the row, once. Returns a total that tells whether all was done. */
  readonly run: () => number
  /** What `run` must return. */
  readonly expected: number
  /** Brings the state back to where `run` can start again; not timed. */
  readonly reset?: () => void
  /** Looks, after a `run`, at everything that it did. @throws when anything is wrong */
  readonly verify: () => void
}

export interface Row {
  /** `format/operation/variant`, or the name of a reference. */
  readonly id: string
  readonly title: string
  /** What one unit is: a descriptor, a call, ... */
  readonly unit: string
  /** Units in one run of the pass. */
  readonly units: number
  /** Only with `--full`: it takes long, or much memory. */
  readonly full?: boolean
  /** Only measured after every format was used. */
  readonly everyFormat?: boolean
  /** Keeps so much on the heap that every collection is a long one: measured in a process without the other rows. */
  readonly ballast?: boolean
  readonly prepare: () => Pass
}

/** A figure that is no time: heap bytes. Measured once, by itself. */
export interface HeapRow {
  readonly id: string
  readonly title: string
  readonly unit: string
  readonly measure: () => number
}

export class WrongResult extends Error {
  override readonly name = 'WrongResult'
}

/** @throws {@link WrongResult} */
export function expectEqual(what: string, got: unknown, expected: unknown): void {
  if (got !== expected) throw new WrongResult(`${what}: got ${String(got)}, expected ${String(expected)}`)
}
