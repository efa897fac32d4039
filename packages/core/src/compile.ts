/**
 * Compiles a format's declaration, for one agreed configuration, into what the hot loops read: masks, shifts and constants of 32-bit lanes
 * in objects of one shape whatever the format, so that the loops stay monomorphic. Descriptors are handled as a low and a high int32 lane.
 */
import { deposit, type Match, ones, type Piece } from './bits.ts'
import { slotBytes } from './decode.ts'
import {
  type Agreed,
  ALWAYS,
  type FormatConfig,
  type Geometry,
  type IoPageTableFmt,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  nodeOf,
  type Policy,
  type TableKind,
} from './format.ts'
import { PROT_LIMIT, type Prot } from './prot.ts'

/** Low 32 bits of a bigint as an int32. */
export function laneLo(value: bigint): number {
  return Number(BigInt.asIntN(32, value))
}

/** Bits 63:32 of a bigint as an int32. */
export function laneHi(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n))
}

/** State of a (prot, page size) pair in {@link LeafPlan.attrState} once its bits are known. */
export const ATTR_READY = 1

/**
 * An address codec as int32 quintuples: [descriptor lane, its lowest bit, mask, address lane, its lowest bit]. Lane 0 is the low one.
 */
export type LanePieces = Int32Array

/** One leaf size at one node: what mapping, unmapping and translating it needs. */
export class LeafPlan {
  readonly node: HotNode
  readonly kind: LeafKind
  readonly pgsize: number
  /** Entries of one mapping, and its log2. */
  readonly slots: number
  readonly slotsLg: number
  /** Bytes of input address of one entry. */
  readonly slotBytes: number
  /** Offset bits in the mapping, by lane: both addresses have them zero. */
  readonly offsetLo: number
  readonly offsetHi: number
  /** Offset bits of the output address of one entry, by lane. */
  readonly keepLo: number
  readonly keepHi: number
  /**
   * An entry is surely this leaf when `(lo & matchMask) === matchValue`; only meaningful when `simple`. It never mistakes another entry
   * for one; an entry that fails it may still be one (somebody else wrote it) and is then decoded in full.
   */
  readonly simple: boolean
  readonly matchMask: number
  readonly matchValue: number
  /** The same for the high lane; a zero mask where the low one says it all. */
  readonly matchMaskHi: number
  readonly matchValueHi: number
  /** The test does not exclude empty entries: those must be tested for as well. */
  readonly checkEmpty: boolean
  /** The address stands in the descriptor where it stands in the address: masks by lane. Otherwise `pieces`. */
  readonly plain: boolean
  readonly addressLo: number
  readonly addressHi: number
  readonly pieces: LanePieces
  /** What the next mapping of a run adds to the low lane; 0 when the step is not in it (then runs are one mapping long). */
  readonly stepLo: number
  readonly stepLg: number
  /** Bits of the low address lane in which a run stays linear. */
  readonly windowMask: number
  /** Attribute bits by prot, both lanes, with the bits that are always set; filled on first use. */
  readonly attrLo: Int32Array = new Int32Array(PROT_LIMIT)
  readonly attrHi: Int32Array = new Int32Array(PROT_LIMIT)
  readonly attrState: Uint8Array = new Uint8Array(PROT_LIMIT)

  constructor(hot: HotNode, kind: LeafKind, size: LeafSize) {
    const span = slotBytes(hot.node)
    const steps = size.slots > 1 && size.stepsAddress === true
    this.node = hot
    this.kind = kind
    this.pgsize = size.pgsize
    this.slots = size.slots
    this.slotsLg = Math.log2(size.slots)
    this.slotBytes = span
    const offset = BigInt(size.pgsize) - 1n
    this.offsetLo = laneLo(offset)
    this.offsetHi = laneHi(offset)
    const keep = BigInt(steps ? span : size.pgsize) - 1n
    this.keepLo = laneLo(keep)
    this.keepHi = laneHi(keep)
    const match = surely(hot.node, kind, size)
    this.simple = match !== undefined
    this.matchMask = laneLo(match?.mask ?? 0n)
    this.matchValue = laneLo(match?.value ?? 1n)
    this.matchMaskHi = laneHi(match?.mask ?? 0n)
    this.matchValueHi = laneHi(match?.value ?? 0n)
    this.checkEmpty = match?.checkEmpty ?? false
    this.plain = kind.address.every(([, lo, at]) => lo === at)
    const address = kind.address.reduce((mask, [hi, lo]) => mask | ones(hi, lo), 0n)
    this.addressLo = laneLo(address)
    this.addressHi = laneHi(address)
    this.pieces = lanePieces(kind.address)
    const step = stepOf(kind.address, Math.log2(size.pgsize))
    this.stepLo = step.lo
    this.stepLg = Math.log2(size.pgsize)
    this.windowMask = step.window
  }

