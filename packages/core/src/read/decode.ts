/** Decoding one descriptor by a format's declaration: cold, total, for inspection, walks and tests. */
import { bitsOf, extract, type Field, matches, ones } from '../format/bits.ts'
import {
  type Geometry,
  type Kind,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  nodeOf,
  slotBytes,
  type TableKind,
} from '../format/format.ts'

/** What a raw descriptor is. `reserved`: bits that are set though no field of the kind has them, or though the field is reserved. */
export type Decoded = DecodedTable | DecodedLeaf | DecodedVoid

interface DecodedBase {
  readonly raw: bigint
  readonly node: LevelNode
  readonly reserved: bigint
}
export interface DecodedTable extends DecodedBase {
  readonly type: 'table'
  readonly kind: TableKind
  /** Physical address of the next table. */
  readonly next: bigint
  readonly child: LevelNode
}
export interface DecodedLeaf extends DecodedBase {
  readonly type: 'leaf'
  readonly kind: LeafKind
  readonly size: LeafSize
  /** Physical address of the first byte that this entry's mapping translates (of the entry, where each has its own address). */
  readonly paddr: bigint
}
export interface DecodedVoid extends DecodedBase {
  readonly type: 'empty' | 'invalid' | 'sparse'
  readonly kind: Kind
}

/** The kind of `raw` at `node`: the first that matches. */
export function kindOf(node: LevelNode, raw: bigint): Kind {
  for (const kind of node.kinds) if (matches(raw, kind.match)) return kind
  throw new Error(`node ${node.id}: no kind matches 0x${raw.toString(16)}: its last kind must match everything`)
}

/** The size of a leaf: the first that matches. */
export function leafSizeOf(kind: LeafKind, raw: bigint): LeafSize {
  for (const size of kind.sizes) if (size.match === undefined || matches(raw, size.match)) return size
  throw new Error(`kind ${kind.name}: no size matches 0x${raw.toString(16)}: its last size must match everything`)
}

/** Bytes that the output address of one entry covers: the slot's own, where every entry has its own address. */
export function entrySpan(node: LevelNode, size: LeafSize): number {
  return size.slots > 1 && size.stepsAddress === true ? slotBytes(node) : size.pgsize
}

/** Decodes one descriptor; never throws for a sound declaration, whatever the value. */
export function decode(geometry: Geometry, node: LevelNode, raw: bigint): Decoded {
  const kind = kindOf(node, raw)
  if (kind.type === 'table') {
    const child = childOf(geometry, node, kind, raw)
    if (child === undefined) return { type: 'invalid', raw, node, kind, reserved: 0n }
    return { type: 'table', raw, node, kind, reserved: reservedBits(kind, raw), next: extract(raw, kind.address), child }
  }
  if (kind.type === 'leaf') {
    const size = leafSizeOf(kind, raw)
    const paddr = extract(raw, kind.address) & ~BigInt(entrySpan(node, size) - 1)
    return { type: 'leaf', raw, node, kind, reserved: reservedBits(kind, raw), size, paddr }
  }
  return { type: kind.type, raw, node, kind, reserved: 0n }
}

/** The fields of a descriptor by name. */
export function fieldValues(kind: Kind, raw: bigint): Record<string, bigint> {
  const values: Record<string, bigint> = {}
  for (const field of kind.fields) values[field.name] = extract(raw, field.pieces)
  return values
}

/** The value of one named field; undefined where the kind has none of that name. */
export function fieldValue(kind: Kind, raw: bigint, name: string): number | undefined {
  const field = kind.fields.find((f) => f.name === name)
  return field && Number(extract(raw, field.pieces))
}

/** What a field's value means: its declared meaning, or nothing. */
export function meaningOf(field: Field, raw: bigint): string | undefined {
  return field.values?.[Number(extract(raw, field.pieces))]
}

function childOf(geometry: Geometry, node: LevelNode, kind: TableKind, raw: bigint): LevelNode | undefined {
  if (typeof kind.child === 'string') return nodeOf(geometry, kind.child)
  const value = fieldValue(kind, raw, kind.child.field)
  if (value === undefined)
    throw new Error(`node ${node.id}: kind ${kind.name} chooses its child by a field ${kind.child.field} that it lacks`)
  const id = kind.child.nodes[value]
  return id === undefined ? undefined : nodeOf(geometry, id)
}

/** Set bits that the declaration does not know, or knows as reserved. */
function reservedBits(kind: TableKind | LeafKind, raw: bigint): bigint {
  let mask = reservedMasks.get(kind)
  if (mask === undefined) {
    mask = reservedMask(kind)
    reservedMasks.set(kind, mask)
  }
  return raw & mask
}

/** A kind's bits do not change: the mask is made once, since walks ask for every descriptor. */
const reservedMasks = new WeakMap<Kind, bigint>()

function reservedMask(kind: TableKind | LeafKind): bigint {
  let known = kind.match.mask | kind.set | bitsOf(kind.address)
  let reserved = 0n
  for (const field of kind.fields) {
    if (field.reserved !== undefined) reserved |= bitsOf(field.pieces)
    else known |= bitsOf(field.pieces)
  }
  return ones(63) & (reserved | ~known)
}
