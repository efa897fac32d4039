/** Memory images as files; reading them stops now and then, so that a signal can be heard. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { ByteSource } from '@io-pgtable/inspect'

/** Ctrl-C. */
export class Interrupted extends Error {}

/** Milliseconds of work without a look at the signals. */
const PAUSE = 100

/** Whether files pause; one for all files of a command. */
export class Pauses {
  #next = Number.POSITIVE_INFINITY
  #interrupted = false

  /** Runs work that can go on where it stopped; Ctrl-C ends it with {@link Interrupted}. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const interrupt = (): void => void (this.#interrupted = true)
    process.once('SIGINT', interrupt)
    this.#next = Date.now() + PAUSE
    try {
      return await work()
    } finally {
      this.#next = Number.POSITIVE_INFINITY
      process.off('SIGINT', interrupt)
    }
  }

  get isDue(): boolean {
    return Date.now() >= this.#next
  }

  /** Hears the signals. @throws Interrupted */
  async pause(): Promise<void> {
    if (!this.isDue) return
    await new Promise(setImmediate)
    if (this.#interrupted) throw new Interrupted()
    this.#next = Date.now() + PAUSE
  }
}

/** A file, open until the process ends, or `close` is called. @throws what opening throws */
export function fileSource(path: string, pauses: Pauses): ByteSource & { close(): void } {
  const fd = openSync(path, 'r')
  const read = (offset: number, into: Uint8Array): number => readFully(fd, offset, into)
  return {
    name: path,
    size: fstatSync(fd).size,
    async read(offset, length) {
      await pauses.pause()
      const bytes = new Uint8Array(length)
      return bytes.subarray(0, read(offset, bytes))
    },
    // An image asks for this whenever it reads; without it, it loads what it needs in an asynchronous way, and goes on after that.
    get readSync() {
      return pauses.isDue ? undefined : read
    },
    close: () => closeSync(fd),
  } as ByteSource & { close(): void }
}

function readFully(fd: number, offset: number, into: Uint8Array): number {
  let done = 0
  while (done < into.byteLength) {
    const bytes = readSync(fd, into, done, into.byteLength - done, offset + done)
    if (bytes === 0) break
    done += bytes
  }
  return done
}
