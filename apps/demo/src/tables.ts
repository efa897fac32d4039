/** Tables that somebody else built, read by a format's declaration: leaves in order, merged ranges, and what is wrong. Any format. */
import {
  bitsOf,
  type DecodedLeaf,
  type DecodedTable,
  type EntryPlace,
  type Field,
  fieldValue,
  type Geometry,
  hex,
  type Kind,
  LeafRuns,
  type Prot,
  protNames,
  type ReadMemory,
  slotBytes,
  walkTables,
} from '@io-pgtable/core'
import type { Tables } from '@io-pgtable/inspect'
import type { Finding, Range } from './report.ts'

export type Leaf = DecodedLeaf & EntryPlace
export type Table = DecodedTable & EntryPlace

/** A leaf with what decides its meaning. */
export interface Mapping {
  readonly leaf: Leaf
  /** The table descriptors on the way to it, the root's first. */
  readonly path: readonly Table[]
  readonly prot: Prot
}

/** Mappings that are alike and contiguous in both spaces. */
export interface Run {
  readonly mapping: Mapping
  readonly iova: bigint
  readonly paddr: bigint
  /** Bytes. */
  readonly size: bigint
}

export interface Walked {
  readonly geometry: Geometry
  readonly mappings: readonly Mapping[]
  readonly runs: readonly Run[]
  /** Level and physical address of each table, the root's first, each once. */
  readonly tables: readonly { readonly level: number; readonly paddr: bigint }[]
  readonly findings: readonly Finding[]
  /** What changes no translation. */
  readonly notes: readonly string[]
}

/** Descriptors that a walk looks at: an image whose tables point to each other would never end. */
const WALK_BUDGET = 2 ** 16

/** Walks everything below a root that was found in somebody's registers. */
export function walkRoot(found: Tables): Walked {
  const { format, geometry, roots, read, context } = found
  return walkGeometry(geometry, roots, read, (leaf) => format.prot(leaf.raw, leaf.kind, context), found)
}

/** Walks the tables of a geometry. `prot` decodes a leaf. */
export function walkGeometry(
  geometry: Geometry,
  roots: readonly bigint[],
  read: ReadMemory,
  prot: (leaf: Leaf) => Prot,
  range?: { readonly first: bigint; readonly last: bigint },
): Walked {
  const top = geometry.nodes.find((node) => node.id === geometry.top)
  const tables = new Map(roots.map((paddr) => [paddr, { level: top?.level ?? 0, paddr }]))
  const mappings: Mapping[] = []
  const findings: Finding[] = []
  const reserved = new Map<string, number>()
  const runs = new LeafRuns<Mapping>(alike)
  const path: Table[] = []
  let budget = WALK_BUDGET
  const visitor = {
    table(entry: Table): boolean {
      tables.set(entry.next, { level: entry.child.level, paddr: entry.next })
      while (path.length > 0 && path.at(-1)?.child !== entry.node) path.pop()
      path.push(entry)
      countReserved(reserved, entry)
      return --budget > 0
    },
    leaf(leaf: Leaf): boolean {
      const mapping = { leaf, path: path.slice(0, depthOf(path, leaf)), prot: prot(leaf) }
      mappings.push(mapping)
      runs.add(leaf, mapping)
      countReserved(reserved, leaf)
      return --budget > 0
    },
    invalid(entry: EntryPlace & { readonly raw: bigint }): boolean {
      findings.push(at(entry, 'an invalid descriptor'))
      return --budget > 0
    },
    unknown(place: { readonly table: bigint; readonly iova: bigint; readonly missing: number }): void {
      findings.push({ place: hex(place.iova), message: `${place.missing} bytes of a table lie in unknown memory`, value: place.table })
    },
  }
  const whole = walkTables(geometry, roots, read, visitor, range)
  if (!whole) findings.push({ place: 'walk', message: 'ended: more descriptors than a sound image has', value: BigInt(WALK_BUDGET) })
  return {
    geometry,
    mappings,
    runs: runs.runs.map(({ iova, paddr, size, attributes }) => ({ iova, paddr, size, mapping: attributes })),
    tables: [...tables.values()],
    findings,
    notes: [...emptyTables(tables, mappings), ...[...reserved].map(([what, count]) => `${what}: ${count}`)],
  }
}

/** Bits that the manual reserves and somebody sets all the same: hardware ignores them, so they are told and no more. */
function countReserved(counts: Map<string, number>, { kind, reserved }: Leaf | Table): void {
  if (reserved === 0n) return
  const what = `${kind.name} descriptors with reserved bits ${hex(reserved)} set`
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

function emptyTables(tables: ReadonlyMap<bigint, unknown>, mappings: readonly Mapping[]): string[] {
  const used = new Set(mappings.flatMap(({ leaf, path }) => [leaf.table, ...path.map(({ table }) => table)]))
  const empty = [...tables.keys()].filter((paddr) => !used.has(paddr))
  return empty.length === 0 ? [] : [`tables in which nothing is mapped: ${empty.length} (${empty.slice(0, 4).map(hex).join(', ')})`]
}

/** How many tables of `path` the leaf is below: those down to the one whose child is the leaf's node. */
function depthOf(path: readonly Table[], leaf: Leaf): number {
  return path.findIndex((table) => table.child === leaf.node) + 1
}

function at(entry: EntryPlace & { readonly raw: bigint }, message: string): Finding {
  return { place: hex(entry.iova), message, value: entry.raw }
}

/** Descriptor bits beside the address: what two pages of one range have in common. */
export function attributeBits(entry: { readonly raw: bigint; readonly kind: Kind }): bigint {
  return entry.kind.type === 'table' || entry.kind.type === 'leaf' ? entry.raw & ~bitsOf(entry.kind.address) : entry.raw
}

function alike(a: Mapping, b: Mapping): boolean {
  return attributeBits(a.leaf) === attributeBits(b.leaf) && inherited(a) === inherited(b)
}

/** The attribute bits of the tables above a leaf, as a key. */
export function inherited(mapping: Mapping): string {
  return mapping.path.map((table) => hex(attributeBits(table))).join(' ')
}

/** A run as the report shows it. */
export function rangeOf({ mapping, iova, paddr, size }: Run): Range {
  const { leaf, path, prot } = mapping
  return {
    first: iova,
    last: iova + size - 1n,
    paddr,
    pgsize: leaf.size.pgsize,
    pgcount: Number(size / BigInt(slotBytes(leaf.node))) / (leaf.size.pgsize / slotBytes(leaf.node)),
    kind: leaf.kind.name,
    prot: protNames(prot),
    fields: Object.fromEntries([...path, leaf].flatMap((entry) => namedValues(entry.kind.fields, entry.kind, entry.raw))),
  }
}

function namedValues(fields: readonly Field[], kind: Kind, raw: bigint): [string, number][] {
  return fields.map((f): [string, number] => [f.name, fieldValue(kind, raw, f.name) ?? 0]).filter(([, value]) => value !== 0)
}
