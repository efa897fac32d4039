/**
 * QEMU's educational PCI device as a DMA engine, as QEMU's documentation "EDU device" has it: it moves bytes between the addresses that an
 * IOMMU translates and its own buffer of 4 KiB.
 */
import { hex, IoPgtableError } from '@io-pgtable/core'
import type { QtestClient } from '../machine/index.ts'

const REG = { source: 0x80n, destination: 0x88n, count: 0x90n, command: 0x98n } as const
const START = 1
const TO_MEMORY = 2
/** Where its buffer is, in its own addresses. */
const BUFFER = 0x4_0000n
export const EDU_BYTES = 4096
/** Vendor and device id, as a configuration read gives them. */
export const EDU_ID = 0x11e8_1234n

/** Each read lets QEMU's main loop run, which ends the transfer; a handful is normal. */
const POLLS = 200_000

export class Edu {
  readonly #qtest: QtestClient
  readonly #bar: bigint

  /** `bar`: the physical address that its BAR 0 was given. */
  constructor(qtest: QtestClient, bar: bigint) {
    this.#qtest = qtest
    this.#bar = bar
  }

  /** Moves bytes from an address of the device's space to its buffer; where that faults, the buffer's bytes become zero. */
  read(iova: bigint, offset: number, length: number): Promise<void> {
    return this.#transfer(iova, BUFFER + BigInt(offset), length, START)
  }

  /** Moves bytes from its buffer to an address of the device's space; where that faults, nothing moves. */
  write(offset: number, iova: bigint, length: number): Promise<void> {
    return this.#transfer(BUFFER + BigInt(offset), iova, length, START | TO_MEMORY)
  }

  async #transfer(source: bigint, destination: bigint, length: number, command: number): Promise<void> {
    const qtest = this.#qtest
    void qtest.writeq(this.#bar + REG.source, source)
    void qtest.writeq(this.#bar + REG.destination, destination)
    void qtest.writeq(this.#bar + REG.count, length)
    void qtest.writeq(this.#bar + REG.command, command)
    for (let left = POLLS; left > 0; left--) if (((await qtest.readq(this.#bar + REG.command)) & 1n) === 0n) return
    throw new IoPgtableError('EBUSY', 'edu', 'a transfer does not end', { value: source })
  }
}

/** Gives the edu device its BAR by ECAM, and lets it access memory. @throws (rejects) `ENODEV` when it is not there */
export async function enableEdu(qtest: QtestClient, config: bigint, bar: bigint): Promise<void> {
  const id = await qtest.readl(config)
  if (id !== EDU_ID) throw new IoPgtableError('ENODEV', 'edu', `no edu device at ${hex(config)}, but ${hex(id)}`, { value: id })
  void qtest.writel(config + 0x10n, bar)
  void qtest.writew(config + 4n, 6)
}
