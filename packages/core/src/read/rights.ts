/**
 * What a path through the tables lets whom do, by a format's declaration: rights, traps, memory type, or the fault that ends the walk. Cold
 * and total; written to be read: whatever decides accesses faster is compared with it.
 */
import { hex } from '../errors.ts'
import { bitsOf, extract } from '../format/bits.ts'
import { type AnyFmt, entryOffset, type Geometry, type Kind, type LeafKind, nodeOf, type TableKind } from '../format/format.ts'
import type { ReadMemory } from '../format/hardware.ts'
import {
  type AccessFault,
  type AccessKind,
  type AccessState,
  assumedOf,
  type Meaning,
  type MemoryType,
  neededRight,
  PARTIES,
  type Parties,
  Right,
  type Rights,
  stateOf,
  type Traps,
  type WalkFault,
} from '../format/rights.ts'
import { type Decoded, type DecodedLeaf, type DecodedTable, type DecodedVoid, entrySpan } from './decode.ts'
import { CompiledMeaning } from './meaning.ts'
import { type EntryPlace, inputRanges, walkAddress } from './walk.ts'

/** What a path says. */
export interface PathVerdict {
  /** What tables and leaf grant together. 0 where the path ends in no leaf. */
  readonly path: Rights
  /** The same after the regime's configuration registers: `rights` everywhere. */
  readonly rights: Rights
  /** What is left at each level, from the root on; the last is the leaf's, where there is one. */
  readonly steps: readonly Rights[]
  /** Accesses that fault though there is a leaf. */
  readonly traps: Traps
  readonly memory: MemoryType | undefined
  /** The level of the last entry, as the manual counts; undefined where there is none. */
  readonly level: number | undefined
  /** Why no access gets through. */
  readonly fault: WalkFault | undefined
  /** The path ends in an entry that has no memory and does not fault: reads give zero, writes are dropped. */
  readonly sparse: boolean
  /** Registers that were not given, with the values that were taken. */
  readonly assumed: readonly string[]
}

/** What an input address is translated to, and by which path. */
export interface AddressVerdict extends PathVerdict {
  /** Undefined where no access gets through. */
  readonly paddr: bigint | undefined
  readonly walk: readonly (Decoded & EntryPlace)[]
}

/** An access that is asked about. */
export interface Access {
  readonly access: AccessKind
  readonly privileged: boolean
}

/** The rules of one format, tree and decode context (registers). */
export class AccessRules {
  readonly format: AnyFmt
  readonly geometry: Geometry
  readonly context: unknown
  readonly parties: Parties
  readonly #regime: (path: Rights) => Rights
  readonly #compiled: Map<Meaning<unknown>, Map<Kind, Map<Kind | undefined, CompiledMeaning<unknown>>>> = new Map()

  constructor(format: AnyFmt, geometry: Geometry, context: unknown) {
    this.format = format
    this.geometry = geometry
    this.context = context
    this.parties = format.parties?.(context) ?? PARTIES
    this.#regime = format.regime?.(context) ?? ((path) => path)
  }

  /** What a table entry leaves of the rights of everything below. `above`: the entry above it. */
  limits(entry: DecodedTable, above?: DecodedTable): Rights {
    return this.#meaning(entry.kind.limits, entry, above) ?? Right.ALL
  }

  /** What a leaf gives by itself. */
  grants(leaf: DecodedLeaf, above?: DecodedTable): Rights {
    return this.#meaning(leaf.kind.grants, leaf, above) ?? Right.ALL
  }

  traps(leaf: DecodedLeaf, above?: DecodedTable): Traps {
    return this.#meaning(leaf.kind.traps, leaf, above) ?? {}
  }

  memory(leaf: DecodedLeaf, above?: DecodedTable): MemoryType | undefined {
    return this.#meaning(leaf.kind.memory, leaf, above)
  }

  /** Whether every address space shares a leaf, or all that is below a table. */
  isGlobal(entry: DecodedLeaf | DecodedTable, above?: DecodedTable): boolean {
    return this.#meaning(entry.kind.global, entry, above) ?? false
  }

