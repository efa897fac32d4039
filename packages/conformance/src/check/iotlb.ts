/**
 * A TLB that remembers everything: each translation and each table that a walker could ever have seen stays in it until a driver's
 * invalidation removes it. The walker reads a copy of the table memory that is only written by the pool's `sync` hook, so that it sees
 * tables as a device does whose memory is late.
 */
import {
  bitsOf,
  type Decoded,
  type DecodedTable,
  decode,
  type Geometry,
  hex,
  type LevelNode,
  type Policy,
  slotBytes,
} from '@io-pgtable/core'
import { Fault } from './law.ts'

/** One thing that the TLB remembers. Addresses are offsets in the input window. */
export interface CachedEntry {
  /** `table`: the walk cache holds the address of the next table; `leaf`: the TLB holds a translation. */
  readonly type: 'table' | 'leaf'
  /** First and last input address of the entry's slot. */
  readonly first: bigint
  readonly last: bigint
  /** The level's number in the manual, of the table that the entry stands in. */
  readonly level: number
  readonly node: LevelNode
  readonly raw: bigint
  /** Physical address of the descriptor. */
  readonly at: bigint
}

interface Cached extends CachedEntry {
  readonly entry: Decoded
  /** What leads to the table that it stands in: it changes when a root becomes a table of a higher one. */
  parent: Cached | undefined
}

/** A table that a walker can reach, at least by its caches. */
interface Place {
  readonly node: LevelNode
  readonly first: bigint
  readonly slots: number
  readonly parent: Cached | undefined
}

export interface Memory {
  readonly base: bigint
  /** Bytes that tables may be in. */
  readonly size: number
  readonly words: Int32Array
}

/** Words of a piece of a copy. */
const PIECE = 1024
const GARBAGE = 0x5a5a_5a5b

/** What a walker knows of memory: garbage, so that what was not synced is seen, but for what was. Only pieces of which it knows something exist. */
class MemoryCopy {
  readonly #pieces: (Int32Array | undefined)[] = []

  /** The words from `from` to `to` are known from now on. */
  update(words: Int32Array, from: number, to: number): void {
    for (let at = from; at < to; ) {
      const number = Math.floor(at / PIECE)
      const end = Math.min(to, (number + 1) * PIECE)
      const piece = this.#pieces[number] ?? new Int32Array(PIECE).fill(GARBAGE)
      this.#pieces[number] = piece
      piece.set(words.subarray(at, end), at % PIECE)
      at = end
    }
  }

  word(index: number): number {
    return this.#pieces[Math.floor(index / PIECE)]?.[index % PIECE] ?? GARBAGE
  }
}

export class Iotlb {
  readonly #geometry: Geometry
  readonly #memory: Memory
  readonly #copy = new MemoryCopy()
  /** What the tables still say, by the address of the descriptor. */
  readonly #current: Map<bigint, Cached> = new Map()
  /** What they no longer say. */
  readonly #stale: Set<Cached> = new Set()
  /** Tables that are reachable by the current entries, by their address. */
  readonly #places: Map<bigint, Place> = new Map()

  readonly #break: Policy['breakBeforeMake']

  #roots: readonly bigint[] = []

  constructor(geometry: Geometry, memory: Memory, breakBeforeMake: Policy['breakBeforeMake'] = undefined) {
    this.#geometry = geometry
    this.#break = breakBeforeMake
    this.#memory = memory
  }

  /** What the registers point to. */
  get roots(): readonly bigint[] {
    return this.#roots
  }

  /** The registers point to these root tables from now on. */
  setRoots(node: LevelNode, roots: readonly bigint[]): void {
    for (const [table, place] of this.#places) if (place.parent === undefined && !roots.includes(table)) this.#places.delete(table)
    this.#roots = roots
    const slots = 2 ** node.bits / roots.length
    for (const [i, root] of roots.entries()) {
      this.#enter(root, { node, first: BigInt(i * slots) << BigInt(node.shift), slots, parent: undefined })
    }
  }

  /** The pool's `sync` hook: the walker sees these bytes from now on, and may cache what they say. */
  readonly sync = (paddr: bigint, byteLength: number): void => {
    const from = Number(paddr - this.#memory.base) / 4
    this.#copy.update(this.#memory.words, from, from + byteLength / 4)
    for (const [table, place] of this.#placesIn(paddr, byteLength)) {
      const { node } = place
      const first = Math.max(0, Number(paddr - table) / node.entryBytes)
      const last = Math.min(place.slots, Number(paddr - table + BigInt(byteLength)) / node.entryBytes)
      for (let index = Math.floor(first); index < last; index++) this.#see(table, place, index)
    }
  }

  #placesIn(paddr: bigint, byteLength: number): [bigint, Place][] {
    const found: [bigint, Place][] = []
    for (const [table, place] of this.#places) {
      const end = table + BigInt(place.slots * place.node.entryBytes)
      if (table < paddr + BigInt(byteLength) && paddr < end) found.push([table, place])
    }
    return found
  }

  #enter(table: bigint, place: Place): void {
    this.#places.set(table, place)
    for (let index = 0; index < place.slots; index++) this.#see(table, place, index)
  }

