/** What is wrong, or remarkable, in memory that was read: a place, a stable code, and words. */

/** `error`: hardware would fault, or cannot be followed. `warning`: it works, and is hardly meant. `note`: to be known. */
export type Severity = 'error' | 'warning' | 'note'

/** One thing that was found. */
export interface Finding {
  readonly severity: Severity
  /** What kind of finding it is: stable, lower case with hyphens. */
  readonly code: string
  readonly message: string
  /** Where: the root's or structure's name, `ttbr0`, `stream 8`. */
  readonly place: string
  readonly iova?: bigint
  /** Physical address of the table, or structure. */
  readonly table?: bigint
  readonly index?: number
  readonly level?: number
  /** The offending value. */
  readonly value?: bigint
  /** How many of a kind this one stands for; left out for one. */
  readonly count?: number
}

/** Collects findings, each kind up to a number: hostile memory must not fill ours with words about it. */
export class Findings {
  readonly list: Finding[] = []
  readonly #counts: Map<string, number> = new Map()
  readonly #most: number

  constructor(most = 1000) {
    this.#most = most
  }

  add(finding: Finding): void {
    const count = (this.#counts.get(finding.code) ?? 0) + 1
    this.#counts.set(finding.code, count)
    if (count <= this.#most) this.list.push(finding)
    else if (count === this.#most + 1)
      this.list.push({ ...finding, message: `${finding.message}; further findings ${finding.code} are only counted` })
  }

  /** How many of this code there were, those left out included. */
  count(code: string): number {
    return this.#counts.get(code) ?? 0
  }
}
