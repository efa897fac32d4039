/** Checks translations by what the device moves: the right bytes at the right physical addresses, and a record of every access refused. */
import { hex, Prot } from '@io-pgtable/core'
import { equalBytes, type Random } from '../machine/index.ts'
import { EDU_BYTES } from './edu.ts'
import type { Cause, Fault, Iommu, Stage } from './iommu.ts'

/** Bytes that one probe moves. */
export const PROBE_BYTES = 8
/** What a refused probe moves, from a multiple of it on: QEMU splits larger accesses that go nowhere, and records each part. */
const REFUSED_BYTES = 4
const BATCH = EDU_BYTES / PROBE_BYTES

/** An input address, and where it is expected to lead. */
export interface Expected {
  readonly iova: bigint
  readonly paddr: bigint
  readonly prot: Prot
}

/** An access that is expected to be refused; `paddr`: memory that it must not change. */
export interface Refused {
  readonly iova: bigint
  readonly write: boolean
  readonly cause: Cause
  readonly paddr?: bigint
}

export interface ProberOptions {
  /** An address that translates to the IOMMU's scratch page, for reading and writing. */
  readonly scratchIova: bigint
  /** Empty the TLB before each access. */
  readonly cold: boolean
}

export class Prober {
  readonly #iommu: Iommu
  readonly #stage: Pick<Stage<unknown>, 'code' | 'invalidateAll'>
  readonly #random: Random
  readonly #options: ProberOptions

  constructor(iommu: Iommu, stage: Pick<Stage<unknown>, 'code' | 'invalidateAll'>, random: Random, options: ProberOptions) {
    this.#iommu = iommu
    this.#stage = stage
    this.#random = random
    this.#options = options
  }

