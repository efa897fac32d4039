/** One leaf size of one node, compiled: what mapping, unmapping and translating it needs. */
import { ALWAYS, lowestBit, type Match, ones, uncarried } from '../format/bits.ts'
import type { IoPageTableFmt, LeafKind, LeafSize, LevelNode } from '../format/format.ts'
import type { Agreed, FormatConfig } from '../format/policy.ts'
import { type Prot, protLimit } from '../format/prot.ts'
import type { Moves } from '../hot/moves.ts'
import { distinct, excludes } from './distinct.ts'
import type { HotNode } from './hot-node.ts'
import { type LanePieces, laneHi, laneLo, lanePieces, movesOf, stepOf } from './lane-pieces.ts'

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
  /** Bits that an output address must have zero, by lane: offset bits, and those that no piece of the descriptor carries. */
  readonly unfitLo: number
  readonly unfitHi: number
  /** The lowest bit above the offset that no piece carries, as a number: a run of pages must not reach its next multiple. */
  readonly unfitStep: number
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
  /** The test of the high lane; a zero mask where the low lane decides alone. */
  readonly matchMaskHi: number
  readonly matchValueHi: number
  /** The test does not exclude empty entries: those must be tested for as well. */
  readonly checkEmpty: boolean
  /** The address stands in the descriptor where it stands in the address: masks by lane. Otherwise `pieces`. */
  readonly plain: boolean
  readonly addressLo: number
  readonly addressHi: number
  readonly pieces: LanePieces
  /** The address pieces as rotations, where they fit that form; without the offset bits of {@link LeafPlan.keepLo}. */
  readonly moves: Moves | undefined
  /** What the next mapping of a run adds to the low lane; 0 when the step is not in it (then runs are one mapping long). */
  readonly stepLo: number
  readonly stepLg: number
  /** Bits of the low address lane in which a run stays linear. */
  readonly windowMask: number
  /** What the next entry of one mapping adds to the low lane: 0 where all entries are equal. */
  readonly slotStep: number
  /**
   * Four words a prot, filled on first use: the low and the high lane of its attribute bits, with those that are always set; and the prot itself,
   * or -1 as long as they are not known.
   */
  readonly attrs: Int32Array

  constructor(hot: HotNode, kind: LeafKind, size: LeafSize) {
    const span = hot.slotBytes
    const steps = size.slots > 1 && size.stepsAddress === true
    this.node = hot
    this.kind = kind
    this.pgsize = size.pgsize
    this.slots = size.slots | 0
    this.slotsLg = Math.log2(size.slots) | 0
    this.slotBytes = span
    const offset = BigInt(size.pgsize) - 1n
    this.offsetLo = laneLo(offset)
    this.offsetHi = laneHi(offset)
    const lost = uncarried(kind.address)
    this.unfitLo = laneLo(lost | offset)
    this.unfitHi = laneHi(lost | offset)
    this.unfitStep = Number(lowestBit(lost & ~offset))
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
    this.moves = movesOf(this.pieces, this.keepLo)
    const step = stepOf(kind.address, Math.log2(size.pgsize))
    this.stepLo = step.lo
    this.stepLg = Math.log2(size.pgsize) | 0
    this.windowMask = step.window
    this.attrs = new Int32Array(protLimit(kind) * 4).fill(-1)
    this.slotStep = steps ? slotStepOf(kind, size, span) : 0
  }

  /** Whether `prot` can be expressed; fills the attribute cache. */
  resolve(format: IoPageTableFmt, config: Agreed<FormatConfig>, prot: Prot): boolean {
    if (prot >= this.attrs.length >> 2) return false
    const size = this.kind.sizes.find((s) => s.pgsize === this.pgsize)
    const attr = format.encodeLeaf(config, this.node.node, this.kind, prot)
    if (attr === undefined) return false
    const raw = attr | this.kind.set | (size?.or ?? 0n)
    this.attrs.set([laneLo(raw), laneHi(raw), prot], prot * 4)
    return true
  }
}

/** What each entry of a mapping with own addresses adds to the low lane. @throws `Error` where that is not linear: a fault of the format */
function slotStepOf(kind: LeafKind, size: LeafSize, span: number): number {
  const { lo, window } = stepOf(kind.address, Math.log2(span))
  if (size.encode !== false && (lo === 0 || size.pgsize - 1 > window >>> 0))
    throw new Error(`kind ${kind.name}: the addresses of the entries of ${size.pgsize} bytes do not rise in one piece of bits 31:0`)
  return lo
}

/**
 * A test that, beside the one for empty entries, only entries of this kind and size pass; undefined where one mask cannot say it. It uses
 * bits that we always set as well, but of the high lane only what the matches need, since reading that lane has a price.
 */
function surely(node: LevelNode, kind: LeafKind, size: LeafSize): (Match & { checkEmpty: boolean }) | undefined {
  const or = size.match ?? ALWAYS
  const set = kind.set & ones(31)
  const own = { mask: kind.match.mask | set | or.mask, value: kind.match.value | set | or.value }
  const kinds = node.kinds.slice(0, node.kinds.indexOf(kind))
  const sizes = kind.sizes.slice(0, kind.sizes.indexOf(size)).filter(({ encode }) => encode !== false)
  const earlier = [...kinds.filter(({ type }) => type !== 'empty'), ...sizes].map(({ match }) => match ?? ALWAYS)
  const told = distinct(own, earlier, ALWAYS)
  return told && { ...told, checkEmpty: kinds.some(({ type, match }) => type === 'empty' && !excludes(match, told)) }
}