  /** Whether `prot` can be expressed; fills the attribute cache. */
  resolve(format: IoPageTableFmt, config: Agreed<FormatConfig>, prot: Prot): boolean {
    const size = this.kind.sizes.find((s) => s.pgsize === this.pgsize)
    const attr = format.encodeLeaf(config, this.node.node, this.kind, prot)
    if (attr === undefined) return false
    const raw = attr | this.kind.set | (size?.or ?? 0n)
    this.attrLo[prot] = laneLo(raw)
    this.attrHi[prot] = laneHi(raw)
    this.attrState[prot] = ATTR_READY
    return true
  }
}

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
  /** `(lo & tableMask) === tableValue` and not empty: a table of the child. Never true at the last node. */
  readonly tableMask: number
  readonly tableValue: number
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
  readonly child: HotNode | undefined
  /** Sizes that this node translates, those that we write. */
  readonly leaves: LeafPlan[]
  /** A run ends where the slot number ANDed with this is zero. */
  readonly runMask: number
  /** Address bits above the reach of a table of this node, by lane; only meaningful for a root that may grow. */
  readonly beyondLo: number
  readonly beyondHi: number

  constructor(geometry: Geometry, node: LevelNode, policy: Policy, tableBits: (node: LevelNode, kind: TableKind) => bigint) {
    this.node = node
    this.shift = node.shift
    this.runMask = Math.min(2 ** node.bits, policy.runSlots ?? 2 ** 30) - 1
    const reach = ones(Math.min(node.shift + node.bits, 64)) >> 1n
    this.beyondLo = laneLo(~reach)
    this.beyondHi = laneHi(~reach)
    this.indexMask = 2 ** node.bits - 1
    this.entryLg = node.entryBytes === 8 ? 1 : 0
    const empty = node.kinds.find((kind) => kind.type === 'empty')?.match ?? { mask: ones(31), value: node.empty }
    this.emptyMask = laneLo(empty.mask)
    this.emptyValue = laneLo(empty.value)
    this.emptyLo = laneLo(node.empty)
    this.emptyHi = laneHi(node.empty)
    this.tableKind = node.kinds.find((kind): kind is TableKind => kind.type === 'table' && kind.encode !== false)
    this.tableBits = this.tableKind === undefined ? 0n : this.tableKind.set | tableBits(node, this.tableKind)
    const table = this.tableKind && ownTableMatch(this.tableKind)
    this.tableMask = table === undefined ? 0 : laneLo(table.mask)
    this.tableValue = table === undefined ? -1 : laneLo(table.value)
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
        : new HotNode(geometry, nodeOf(geometry, ownChild(child, this.tableBits, this.tableKind)), policy, tableBits)
    this.leaves = leafSizes(node).map(({ kind, size }) => new LeafPlan(this, kind, size))
  }
}

/** Everything about a format and a configuration that tables share. */
export interface Compiled {
  readonly geometry: Geometry
  readonly policy: Policy
  /** The nodes from the highest that a root can have down. */
  readonly chain: readonly HotNode[]
  /** The node of a new table's root. */
  readonly root: HotNode
  /** Whether the root may grow. */
  readonly grows: boolean
  /** The node of the smallest pages: the last of the chain. */
  readonly last: HotNode
  /** The plans that `mapPages` may use: those of the agreed bitmap, smallest first. */
  readonly plans: readonly LeafPlan[]
  /** The smallest page, bytes: the granule of `flushWalk`. */
  readonly granule: number
  /** `iova & mask` of a legal address equals `value`, or `upper` for the upper half of a sign-extended window; by lane. */
  readonly inputMaskLo: number
  readonly inputMaskHi: number
  readonly inputLo: number
  readonly inputHi: number
  readonly upperLo: number
  readonly upperHi: number
  /** Bytes of one window. */
  readonly inputBytes: number
  /** Address bits that must be zero in a paddr, by lane. */
  readonly outputMaskLo: number
  readonly outputMaskHi: number
  readonly outputBytes: number
}

const compiled = new WeakMap<IoPageTableFmt, Map<string, Compiled>>()

