/** Tables that several entries point to: one note a table, which says how many there are. */
import { hex } from '@io-pgtable/core'
import type { Finding } from '../finding.ts'

type Place = Omit<Finding, 'severity' | 'code' | 'message' | 'count'>

interface Shared {
  readonly place: Place
  count: number
}

export class SharedTables {
  readonly #tables: Map<string, Shared> = new Map()

  /** Another entry, at `place`, that points to a table which is known already. `ordinal` tells the node that it is read as. */
  add(table: number, ordinal: number, place: () => Place): void {
    const key = `${table}/${ordinal}`
    const known = this.#tables.get(key)
    if (known === undefined) this.#tables.set(key, { place: place(), count: 1 })
    else known.count++
  }

  /** Each with the first entry that was one too many, in the order in which they were met. Afterwards none is left. */
  tell(report: (finding: Omit<Finding, 'severity' | 'code'>) => void): void {
    for (const [key, { place, count }] of this.#tables) {
      const what = `the table at ${hex(Number.parseInt(key, 10))} is used before`
      if (count === 1) report({ ...place, message: what })
      else report({ ...place, message: `${what}; and ${count - 1} more entries point to it`, count })
    }
    this.#tables.clear()
  }
}
