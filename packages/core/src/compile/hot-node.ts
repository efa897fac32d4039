/** One node of a geometry, compiled: how the hot loops index it and tell its tables, leaves and empty entries apart. */
import { bitsOf, deposit, type Match, ones } from '../format/bits.ts'
import { emptyOf, type Geometry, type LeafKind, type LeafSize, type LevelNode, nodeOf, type TableKind } from '../format/format.ts'
import type { Policy } from '../format/policy.ts'
import { distinct, excludes } from './distinct.ts'
import { type LanePieces, laneHi, laneLo, lanePieces, lowAddress } from './lane-pieces.ts'
import { LeafPlan } from './leaf-plan.ts'

/** Bytes of the smallest block of a pool: a table that is smaller is followed by memory that nobody reads. */
const LEAST_BLOCK = 64

/** One node of the geometry, compiled. Nodes that the engine builds form a chain. */
export class HotNode {
  readonly node: LevelNode
  readonly shift: number
  readonly indexMask: number
  /** log2 of the 32-bit words of an entry: 0 or 1. */
  readonly entryLg: number
  readonly emptyMask: number
  readonly emptyValue: number
  readonly emptyLo: number
  readonly emptyHi: number
  /** All words of an empty entry are equal. */
  readonly uniform: boolean
  /** `(lo & tableMask) === tableValue` and not empty: a table of the child. Never true at the last node. */
  readonly tableMask: number
  readonly tableValue: number
  /** The same of the high lane; a zero mask where the low one decides alone. */
  readonly tableMaskHi: number
  readonly tableValueHi: number
  /** Low 32 address bits of a table: from the low lane and, rarely, from the high one: mask, shift left, shift right. */
  readonly fromLoMask: number
  readonly fromLoLeft: number
  readonly fromLoRight: number
  readonly fromHiMask: number
  readonly fromHiLeft: number
  readonly fromHiRight: number
  readonly tableKind: TableKind | undefined
  /** The bits of a table descriptor beside the address. */
  readonly tableBits: bigint
  /** The kinds by lane, and the codec of the address. */
  readonly tableLo: number
  readonly tableHi: number
  readonly tablePieces: LanePieces
  readonly parent: HotNode | undefined
  readonly child: HotNode | undefined
  /** Bytes that a table takes: blocks are aligned to their size, so that one whose alignment is more takes more than its entries need. */
  readonly tableBytes: number
  /** Bytes that one entry translates. */
  readonly slotBytes: number
  /** Offset bits in what one entry translates, by lane. */
  readonly offsetLo: number
  readonly offsetHi: number
  /** Sizes that this node translates, those that we write. */
  readonly leaves: LeafPlan[]
  /** A run ends where the slot number ANDed with this is zero. */
  readonly runMask: number
  /** Address bits above the reach of a table of this node, by lane; only meaningful for a root that may grow. */
  readonly beyondLo: number
  readonly beyondHi: number

