/**
 * What a page table should do, so simple that it is obviously right: the leaves, and the set of tables that exist at each level. It knows
 * no descriptors and no memory, and follows the format's policy as it is declared. Addresses are offsets in the input window.
 */
import type { Prot } from '@io-pgtable/core'
import { type Case, rootBytes, type Size, tableAlign } from './case.ts'

/** One mapping, whatever number of slots it takes. */
export interface Mapping {
  readonly offset: bigint
  readonly paddr: bigint
  readonly size: Size
  readonly prot: Prot
  /** Not as it was mapped: whether it counts as dirty is what it was before. */
  readonly changed?: boolean
}

/** Why a call ended before its end. `part`: in a larger leaf; `hole`: where nothing is mapped; `table`: at a table that must stay. */
export type MapStop = 'EEXIST' | 'ENOMEM' | undefined
export type UnmapStop = 'hole' | 'part' | 'table' | undefined
export type EditStop = 'EINVAL' | 'ENOMEM' | undefined

const NOTHING = { changed: false, stop: undefined } as const

export class Model {
  readonly c: Case
  /** Place of the root in the chain of nodes: it moves up where the root grows. */
  top: number
  /** By depth, then slot number: the mapping that the slot is a part of. */
  readonly leaves: Map<number, Mapping>[]
  /** By depth: the slots that hold a table. */
  readonly tables: Set<number>[]
  /** Most bytes of memory for tables, the root included. */
  readonly memory: number

  constructor(c: Case, memory: number = Number.POSITIVE_INFINITY) {
    this.c = c
    this.top = c.top
    this.leaves = c.chain.map(() => new Map())
    this.tables = c.chain.map(() => new Set())
    this.memory = memory
  }

  /** Bytes in the account of a table: what all tables take, but for the alignment of the root that it began with. */
  get tableBytes(): number {
    const root = this.c.chain[this.top]!
    return this.#taken - (this.top === this.c.top ? tableAlign(root) - rootBytes(root) : 0)
  }

  /** Bytes of memory that all tables take. */
  get #taken(): number {
    return this.tables.reduce((sum, slots, depth) => sum + slots.size * this.#bytes(depth + 1), this.#bytes(this.top))
  }