  #rawAt(at: bigint, node: LevelNode): bigint {
    const word = Number(at - this.#memory.base) / 4
    const low = BigInt(this.#copy.word(word) >>> 0)
    return node.entryBytes === 4 ? low : low | (BigInt(this.#copy.word(word + 1) >>> 0) << 32n)
  }

  /** The walker looks at one entry. */
  #see(table: bigint, place: Place, index: number): void {
    const { node } = place
    const at = table + BigInt(index * node.entryBytes)
    const raw = this.#rawAt(at, node)
    const before = this.#current.get(at)
    if (before?.raw === raw) {
      before.parent = place.parent
      return
    }
    if (before !== undefined) this.#retire(before)
    if (raw === node.empty) return
    const entry = decode(this.#geometry, node, raw)
    const first = place.first + BigInt(index) * BigInt(slotBytes(node))
    if (entry.type === 'invalid')
      throw new Fault('a walker sees an entry that no sound table has: was it synced before the table was installed?', {
        node,
        iova: first,
        raw,
      })
    if (entry.type === 'empty' || entry.type === 'sparse') return
    const last = first + BigInt(slotBytes(node)) - 1n
    this.#checkBroken(before?.entry, entry, first, last)
    const cached: Cached = { type: entry.type, first, last, level: node.level, node, raw, at, entry, parent: place.parent }
    this.#current.set(at, cached)
    if (entry.type !== 'table') return
    this.#checkMemory(entry, cached)
    this.#enter(entry.next, { node: entry.child, first, slots: 2 ** entry.child.bits, parent: cached })
  }

  /** A format that wants break-before-make: no valid entry becomes another one of another size, nor does the TLB hold one of another size. */
  #checkBroken(before: Decoded | undefined, entry: Decoded, first: bigint, last: bigint): void {
    if (this.#break === undefined || (entry.type !== 'leaf' && entry.type !== 'table')) return
    const where = { node: entry.node, iova: first, raw: entry.raw }
    const broken = 'a valid entry became another one that hardware must not see it become: it must be emptied and flushed first'
    if (before?.type === 'leaf') {
      const resized = this.#break.size && (entry.type === 'table' || before.size !== entry.size)
      const fields = before.kind.fields.filter(({ name }) => this.#break?.fields.includes(name))
      const changed = entry.type === 'leaf' && fields.some(({ pieces }) => ((before.raw ^ entry.raw) & bitsOf(pieces)) !== 0n)
      if (resized || changed) throw new Fault(broken, where)
    }
    if (!this.#break.size || entry.type !== 'leaf') return
    for (const old of this.#stale) {
      if (old.entry.type !== 'leaf' || last < old.first || old.last < first || old.entry.size === entry.size) continue
      throw new Fault('a leaf of another size is written before the TLB forgot the old one', where)
    }
  }

  #checkMemory({ next, child }: DecodedTable, { node, first, raw }: Cached): void {
    const end = this.#memory.base + BigInt(this.#memory.size)
    if (next >= this.#memory.base && next + BigInt(child.tableBytes) <= end) return
    throw new Fault(`a walker is sent to a table at ${hex(next)}, outside the pool`, { node, iova: first, raw })
  }

  /** The memory no longer says this: it, and all that is reached by it alone, is stale from now on. */
  #retire(cached: Cached): void {
    this.#current.delete(cached.at)
    this.#stale.add(cached)
    if (cached.entry.type !== 'table') return
    const place = this.#places.get(cached.entry.next)
    if (place?.parent !== cached) return
    this.#places.delete(cached.entry.next)
    for (const below of [...this.#current.values()]) if (below.parent === cached) this.#retire(below)
  }

  /** What a driver's invalidation removes: stale entries for which it says so. Entries that the tables still have would come back at once. */
  remove(which: (entry: CachedEntry) => boolean): void {
    for (const cached of this.#stale) if (which(cached)) this.#stale.delete(cached)
  }

  /** Removes everything. */
  removeAll(): void {
    this.#stale.clear()
  }

  /** Removes what translates any of `count` addresses, `step` bytes apart: as a device does that is told one address after the other. */
  removeAt(offset: bigint, step: number, count: number, which: (entry: CachedEntry) => boolean = () => true): void {
    this.remove((entry) => which(entry) && isHit(entry, offset, step, count))
  }

  /** Entries that the TLB holds although the tables no longer have them. */
  get stale(): Iterable<CachedEntry & { readonly entry: Decoded }> {
    return this.#stale
  }

  /** A descriptor changed behind the engine's back, by the hardware itself or before it looked: its own TLB holds what it says now. */
  wrote(at: bigint): void {
    const cached = this.#current.get(at)
    const word = Number(at - this.#memory.base) / 4
    const words = cached?.node.entryBytes === 8 ? 2 : 1
    this.#copy.update(this.#memory.words, word, word + words)
    if (cached === undefined) return
    const raw = this.#rawAt(at, cached.node)
    this.#current.set(at, { ...cached, raw, entry: decode(this.#geometry, cached.node, raw) })
  }

  /** Whether the walker's copy of every reachable table is what the memory holds. @throws {@link Fault} at the first difference */
  checkSynced(): void {
    for (const [table, { node, slots, first }] of this.#places) {
      const from = Number(table - this.#memory.base) / 4
      for (let i = 0; i < (slots * node.entryBytes) / 4; i++) {
        if (this.#copy.word(from + i) === this.#memory.words[from + i]) continue
        const index = Math.floor((i * 4) / node.entryBytes)
        const iova = first + BigInt(index) * BigInt(slotBytes(node))
        throw new Fault('an entry was written and never synced: a walker whose memory is late still sees the old one', {
          node,
          iova,
          raw: this.#rawAt(table + BigInt(index * node.entryBytes), node),
        })
      }
    }
  }
}

/** Whether one of the addresses lies in the entry's slot. */
function isHit({ first, last }: CachedEntry, offset: bigint, step: number, count: number): boolean {
  const end = offset + BigInt(step) * BigInt(count - 1)
  if (count < 1 || last < offset || first > end) return false
  if (first <= offset) return true
  const over = (first - offset) % BigInt(step)
  const next = over === 0n ? first : first + BigInt(step) - over
  return next <= last && next <= end
}
