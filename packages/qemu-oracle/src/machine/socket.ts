/** A socket on which answers come in the order of the requests. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { IoPgtableError } from '@io-pgtable/core'

const TRIES = 200
const RETRY_MS = 10

function connectOnce(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket.off('error', reject)))
    socket.once('error', reject)
  })
}

/** QEMU makes the socket a little after it has started. */
async function connected(path: string, what: string): Promise<Socket> {
  for (let left = TRIES; ; left--) {
    try {
      return await connectOnce(path)
    } catch (cause) {
      if (left === 0) throw new IoPgtableError('ENODEV', what, `no connection to ${path}`, { cause })
      await sleep(RETRY_MS)
    }
  }
}

/** Sends texts, hands received text to a parser, and keeps who waits for what. */
export class LineSocket<T> {
  readonly #socket: Socket
  readonly #what: string
  readonly #waiting: { readonly resolve: (value: T) => void; readonly reject: (error: Error) => void }[] = []
  #closed: Error | undefined

  private constructor(socket: Socket, what: string) {
    this.#socket = socket
    this.#what = what
    socket.setEncoding('latin1')
    socket.on('error', () => {})
    socket.on('close', () => this.#end())
  }

  static async connect<T>(path: string, what: string): Promise<LineSocket<T>> {
    return new LineSocket<T>(await connected(path, what), what)
  }

  onData(parse: (text: string) => void): void {
    this.#socket.on('data', (text) => parse(String(text)))
  }

  /** @throws (rejects) `ENODEV` when the socket is closed before the answer */
  send(text: string): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) return reject(this.#closed)
      this.#waiting.push({ resolve, reject })
      this.#socket.write(text, 'latin1')
    })
  }

  /** Sends what has no answer. */
  tell(text: string): void {
    this.#socket.write(text, 'latin1')
  }

  /** The oldest request has its answer. */
  answer(value: T): void {
    this.#waiting.shift()?.resolve(value)
  }
  refuse(error: Error): void {
    this.#waiting.shift()?.reject(error)
  }

  close(): void {
    this.#socket.destroy()
  }

  #end(): void {
    this.#closed = new IoPgtableError('ENODEV', this.#what, 'the connection is closed')
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closed)
  }
}