  /** Moves bytes both ways where the mapping allows it. @returns what is wrong */
  async translations(all: readonly Expected[]): Promise<string[]> {
    const wrong: string[] = []
    for (const batch of batchesOf(all)) {
      wrong.push(...(await this.#reads(batch.filter(({ prot }) => prot & Prot.READ))))
      wrong.push(...(await this.#writes(batch.filter(({ prot }) => prot & Prot.WRITE))))
    }
    return wrong
  }

  /** @returns what is wrong: an access that is not refused, or a record that is missing or says something else */
  async refusals(all: readonly Refused[]): Promise<string[]> {
    const wrong: string[] = []
    for (const refused of all) wrong.push(...(await this.refusal(refused)))
    return wrong
  }

  async refusal({ iova: address, write, cause, paddr: target }: Refused): Promise<string[]> {
    const { edu, machine } = this.#iommu
    const iova = address & -BigInt(REFUSED_BYTES)
    const paddr = target === undefined ? undefined : target & -BigInt(REFUSED_BYTES)
    const kept = this.#random.bytes(REFUSED_BYTES)
    await this.load(this.#tag())
    if (paddr !== undefined) void machine.qtest.write(paddr, kept)
    if (this.#iommu.recordsWalksAlone) this.#stage.invalidateAll()
    if (write) await edu.write(0, iova, REFUSED_BYTES)
    else await edu.read(iova, 0, REFUSED_BYTES)
    const wrong = this.#records(await this.#iommu.faults(), iova, write, cause)
    if (write && paddr !== undefined && !equalBytes(await machine.qtest.read(paddr, REFUSED_BYTES), kept))
      wrong.push(`${hex(iova)}: bytes were written`)
    if (!write && (await this.save(REFUSED_BYTES)).some((byte) => byte !== 0)) wrong.push(`${hex(iova)}: bytes were read`)
    return wrong
  }

  /** Fills the device's buffer. */
  async load(bytes: Uint8Array): Promise<void> {
    void this.#iommu.machine.qtest.write(this.#iommu.scratch, bytes)
    await this.#iommu.edu.read(this.#options.scratchIova, 0, bytes.length)
  }

  /** The first bytes of the device's buffer. */
  async save(length: number): Promise<Uint8Array> {
    const { machine, edu, scratch } = this.#iommu
    void machine.qtest.fill(scratch, length, 0)
    await edu.write(0, this.#options.scratchIova, length)
    return machine.qtest.read(scratch, length)
  }

  async #reads(batch: readonly Expected[]): Promise<string[]> {
    const { machine, edu } = this.#iommu
    const tags = batch.map(() => this.#tag())
    for (const [i, { paddr }] of batch.entries()) void machine.qtest.write(paddr, tags[i]!)
    for (const [i, { iova }] of batch.entries()) {
      if (this.#options.cold) this.#stage.invalidateAll()
      await edu.read(iova, i * PROBE_BYTES, PROBE_BYTES)
    }
    const refused = await this.#unexpected()
    const got = batch.length === 0 ? new Uint8Array() : await this.save(batch.length * PROBE_BYTES)
    const at = (i: number): Uint8Array => got.subarray(i * PROBE_BYTES, (i + 1) * PROBE_BYTES)
    return [...refused, ...batch.flatMap((e, i) => (equalBytes(at(i), tags[i]!) ? [] : [`reading ${say(e)} gives other bytes`]))]
  }

  async #writes(batch: readonly Expected[]): Promise<string[]> {
    const { machine, edu } = this.#iommu
    const tags = batch.map(() => this.#tag())
    if (batch.length > 0) await this.load(Buffer.concat(tags))
    for (const [i, { iova }] of batch.entries()) {
      if (this.#options.cold) this.#stage.invalidateAll()
      await edu.write(i * PROBE_BYTES, iova, PROBE_BYTES)
    }
    const refused = await this.#unexpected()
    const got = await Promise.all(batch.map(({ paddr }) => machine.qtest.read(paddr, PROBE_BYTES)))
    return [...refused, ...batch.flatMap((e, i) => (equalBytes(got[i]!, tags[i]!) ? [] : [`writing ${say(e)} does not arrive`]))]
  }

  async #unexpected(): Promise<string[]> {
    return (await this.#iommu.faults()).map((fault) => `an unexpected record: ${sayFault(fault)}`)
  }

  #records(faults: readonly Fault[], iova: bigint, write: boolean, cause: Cause): string[] {
    const code = this.#stage.code(cause, write)
    if (code === undefined) return faults.map((fault) => `${hex(iova)}: an unexpected record: ${sayFault(fault)}`)
    const [fault] = faults
    if (fault === undefined || faults.length > 1) return [`${hex(iova)}: one record expected, there are ${faults.length}`]
    const right =
      fault.code === code &&
      fault.address >> 12n === iova >> 12n &&
      fault.device === this.#iommu.device &&
      (fault.write === undefined || fault.write === write)
    return right
      ? []
      : [`${hex(iova)} (${cause}, ${write ? 'write' : 'read'}): the record is ${sayFault(fault)}, code ${hex(code)} expected`]
  }

  /** Never all zero: that is what a failed read leaves. */
  #tag(): Uint8Array {
    const tag = this.#random.bytes(PROBE_BYTES)
    tag[0] = (tag[0] ?? 0) | 1
    return tag
  }
}

/** As many as fit into the device's buffer, no two of them on the same bytes of memory. */
function batchesOf(all: readonly Expected[]): Expected[][] {
  const batches: Expected[][] = []
  let used = new Set<bigint>()
  for (const expected of all) {
    const words = [expected.paddr >> 3n, (expected.paddr + 7n) >> 3n]
    const batch = batches.at(-1)
    if (batch !== undefined && batch.length < BATCH && !words.some((word) => used.has(word))) batch.push(expected)
    else {
      batches.push([expected])
      used = new Set()
    }
    for (const word of words) used.add(word)
  }
  return batches
}

function say({ iova, paddr }: Expected): string {
  return `${hex(iova)} (at ${hex(paddr)})`
}

function sayFault({ code, address, device, write }: Fault): string {
  return `code ${hex(code)} at ${hex(address)}, device ${hex(device)}, ${write ? 'write' : 'read'}`
}
