/** What is to be checked of one leaf size of one node, as masks of 32-bit lanes; and what a descriptor's attribute bits grant. */
import {
  type AnyFmt,
  type FormatConfig,
  type Geometry,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  Prot,
  type Prot as ProtFlags,
  type TableKind,
} from '@io-pgtable/core'
import { knownBits, misalignedBits, outOfRangeBits } from '../explain/bits.ts'
import { joined } from '../leaves/joined.ts'
import { hardwareBits } from './groups.ts'

/** A mask of both lanes. */
export class LaneMask {
  readonly lo: number
  readonly hi: number
  constructor(mask: bigint) {
    this.lo = Number(BigInt.asIntN(32, mask))
    this.hi = Number(BigInt.asIntN(32, mask >> 32n))
  }
  /** Whether a descriptor has any of these bits. */
  touches(lo: number, hi: number): boolean {
    return ((lo & this.lo) | (hi & this.hi)) !== 0
  }
}

/** Bits that a table descriptor, or a leaf, should not have. */
export class KindCheck {
  readonly reserved: LaneMask
  readonly beyond: LaneMask
  constructor(geometry: Geometry, node: LevelNode, kind: LeafKind | TableKind, except = 0n) {
    const beyond = outOfRangeBits(geometry, kind)
    const all = (1n << BigInt(node.entryBytes * 8)) - 1n
    this.reserved = new LaneMask(all & ~knownBits(kind) & ~except & ~beyond)
    this.beyond = new LaneMask(beyond)
  }
}

/** Attribute bits, understood. */
export interface Verdict {
  readonly prot: ProtFlags
  /** The memory type, as far as flags tell it. */
  readonly memory: number
  readonly writable: boolean
  /** False where the format cannot say that something is not executable. */
  readonly executable: boolean
}

/** Rights that a leaf may grant beside execution. */
const PROTS: readonly ProtFlags[] = [Prot.READ, Prot.READ | Prot.WRITE, Prot.READ | Prot.WRITE | Prot.CACHE, Prot.READ | Prot.PRIV]

/** What attribute bits are remembered of one leaf size; hostile tables have more. */
const MOST_REMEMBERED = 2 ** 14

/** Verdicts by flags: there are few. */
export class Verdicts {
  readonly #format: AnyFmt
  readonly #context: unknown
  readonly #canForbidExecution: boolean
  readonly #all: Map<ProtFlags, Verdict> = new Map()

  constructor(format: AnyFmt, context: unknown) {
    this.#format = format
    this.#context = context
    this.#canForbidExecution = canForbidExecution(format, context)
  }

  of(raw: bigint, kind: LeafKind): Verdict {
    const prot = this.#format.prot(raw, kind, this.#context)
    let verdict = this.#all.get(prot)
    if (verdict === undefined) this.#all.set(prot, (verdict = this.#judge(prot)))
    return verdict
  }

  #judge(prot: ProtFlags): Verdict {
    return {
      prot,
      memory: prot & (Prot.CACHE | Prot.MMIO),
      writable: (prot & Prot.WRITE) !== 0,
      executable: this.#canForbidExecution && (prot & Prot.NOEXEC) === 0,
    }
  }
}

export class LeafCheck extends KindCheck {
  readonly size: LeafSize
  readonly kind: LeafKind
  readonly misaligned: LaneMask
  /** Entries of an aligned group that goes together; 1: none. */
  readonly group: number
  /** Whether each entry of the group has its own address. */
  readonly steps: boolean
  /** Bits that may differ within a group. */
  readonly byHardware: LaneMask
  readonly #verdicts: Verdicts
  #remembered: Map<number, Map<number, Verdict>> = new Map()
  #count = 0

  constructor(geometry: Geometry, node: LevelNode, kind: LeafKind, size: LeafSize, verdicts: Verdicts) {
    const misaligned = misalignedBits(geometry, { kind, size, node })
    super(geometry, node, kind, misaligned)
    this.kind = kind
    this.size = size
    this.misaligned = new LaneMask(misaligned)
    this.group = size.slots
    this.steps = size.stepsAddress === true
    this.byHardware = new LaneMask(hardwareBits(kind))
    this.#verdicts = verdicts
  }

  /** What attribute bits grant: the lanes without the address. */
  verdict(lo: number, hi: number): Verdict {
    let row = this.#remembered.get(hi)
    if (row === undefined) this.#remembered.set(hi, (row = new Map()))
    let verdict = row.get(lo)
    if (verdict === undefined) {
      verdict = this.#verdicts.of(joined(lo, hi), this.kind)
      row.set(lo, verdict)
      if (++this.#count >= MOST_REMEMBERED) this.#forget()
    }
    return verdict
  }

  #forget(): void {
    this.#remembered = new Map()
    this.#count = 0
  }
}

/** Leaves that are not executable, as a format writes them. */
const notExecutable = new WeakMap<AnyFmt, readonly { readonly raw: bigint; readonly kind: LeafKind }[]>()

/**
 * Whether a leaf can say that it is not executable, as these registers give its bits a meaning: formats of devices that fetch no instructions
 * cannot. What says it may be several bits together, so that the format itself is asked for such leaves, in each of its configurations.
 */
function canForbidExecution(format: AnyFmt, context: unknown): boolean {
  let leaves = notExecutable.get(format)
  if (leaves === undefined) notExecutable.set(format, (leaves = format.configs.flatMap(({ config }) => leavesOf(format, config))))
  return leaves.some(({ raw, kind }) => (format.prot(raw, kind, context) & Prot.NOEXEC) !== 0)
}

function leavesOf(format: AnyFmt, request: FormatConfig): { raw: bigint; kind: LeafKind }[] {
  const config = format.configure(request)
  return format.geometry(format.params(config)).nodes.flatMap((node) =>
    node.kinds.flatMap((kind) => {
      if (kind.type !== 'leaf') return []
      const bits = PROTS.map((prot) => format.encodeLeaf(config, node, kind, prot | Prot.NOEXEC)).filter((raw) => raw !== undefined)
      return bits.map((raw) => ({ raw: raw | kind.set | kind.match.value, kind }))
    }),
  )
}
