/**
 * A geometry as masks of 32-bit lanes, for reading at speed tables that anybody wrote: the same kinds, sizes and addresses as `decode` finds,
 * without a bigint. Its addresses are doubles: tables, pages and blocks are multiples of 64 bytes at least, so that all of 64 bits are exact.
 */
import { bitsOf, type Match, type Piece } from '../format/bits.ts'
import { type Geometry, type Kind, type LeafKind, type LeafSize, type LevelNode, nodeOf, type TableKind } from '../format/format.ts'
import { decodeLane, type LanePieces, laneHi, laneLo, lanePieces, stepOf } from './lane-pieces.ts'

/** How a descriptor is told: both lanes. */
export class LaneMatch {
  readonly maskLo: number
  readonly valueLo: number
  readonly maskHi: number
  readonly valueHi: number
  constructor({ mask, value }: Match) {
    this.maskLo = laneLo(mask)
    this.valueLo = laneLo(value)
    this.maskHi = laneHi(mask)
    this.valueHi = laneHi(value)
  }
  holds(lo: number, hi: number): boolean {
    return (lo & this.maskLo) === this.valueLo && (hi & this.maskHi) === this.valueHi
  }
  /** Whether it holds but for the bits of an address. */
  holdsBeside(lo: number, hi: number, addressLo: number, addressHi: number): boolean {
    return ((lo ^ this.valueLo) & this.maskLo & ~addressLo) === 0 && ((hi ^ this.valueHi) & this.maskHi & ~addressHi) === 0
  }
}

/** One kind of descriptor of one node. */
export class LaneKind extends LaneMatch {
  readonly kind: Kind
  readonly leaves: readonly LaneLeaf[]
  readonly table: LaneTable | undefined
  /** A walk goes on to the other half of the entry above. */
  readonly passes: boolean
  constructor(geometry: Geometry, node: LevelNode, kind: Kind, nodes: Map<string, LaneNode>) {
    super(kind.match)
    this.kind = kind
    this.leaves = kind.type === 'leaf' ? kind.sizes.map((size) => new LaneLeaf(node, kind, size, doubtsOf(node, kind, size))) : []
    this.table = kind.type === 'table' ? new LaneTable(geometry, kind, nodes) : undefined
    this.passes = kind.type !== 'leaf' && kind.type !== 'table' && kind.passes === true
  }
}

