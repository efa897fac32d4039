/** The cold walker: reads tables that somebody else built, by a format's declaration. It trusts nothing that it reads. */
import { hex, IoPgtableError } from '../errors.ts'
import { entryOffset, type Geometry, type LevelNode, nodeOf, slotBytes } from '../format/format.ts'
import type { ReadMemory } from '../format/hardware.ts'
import { type Decoded, type DecodedLeaf, type DecodedTable, type DecodedVoid, decode } from './decode.ts'

/** First and last input address, inclusive. */
export interface AddressRange {
  readonly first: bigint
  readonly last: bigint
}

/** Where an entry stands. */
export interface EntryPlace {
  /** First input address of the entry's slot, sign-extended where the window is. */
  readonly iova: bigint
  /** Physical address of the table that holds the entry. */
  readonly table: bigint
  readonly index: number
}

/** What a walk calls. A visitor that returns `false` ends the walk. */
export interface WalkVisitor {
  leaf?(leaf: DecodedLeaf & EntryPlace): boolean | undefined | void
  /** Before the table's own entries. */
  table?(table: DecodedTable & EntryPlace): boolean | undefined | void
  /** Entries that are `invalid`, not those that are empty. */
  invalid?(entry: DecodedVoid & EntryPlace): boolean | undefined | void
  sparse?(entry: DecodedVoid & EntryPlace): boolean | undefined | void
  /** A table, or its end, lies in memory that `read` does not know. `iova` is the first address that it would translate. */
  unknown?(place: {
    readonly table: bigint
    readonly node: LevelNode
    readonly iova: bigint
    readonly missing: number
  }): boolean | undefined | void
}

/** The input addresses that a geometry translates: one range, or two for a sign-extended window. */
export function inputRanges(geometry: Geometry): readonly AddressRange[] {
  const size = 1n << BigInt(geometry.ias)
  const top = 1n << BigInt(geometry.spaceBits ?? 64)
  const base = baseOf(geometry)
  if (geometry.window === 'low') return [{ first: base, last: base + size - 1n }]
  if (geometry.window === 'top') return [{ first: top - size, last: top - 1n }]
  return [
    { first: 0n, last: size / 2n - 1n },
    { first: (1n << 64n) - size / 2n, last: (1n << 64n) - 1n },
  ]
}

/**
 * Walks the tables below `roots` (the physical addresses of the geometry's root tables) in the order of their input addresses as the
 * hardware indexes them, and calls the visitor for each descriptor that is not empty and touches `first..last`.
 * Work is bounded by the range, not by the memory: entries of shared tables are visited once per way to them. A table below which nothing but
 * tables was found is gone through once.
 * @returns false when the visitor ended the walk.
 * @throws `EINVAL` when the number of roots is not the geometry's.
 */
export function walkTables(
  geometry: Geometry,
  roots: readonly bigint[],
  read: ReadMemory,
  visitor: WalkVisitor,
  range: AddressRange = { first: 0n, last: (1n << 64n) - 1n },
): boolean {
  const want = geometry.roots ?? 1
  if (roots.length !== want)
    throw new IoPgtableError('EINVAL', 'walkTables', `${roots.length} roots given, the geometry has ${want}`, { value: roots.length })
  const top = nodeOf(geometry, geometry.top)
  const slots = 2 ** top.bits / want
  const windows = inputRanges(geometry)
  for (const [i, root] of roots.entries()) {
    const walk: Walk = { geometry, read, visitor, range, windows, base: baseOf(geometry), barren: new Set(), found: 0 }
    const base = BigInt(i * slots) << BigInt(top.shift)
    if (!walkTable(walk, top, root, base, slots)) return false
  }
  return true
}

/**
 * The way of one address through the tables: every descriptor, the last one included, whatever it is. It ends early, without a leaf,
 * where a table is in memory that `read` does not know, or does not reach the address: below a root with fewer levels than the address
 * needs, or a table entry that skips levels whose address bits are not zero.
 */
export function walkAddress(geometry: Geometry, roots: readonly bigint[], read: ReadMemory, iova: bigint): (Decoded & EntryPlace)[] {
  let way: (Decoded & EntryPlace)[] = []
  let node = nodeOf(geometry, geometry.top)
  const base = baseOf(geometry)
  const offset = iova - base
  const slots = 2 ** node.bits / roots.length
  let index = indexOf(node, offset)
  let table = roots[Math.floor(index / slots)]
  let reached = canonical(geometry, BigInt(index) << BigInt(node.shift))
  index %= slots
  let other: OtherWay | undefined
  let before: (Decoded & EntryPlace)[] | undefined
  while (reached === slotStart(node, offset)) {
    const raw = table === undefined || !exists(node, index) ? undefined : readEntry(read, node, table, index)
    if (table === undefined || raw === undefined) return way
    if (node.next !== undefined) other = { node: nodeOf(geometry, node.next), table, index, reached, length: way.length }
    const entry = decode(geometry, node, raw)
    way.push({ ...entry, iova: reached + base, table, index })
    if (entry.type === 'table') {
      table = entry.next
      node = entry.child
      index = indexOf(node, offset)
      reached += BigInt(index) << BigInt(node.shift)
    } else if (other !== undefined && passes(entry)) {
      before = way
      way = way.slice(0, other.length)
      ;({ node, table, index, reached } = other)
      other = undefined
    } else return entry.type === 'empty' && before?.at(-1)?.type === 'sparse' ? before : way
  }
  return way
}

