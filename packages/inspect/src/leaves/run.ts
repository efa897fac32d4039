/** Leaf runs: leaves that are alike and contiguous in both address spaces, merged as they come. */
import {
  fieldValues,
  hex,
  type LeafKind,
  type LevelNode,
  type MemoryType,
  type Parties,
  type PathVerdict,
  type Prot,
  protNames,
  protOfRights,
  type Rights,
  rightsByParty,
  type Traps,
  type WalkFault,
} from '@io-pgtable/core'
import type { LaneLeaf } from '@io-pgtable/core/compiled'
import { faultOfAll, rightsLeft } from '../rights/rules.ts'
import type { Inherited } from './inherited.ts'
import { joined } from './joined.ts'
import type { Tables } from './tables.ts'

/** The numbers of a run. There may be millions of runs: all that is wanted of them is worked out when it is asked for. */
export interface RunNumbers {
  readonly leaf: LaneLeaf
  readonly iova: number
  readonly paddr: number
  readonly count: number
  readonly lo: number
  readonly hi: number
  readonly inherited: Inherited
}

/**
 * Leaves of one size whose input and output addresses both rise by it, with equal attributes. The run that a sink is given is only valid
 * until the sink returns: {@link LeafRun.keep} makes one that stays.
 */
export class LeafRun {
  readonly tables: Tables
  readonly #numbers: RunNumbers

