/** The levels of a long-descriptor table and the descriptors at each (DDI 0487 D8.2, D8.3). Pages are at level 3; LPA2 has a level -1. */
import {
  type Agreed,
  bitsOf,
  type Field,
  type FormatConfig,
  type Geometry,
  type Kind,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  type Match,
  type Piece,
  SZ_4K,
  SZ_16K,
  SZ_64K,
  type TableKind,
  when,
} from '@io-pgtable/core'

/** What fixes the tree. */
export interface LpaeShape {
  /** Bytes: 4K, 16K or 64K. */
  readonly granule: number
  readonly ias: number
  readonly oas: number
  /** FEAT_LPA2 with DS set: 52-bit addresses with 4K and 16K, and blocks one level higher. */
  readonly lpa2: boolean
}

/** What the descriptors of one format have. */
export interface LpaeDescriptors {
  /** Fields of every leaf, of blocks alone, and of tables. Those whose bits an address takes are left out. */
  readonly leaf: readonly Field[]
  readonly block: readonly Field[]
  readonly table: readonly Field[]
  /** What bits 1:0 of a leaf at level 3 are; a block's are 1. */
  readonly pageType: bigint
  /** Bits that every leaf of ours has beside its type. */
  readonly leafSet: bigint
  /** The highest address bit that a descriptor has in place. */
  readonly top: number
  /** Whether leaves have the contiguous hint, bit 52. */
  readonly contiguous: boolean
  /** What the fields mean. */
  readonly rights: {
    readonly leaf: Pick<LeafKind, 'grants' | 'traps' | 'memory' | 'updates'>
    readonly table: Pick<TableKind, 'limits'>
  }
}

const CONTIGUOUS = when(1n << 52n, 1n << 52n)
const TYPE = 3n

/** Levels that may have blocks, by granule; LPA2, and 52-bit output addresses with 64K, add the level above them (D8.3.1). */
const BLOCK_LEVELS: Readonly<Record<number, readonly number[]>> = { [SZ_4K]: [1, 2], [SZ_16K]: [2], [SZ_64K]: [2] }

/** Entries of a contiguous set, by granule and level (D8.7.1). At a level that only wide addresses give blocks the hint is RES0. */
const CONTIGUOUS_SLOTS: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [SZ_4K]: { 1: 16, 2: 16, 3: 16 },
  [SZ_16K]: { 2: 32, 3: 128 },
  [SZ_64K]: { 2: 32, 3: 32 },
}

/** The granule of an agreed configuration: its smallest page. */
export function granuleOf({ pgsizeBitmap }: Pick<Agreed<FormatConfig>, 'pgsizeBitmap'>): number {
  return Number(pgsizeBitmap & -pgsizeBitmap)
}

/** The lowest input address bit that a level's index has. */
export function levelShift(granule: number, level: number): number {
  const page = Math.log2(granule)
  return page + (3 - level) * (page - 3)
}

/** The level at which a walk of `ias` bits starts, without concatenation. */
export function firstLevel({ granule, ias }: Pick<LpaeShape, 'granule' | 'ias'>): number {
  const page = Math.log2(granule)
  return 4 - Math.ceil((ias - page) / (page - 3))
}

/** The tree of a low window from level `start` on; the root holds all entries that the input address needs, concatenated tables too. */
export function lpaeGeometry(shape: LpaeShape, start: number, descriptors: LpaeDescriptors): Geometry {
  const nodes: LevelNode[] = []
  for (let level = start; level <= 3; level++) nodes.push(nodeAt(shape, level, level === start, descriptors))
  const { ias, oas } = shape
  return { nodes, top: idOf(start), ias, oas, window: 'low', tablesBelow: 1n << BigInt(oas) }
}

function idOf(level: number): string {
  return `L${level}`
}

