/** The GPU's firmware: what the driver asks for in order to change tables under a running GPU. It locks a region, and flushes it as it unlocks. */
import type { AddressSpace, Mmu } from './mmu.ts'

interface Region {
  readonly first: bigint
  readonly last: bigint
}

/** What such hardware can lock: a power of two from 32 KiB on, aligned to its size. */
function regionOf(first: bigint, last: bigint): Region {
  let bits = 15n
  while (first >> bits !== last >> bits) bits++
  const base = (first >> bits) << bits
  return { first: base, last: base + (1n << bits) - 1n }
}

interface FirmwareCounts {
  readonly locks: number
  /** Invalidations of a locked region. */
  readonly flushes: number
  /** Slots that were given to another address space, each with an invalidation of everything in it. */
  readonly switches: number
}

export class Firmware {
  readonly mmu: Mmu
  #counts: FirmwareCounts = { locks: 0, flushes: 0, switches: 0 }
  readonly #locked = new Map<number, Region>()

  constructor(mmu: Mmu) {
    this.mmu = mmu
  }

  get counts(): FirmwareCounts {
    return this.#counts
  }

  /** The GPU waits when it comes to the region: a power of two that holds the range. */
  lock(slot: number, first: bigint, last: bigint): void {
    const region = regionOf(first, last)
    this.#locked.set(slot, region)
    this.mmu.lock(slot, region)
    this.#counts = { ...this.#counts, locks: this.#counts.locks + 1 }
  }

  /** Invalidates the region, and lets the GPU go on. */
  flushUnlock(slot: number): void {
    const region = this.#locked.get(slot)
    if (region === undefined) return
    this.mmu.invalidate(slot, region.first, region.last)
    this.#locked.delete(slot)
    this.mmu.lock(slot, undefined)
    this.#counts = { ...this.#counts, flushes: this.#counts.flushes + 1 }
  }

  /** Gives a slot to another address space, or to none. */
  assign(slot: number, space: AddressSpace | undefined): void {
    this.mmu.program(slot, undefined)
    this.mmu.invalidate(slot, 0n, (1n << 64n) - 1n)
    this.mmu.program(slot, space)
    this.#counts = { ...this.#counts, switches: this.#counts.switches + 1 }
  }
}