  constructor(
    geometry: Geometry,
    node: LevelNode,
    policy: Policy,
    tableBits: (node: LevelNode, kind: TableKind) => bigint,
    parent?: HotNode,
  ) {
    if (node.byteOrder === 'big') throw new Error(`node ${node.id}: big-endian tables are only read`)
    if (node.stride !== undefined || node.next !== undefined) throw new Error(`node ${node.id}: entries with two halves are only read`)
    if (geometry.base !== undefined) throw new Error('a window with a base is only read')
    this.node = node
    this.parent = parent
    this.tableBytes = Math.max(node.tableBytes, node.align ?? 0, LEAST_BLOCK) | 0
    this.slotBytes = 2 ** node.shift
    this.offsetLo = laneLo((1n << BigInt(node.shift)) - 1n)
    this.offsetHi = laneHi((1n << BigInt(node.shift)) - 1n)
    // `| 0`: a number that was computed as a double (Math.log2, **) would make the field one, for all formats.
    this.shift = node.shift | 0
    this.runMask = (Math.min(2 ** node.bits, policy.runSlots ?? 2 ** 30) - 1) | 0
    const reach = ones(Math.min(node.shift + node.bits, 64)) >> 1n
    this.beyondLo = laneLo(~reach)
    this.beyondHi = laneHi(~reach)
    this.indexMask = (2 ** node.bits - 1) | 0
    this.entryLg = node.entryBytes === 8 ? 1 : 0
    const empty = emptyMatch(node)
    this.emptyMask = laneLo(empty.mask)
    this.emptyValue = laneLo(empty.value)
    this.emptyLo = laneLo(emptyOf(node))
    this.emptyHi = laneHi(emptyOf(node))
    this.uniform = node.entryBytes === 4 || this.emptyLo === this.emptyHi
    this.tableKind = node.kinds.find((kind): kind is TableKind => kind.type === 'table' && kind.encode !== false)
    this.tableBits = this.tableKind === undefined ? 0n : this.tableKind.set | tableBits(node, this.tableKind)
    this.tableLo = laneLo(this.tableBits)
    this.tableHi = laneHi(this.tableBits)
    this.tablePieces = lanePieces(this.tableKind?.address ?? [])
    const table = this.tableKind && ownTableMatch(node, this.tableKind, this.tableBits)
    this.tableMask = table === undefined ? 0 : laneLo(table.mask)
    this.tableValue = table === undefined ? -1 : laneLo(table.value)
    this.tableMaskHi = laneHi(table?.mask ?? 0n)
    this.tableValueHi = laneHi(table?.value ?? 0n)
    const low = lowAddress(this.tableKind?.address ?? [])
    this.fromLoMask = low[0].mask
    this.fromLoLeft = low[0].left
    this.fromLoRight = low[0].right
    this.fromHiMask = low[1].mask
    this.fromHiLeft = low[1].left
    this.fromHiRight = low[1].right
    const child = this.tableKind?.child
    this.child =
      child === undefined
        ? undefined
        : new HotNode(geometry, nodeOf(geometry, ownChild(child, this.tableBits, this.tableKind)), policy, tableBits, this)
    this.leaves = leafSizes(node).map(({ kind, size }) => new LeafPlan(this, kind, size))
  }
}

function ownChild(child: TableKind['child'], bits: bigint, kind: TableKind | undefined): string {
  if (typeof child === 'string') return child
  const field = kind?.fields.find((f) => f.name === child.field)
  const value = field?.pieces.reduce((v, [hi, lo, at]) => v | (((bits & ones(hi, lo)) >> BigInt(lo)) << BigInt(at)), 0n)
  const id = value === undefined ? undefined : child.nodes[Number(value)]
  if (id === undefined) throw new Error(`table kind ${kind?.name}: its bits choose no child`)
  return id
}

function leafSizes(node: LevelNode): { kind: LeafKind; size: LeafSize }[] {
  return node.kinds
    .filter((kind) => kind.type === 'leaf')
    .flatMap((kind) => kind.sizes.filter((size) => size.encode !== false).map((size) => ({ kind, size })))
}

/** How an empty entry is told. The hot loops ask for it before anything else, and look at the low lane only. */
function emptyMatch(node: LevelNode): Match {
  const at = node.kinds.findIndex((kind) => kind.type === 'empty')
  const empty = node.kinds[at]?.match
  if (empty === undefined) throw new Error(`node ${node.id}: no kind is the empty one`)
  if (empty.mask > ones(31)) throw new Error(`node ${node.id}: an empty entry must be told by its low 32 bits`)
  if ((emptyOf(node) & empty.mask) !== empty.value) throw new Error(`node ${node.id}: its empty value is not of its empty kind`)
  for (const { name, match } of node.kinds.slice(0, at))
    if (!excludes(match, empty)) throw new Error(`node ${node.id}: the match of its empty kind must exclude ${name}, which comes before it`)
  return empty
}

/**
 * The tables that we write match this, and nothing of an earlier kind does but what is empty, which is asked for first. Of the high lane it
 * has only what it needs. `bits`: what we write beside the address.
 */
function ownTableMatch(node: LevelNode, kind: TableKind, bits: bigint): Match {
  const earlier = node.kinds.slice(0, node.kinds.indexOf(kind)).filter(({ type }) => type !== 'empty')
  const set = kind.set & ones(31)
  const own = { mask: kind.match.mask | set, value: kind.match.value | set }
  const told = distinct(
    own,
    earlier.map(({ match }) => match),
    { mask: ones(node.entryBytes * 8 - 1) & ~bitsOf(kind.address), value: bits },
  )
  if (told !== undefined) return told
  const names = earlier.filter(({ match }) => !excludes(own, match)).map(({ name }) => name)
  throw new Error(`node ${node.id}: a ${kind.name} that is written must exclude ${names.join(', ')}, earlier in its kinds`)
}

/** A descriptor's address bits for `paddr`: cold, for tables. */
export function tableRaw(hot: HotNode, paddr: bigint): bigint {
  return hot.tableBits | deposit(paddr, hot.tableKind?.address ?? [])
}