function nodeAt(shape: LpaeShape, level: number, root: boolean, descriptors: LpaeDescriptors): LevelNode {
  const { granule, ias } = shape
  const shift = levelShift(granule, level)
  const bits = root ? Math.max(ias - shift, 0) : Math.log2(granule) - 3
  return {
    id: idOf(level),
    level,
    name: `level ${level}`,
    shift,
    bits,
    entryBytes: 8,
    tableBytes: root ? Math.max(64, 8 * 2 ** bits) : granule,
    empty: 0n,
    kinds: kindsAt(shape, level, 2 ** bits, descriptors),
  }
}

function kindsAt(shape: LpaeShape, level: number, entries: number, descriptors: LpaeDescriptors): readonly Kind[] {
  const { pageType } = descriptors
  const empty: Kind = { type: 'empty', name: 'invalid', match: when(1n, 0n), fields: [] }
  const reserved = (type: bigint): Kind => ({ type: 'invalid', name: 'reserved', match: when(TYPE, type), fields: [] })
  if (level === 3) return [empty, leaf(shape, level, pageType, entries, descriptors), reserved(pageType ^ 2n)]
  const table = tableKind(shape, level, descriptors)
  return [empty, table, hasBlocks(shape, level) ? leaf(shape, level, 1n, entries, descriptors) : reserved(1n)]
}

function hasBlocks(shape: LpaeShape, level: number): boolean {
  const levels = BLOCK_LEVELS[shape.granule] ?? []
  return levels.includes(level) || ((shape.lpa2 || folds(shape)) && levels.includes(level + 1))
}

function tableKind(shape: LpaeShape, level: number, { table, top, rights }: LpaeDescriptors): TableKind {
  const address = addressPieces(shape, Math.log2(shape.granule), top)
  const match: Match = when(TYPE, 3n)
  return { type: 'table', name: 'table', match, set: 3n, address, child: idOf(level + 1), fields: without(table, address), ...rights.table }
}

function leaf(shape: LpaeShape, level: number, type: bigint, entries: number, descriptors: LpaeDescriptors): LeafKind {
  const { granule } = shape
  const shift = levelShift(granule, level)
  const address = addressPieces(shape, shift, descriptors.top)
  const slots = descriptors.contiguous ? contiguousSlots(granule, level, entries) : undefined
  const fields = level === 3 ? descriptors.leaf : [...descriptors.leaf, ...descriptors.block]
  return {
    type: 'leaf',
    name: level === 3 ? 'page' : 'block',
    match: when(TYPE, type),
    set: type | descriptors.leafSet,
    address,
    sizes: leafSizes(2 ** shift, slots),
    ...descriptors.rights.leaf,
    fields: without(fields, address).map((f) => (f.name === 'Contiguous' && slots === undefined ? { ...f, reserved: 'zero' } : f)),
  }
}

/** A set that is larger than the table, a root of few entries, is a mistake of who set the hint. */
function contiguousSlots(granule: number, level: number, entries: number): number | undefined {
  const slots = CONTIGUOUS_SLOTS[granule]?.[level]
  return slots === undefined || slots > entries ? undefined : slots
}

function leafSizes(pgsize: number, slots: number | undefined): readonly LeafSize[] {
  const one: LeafSize = { pgsize, slots: 1 }
  return slots === undefined ? [one] : [{ pgsize: pgsize * slots, slots, match: CONTIGUOUS, stepsAddress: true, encode: false }, one]
}

/** Whether PA[51:48] stand in bits 15:12: 64K with 52-bit output addresses (FEAT_LPA). */
function folds({ granule, oas }: LpaeShape): boolean {
  return granule === SZ_64K && oas > 48
}

/** Where the address stands from bit `shift` on. With LPA2 PA[51:50] take the place of the shareability (D8.3.1). */
function addressPieces(shape: LpaeShape, shift: number, top: number): readonly Piece[] {
  if (shape.lpa2)
    return [
      [49, shift, shift],
      [9, 8, 50],
    ]
  if (!folds(shape)) return [[top, shift, shift]]
  return [
    [47, shift, shift],
    [15, 12, 48],
  ]
}

function without(fields: readonly Field[], address: readonly Piece[]): readonly Field[] {
  const taken = bitsOf(address)
  return fields.filter((f) => (bitsOf(f.pieces) & taken) === 0n)
}