  /** What descriptors from the root down to any of them say; the way of `walkAddress` fits. */
  path(path: readonly Decoded[]): PathVerdict {
    const steps: Rights[] = []
    let left: Rights = Right.ALL
    let above: DecodedTable | undefined
    for (const entry of path) {
      const fault = this.#faultAt(entry)
      if (entry.type === 'table') left &= this.limits(entry, above)
      if (entry.type === 'leaf') left &= this.grants(entry, above)
      if (entry.type === 'table' || entry.type === 'leaf') steps.push(left)
      if (entry.type === 'leaf') return { ...this.#nothing(steps, entry, fault), ...this.#ofLeaf(left, entry, above) }
      if (entry.type === 'sparse') return { ...this.#nothing(steps, entry, undefined), sparse: true }
      if (fault !== undefined) return this.#nothing(steps, entry, fault)
      if (entry.type === 'table') above = entry
    }
    return this.#nothing(steps, above, undefined)
  }

  /** Walks to an input address as hardware does, from the physical addresses of the geometry's root tables. */
  translate(roots: readonly bigint[], read: ReadMemory, address: bigint): AddressVerdict {
    const iova = this.untagged(address)
    const before = this.#faultBefore(roots, iova)
    const walk = before === undefined ? walkAddress(this.geometry, roots, read, iova) : []
    const verdict = this.path(walk)
    const last = walk.at(-1)
    const fault = before ?? verdict.fault ?? this.#faultOfEnd(last, roots, read, iova)
    if (fault !== undefined || last?.type !== 'leaf') return { ...verdict, fault, paddr: undefined, walk }
    return { ...verdict, paddr: last.paddr | (iova & BigInt(entrySpan(last.node, last.size) - 1)), walk }
  }

  /** The fault of one access to what a path leads to; undefined where it gets through. `state`: of the moment; default: as registers tell. */
  fault(verdict: PathVerdict, { access, privileged }: Access, state: AccessState = stateOf(this.context)): AccessFault | undefined {
    const { level, path, traps } = verdict
    const of = (fault: WalkFault): AccessFault => ({ ...fault, access, privileged })
    if (verdict.fault !== undefined) return of(verdict.fault)
    if (verdict.sparse) return undefined
    const trap = traps[access]
    if (trap !== undefined) return of({ type: trap, level, reason: `the entry at level ${level} lets no ${access} through` })
    const needed = neededRight(access, privileged)
    const granted = this.format.regime?.(this.context, state)(path) ?? path
    if ((granted & needed) !== 0) return undefined
    const by = (path & needed) === 0 ? undefined : this.format.denies?.(this.context, { path, needed, state })
    return of({ type: 'permission', level, reason: by === undefined ? denial(verdict, needed, access) : `${by} allows no ${access}` })
  }

  #nothing(steps: readonly Rights[], last: Decoded | undefined, fault: WalkFault | undefined): PathVerdict {
    const level = last?.node.level
    return { path: 0, rights: 0, steps, traps: {}, memory: undefined, level, fault, sparse: false, assumed: assumedOf(this.context) }
  }

  #ofLeaf(path: Rights, leaf: DecodedLeaf, above: DecodedTable | undefined): Pick<PathVerdict, 'path' | 'rights' | 'traps' | 'memory'> {
    return { path, rights: this.#regime(path), traps: this.traps(leaf, above), memory: this.memory(leaf, above) }
  }

  /** Why a walk ends at this entry, whatever the access. */
  #faultAt(entry: Decoded): WalkFault | undefined {
    const { level } = entry.node
    if (entry.type !== 'table' && entry.type !== 'leaf') return voidFault(entry)
    const bits = faultingBits(entry.kind, entry.raw)
    const { reserved = 'reserved' } = this.geometry
    if (bits !== 0n) return { type: reserved, level, bits, reason: `reserved bits ${hex(bits)} are set in the entry at level ${level}` }
    return this.#faultBeyond(extract(entry.raw, entry.kind.address), level, entry.type === 'table' ? 'the table' : 'the output')
  }