/** Where the address of a descriptor stands. */
class LaneAddress {
  /** Descriptor bits of the address, by lane. */
  readonly addressLo: number
  readonly addressHi: number
  /** Each bit stands where it stands in the address. */
  readonly isPlain: boolean
  /** For addresses as lanes. */
  readonly #lanes: LanePieces
  /** For addresses as doubles, a third faster than by way of lanes; quadruples: descriptor lane, its lowest bit, mask, factor. */
  readonly #pieces: Float64Array
  constructor(pieces: readonly Piece[]) {
    const bits = bitsOf(pieces)
    this.addressLo = laneLo(bits)
    this.addressHi = laneHi(bits)
    this.isPlain = pieces.every(([, lo, at]) => lo === at)
    this.#lanes = lanePieces(pieces)
    this.#pieces = Float64Array.from(pieces.flatMap(([hi, lo, at]) => splitAtLane(hi, lo, at)))
  }
  /** The address, a double. */
  address(lo: number, hi: number): number {
    if (this.isPlain) return ((hi & this.addressHi) >>> 0) * 0x1_0000_0000 + ((lo & this.addressLo) >>> 0)
    const pieces = this.#pieces
    let sum = 0
    for (let i = 0; i < pieces.length; i += 4) {
      const lane = pieces[i] === 0 ? lo : hi
      sum += (((lane >>> pieces[i + 1]!) & pieces[i + 2]!) >>> 0) * pieces[i + 3]!
    }
    return sum
  }
  /** The low lane of the address. */
  low(lo: number, hi: number): number {
    return this.isPlain ? lo & this.addressLo : decodeLane(this.#lanes, 0, hi, lo)
  }
  /** The high lane of the address. */
  high(lo: number, hi: number): number {
    return this.isPlain ? hi & this.addressHi : decodeLane(this.#lanes, 1, hi, lo)
  }
}

/** A leaf size of one node. */
export class LaneLeaf extends LaneAddress {
  readonly node: LevelNode
  readonly kind: LeafKind
  readonly size: LeafSize
  readonly match: LaneMatch
  /** Bytes of one leaf: of the mapping where its entries repeat, of the entry where each has its own address. */
  readonly leafSize: number
  /** Entries that repeat. */
  readonly slots: number
  /** Bytes that the descriptor's address covers; the bits below, by lane, are those of the input address. */
  readonly span: number
  readonly keepLo: number
  readonly keepHi: number
  /** The descriptor of the next leaf is `lo + step`, until the address's piece in the low lane ends. 0: it is not there. */
  readonly step: number
  readonly #stepBit: number
  /** The greatest number of steps that the piece holds. */
  readonly #mostSteps: number
  /** No bit of the address is below the span. */
  readonly #isAligned: boolean
  /** What would be an earlier kind or size by its address alone. */
  readonly doubts: readonly LaneMatch[]
  readonly #cuts: Map<number, LaneLeaf> = new Map()

  constructor(node: LevelNode, kind: LeafKind, size: LeafSize, doubts: readonly LaneMatch[], leafSize?: number) {
    super(kind.address)
    const slot = 2 ** node.shift
    const repeats = size.slots > 1 && size.stepsAddress !== true && leafSize === undefined
    this.node = node
    this.kind = kind
    this.doubts = doubts
    this.size = size
    this.match = new LaneMatch(size.match ?? { mask: 0n, value: 0n })
    this.leafSize = leafSize ?? (repeats ? size.pgsize : slot)
    this.slots = repeats ? size.slots : 1
    this.span = size.slots > 1 && size.stepsAddress !== true ? size.pgsize : slot
    this.keepLo = laneLo(BigInt(this.span) - 1n)
    this.keepHi = laneHi(BigInt(this.span) - 1n)
    const stepLg = Math.log2(slot)
    const steps = !repeats && leafSize === undefined && !touches(size.match, kind.address)
    const step = steps ? stepOf(kind.address, stepLg) : { lo: 0, window: 0 }
    this.step = step.lo
    this.#stepBit = 31 - Math.clz32(step.lo)
    this.#mostSteps = step.window >>> stepLg
    this.#isAligned = leafSize === undefined && kind.address.every(([, , at]) => 2 ** at >= this.span)
  }
  /** The output address of the entry that stands at `iova`. */
  paddr(lo: number, hi: number, iova: number): number {
    const address = this.address(lo, hi)
    if (this.#isAligned) return address
    const start = address - (address % this.span)
    return this.leafSize < this.span ? start + (iova % this.span) : start
  }

  /** This kind and size as a smaller leaf: an entry that does not repeat as it should, or what a root's end leaves of a leaf. */
  cut(leafSize: number): LaneLeaf {
    if (leafSize === this.leafSize) return this
    let cut = this.#cuts.get(leafSize)
    if (cut === undefined) this.#cuts.set(leafSize, (cut = new LaneLeaf(this.node, this.kind, this.size, [], leafSize)))
    return cut
  }

  /** Whether descriptors that differ from this one in the address only are of its kind and size. */
  isSure(lo: number, hi: number): boolean {
    return this.doubts.every((doubt) => !doubt.holdsBeside(lo, hi, this.addressLo, this.addressHi))
  }

  /** Entries, the one with this low lane included, of which each differs from the one before by the step. */
  linear(lo: number): number {
    return (this.#mostSteps - ((lo >>> this.#stepBit) & this.#mostSteps) + 1) | 0
  }
}

/** A table kind of one node. */
export class LaneTable extends LaneAddress {
  readonly kind: TableKind
  readonly #child: LaneNode | undefined
  readonly #field: LaneAddress | undefined
  readonly #children: ReadonlyMap<number, LaneNode>

  constructor(geometry: Geometry, kind: TableKind, nodes: Map<string, LaneNode>) {
    super(kind.address)
    this.kind = kind
    const child = kind.child
    const nodeAt = (id: string): LaneNode => nodes.get(id) ?? new LaneNode(geometry, nodeOf(geometry, id), nodes)
    if (typeof child === 'string') {
      this.#child = nodeAt(child)
      this.#field = undefined
      this.#children = new Map()
    } else {
      this.#field = new LaneAddress(kind.fields.find((field) => field.name === child.field)?.pieces ?? [])
      this.#children = new Map(Object.entries(child.nodes).map(([value, id]) => [Number(value), nodeAt(id)]))
    }
  }

  get anyChild(): LaneNode | undefined {
    return this.#child ?? this.#children.values().next().value
  }

  /** The node of the table that a descriptor points to; undefined where the field that chooses it has no such value. */
  child(lo: number, hi: number): LaneNode | undefined {
    return this.#field === undefined ? this.#child : this.#children.get(this.#field.address(lo, hi))
  }
}

/** A node. */
export class LaneNode {
  readonly node: LevelNode
  readonly ordinal: number
  readonly slot: number
  readonly entries: number
  /** First and end of the entries that exist. */
  readonly from: number
  readonly to: number
  /** 32-bit words of an entry. */
  readonly words: number
  /** Whether entries can be empty; else the value has no meaning. */
  readonly hasEmpty: boolean
  readonly emptyLo: number
  readonly emptyHi: number
  readonly kinds: readonly LaneKind[]
  /** The other half of its entries; and whether it is one itself. */
  readonly next: LaneNode | undefined
  readonly isHalf: boolean
  /** The most entries that repeat: which leaf an entry is of shows within so many. */
  readonly group: number

  constructor(geometry: Geometry, node: LevelNode, nodes: Map<string, LaneNode>) {
    nodes.set(node.id, this)
    this.node = node
    this.ordinal = nodes.size
    this.slot = 2 ** node.shift
    this.entries = 2 ** node.bits
    const [from, to] = node.exists ?? [0, this.entries]
    this.from = from
    this.to = Math.max(from, to)
    this.words = node.entryBytes >> 2
    this.hasEmpty = node.empty !== undefined
    this.emptyLo = laneLo(node.empty ?? 0n)
    this.emptyHi = laneHi(node.empty ?? 0n)
    this.kinds = node.kinds.map((kind) => new LaneKind(geometry, node, kind, nodes))
    const next = node.next === undefined ? undefined : nodeOf(geometry, node.next)
    this.next = next && (nodes.get(next.id) ?? new LaneNode(geometry, next, nodes))
    this.isHalf = geometry.nodes.some((other) => other.next === node.id)
    this.group = Math.max(1, ...this.kinds.flatMap((kind) => kind.leaves.map((leaf) => leaf.slots)))
  }

  /** The kind of a descriptor: the first that matches, as core's `kindOf`. */
  kind(lo: number, hi: number): LaneKind {
    const kinds = this.kinds
    for (let i = 0; i < kinds.length; i++) {
      const kind = kinds[i]!
      if ((lo & kind.maskLo) === kind.valueLo && (hi & kind.maskHi) === kind.valueHi) return kind
    }
    throw new Error(`node ${this.node.id}: its last kind must match everything`)
  }

  /** The leaf that a descriptor is: its kind and size; undefined where it is none. */
  leaf(lo: number, hi: number): LaneLeaf | undefined {
    const kind = this.kind(lo, hi)
    const { leaves } = kind
    return leaves.length > 1 ? laneLeafOf(kind, lo, hi) : leaves[0]
  }

  /** A leaf of this node or one below it; undefined for a geometry that maps nothing. */
  anyLeaf(): LaneLeaf | undefined {
    for (const { leaves, table } of this.kinds) {
      const leaf = leaves[0] ?? table?.anyChild?.anyLeaf()
      if (leaf !== undefined) return leaf
    }
    return undefined
  }
}

/** The size of a leaf: the first that matches, as core's `leafSizeOf`. */
export function laneLeafOf(kind: LaneKind, lo: number, hi: number): LaneLeaf {
  const { leaves } = kind
  for (let i = 0; i < leaves.length; i++) {
    const leaf = leaves[i]!
    const { maskLo, valueLo, maskHi, valueHi } = leaf.match
    if ((lo & maskLo) === valueLo && (hi & maskHi) === valueHi) return leaf
  }
  throw new Error(`kind ${kind.kind.name}: its last size must match everything`)
}

/** The nodes of a geometry that a root can reach; the root's. */
export function laneNodes(geometry: Geometry): LaneNode {
  return laneNodeOf(geometry, nodeOf(geometry, geometry.top))
}

/** One node of a geometry, with those below it. */
export function laneNodeOf(geometry: Geometry, node: LevelNode): LaneNode {
  let nodes = known.get(geometry)
  if (nodes === undefined) known.set(geometry, (nodes = new Map()))
  return nodes.get(node.id) ?? new LaneNode(geometry, node, nodes)
}

const known = new WeakMap<Geometry, Map<string, LaneNode>>()

/** A piece, cut where it crosses from one lane of the descriptor to the other. */
function splitAtLane(hi: number, lo: number, at: number): number[] {
  const end = lo < 32 ? Math.min(hi, 31) : hi
  const part = [lo >> 5, lo % 32, 2 ** (end - lo + 1) - 1, 2 ** at]
  return end < hi ? [...part, ...splitAtLane(hi, end + 1, at + end + 1 - lo)] : part
}

/** The earlier kinds and sizes that address bits decide about. */
function doubtsOf(node: LevelNode, kind: LeafKind, size: LeafSize): readonly LaneMatch[] {
  const kinds = node.kinds.slice(0, node.kinds.indexOf(kind) + 1).map(({ match }) => match)
  const sizes = kind.sizes.slice(0, kind.sizes.indexOf(size)).map(({ match }) => match)
  return [...kinds, ...sizes].flatMap((match) => (match !== undefined && touches(match, kind.address) ? [new LaneMatch(match)] : []))
}

/** A size that address bits code: the next descriptor may be of another size. */
function touches(match: Match | undefined, pieces: readonly Piece[]): boolean {
  return match !== undefined && (match.mask & bitsOf(pieces)) !== 0n
}
