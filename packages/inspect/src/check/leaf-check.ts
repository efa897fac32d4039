/** What is to be checked of one leaf size of one node, as masks of 32-bit lanes; and what a descriptor's attribute bits grant. */
import {
  CompiledMeaning,
  type FaultType,
  type Geometry,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  type MemoryType,
  type PathVerdict,
  type Prot as ProtFlags,
  protOfRights,
  Right,
  type Rights,
  type TableKind,
} from '@io-pgtable/core'
import type { LaneLeaf } from '@io-pgtable/core/compiled'
import { knownBits, misalignedBits, outOfRangeBits, reservedBits } from '../explain/bits.ts'
import type { Inherited } from '../leaves/inherited.ts'
import type { Tables } from '../leaves/tables.ts'
import { faultOfAll, isCpuStage1, isWritableExecutable, rightsLeft } from '../rights/rules.ts'
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
  /** Walks that meet them end. */
  readonly faulting: LaneMask
  /** Hardware does not promise what they do. */
  readonly odd: LaneMask
  readonly beyond: LaneMask
  constructor(geometry: Geometry, node: LevelNode, kind: LeafKind | TableKind, except = 0n) {
    const beyond = outOfRangeBits(geometry, kind)
    const all = (1n << BigInt(node.entryBytes * 8)) - 1n
    const reserved = all & ~knownBits(kind) & ~except & ~beyond
    const faulting = reservedBits(kind, 'faults') & reserved
    this.faulting = new LaneMask(faulting)
    this.odd = new LaneMask(reserved & ~faulting & ~reservedBits(kind, 'ignored'))
    this.beyond = new LaneMask(beyond)
  }
}

/** What a mapping lets whom do, and what its memory is. */
export interface Verdict {
  readonly prot: ProtFlags
  readonly rights: Rights
  /** The memory type, as far as it matters for aliases. */
  readonly memory: MemoryType['caching']
  readonly writable: boolean
  /** False where nobody cares: on tables that are no CPU's own first stage. */
  readonly executable: boolean
  /** Somebody may both write and execute. */
  readonly writableExecutable: boolean
  /** Every access to it faults, though it translates. */
  readonly trap?: FaultType
}

/** Attribute bits of one leaf size that are remembered; hostile tables have more. */
const MOST_REMEMBERED = 2 ** 14

/** Verdicts, equal ones as one object: there are few. */
export class Verdicts {
  readonly #isCpu: boolean
  /** Writable memory may be made not executable. */
  readonly #isChosen: boolean
  readonly #all: Map<string, Verdict> = new Map()

  constructor(tables: Tables) {
    this.#isCpu = isCpuStage1(tables)
    this.#isChosen = this.#isCpu && withholdsExecution(tables)
  }

  of(path: PathVerdict): Verdict {
    const rights = rightsLeft(path)
    const caching = path.memory?.caching ?? 'unknown'
    const trap = path.fault === undefined ? faultOfAll(path)?.type : undefined
    const key = `${rights} ${caching} ${trap}`
    let verdict = this.#all.get(key)
    if (verdict === undefined) this.#all.set(key, (verdict = this.#judge(rights, path.memory, caching, trap)))
    return verdict
  }

  #judge(rights: Rights, memory: MemoryType | undefined, caching: MemoryType['caching'], trap: FaultType | undefined): Verdict {
    return {
      prot: protOfRights(rights, memory),
      rights,
      memory: caching,
      writable: (rights & Right.WRITE) !== 0,
      executable: this.#isCpu && (rights & Right.EXECUTE) !== 0,
      writableExecutable: this.#isChosen && isWritableExecutable(rights),
      ...(trap !== undefined && { trap }),
    }
  }
}

/** Whether some entry lets somebody read and not execute: where none can, as in 32-bit paging of x86, what is writable is executable, too. */
function withholdsExecution({ geometry, context }: Tables): boolean {
  const kinds = geometry.nodes.flatMap((node) => node.kinds)
  return kinds.some((kind) => {
    const rights = kind.type === 'leaf' ? kind.grants : kind.type === 'table' ? kind.limits : undefined
    if (rights === undefined) return false
    return new CompiledMeaning(rights, kind, undefined, context).table.some((row) => ((row & Right.READ) << 2) & ~row)
  })
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
  #way: Inherited | undefined

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

  /** What a leaf at the end of a way lets whom do. `isBeyond`: its address may be one that ends the walk. */
  verdict(way: Inherited, leaf: LaneLeaf, lo: number, hi: number, isBeyond: boolean): Verdict {
    if (isBeyond) return this.#verdicts.of(way.verdict(leaf, lo, hi, true))
    const low = lo & ~leaf.addressLo
    const high = hi & ~leaf.addressHi
    if (way !== this.#way) this.#goTo(way)
    let row = this.#remembered.get(high)
    if (row === undefined) this.#remembered.set(high, (row = new Map()))
    let verdict = row.get(low)
    if (verdict === undefined) {
      verdict = this.#verdicts.of(way.verdict(leaf, lo, hi, false))
      row.set(low, verdict)
      if (++this.#count >= MOST_REMEMBERED) this.#forget()
    }
    return verdict
  }

  /** Leaves of one way come together. */
  #goTo(way: Inherited): void {
    this.#way = way
    this.#forget()
  }

  #forget(): void {
    this.#remembered = new Map()
    this.#count = 0
  }
}