/** Where a walk goes on when its way ends at an entry that passes. `length`: entries of the way that stay. */
interface OtherWay {
  readonly node: LevelNode
  readonly table: bigint
  readonly index: number
  readonly reached: bigint
  readonly length: number
}

function exists({ bits, exists: [first, end] = [0, 2 ** bits] }: LevelNode, index: number): boolean {
  return index >= first && index < end
}

function passes({ kind }: Decoded): boolean {
  return kind.type !== 'table' && kind.type !== 'leaf' && kind.passes === true
}

/** One entry of a table; undefined where its memory is not known. */
function readEntry(read: ReadMemory, node: LevelNode, table: bigint, index: number): bigint | undefined {
  const bytes = read(table + BigInt(entryOffset(node, index)), node.entryBytes)
  if (bytes === undefined || bytes.byteLength < node.entryBytes) return undefined
  return rawAt(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), node, 0)
}

function indexOf(node: LevelNode, iova: bigint): number {
  return Number(BigInt.asUintN(node.bits, iova >> BigInt(node.shift)))
}

/** The first input address of the slot of `node` that an address is in. */
function slotStart(node: LevelNode, iova: bigint): bigint {
  return (iova >> BigInt(node.shift)) << BigInt(node.shift)
}

/** Reads one descriptor of table bytes, in the byte order of the node. */
export function descriptorAt(bytes: DataView, node: LevelNode, index: number): bigint {
  return rawAt(bytes, node, entryOffset(node, index))
}

function rawAt(bytes: DataView, { byteOrder, entryBytes }: LevelNode, at: number): bigint {
  const isLittle = byteOrder !== 'big'
  return entryBytes === 8 ? bytes.getBigUint64(at, isLittle) : BigInt(bytes.getUint32(at, isLittle))
}

interface Walk {
  readonly geometry: Geometry
  readonly read: ReadMemory
  readonly visitor: WalkVisitor
  readonly range: AddressRange
  readonly windows: readonly AddressRange[]
  readonly base: bigint
  /** Tables in which nothing was found, and nothing can be, by node and address: where they are met again they are passed by. */
  readonly barren: Set<string>
  /** Leaves, and all else but tables that the visitor is told. */
  found: number
  /** Tables are read as far as the range goes: there are as many such walks of a table as the other half has entries that pass. */
  readonly isPart?: true
}

/** The input address that index 0 stands for in a low window. */
function baseOf({ window, base = 0n }: Geometry): bigint {
  return window === 'low' ? base : 0n
}

/** The other half of an entry, for those of its addresses whose way through the first half passes. */
class OtherHalf {
  readonly #node: LevelNode
  readonly #place: EntryPlace
  readonly #low: bigint
  readonly #above: OtherHalf | undefined
  /** The entry was given to the visitor: it is once, however many pieces of it are walked. */
  #told = false

  constructor(node: LevelNode, place: EntryPlace, low: bigint, above: OtherHalf | undefined) {
    this.#node = node
    this.#place = place
    this.#low = low
    this.#above = above
  }

