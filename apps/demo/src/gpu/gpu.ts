/**
 * A GPU's MMU in front of its memory: slots for address spaces, and in each a TLB that forgets nothing until the firmware is told to
 * invalidate it. What a driver fails to flush is used.
 */
import { Prot } from '@io-pgtable/core'
import { type Tables, type Translation, translate } from '@io-pgtable/inspect'
import { regionOf } from '../policies/locked-range.ts'

export const PAGE = 4096

/** An access that was not let through, and the walk that says why. */
export interface Fault {
  readonly address: bigint
  readonly access: 'read' | 'write'
  readonly walk: Translation
}

interface Slot {
  tables: Tables | undefined
  /** By page. */
  readonly tlb: Map<bigint, { readonly paddr: bigint; readonly prot: Prot }>
  locked: ReturnType<typeof regionOf> | undefined
}

export class Gpu {
  readonly #slots: readonly Slot[]
  /** Memory by page: a word stands for all words of one. */
  readonly #memory = new Map<bigint, number>()
  walks = 0
  flushes = 0
  /** Accesses to a locked region, where hardware would wait. */
  stalls = 0

  constructor(slots: number) {
    this.#slots = Array.from({ length: slots }, () => ({ tables: undefined, tlb: new Map(), locked: undefined }))
  }

  /** Gives a slot to other tables, or to none. */
  program(slot: number, tables: Tables | undefined): void {
    this.#slot(slot).tables = tables
    this.#slot(slot).tlb.clear()
  }

  /** The firmware locks a region that holds the range. */
  lock(slot: number, first: bigint, last: bigint): void {
    this.#slot(slot).locked = regionOf(first, last)
  }

  /** It invalidates the region, and lets accesses in again. */
  flushUnlock(slot: number): void {
    const { tlb, locked } = this.#slot(slot)
    for (const page of tlb.keys())
      if (locked && page * BigInt(PAGE) <= locked.last && (page + 1n) * BigInt(PAGE) > locked.first) tlb.delete(page)
    this.#slot(slot).locked = undefined
    this.flushes++
  }

  /** Writes a page when there is a value, else reads it. */
  access(slot: number, address: bigint, value?: number): number | Fault {
    const access = value === undefined ? 'read' : 'write'
    const wanted = value === undefined ? Prot.READ : Prot.WRITE
    const { tlb, locked, tables } = this.#slot(slot)
    if (locked && locked.first <= address && address <= locked.last) this.stalls++
    const page = address / BigInt(PAGE)
    const known = tlb.get(page)
    if (known === undefined || (known.prot & wanted) === 0) {
      if (tables === undefined) throw new Error(`slot ${slot} is off`)
      this.walks++
      const walk = translate(tables, page * BigInt(PAGE))
      const leaf = walk.walk.at(-1)
      const prot = leaf?.type === 'leaf' ? tables.format.prot(leaf.raw, leaf.kind, tables.context) : 0
      if (walk.paddr === undefined || (prot & wanted) === 0) return { address, access, walk }
      tlb.set(page, { paddr: walk.paddr, prot })
    }
    const at = (tlb.get(page)?.paddr ?? 0n) / BigInt(PAGE)
    if (value !== undefined) this.#memory.set(at, value)
    return this.#memory.get(at) ?? 0
  }

  /** Moves memory, as an eviction does: whoever still reads at the old place finds nothing. */
  move(from: bigint, to: bigint, size: number): void {
    for (let at = 0n; at < BigInt(size / PAGE); at++) {
      const page = from / BigInt(PAGE) + at
      this.#memory.set(to / BigInt(PAGE) + at, this.#memory.get(page) ?? 0)
      this.#memory.delete(page)
    }
  }

  #slot(slot: number): Slot {
    const found = this.#slots[slot]
    if (found === undefined) throw new RangeError(`slot ${slot}: the GPU has ${this.#slots.length}`)
    return found
  }
}

/** What was not let through, in words. */
export function faultText({ address, access, walk }: Fault): string {
  const at = `the ${access} of 0x${address.toString(16)}`
  return walk.fault ? `${at} ends at level ${walk.fault.level}: ${walk.fault.reason}` : `${at} comes to a page that does not allow it`
}