  #faultBeyond(address: bigint, level: number | undefined, what: string): WalkFault | undefined {
    const { oas, beyond = 'address-size' } = this.geometry
    if (address >> BigInt(oas) === 0n) return undefined
    return { type: beyond, level, reason: `${what} is at ${hex(address)}, beyond ${oas} bits` }
  }

  /** The address that is translated: a tag is not. */
  untagged(address: bigint): bigint {
    const tag = this.format.tagBits?.(this.context) ?? 0
    return tag === 0 ? address : BigInt.asUintN(64, BigInt.asIntN(64 - tag, address))
  }

  /** What faults before any entry is read. */
  #faultBefore(roots: readonly bigint[], iova: bigint): WalkFault | undefined {
    const { geometry } = this
    if (!inputRanges(geometry).some(({ first, last }) => iova >= first && iova <= last)) {
      const type = geometry.window === 'sign-extended' ? 'not-canonical' : 'translation'
      return { type, level: undefined, reason: `${hex(iova)} is none of the ${geometry.ias}-bit addresses that the root translates` }
    }
    for (const root of roots) {
      const fault = this.#faultBeyond(root, 0, 'the root')
      if (fault !== undefined) return fault
    }
    return undefined
  }

  /** A walk that ended without a leaf, at no entry that says why: the next table is not known, or does not reach the address. */
  #faultOfEnd(last: Decoded | undefined, roots: readonly bigint[], read: ReadMemory, iova: bigint): WalkFault | undefined {
    if (last?.type === 'leaf' || last?.type === 'sparse') return undefined
    const node = last?.type === 'table' ? last.child : nodeOf(this.geometry, this.geometry.top)
    const { level, shift, bits, entryBytes } = node
    const perRoot = 2 ** bits / (last === undefined ? roots.length : 1)
    const index = Number(BigInt.asUintN(bits, (iova - (this.geometry.base ?? 0n)) >> BigInt(shift)))
    const table = last?.type === 'table' ? last.next : (roots[Math.floor(index / perRoot)] ?? 0n)
    const at = table + BigInt(entryOffset(node, index % perRoot))
    if ((read(at, entryBytes)?.byteLength ?? 0) < entryBytes)
      return { type: 'unknown-memory', level, reason: `the table at ${hex(table)} is not in memory` }
    return { type: 'translation', level, reason: `the table at ${hex(table)} does not reach ${hex(iova)}` }
  }

  #meaning<T>(meaning: Meaning<T> | undefined, { kind, raw }: Decoded, above: DecodedTable | undefined): T | undefined {
    if (meaning === undefined) return undefined
    return this.compiled(meaning, kind, above?.kind).of(raw, above?.raw)
  }

  /** A meaning of a kind, below table entries of the kind `above`. */
  compiled<T>(meaning: Meaning<T>, kind: Kind, above?: Kind): CompiledMeaning<T> {
    let kinds = this.#compiled.get(meaning)
    if (kinds === undefined) this.#compiled.set(meaning, (kinds = new Map()))
    let aboves = kinds.get(kind)
    if (aboves === undefined) kinds.set(kind, (aboves = new Map()))
    let found = aboves.get(above)
    if (found === undefined) aboves.set(above, (found = new CompiledMeaning(meaning, kind, above, this.context)))
    return found as CompiledMeaning<T>
  }
}

/** A table kind is met here where its field chooses no node: a code that no walker knows. */
function voidFault({ kind, node: { level }, raw }: DecodedVoid): WalkFault {
  const type = kind.type === 'empty' || kind.type === 'invalid' ? (kind.fault ?? 'translation') : 'reserved'
  return { type, level, reason: `the entry at level ${level} is ${hex(raw)}: ${kind.name}` }
}

/** Set bits of reserved fields that make a walk fault. */
export function faultingBits({ fields }: TableKind | LeafKind, raw: bigint): bigint {
  return fields.reduce((bits, { reserved, pieces }) => (reserved === 'faults' ? bits | (raw & bitsOf(pieces)) : bits), 0n)
}

/** Which level takes a right away; none where the regime does. */
function denial({ steps, level }: PathVerdict, needed: Rights, access: AccessKind): string {
  const at = steps.findIndex((left) => (left & needed) === 0)
  if (at < 0) return `registers allow no ${access}`
  const where =
    at === steps.length - 1 ? `the entry at level ${level}` : `a table ${steps.length - 1 - at} above the entry at level ${level}`
  return `${where} allows no ${access}`
}
