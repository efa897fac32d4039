/**
 * The GPU's MMU: slots of address spaces, a walker, and a TLB that keeps every translation until the firmware tells it to forget: what a driver
 * fails to invalidate is used.
 */
import { type Decoded, type DecodedLeaf, type EntryPlace, type Geometry, Prot, type ReadMemory, walkAddress } from '@io-pgtable/core'
import { PAGE, type Ram } from './memory.ts'

export type Access = 'read' | 'write'

/** What the registers of a slot say. */
export interface AddressSpace {
  readonly geometry: Geometry
  readonly roots: readonly bigint[]
  /** What a leaf grants. */
  readonly prot: (leaf: DecodedLeaf) => Prot
}

/** A translation that failed. */
export interface Fault {
  readonly slot: number
  readonly address: bigint
  readonly access: Access
  /** The descriptors that the walker read, the last one the one that ended it; none when the slot has no address space. */
  readonly walk: readonly (Decoded & EntryPlace)[]
}

/** What the walker's memory accesses go to. */
export interface Bus {
  readonly tables: ReadMemory
  readonly ram: Ram
}

interface Translation {
  readonly paddr: bigint
  readonly prot: Prot
}

interface Slot {
  space: AddressSpace | undefined
  locked: { readonly first: bigint; readonly last: bigint } | undefined
  /** By page number. */
  readonly tlb: Map<bigint, Translation>
}

export class Mmu {
  readonly bus: Bus
  readonly #slots: readonly Slot[]
  /** Accesses that came to a locked range: hardware would wait there. */
  stalls = 0
  hits = 0
  walks = 0

  constructor(slots: number, bus: Bus) {
    this.bus = bus
    this.#slots = Array.from({ length: slots }, () => ({ space: undefined, locked: undefined, tlb: new Map() }))
  }

  /** The registers of a slot; without a space it is off. */
  program(slot: number, space: AddressSpace | undefined): void {
    this.#slot(slot).space = space
  }

  lock(slot: number, range: { readonly first: bigint; readonly last: bigint } | undefined): void {
    this.#slot(slot).locked = range
  }

  /** Forgets what is translated in a range. */
  invalidate(slot: number, first: bigint, last: bigint): void {
    const { tlb } = this.#slot(slot)
    for (const page of tlb.keys()) {
      const address = page * BigInt(PAGE)
      if (address <= last && address + BigInt(PAGE) > first) tlb.delete(page)
    }
  }

  /** The words of the page that an address is translated to, or why it is not. */
  access(slot: number, address: bigint, access: Access): Uint32Array | Fault {
    const { locked, tlb } = this.#slot(slot)
    if (locked !== undefined && locked.first <= address && address <= locked.last) this.stalls++
    const page = address / BigInt(PAGE)
    const known = tlb.get(page)
    if (known !== undefined && grants(known.prot, access)) {
      this.hits++
      return this.bus.ram.page(known.paddr)
    }
    const found = this.#walk(slot, page * BigInt(PAGE), access)
    if (!('paddr' in found)) return { ...found, address }
    tlb.set(page, found)
    return this.bus.ram.page(found.paddr)
  }

  #walk(slot: number, address: bigint, access: Access): Translation | Fault {
    const { space } = this.#slot(slot)
    this.walks++
    const fault = (walk: Fault['walk']): Fault => ({ slot, address, access, walk })
    if (space === undefined) return fault([])
    const walk = walkAddress(space.geometry, space.roots, this.bus.tables, address)
    const last = walk.at(-1)
    if (last?.type !== 'leaf') return fault(walk)
    const prot = space.prot(last)
    return grants(prot, access) ? { paddr: last.paddr + (address - last.iova), prot } : fault(walk)
  }

  #slot(slot: number): Slot {
    const found = this.#slots[slot]
    if (found === undefined) throw new RangeError(`slot ${slot}: the GPU has ${this.#slots.length}`)
    return found
  }
}

function grants(prot: Prot, access: Access): boolean {
  return (prot & (access === 'read' ? Prot.READ : Prot.WRITE)) !== 0
}
