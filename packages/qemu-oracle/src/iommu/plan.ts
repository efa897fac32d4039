/** Random mappings of an address space: every page size, both ends, holes, read-only and write-only ones. */
import { type Geometry, inputRanges, Prot } from '@io-pgtable/core'
import type { Random } from '../machine/index.ts'
import type { PhysicalRange } from './iommu.ts'

export interface Mapping {
  readonly iova: bigint
  readonly paddr: bigint
  readonly pgsize: number
  readonly pgcount: number
  readonly prot: Prot
}

export function bytesOf({ pgsize, pgcount }: Mapping): bigint {
  return BigInt(pgsize) * BigInt(pgcount)
}

/** What the plan is made for. */
export interface Space {
  readonly geometry: Geometry
  readonly pgsizeBitmap: bigint
  readonly targets: PhysicalRange
  /** Input addresses to stay away from. */
  readonly reserved: readonly PhysicalRange[]
  /** Whether leaves can allow writes alone. */
  readonly writeOnly: boolean
}

/** Page sizes of a bitmap, smallest first. */
export function sizesOf(pgsizeBitmap: bigint): number[] {
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (pgsizeBitmap >> BigInt(bit)) & 1n)
    .map((bit) => 2 ** bit)
}

export class Planner {
  readonly #random: Random
  readonly #space: Space
  readonly #targets: PhysicalRange
  readonly #windows: readonly PhysicalRange[]
  readonly #sizes: readonly number[]
  readonly #taken: PhysicalRange[]
  #near = 0n

  constructor(random: Random, space: Space) {
    const { geometry, pgsizeBitmap, targets } = space
    this.#random = random
    this.#space = space
    const reach = (1n << BigInt(geometry.oas)) - 1n
    this.#targets = { first: targets.first, last: min(targets.last, reach) }
    this.#windows = inputRanges(geometry)
    this.#taken = [...space.reserved]
    // what has no aligned place in memory cannot be checked
    this.#sizes = sizesOf(pgsizeBitmap).filter((size) => this.#room(BigInt(size)) > 0n && size * 4 <= 2 ** geometry.ias)
  }

  get sizes(): readonly number[] {
    return this.#sizes
  }
  get smallest(): number {
    return this.#sizes[0] ?? 0
  }

  /** The first and the last page of each window, then random ones; fewer than asked for where the space is full. */
  mappings(count: number): Mapping[] {
    const step = BigInt(this.smallest)
    const ends = this.#windows.flatMap(({ first, last }) => [first, last + 1n - step])
    const mappings = ends.map((iova) => this.#claim(iova, this.smallest, 1))
    for (let tries = count * 4; mappings.length < count && tries > 0; tries--) {
      const pgsize = this.#random.pick(this.#sizes)
      const pgcount = 1 + Number(this.#random.below(min(4n, this.#room(BigInt(pgsize)))))
      const iova = this.#place(BigInt(pgsize))
      if (this.#isFree(iova, BigInt(pgsize) * BigInt(pgcount))) mappings.push(this.#claim(iova, pgsize, pgcount))
    }
    return mappings
  }

  /** A free place for a mapping of one page of a size, which is then taken. */
  claim(pgsize: number): Mapping {
    for (;;) {
      const iova = this.#place(BigInt(pgsize))
      if (this.#isFree(iova, BigInt(pgsize))) return this.#claim(iova, pgsize, 1, Prot.READ | Prot.WRITE)
    }
  }

  /** Addresses that nothing translates: beside mappings, and anywhere. */
  holes(count: number): bigint[] {
    const holes: bigint[] = []
    for (const { first, last } of this.#taken) for (const iova of [first - 8n, last + 1n]) if (this.#isFree(iova, 8n)) holes.push(iova)
    while (holes.length < count) {
      const iova = this.#place(8n)
      if (this.#isFree(iova, 8n)) holes.push(iova)
    }
    return Array.from({ length: count }, () => this.#random.pick(holes))
  }

  /** Addresses before and behind each window, and 4 GiB from it. */
  beyond(): bigint[] {
    const far = this.#windows.flatMap(({ first, last }) => [first - 8n, first - (1n << 32n), last + 1n, last + (1n << 32n)])
    return far.filter((iova) => iova >= 0n && iova < 1n << 64n && !this.#windows.some(({ first, last }) => iova >= first && iova <= last))
  }

  /** An aligned physical address. */
  target(size: bigint): bigint {
    const lowest = (this.#targets.first + size - 1n) / size
    return (lowest + this.#random.below(this.#room(size))) * size
  }

  /** How many aligned pieces of a size memory has. */
  #room(size: bigint): bigint {
    const { first, last } = this.#targets
    return (last + 1n) / size - (first + size - 1n) / size
  }

  /** Half of them near the one before, so that tables are shared. */
  #place(size: bigint): bigint {
    const { first, last } = this.#random.pick(this.#windows)
    const near = this.#near / size + this.#random.below(64n)
    const iova = this.#random.int(2) === 0 ? near * size : (first / size + this.#random.below((last - first + 1n) / size)) * size
    this.#near = iova
    return iova
  }

  #isFree(iova: bigint, size: bigint): boolean {
    const end = iova + size - 1n
    return (
      this.#windows.some(({ first, last }) => iova >= first && end <= last) && !this.#taken.some((t) => iova <= t.last && end >= t.first)
    )
  }

  #claim(iova: bigint, pgsize: number, pgcount: number, prot: Prot = this.#prot()): Mapping {
    this.#taken.push({ first: iova, last: iova + BigInt(pgsize) * BigInt(pgcount) - 1n })
    // contiguous pages stay below the end of memory
    let paddr = this.target(BigInt(pgsize))
    while (paddr + BigInt(pgsize) * BigInt(pgcount) - 1n > this.#targets.last) paddr -= BigInt(pgsize)
    return { iova, paddr, pgsize, pgcount, prot }
  }

  #prot(): Prot {
    const access = this.#random.pick([
      Prot.READ | Prot.WRITE,
      Prot.READ | Prot.WRITE,
      Prot.READ,
      this.#space.writeOnly ? Prot.WRITE : Prot.READ,
    ])
    return access | this.#random.pick([0, Prot.CACHE, Prot.NOEXEC, Prot.CACHE | Prot.NOEXEC])
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