  /** Maps run by run: a run ends with its table, or is one mapping, as the policy checks conflicts. */
  map(offset: bigint, paddr: bigint, size: Size, count: number, prot: Prot): { mapped: number; stop: MapStop } {
    const { depth } = size
    const slots = size.size.slots
    const first = this.#slot(depth, offset)
    for (let done = 0; done < count; ) {
      const slot = first + done * slots
      const stop = this.#makeWay(depth, slot)
      if (stop !== undefined) return { mapped: done * size.pgsize, stop }
      const run = this.c.policy.conflict === 'entry' ? 1 : Math.min(count - done, this.#runFrom(depth, slot) / slots)
      if (!this.#isFree(depth, slot, run * slots)) return { mapped: done * size.pgsize, stop: 'EEXIST' }
      for (let s = slot; s < slot + run * slots; s++) this.#dropTable(depth, s)
      for (let i = 0; i < run; i++, done++) {
        const bytes = BigInt(done) * BigInt(size.pgsize)
        this.#put({ offset: offset + bytes, paddr: paddr + bytes, size, prot })
      }
    }
    return { mapped: size.pgsize * count, stop: undefined }
  }

  /** Unmaps mapping by mapping, up to the first hole or part of a larger leaf. */
  unmap(offset: bigint, size: Size, count: number): { unmapped: number; stop: UnmapStop } {
    if (this.c.policy.freeTables === 'covered') return this.unmapCovered(offset, size.pgsize * count)
    const { depth } = size
    const slots = size.size.slots
    const first = this.#slot(depth, offset)
    for (let done = 0; done < count; done++) {
      const slot = first + done * slots
      const stop = this.#wayTo(depth, slot) ?? this.#whyNot(size, slot)
      if (stop !== undefined) return { unmapped: done * size.pgsize, stop }
      for (let s = slot; s < slot + slots; s++) {
        this.#dropTable(depth, s)
        this.leaves[depth]?.delete(s)
      }
    }
    return { unmapped: size.pgsize * count, stop: undefined }
  }

  /** Unmaps leaf by leaf, whatever their sizes, and drops the tables that the range covers, as far as it went. */
  unmapCovered(offset: bigint, bytes: number): { unmapped: number; stop: UnmapStop } {
    const end = offset + BigInt(bytes)
    let at = offset
    let stop: UnmapStop
    while (at < end && stop === undefined) {
      const leaf = this.at(at)
      if (leaf === undefined) stop = 'hole'
      else if (leaf.offset !== at) stop = 'part'
      else at += BigInt(this.#remove(leaf))
    }
    this.#dropCovered(offset, at < end ? at : end)
    return { unmapped: Number(at - offset), stop }
  }

  /** A boundary inside a mapping: what was one is the largest ones that fit on both sides of it. */
  cut(offset: bigint): { changed: boolean; stop: EditStop } {
    const leaf = this.at(offset)
    if (leaf === undefined || leaf.offset === offset) return { changed: false, stop: undefined }
    const parts = this.#partsOf(leaf, offset)
    if (parts === undefined) return { changed: false, stop: 'EINVAL' }
    const tables = this.c.chain.map(() => new Set<number>())
    for (const { offset: at, size } of parts) {
      const slot = this.#slot(size.depth, at)
      for (let d = leaf.size.depth; d < size.depth; d++) tables[d]!.add(this.#above(d, slot, size.depth))
    }
    const bytes = tables.reduce((sum, slots, depth) => sum + slots.size * this.#bytes(depth + 1), 0)
    if (this.#taken + bytes > this.memory) return { changed: false, stop: 'ENOMEM' }
    this.#remove(leaf)
    for (const [depth, slots] of tables.entries()) for (const slot of slots) this.tables[depth]!.add(slot)
    for (const part of parts) this.#put(part)
    return { changed: true, stop: undefined }
  }

  #partsOf(leaf: Mapping, cut: bigint): Mapping[] | undefined {
    const parts: Mapping[] = []
    const end = leaf.offset + BigInt(leaf.size.pgsize)
    for (let offset = leaf.offset; offset < end; ) {
      const room = (offset < cut ? cut : end) - offset
      const size = this.c.sizes.findLast(({ pgsize }) => BigInt(pgsize) <= room && offset % BigInt(pgsize) === 0n)
      if (size === undefined) return undefined
      parts.push({ ...leaf, offset, paddr: leaf.paddr + offset - leaf.offset, size })
      offset += BigInt(size.pgsize)
    }
    return parts
  }

  /** Other permissions for the mappings of a range, up to the first hole. `fits`: whether a size can have them. */
  protect(offset: bigint, bytes: number, prot: Prot, cut: boolean, fits: (size: Size) => boolean): { bytes: number; stop: EditStop } {
    const end = offset + BigInt(bytes)
    let reached = this.#reach(offset, end)
    if (!reached.every(({ size }) => fits(size))) return { bytes: 0, stop: 'EINVAL' }
    const straddles = reached.some((leaf) => leaf.offset < offset || leaf.offset + BigInt(leaf.size.pgsize) > end)
    if (straddles && !cut) return { bytes: 0, stop: 'EINVAL' }
    if (straddles) {
      for (const at of [offset, end]) {
        const { stop } = reached.some((leaf) => leaf.offset < at && at < leaf.offset + BigInt(leaf.size.pgsize)) ? this.cut(at) : NOTHING
        if (stop !== undefined) return { bytes: 0, stop }
      }
      reached = this.#reach(offset, end)
    }
    for (const leaf of reached) this.#put({ ...leaf, prot, changed: true })
    return { bytes: reached.reduce((sum, { size }) => sum + size.pgsize, 0), stop: undefined }
  }

  /** The mappings from an address on, up to the first hole. */
  #reach(offset: bigint, end: bigint): Mapping[] {
    const found: Mapping[] = []
    for (let at = offset; at < end; ) {
      const leaf = this.at(at)
      if (leaf === undefined) break
      found.push(leaf)
      at = leaf.offset + BigInt(leaf.size.pgsize)
    }
    return found
  }

  /** Drops the tables without mappings whose addresses are all from `first` to `last`. Returns their bytes. */
  trim(first: bigint, last: bigint): number {
    const before = this.tableBytes
    const end = (1n << BigInt(this.c.geometry.ias)) - 1n
    for (let depth = this.top; depth < this.tables.length; depth++) {
      const span = 1n << BigInt(this.c.chain[depth]!.shift)
      for (const slot of this.tables[depth]!) {
        const offset = this.offsetOfSlot(depth, slot)
        const stops = offset + span - 1n < end ? offset + span - 1n : end
        if (offset >= first && stops <= last && !this.#holdsLeaves(depth, slot)) this.#dropTable(depth, slot)
      }
    }
    return before - this.tableBytes
  }

  /** The mapping that translates an address. */
  at(offset: bigint): Mapping | undefined {
    for (const [depth, leaves] of this.leaves.entries()) {
      const leaf = leaves.get(this.#slot(depth, offset))
      if (leaf !== undefined) return leaf
    }
    return undefined
  }

  translate(offset: bigint): bigint | undefined {
    const leaf = this.at(offset)
    return leaf && leaf.paddr + offset - leaf.offset
  }

  /** Every mapping once, in order. */
  mappings(): Mapping[] {
    const all = new Set(this.leaves.flatMap((leaves) => [...leaves.values()]))
    return [...all].sort((a, b) => (a.offset < b.offset ? -1 : 1))
  }

  /** The first address of a slot. */
  offsetOfSlot(depth: number, slot: number): bigint {
    return BigInt(slot) << BigInt(this.c.chain[depth]!.shift)
  }

  #bytes(depth: number): number {
    const node = this.c.chain[depth]
    return node === undefined ? 0 : tableAlign(node)
  }

  #slot(depth: number, offset: bigint): number {
    return Number(offset >> BigInt(this.c.chain[depth]!.shift))
  }

  /** The slot at `depth` that a slot further down lies in. */
  #above(depth: number, slot: number, below: number): number {
    return Math.floor(slot / 2 ** (this.c.chain[depth]!.shift - this.c.chain[below]!.shift))
  }

  /** Slots from this one to the end of its run. */
  #runFrom(depth: number, slot: number): number {
    const run = Math.min(2 ** this.c.chain[depth]!.bits, this.c.policy.runSlots ?? Number.POSITIVE_INFINITY)
    return run - (slot % run)
  }

  /** Makes the tables on the way to a slot, the root's parents first. */
  #makeWay(depth: number, slot: number): MapStop {
    while (this.#beyondRoot(depth, slot)) {
      if (!this.#fits(this.top - 1)) return 'ENOMEM'
      this.top--
      this.tables[this.top]!.add(0)
    }
    for (let d = this.top; d < depth; d++) {
      const at = this.#above(d, slot, depth)
      if (this.leaves[d]!.has(at)) return 'EEXIST'
      if (this.tables[d]!.has(at)) continue
      if (!this.#fits(d + 1)) return 'ENOMEM'
      this.tables[d]!.add(at)
    }
    return undefined
  }

  #fits(depth: number): boolean {
    return this.#taken + this.#bytes(depth) <= this.memory
  }

  /** Whether the root must grow to hold the slot. */
  #beyondRoot(depth: number, slot: number): boolean {
    if (depth < this.top) return true
    return this.top > 0 && this.#above(this.top, slot, depth) >= 2 ** this.c.chain[this.top]!.bits
  }

  /** Whether the slots are empty, or hold tables that may be replaced. */
  #isFree(depth: number, first: number, slots: number): boolean {
    for (let slot = first; slot < first + slots; slot++) {
      if (this.leaves[depth]!.has(slot)) return false
      if (this.tables[depth]!.has(slot) && (this.c.policy.freeTables === 'never' || this.#holdsLeaves(depth, slot))) return false
    }
    return true
  }

  #holdsLeaves(depth: number, slot: number): boolean {
    for (let d = depth + 1; d < this.leaves.length; d++) {
      for (const below of this.leaves[d]!.keys()) if (this.#above(depth, below, d) === slot) return true
    }
    return false
  }

  /** Why the way to a slot ends before it. */
  #wayTo(depth: number, slot: number): UnmapStop {
    if (this.#beyondRoot(depth, slot)) return 'hole'
    for (let d = this.top; d < depth; d++) {
      const at = this.#above(d, slot, depth)
      if (this.leaves[d]!.has(at)) return 'part'
      if (!this.tables[d]!.has(at)) return 'hole'
    }
    return undefined
  }

  /** Why the slots of a mapping of this size may not be unmapped: each must hold a table, or a leaf that is not larger. */
  #whyNot({ depth, pgsize, size }: Size, first: number): UnmapStop {
    for (let slot = first; slot < first + size.slots; slot++) {
      if (this.tables[depth]!.has(slot)) {
        if (this.c.policy.freeTables === 'never') return 'table'
        continue
      }
      const leaf = this.leaves[depth]!.get(slot)
      if (leaf === undefined) return 'hole'
      if (leaf.size.pgsize > pgsize) return 'part'
    }
    return undefined
  }

  #put(mapping: Mapping): void {
    const { depth, size } = mapping.size
    const first = this.#slot(depth, mapping.offset)
    for (let slot = first; slot < first + size.slots; slot++) this.leaves[depth]!.set(slot, mapping)
  }

  #remove({ offset, size }: Mapping): number {
    const first = this.#slot(size.depth, offset)
    for (let slot = first; slot < first + size.size.slots; slot++) this.leaves[size.depth]!.delete(slot)
    return size.pgsize
  }

  /** Drops the table in a slot, if there is one, with everything in it. */
  #dropTable(depth: number, slot: number): void {
    if (!this.tables[depth]!.delete(slot)) return
    for (let d = depth + 1; d < this.leaves.length; d++) {
      for (const below of this.leaves[d]!.keys()) if (this.#above(depth, below, d) === slot) this.leaves[d]!.delete(below)
      for (const below of this.tables[d]!) if (this.#above(depth, below, d) === slot) this.tables[d]!.delete(below)
    }
  }

  #dropCovered(first: bigint, end: bigint): void {
    for (let depth = this.top; depth < this.tables.length; depth++) {
      const span = 1n << BigInt(this.c.chain[depth]!.shift)
      for (const slot of this.tables[depth]!) {
        const offset = this.offsetOfSlot(depth, slot)
        if (offset >= first && offset + span <= end) this.#dropTable(depth, slot)
      }
    }
  }
}
