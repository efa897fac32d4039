/** Names of those who allocate, for leak reports. Tags are one pool's, whatever thread asked; names stay in the thread that gave them. */
import { IoPgtableError, show } from './errors.ts'
import { OWNERS } from './layout.ts'

/** The last tag: records have 16 bits for it, and a pool that saw more names than that still works. */
const OTHERS = 0xffff

export class OwnerNames {
  readonly #meta: Int32Array
  readonly #shared: boolean
  readonly #tags = new Map<string, number>()
  readonly #names = new Map<number, string>([
    [0, '(no owner)'],
    [OTHERS, '(others)'],
  ])

  constructor(meta: Int32Array, shared: boolean) {
    this.#meta = meta
    this.#shared = shared
  }

  tagOf(name: string): number {
    if (typeof name !== 'string' || name === '')
      throw new IoPgtableError('EINVAL', 'owner', `name is ${show(name)}, not a string with characters`)
    let tag = this.#tags.get(name)
    if (tag === undefined) {
      tag = this.#next()
      if (tag === OTHERS) return OTHERS
      this.#tags.set(name, tag)
      this.#names.set(tag, name)
    }
    return tag
  }

  nameOf(tag: number): string {
    return this.#names.get(tag) ?? `#${tag}`
  }

  /** Whether some thread was given this tag. */
  knows(tag: number): boolean {
    return Number.isInteger(tag) && tag >= 0 && (tag < this.#meta[OWNERS]! || tag === OTHERS)
  }

  #next(): number {
    const meta = this.#meta
    for (;;) {
      const tag = meta[OWNERS]!
      if (tag >= OTHERS) return OTHERS
      if (!this.#shared) meta[OWNERS] = tag + 1
      else if (Atomics.compareExchange(meta, OWNERS, tag, tag + 1) !== tag) continue
      return tag
    }
  }
}