  constructor(tables: Tables, numbers: RunNumbers) {
    this.tables = tables
    this.#numbers = numbers
  }
  /** A copy that stays as it is. */
  keep(): LeafRun {
    const { leaf, iova, paddr, count, lo, hi, inherited } = this.#numbers
    return new LeafRun(this.tables, { leaf, iova, paddr, count, lo, hi, inherited })
  }
  get iova(): bigint {
    return BigInt(this.#numbers.iova)
  }
  get paddr(): bigint {
    return BigInt(this.#numbers.paddr)
  }
  /** Bytes. */
  get size(): number {
    return this.#numbers.count * this.leafSize
  }
  get count(): number {
    return this.#numbers.count
  }
  /** Bytes of one leaf; of one entry, where each of a contiguous group has its own address. */
  get leafSize(): number {
    return this.#numbers.leaf.leafSize
  }
  get level(): number {
    return this.node.level
  }
  get node(): LevelNode {
    return this.#numbers.leaf.node
  }
  get kind(): LeafKind {
    return this.#numbers.leaf.kind
  }
  /** The first descriptor. The others differ in the address only, and not at all within a leaf of several entries. */
  get descriptor(): bigint {
    return joined(this.#numbers.lo, this.#numbers.hi)
  }
  /** What the whole path says: tables, leaf and regime. */
  get verdict(): PathVerdict {
    const { leaf, lo, hi, paddr, inherited } = this.#numbers
    return inherited.verdict(leaf, lo, hi, paddr >= 2 ** this.tables.geometry.oas)
  }
  /** Who may do what, over the path and by the regime's registers: none where every walk faults. */
  get rights(): Rights {
    return rightsLeft(this.verdict)
  }
  get parties(): Parties {
    return this.#numbers.inherited.rules.parties
  }
  /** Undefined where the tables do not tell. */
  get memory(): MemoryType | undefined {
    return this.verdict.memory
  }
  /** Why every access faults; undefined where one gets through, or only lacks the right. */
  get fault(): WalkFault | undefined {
    return faultOfAll(this.verdict)
  }
  /** What the path's rights and the memory type are as flags. */
  get prot(): Prot {
    return protOfRights(this.rights, this.memory)
  }
  /** What the leaf alone gives: tables and registers may take from that. */
  get leaf(): { readonly rights: Rights; readonly prot: Prot } {
    const { leaf, lo, hi, inherited } = this.#numbers
    const rights = inherited.rights(leaf, lo, hi)
    return { rights, prot: protOfRights(rights, this.memory) }
  }
  /** The leaf's fields, reserved ones left out, and those that only the tables above it have. */
  get fields(): Record<string, number> {
    const own: Record<string, number> = {}
    const values = fieldValues(this.kind, this.descriptor)
    for (const { name, reserved } of this.kind.fields) if (!reserved) own[name] = Number(values[name])
    return { ...own, ...this.#numbers.inherited.fields(this.kind) }
  }

  /** Whether both are leaves of one kind and size with equal attribute bits, their own and those of the tables above. */
  hasBitsOf(other: LeafRun): boolean {
    const { leaf, lo, hi, inherited } = this.#numbers
    const theirs = other.#numbers
    if (leaf !== theirs.leaf || ((lo ^ theirs.lo) & ~leaf.addressLo) !== 0 || ((hi ^ theirs.hi) & ~leaf.addressHi) !== 0) return false
    return inherited.equals(theirs.inherited, leaf.kind)
  }
}

/** A run as JSON. */
export interface RunJson {
  readonly iova: string
  readonly paddr: string
  readonly size: number
  readonly leafSize: number
  readonly level: number
  readonly count: number
  readonly descriptor: string
  /** By party: over the path, after the regime's registers. */
  readonly rights: Readonly<Record<string, string>>
  /** The memory type's name; left out where the tables do not tell. */
  readonly memory?: string
  /** Why every access faults. */
  readonly fault?: FaultJson
  /** Accesses that fault though others get through, and how. */
  readonly traps?: Traps
  /** Registers that were not given, and what was taken for them. */
  readonly assumed?: readonly string[]
  /** The rights and the memory type once more. */
  readonly prot: readonly string[]
  readonly fields: Readonly<Record<string, number>>
}

/** A fault as JSON: `level` null where none is known. */
export interface FaultJson {
  readonly type: string
  readonly level: number | null
  readonly bits?: string
  readonly reason: string
}

export function faultJson({ type, level, bits, reason }: WalkFault): FaultJson {
  return { type, level: level ?? null, ...(bits !== undefined && { bits: hex(bits) }), reason }
}

/** The object of one line of JSON. */
export function runJson(run: LeafRun): RunJson {
  const { iova, paddr, size, leafSize, level, count, descriptor, verdict, fields, parties } = run
  const rights = rightsLeft(verdict)
  const { memory, traps, assumed } = verdict
  const fault = faultOfAll(verdict)
  return {
    ...{ iova: hex(iova), paddr: hex(paddr), size, leafSize, level, count, descriptor: hex(descriptor) },
    rights: rightsByParty(rights, parties),
    ...(memory !== undefined && { memory: memory.name }),
    ...(fault !== undefined && { fault: faultJson(fault) }),
    ...(fault === undefined && Object.keys(traps).length > 0 && { traps }),
    ...(assumed.length > 0 && { assumed }),
    ...{ prot: protNames(protOfRights(rights, memory)), fields },
  }
}

/** The run that is being put together. Its addresses are in an array of doubles, which costs no memory for each of them. */
export class OpenRun implements RunNumbers {
  leaf: LaneLeaf
  count = 0
  lo = 0
  hi = 0
  inherited: Inherited
  /** Input and output address of the first leaf, and those behind the last. */
  readonly #at: Float64Array = new Float64Array(4)

  /** @param leaf any, for a run without leaves */
  constructor(leaf: LaneLeaf, inherited: Inherited) {
    this.leaf = leaf
    this.inherited = inherited
  }
  get iova(): number {
    return this.#at[0]!
  }
  get paddr(): number {
    return this.#at[1]!
  }

  /** Adds leaves, if they continue the run. */
  joins(leaf: LaneLeaf, iova: number, paddr: number, count: number, lo: number, hi: number, inherited: Inherited): boolean {
    if (leaf !== this.leaf || iova !== this.#at[2] || paddr !== this.#at[3] || this.count === 0) return false
    if (((lo ^ this.lo) & ~leaf.addressLo) !== 0 || ((hi ^ this.hi) & ~leaf.addressHi) !== 0) return false
    if (inherited !== this.inherited && !inherited.equals(this.inherited, leaf.kind)) return false
    const bytes = count * leaf.leafSize
    this.count += count
    this.#at[2] = iova + bytes
    this.#at[3] = paddr + bytes
    return true
  }

  start(leaf: LaneLeaf, iova: number, paddr: number, count: number, lo: number, hi: number, inherited: Inherited): void {
    const bytes = count * leaf.leafSize
    const at = this.#at
    this.leaf = leaf
    this.count = count
    this.lo = lo
    this.hi = hi
    this.inherited = inherited
    at[0] = iova
    at[1] = paddr
    at[2] = iova + bytes
    at[3] = paddr + bytes
  }
}