  /** Walks the part from `low` on, of `span` bytes. */
  walk(walk: Walk, low: bigint, span: bigint): boolean {
    const first = canonical(walk.geometry, low) + walk.base
    const { range, visitor } = walk
    const end = first + span
    const part = { first: later(first, range.first), last: end <= range.last ? end - 1n : range.last }
    const { table, index } = this.#place
    const raw = readEntry(walk.read, this.#node, table, index)
    const isFirst = !this.#told
    this.#told = true
    if (raw === undefined) {
      if (!isFirst) return true
      return visitor.unknown?.({ table, node: this.#node, iova: this.#place.iova, missing: this.#node.entryBytes }) !== false
    }
    const below: Walk = { ...walk, range: part, isPart: true }
    const goesOn = visit(below, this.#node, raw, { place: this.#place, low: this.#low, other: this.#above, isTold: !isFirst })
    walk.found = below.found
    return goesOn
  }
}

function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

/** Where an entry stands in a walk. */
interface Standing {
  readonly place: EntryPlace
  readonly low: bigint
  /** What a way that passes goes on to. */
  readonly other: OtherHalf | undefined
  /** The visitor has it already. */
  readonly isTold?: boolean
}

/** `base`: the input address of the table's first entry, as the index bits give it. */
function walkTable(walk: Walk, node: LevelNode, table: bigint, base: bigint, slots: number, other?: OtherHalf): boolean {
  const stride = entryOffset(node, 1) - entryOffset(node, 0)
  const all = node.exists ?? ([0, slots] as const)
  const [from, to] = walk.isPart === true ? within(walk, node, base, all) : all
  if (from >= to) return true
  const start = walk.isPart === true ? from : 0
  const bytes = walk.read(table + BigInt(start * stride), (to - start) * stride)
  const known = Math.min(to, start + (bytes === undefined ? 0 : Math.floor(bytes.byteLength / stride)))
  const isSkipped = other === undefined && node.next === undefined
  const view = bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const span = BigInt(slotBytes(node))
  for (let index = from; index < known && view !== undefined; index++) {
    const raw = descriptorAt(view, node, index - start)
    if (raw === node.empty && isSkipped) continue
    const low = base + BigInt(index) * span
    const iova = canonical(walk.geometry, low) + walk.base
    if (!touches(walk, iova, iova + span - 1n)) continue
    if (!visit(walk, node, raw, { place: { iova, table, index }, low, other })) return false
  }
  if (known === to) return true
  walk.found++
  const iova = canonical(walk.geometry, base + BigInt(known) * span) + walk.base
  return walk.visitor.unknown?.({ table, node, iova, missing: (to - known) * stride }) !== false
}

/** Those entries of a table that the range touches. Halves are of low windows: input addresses follow each other. */
function within(
  { range, geometry, base: offset }: Walk,
  node: LevelNode,
  base: bigint,
  [from, to]: readonly [number, number],
): [number, number] {
  const span = BigInt(slotBytes(node))
  const start = canonical(geometry, base) + offset
  const first = range.first <= start ? 0 : Number((range.first - start) / span)
  const end = range.last < start ? 0 : Number((range.last - start) / span) + 1
  return [Math.max(from, first), Math.min(to, end)]
}

function visit(walk: Walk, node: LevelNode, raw: bigint, { place, low, other, isTold }: Standing): boolean {
  const { visitor, geometry } = walk
  const entry = decode(geometry, node, raw)
  const next = node.next === undefined ? other : new OtherHalf(nodeOf(geometry, node.next), place, low, other)
  if (entry.type === 'leaf' || entry.type === 'invalid' || entry.type === 'sparse') walk.found++
  if (entry.type === 'leaf') return visitor.leaf?.({ ...entry, ...place }) !== false
  if (entry.type === 'table') {
    if (isTold !== true && visitor.table?.({ ...entry, ...place }) === false) return false
    // with another half to try, what is below is not all there is
    return next === undefined ? enter(walk, entry, place, low) : walkTable(walk, entry.child, entry.next, low, 2 ** entry.child.bits, next)
  }
  if (next !== undefined && passes(entry)) return next.walk(walk, low, BigInt(slotBytes(node)))
  if (entry.type === 'invalid') return visitor.invalid?.({ ...entry, ...place }) !== false
  if (entry.type === 'sparse') return visitor.sparse?.({ ...entry, ...place }) !== false
  return true
}

/** Goes through the table of an entry, unless nothing is there. */
function enter(walk: Walk, { node, child, next }: DecodedTable, { iova }: EntryPlace, low: bigint): boolean {
  const key = `${child.id} ${next}`
  if (walk.barren.has(key)) return true
  const before = walk.found
  const goesOn = walkTable(walk, child, next, low, 2 ** child.bits)
  if (goesOn && walk.found === before && isWhole(walk, iova, slotBytes(node))) walk.barren.add(key)
  return goesOn
}

/** Whether all of a slot is wanted: what is not may hold something elsewhere. */
function isWhole({ range, windows }: Walk, first: bigint, bytes: number): boolean {
  const last = first + BigInt(bytes) - 1n
  const holds = (within: AddressRange): boolean => first >= within.first && last <= within.last
  return holds(range) && windows.some(holds)
}

function touches(walk: Walk, first: bigint, last: bigint): boolean {
  if (last < walk.range.first || first > walk.range.last) return false
  return walk.windows.some((w) => first <= w.last && last >= w.first)
}

/**
 * The 64-bit input address of index bits `low`: the bits above are the window's. Hardware extends the sign from the highest index bit of
 * the root, also where `ias` is less.
 */
function canonical(geometry: Geometry, low: bigint): bigint {
  if (geometry.window === 'low') return low
  if (geometry.window === 'sign-extended') {
    const { shift, bits } = nodeOf(geometry, geometry.top)
    return BigInt.asUintN(64, BigInt.asIntN(shift + bits, low))
  }
  const bits = BigInt(geometry.ias)
  const index = BigInt.asUintN(geometry.ias, low)
  return BigInt.asUintN(geometry.spaceBits ?? 64, (-1n << bits) | index)
}

/** The error, for the caller to throw, of a walk over memory that must be whole, for memory that is not: `EFAULT`. */
export function unknownMemory(op: string, table: bigint, missing: number): IoPgtableError {
  return new IoPgtableError('EFAULT', op, `${missing} bytes of the table at ${hex(table)} are not in memory`, { value: table })
}