/** Compiles once per (format, agreed configuration): later tables share the result and its attribute cache. */
export function compileFormat(format: IoPageTableFmt, config: Agreed<FormatConfig>): Compiled {
  let byConfig = compiled.get(format)
  if (byConfig === undefined) compiled.set(format, (byConfig = new Map()))
  const key = JSON.stringify(Object.entries(config).sort(), (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
  let found = byConfig.get(key)
  if (found === undefined) byConfig.set(key, (found = compile(format, config)))
  return found
}

function compile(format: IoPageTableFmt, config: Agreed<FormatConfig>): Compiled {
  const geometry = format.geometry(format.params(config))
  const policy = format.policy(config)
  const highest = nodeOf(geometry, geometry.growsTo ?? geometry.top)
  const chain: HotNode[] = []
  const first = new HotNode(geometry, highest, policy, (node, kind) => format.encodeTable(config, node, kind))
  for (let node: HotNode | undefined = first; node !== undefined; node = node.child) chain.push(node)
  const root = chain.find((hot) => hot.node.id === geometry.top)
  const leaves = chain.flatMap((hot) => hot.leaves)
  const plans = leaves.filter((plan) => (config.pgsizeBitmap & BigInt(plan.pgsize)) !== 0n).sort((a, b) => a.pgsize - b.pgsize)
  const last = chain.at(-1)
  if (root === undefined || last === undefined) throw new Error(`${format.FORMAT}: the geometry's top is not among its nodes`)
  const window = windowOf(geometry)
  return {
    geometry,
    policy,
    chain,
    root,
    grows: geometry.growsTo !== undefined,
    last,
    plans,
    granule: Math.min(...(plans.length > 0 ? plans : leaves).map((plan) => plan.pgsize)),
    inputMaskLo: laneLo(window.mask),
    inputMaskHi: laneHi(window.mask),
    inputLo: laneLo(window.lower),
    inputHi: laneHi(window.lower),
    upperLo: laneLo(window.upper),
    upperHi: laneHi(window.upper),
    inputBytes: window.bytes,
    outputMaskLo: laneLo(~ones(geometry.oas - 1)),
    outputMaskHi: laneHi(~ones(geometry.oas - 1)),
    outputBytes: 2 ** geometry.oas,
  }
}

function windowOf(geometry: Geometry): { mask: bigint; lower: bigint; upper: bigint; bytes: number } {
  const bits = geometry.window === 'sign-extended' ? geometry.ias - 1 : geometry.ias
  const mask = BigInt.asUintN(64, ~(ones(bits) >> 1n))
  const lower = geometry.window === 'top' ? mask : 0n
  return { mask, lower, upper: geometry.window === 'sign-extended' ? mask : lower, bytes: 2 ** bits }
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

/** The tables that we write match this; it is at least as strict as the kind's own match. */
function ownTableMatch(kind: TableKind): Match {
  return { mask: kind.match.mask | kind.set, value: kind.match.value | kind.set }
}

/**
 * A test that, beside the one for empty entries, only entries of this kind and size pass; undefined where one mask cannot say it. It uses
 * bits that we always set as well, but of the high lane only what the matches need, since reading that lane has a price.
 */
function surely(node: LevelNode, kind: LeafKind, size: LeafSize): (Match & { checkEmpty: boolean }) | undefined {
  const or = size.match ?? ALWAYS
  const set = kind.set & ones(31)
  const own = { mask: kind.match.mask | set | or.mask, value: kind.match.value | set | or.value }
  const apart = (other: Match): boolean => (other.mask & own.mask & (other.value ^ own.value)) !== 0n
  let checkEmpty = false
  for (const other of node.kinds) {
    if (other === kind) break
    if (apart(other.match)) continue
    if (other.type !== 'empty') return undefined
    checkEmpty = true
  }
  for (const other of kind.sizes) {
    if (other === size) break
    if (other.encode !== false && (other.match === undefined || !apart(other.match))) return undefined
  }
  return { ...own, checkEmpty }
}

/** Splits pieces at lane borders of both sides. */
function lanePieces(pieces: readonly Piece[]): LanePieces {
  const out: number[] = []
  for (const [hi, lo, at] of pieces) {
    for (let bit = lo; bit <= hi; ) {
      const address = at + bit - lo
      const width = Math.min(hi - bit + 1, 32 - (bit % 32), 32 - (address % 32))
      out.push(bit >> 5, bit % 32, laneLo(ones(width - 1)), address >> 5, address % 32)
      bit += width
    }
  }
  return Int32Array.from(out)
}

/** What one page more adds to the low lane, and the low address bits in which that holds without a carry out of its piece. */
function stepOf(pieces: readonly Piece[], stepLg: number): { lo: number; window: number } {
  for (const [hi, lo, at] of pieces) {
    const top = Math.min(at + Math.min(hi, 31) - lo + 1, 32)
    if (lo > 31 || stepLg < at || stepLg >= top) continue
    return { lo: laneLo(1n << BigInt(lo + stepLg - at)), window: laneLo(ones(top - 1)) }
  }
  return { lo: 0, window: 0 }
}

interface LaneShift {
  readonly mask: number
  readonly left: number
  readonly right: number
}

/** How the low 32 bits of a table's address stand in each lane of its descriptor; at most one piece a lane. */
function lowAddress(pieces: readonly Piece[]): [LaneShift, LaneShift] {
  const found: [LaneShift, LaneShift] = [
    { mask: 0, left: 0, right: 0 },
    { mask: 0, left: 0, right: 0 },
  ]
  const lanes = lanePieces(pieces)
  for (let i = 0; i < lanes.length; i += 5) {
    const [lane, bit, mask, addressLane, addressBit] = lanes.subarray(i, i + 5) as unknown as [0 | 1, number, number, number, number]
    if (addressLane !== 0) continue
    if (found[lane].mask !== 0) throw new Error('a table address has two pieces of its low 32 bits in one lane')
    found[lane] = { mask: (mask << bit) | 0, left: Math.max(addressBit - bit, 0), right: Math.max(bit - addressBit, 0) }
  }
  return found
}

/** A descriptor's address bits for `paddr`: cold, for tables. */
export function tableRaw(hot: HotNode, paddr: bigint): bigint {
  return hot.tableBits | deposit(paddr, hot.tableKind?.address ?? [])
}
