/**
 * What a page table should do, so simple that it is obviously right: a map from page numbers to mappings, and the set of tables that
 * exist. It knows no descriptors. Sizes are described by where they live, so that it serves formats of any depth.
 */
export interface ModelSize {
  readonly pgsize: number
  /** Bytes of input address of one entry that maps it. */
  readonly slot: number
}

export interface ModelOptions {
  /** Smallest page, bytes. */
  readonly granule: number
  readonly sizes: readonly ModelSize[]
  /** What one table translates, bytes, for each level below the root, largest first. It is also the slot size of the entry that points to it. */
  readonly tables: readonly number[]
  /** Whether a conflict stops the mapping that meets it, or the whole run inside one table. */
  readonly conflict: 'entry' | 'table'
}

export interface Mapping {
  readonly iova: number
  readonly paddr: number
  readonly size: ModelSize
  readonly prot: number
}

/** Addresses are numbers below 2^53 here. */
export class PageTableModel {
  readonly options: ModelOptions
  readonly pages: Map<number, Mapping> = new Map()
  /** `span:first address` of every table below the root. */
  readonly tables: Set<string> = new Set()

  constructor(options: ModelOptions) {
    this.options = options
  }

  /** @returns bytes mapped; a conflict stopped it when they are fewer than asked */
  map(iova: number, paddr: number, pgsize: number, pgcount: number, prot: number): number {
    const size = this.#size(pgsize)
    const total = pgsize * pgcount
    for (let done = 0; done < total; ) {
      const run = this.options.conflict === 'entry' ? pgsize : Math.min(this.#tableEnd(iova + done, size) - done - iova, total - done)
      if (!this.#makeWay(iova + done, run, size)) return done
      for (let end = done + run; done < end; done += pgsize) this.#put({ iova: iova + done, paddr: paddr + done, size, prot })
    }
    return total
  }

  /** @returns bytes unmapped: up to the first hole or the first larger leaf */
  unmap(iova: number, pgsize: number, pgcount: number): number {
    const size = this.#size(pgsize)
    let done = 0
    for (; done < pgsize * pgcount; done += pgsize) {
      for (let at = iova + done; at < iova + done + pgsize; at += size.slot) if (!this.#slotMayGo(at, size)) return done
      this.#clear(iova + done, pgsize)
      this.#dropTables(iova + done, pgsize, size)
    }
    return done
  }

  translate(iova: number): number | undefined {
    const mapping = this.pages.get(Math.floor(iova / this.options.granule))
    return mapping && mapping.paddr + iova - mapping.iova
  }

  /** Every mapping once, in order. */
  mappings(): Mapping[] {
    return [...new Set(this.pages.values())].sort((a, b) => a.iova - b.iova)
  }

  #size(pgsize: number): ModelSize {
    const size = this.options.sizes.find((s) => s.pgsize === pgsize)
    if (size === undefined) throw new Error(`the model has no size ${pgsize}`)
    return size
  }

  /** The tables below the root on the way to an entry of this size, largest first. */
  #way(iova: number, size: ModelSize): { readonly span: number; readonly key: string }[] {
    return this.options.tables.filter((span) => span > size.slot).map((span) => ({ span, key: `${span}:${iova - (iova % span)}` }))
  }

  #tableEnd(iova: number, size: ModelSize): number {
    const span = this.#way(iova, size).at(-1)?.span
    return span === undefined ? Number.MAX_SAFE_INTEGER : iova - (iova % span) + span
  }

  /** Makes the tables on the way, checks that nothing is mapped in the range, and drops the empty tables in it. */
  #makeWay(iova: number, bytes: number, size: ModelSize): boolean {
    for (const { span, key } of this.#way(iova, size)) {
      if (this.tables.has(key)) continue
      const there = this.pages.get(Math.floor(iova / this.options.granule))
      if (there !== undefined && there.size.slot >= span) return false
      this.tables.add(key)
    }
    for (let at = iova; at < iova + bytes; at += this.options.granule) if (this.pages.has(at / this.options.granule)) return false
    this.#dropTables(iova, bytes, size)
    return true
  }

  #put(mapping: Mapping): void {
    const { granule } = this.options
    for (let at = mapping.iova; at < mapping.iova + mapping.size.pgsize; at += granule) this.pages.set(at / granule, mapping)
  }

  #clear(iova: number, bytes: number): void {
    for (let at = iova; at < iova + bytes; at += this.options.granule) this.pages.delete(at / this.options.granule)
  }

  #dropTables(iova: number, bytes: number, size: ModelSize): void {
    for (const span of this.options.tables) {
      if (span > size.slot) continue
      for (let at = iova; at < iova + bytes; at += span) this.tables.delete(`${span}:${at}`)
    }
  }

  /** A slot may be unmapped when it holds a table, or a leaf of its own node that is not larger than what is unmapped. */
  #slotMayGo(iova: number, size: ModelSize): boolean {
    if (this.tables.has(`${size.slot}:${iova}`)) return true
    const mapping = this.pages.get(iova / this.options.granule)
    return mapping !== undefined && mapping.size.slot === size.slot && mapping.size.pgsize <= size.pgsize
  }
}

/** A small seeded generator of integers (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b_79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}
