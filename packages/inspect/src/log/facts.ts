/** What the lines of one report say, by name. Nothing is overwritten: a second value that differs is a contradiction. */

/** Groups of patterns: `NAME_h` is hex, `NAME_d` decimal, `NAME_s` text, `NAME_l` hex that may come several times, in order, `NAME_t` such text. */
export class Facts {
  readonly #numbers: Map<string, bigint> = new Map()
  readonly #texts: Map<string, string> = new Map()
  readonly #lists: Map<string, bigint[]> = new Map()
  readonly #rows: Map<string, string[]> = new Map()
  readonly #conflicts: Set<string> = new Set()

  /** All facts of a match. */
  add(groups: Readonly<Record<string, string | undefined>>): void {
    for (const [key, text] of Object.entries(groups)) if (text !== undefined) this.#addOne(key.slice(0, -2), key.at(-1), text)
  }

  #addOne(name: string, type: string | undefined, text: string): void {
    if (type === 's') this.#put(this.#texts, name, text)
    else if (type === 'd') this.#put(this.#numbers, name, BigInt(text))
    else if (type === 'h') this.#put(this.#numbers, name, BigInt(`0x${text}`))
    else if (type === 't') append(this.#rows, name, text, ROW_LIMIT)
    else append(this.#lists, name, BigInt(`0x${text}`), LIST_LIMIT)
  }

  #put<T>(map: Map<string, T>, name: string, value: T): void {
    const before = map.get(name)
    if (before === undefined) map.set(name, value)
    else if (before !== value) this.#conflicts.add(name)
  }

  /** Undefined also where the log contradicts itself. */
  number(name: string): bigint | undefined {
    return this.#conflicts.has(name) ? undefined : this.#numbers.get(name)
  }

  text(name: string): string | undefined {
    return this.#conflicts.has(name) ? undefined : this.#texts.get(name)
  }

  list(name: string): readonly bigint[] {
    return this.#lists.get(name) ?? []
  }

  texts(name: string): readonly string[] {
    return this.#rows.get(name) ?? []
  }

  has(name: string): boolean {
    return !this.#conflicts.has(name) && (this.#numbers.has(name) || this.#texts.has(name) || this.#lists.has(name))
  }

  /** A fact that is not to be believed. */
  refuse(name: string): void {
    this.#conflicts.add(name)
  }

  get conflicts(): readonly string[] {
    return [...this.#conflicts]
  }
}

const LIST_LIMIT = 64
const ROW_LIMIT = 2 ** 16

function append<T>(lists: Map<string, T[]>, name: string, value: T, limit: number): void {
  const list = lists.get(name) ?? []
  if (list.length < limit) list.push(value)
  lists.set(name, list)
}
