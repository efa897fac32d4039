/**
 * QEMU's qtest protocol: a line for each access of physical memory and port I/O, answered in order, so that requests are pipelined.
 * The protocol is described in QEMU's documentation, "QTest Device Emulation Testing Framework".
 */
import { hex, IoPgtableError } from '@io-pgtable/core'
import type { PipedChild } from './child.ts'

interface Waiting {
  readonly line: string
  readonly resolve: (answer: string) => void
  readonly reject: (error: Error) => void
}

/** A request that is not answered for so long means that QEMU hangs. */
const STALL_MS = 60_000

/** How many bytes a line carries; QEMU reads lines as a whole. */
const CHUNK = 0x8_0000

/** A client; addresses are physical. Writes may be left unawaited: later reads see them, and `settle` tells of their errors. */
export class QtestClient {
  readonly #child: PipedChild
  readonly #stallMs: number
  readonly #waiting: Waiting[] = []
  #next = 0
  #received = ''
  #stderr = ''
  #failure: IoPgtableError | undefined
  #timer: NodeJS.Timeout | undefined
  #unseen: IoPgtableError | undefined
  /** Lines sent. */
  requests = 0

  /** `stallMs`: QEMU is killed when it answers nothing for so long. */
  constructor(child: PipedChild, stallMs: number = STALL_MS) {
    this.#child = child
    this.#stallMs = stallMs
    child.stdout.setEncoding('latin1').on('data', (text: string) => this.#receive(text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    // what is written to a child that is gone is told by its exit
    child.stdin.on('error', () => {})
    child.on('error', (error) => this.#fail(error.message))
    child.on('close', (status, signal) => this.#fail(`exited with ${signal ?? status}`))
  }

  /** Sends one line. @throws (rejects) `EFAULT` when QEMU refuses it, `ENODEV` when QEMU is gone */
  request(line: string): Promise<string> {
    this.requests++
    const answer = new Promise<string>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      this.#waiting.push({ line, resolve, reject })
      this.#timer ??= setTimeout(() => this.#stalled(), this.#stallMs).unref()
      this.#child.stdin.write(`${line}\n`)
    })
    // a caller that does not wait for a write learns of its failure by `settle`
    answer.catch((error: IoPgtableError) => (this.#unseen ??= error))
    return answer
  }

  /** Waits until all that was sent is done. @throws (rejects) the first error of a request since the last call */
  async settle(): Promise<void> {
    await this.request('endianness')
    const error = this.#unseen
    this.#unseen = undefined
    if (error !== undefined) throw error
  }

  async #read(width: 'b' | 'w' | 'l' | 'q', address: bigint): Promise<bigint> {
    return BigInt(await this.request(`read${width} ${hex(address)}`))
  }
  #write(width: 'b' | 'w' | 'l' | 'q', address: bigint, value: bigint | number): Promise<string> {
    return this.request(`write${width} ${hex(address)} ${hex(BigInt.asUintN(64, BigInt(value)))}`)
  }
  readl(address: bigint): Promise<bigint> {
    return this.#read('l', address)
  }
  readq(address: bigint): Promise<bigint> {
    return this.#read('q', address)
  }
  writew(address: bigint, value: bigint | number): Promise<string> {
    return this.#write('w', address, value)
  }
  writel(address: bigint, value: bigint | number): Promise<string> {
    return this.#write('l', address, value)
  }
  writeq(address: bigint, value: bigint | number): Promise<string> {
    return this.#write('q', address, value)
  }

  /** x86 port I/O, 32 bits. */
  outl(port: number, value: bigint | number): Promise<string> {
    return this.request(`outl ${hex(port)} ${hex(value)}`)
  }
  async inl(port: number): Promise<bigint> {
    return BigInt(await this.request(`inl ${hex(port)}`))
  }

  async read(address: bigint, length: number): Promise<Uint8Array> {
    return Buffer.from(await this.request(`b64read ${hex(address)} ${hex(length)}`), 'base64')
  }
  write(address: bigint, bytes: Uint8Array): Promise<unknown> {
    const parts: Promise<string>[] = []
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const part = bytes.subarray(at, at + CHUNK)
      const text = Buffer.from(part.buffer, part.byteOffset, part.length).toString('base64')
      parts.push(this.request(`b64write ${hex(address + BigInt(at))} ${hex(part.length)} ${text}`))
    }
    const written = Promise.all(parts)
    written.catch(() => {})
    return written
  }
  fill(address: bigint, length: number, byte: number): Promise<string> {
    return this.request(`memset ${hex(address)} ${hex(length)} ${hex(byte)}`)
  }

  #receive(text: string): void {
    const lines = (this.#received + text).split('\n')
    this.#received = lines.pop() ?? ''
    for (const line of lines) if (!line.startsWith('IRQ ')) this.#answer(line.trimEnd())
  }

  #answer(line: string): void {
    const waiting = this.#waiting[this.#next++]
    if (this.#next === this.#waiting.length || this.#next > 4096) this.#waiting.splice(0, this.#restart())
    if (this.#timer !== undefined && this.#waiting.length > this.#next) this.#timer.refresh()
    else this.#idle()
    if (line.startsWith('OK')) waiting?.resolve(line.slice(3))
    else waiting?.reject(new IoPgtableError('EFAULT', 'qtest', `${line} for ${waiting?.line.slice(0, 100)}`, { value: line }))
  }

  /** Answered requests are removed in bulk: shifting an array for each is slow when thousands wait. @returns how many those are */
  #restart(): number {
    const answered = this.#next
    this.#next = 0
    return answered
  }

  #idle(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #stalled(): void {
    const line = this.#waiting[this.#next]?.line.slice(0, 100)
    this.#fail(`gave no answer to ${line} for ${this.#stallMs / 1000} s`)
    this.#child.kill('SIGKILL')
  }

  #fail(reason: string): void {
    this.#failure ??= new IoPgtableError('ENODEV', 'qemu', `QEMU ${reason}${this.#stderr && `: ${this.#stderr.trim()}`}`)
    this.#idle()
    for (const { reject } of this.#waiting.splice(0).slice(this.#next)) reject(this.#failure)
    this.#next = 0
  }
}
