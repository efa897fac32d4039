/** Progress of long work: a bar on a terminal's stderr, and nothing elsewhere. Work that is over within half a second draws none. */
import type { Io } from './io.ts'

const WIDTH = 30
const EVERY = 100
const PATIENCE = 500

export class Progress {
  readonly #io: Io
  readonly #what: string
  readonly #total: number | undefined
  #next: number
  #drawn = false

  /** @param total what counts as the whole; undefined where nobody knows */
  constructor(io: Io, what: string, total?: number) {
    this.#io = io
    this.#what = what
    this.#total = total
    this.#next = io.isInteractive ? Date.now() + PATIENCE : Number.POSITIVE_INFINITY
  }

  /** So much is done. */
  at(done: number): void {
    const now = Date.now()
    if (now < this.#next) return
    this.#next = now + EVERY
    this.#drawn = true
    this.#io.status(this.#text(done))
  }

  /** The bar goes away. */
  end(): void {
    if (this.#drawn) this.#io.status('')
    this.#drawn = false
    this.#next = Number.POSITIVE_INFINITY
  }

  #text(done: number): string {
    if (this.#total === undefined || this.#total === 0) return `${done.toLocaleString('en')} ${this.#what}`
    const part = Math.min(1, done / this.#total)
    const filled = Math.round(part * WIDTH)
    return `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${Math.floor(part * 100)} % · ${done.toLocaleString('en')} ${this.#what}`
  }
}
