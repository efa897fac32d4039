/** A guest program that answers requests through its mailbox. Its CPU spins while it waits: it is stopped whenever nothing is asked. */
import { IoPgtableError } from '@io-pgtable/core'
import type { Machine, MonitorClient, QtestClient } from '../machine/index.ts'
import { BATCH, COUNT, ENTRIES, ENTRY_BYTES, GO, type GuestRequest, type GuestResult, packMailbox, unpackEntries } from './mailbox.ts'

/** A batch takes milliseconds; a guest that hangs is polled no longer than this. */
const PATIENCE_MS = 30_000

export class GuestServer {
  readonly #qtest: QtestClient
  readonly #monitor: MonitorClient
  readonly #mailbox: bigint

  /** @param machine started with its monitor @param mailbox its physical address */
  constructor({ qtest, monitor }: Machine, mailbox: bigint) {
    this.#qtest = qtest
    this.#monitor = monitor
    this.#mailbox = mailbox
  }

  /** Sets the registers and answers the requests, in batches. @throws (rejects) `ENODEV` when the guest does not come back */
  async run(registers: readonly bigint[], requests: readonly GuestRequest[]): Promise<readonly GuestResult[]> {
    const results: GuestResult[] = []
    for (let at = 0; at < requests.length; at += BATCH) results.push(...(await this.#batch(registers, requests.slice(at, at + BATCH))))
    return results
  }

  /** Sets the registers and lets the guest answer one request for as long as `body` takes, until it is interrupted. */
  async during<T>(
    registers: readonly bigint[],
    request: GuestRequest,
    body: () => Promise<T>,
    interrupt: () => Promise<unknown>,
  ): Promise<T> {
    await this.#start(registers, [request])
    try {
      return await body()
    } finally {
      await interrupt()
      await this.#done()
    }
  }

  async #batch(registers: readonly bigint[], requests: readonly GuestRequest[]): Promise<readonly GuestResult[]> {
    await this.#start(registers, requests)
    await this.#done()
    return unpackEntries(await this.#qtest.read(this.#mailbox + BigInt(ENTRIES), requests.length * ENTRY_BYTES))
  }

  async #start(registers: readonly bigint[], requests: readonly GuestRequest[]): Promise<void> {
    void this.#qtest.write(this.#mailbox + BigInt(COUNT), packMailbox(registers, requests))
    await this.#qtest.writeq(this.#mailbox + BigInt(GO), 1n)
    await this.#monitor.execute('cont')
  }

  async #done(): Promise<void> {
    const started = performance.now()
    while ((await this.#qtest.readq(this.#mailbox + BigInt(GO))) !== 0n)
      if (performance.now() - started > PATIENCE_MS) throw new IoPgtableError('ENODEV', 'guest', 'the guest program does not come back')
    await this.#monitor.execute('stop')
  }
}
