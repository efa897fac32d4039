/** The mappings that a check has seen, merged, in columns of numbers; and what only all of them together show: aliases. */
import type { Verdict } from './leaf-check.ts'

/** Runs that are kept for comparing aliases. 40 bytes each. */
const MAX_RUNS = 2 ** 21
const PAGE = 4096

/** One merged run. */
export interface Mapping {
  /** Which of the checked tables. */
  readonly owner: number
  readonly iova: number
  readonly paddr: number
  readonly bytes: number
  readonly verdict: Verdict
}

export class Mappings {
  #iova = new Float64Array(1024)
  #paddr = new Float64Array(1024)
  #bytes = new Float64Array(1024)
  #verdict = new Uint16Array(1024)
  #owner = new Uint16Array(1024)
  readonly #verdicts: Verdict[] = []
  readonly #numbers: Map<Verdict, number> = new Map()
  #count = 0
  /** Whether page numbers have 32 bits. */
  #isNarrow = true
  #dropped = 0

  get length(): number {
    return this.#count
  }

  /** Runs that were not kept, since there were too many. */
  get dropped(): number {
    return this.#dropped
  }

  add(owner: number, iova: number, paddr: number, bytes: number, verdict: Verdict): void {
    if (this.#count >= MAX_RUNS) {
      this.#dropped++
      return
    }
    if (this.#count === this.#iova.length) this.#grow()
    const at = this.#count++
    this.#iova[at] = iova
    this.#paddr[at] = paddr
    this.#bytes[at] = bytes
    this.#owner[at] = owner
    this.#verdict[at] = this.#number(verdict)
    if (paddr % PAGE !== 0 || paddr >= PAGE * 2 ** 32) this.#isNarrow = false
  }

  at(i: number): Mapping {
    return {
      owner: this.#owner[i]!,
      iova: this.#iova[i]!,
      paddr: this.#paddr[i]!,
      bytes: this.#bytes[i]!,
      verdict: this.#verdicts[this.#verdict[i]!] as Verdict,
    }
  }

  /** All of them by physical address, and of equal ones the first seen first. */
  *byPaddr(): Generator<Mapping> {
    for (const i of this.#isNarrow ? this.#orderOfKeys() : this.#order()) yield this.at(i)
  }

  #order(): Iterable<number> {
    const paddr = this.#paddr
    return Uint32Array.from({ length: this.#count }, (_, i) => i).sort((a, b) => paddr[a]! - paddr[b]! || a - b)
  }

  /** The same, without a function that compares: page number and index as one number of 53 bits. */
  *#orderOfKeys(): Generator<number> {
    const keys = Float64Array.from({ length: this.#count }, (_, i) => (this.#paddr[i]! / PAGE) * MAX_RUNS + i).sort()
    for (const key of keys) yield key % MAX_RUNS
  }

  #number(verdict: Verdict): number {
    let number = this.#numbers.get(verdict)
    if (number === undefined) {
      number = this.#verdicts.push(verdict) - 1
      this.#numbers.set(verdict, number)
    }
    return number
  }

  #grow(): void {
    const grown = <T extends Float64Array | Uint16Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    const length = this.#iova.length * 2
    this.#iova = grown(this.#iova, new Float64Array(length))
    this.#paddr = grown(this.#paddr, new Float64Array(length))
    this.#bytes = grown(this.#bytes, new Float64Array(length))
    this.#verdict = grown(this.#verdict, new Uint16Array(length))
    this.#owner = grown(this.#owner, new Uint16Array(length))
  }
}

/** Two mappings of the same physical memory that do not go together. */
export interface Alias {
  readonly a: Mapping
  readonly b: Mapping
  /** The first byte that both map. */
  readonly paddr: number
  readonly why: 'attributes' | 'permissions'
}

/** The furthest mapping seen so far of each class that matters. */
interface Reach {
  readonly byMemory: Map<Verdict['memory'], Mapping>
  writable: Mapping | undefined
  executable: Mapping | undefined
}

/**
 * Pairs of aliases: each mapping with the furthest-reaching one before it of every other memory type, and writable with executable ones.
 * Work is linear in the mappings.
 */
export function* aliases(mappings: Iterable<Mapping>): Generator<Alias> {
  const reach: Reach = { byMemory: new Map(), writable: undefined, executable: undefined }
  for (const mapping of mappings) {
    for (const [memory, other] of reach.byMemory)
      if (memory !== mapping.verdict.memory && mapping.verdict.memory !== 'unknown' && overlaps(other, mapping))
        yield { a: other, b: mapping, paddr: mapping.paddr, why: 'attributes' }
    yield* permissions(reach, mapping)
    note(reach, mapping)
  }
}

function* permissions({ writable, executable }: Reach, mapping: Mapping): Generator<Alias> {
  const { verdict, paddr } = mapping
  if (verdict.writable === verdict.executable) return
  const other = verdict.writable ? executable : writable
  if (other !== undefined && overlaps(other, mapping)) yield { a: other, b: mapping, paddr, why: 'permissions' }
}

function note(reach: Reach, mapping: Mapping): void {
  const { verdict } = mapping
  if (verdict.memory !== 'unknown') reach.byMemory.set(verdict.memory, further(reach.byMemory.get(verdict.memory), mapping))
  if (verdict.writable) reach.writable = further(reach.writable, mapping)
  if (verdict.executable) reach.executable = further(reach.executable, mapping)
}

function further(a: Mapping | undefined, b: Mapping): Mapping {
  return a !== undefined && a.paddr + a.bytes >= b.paddr + b.bytes ? a : b
}

function overlaps(before: Mapping, mapping: Mapping): boolean {
  return before.paddr + before.bytes > mapping.paddr
}

/** Aliases that are told as one. */
export interface SameAliases {
  readonly first: Alias
  readonly count: number
  /** Bytes that both sides map, of all of them. */
  readonly bytes: number
}

/** Groups of one hostile memory that are kept; what comes after them is told by itself. */
const MAX_GROUPS = 2 ** 12

/**
 * Aliases of permissions, those between the same tables with the same rights as one: a kernel's own memory has hundreds. Differing memory
 * types are faults one by one, and come singly, first.
 */
export function* sameAliases(all: Iterable<Alias>): Generator<SameAliases> {
  const groups = new Map<string, { first: Alias; count: number; bytes: number }>()
  for (const alias of all) {
    const { a, b, paddr, why } = alias
    const bytes = Math.min(a.paddr + a.bytes, b.paddr + b.bytes) - paddr
    // which of both comes first in memory does not matter
    const key = [a, b]
      .map(({ owner, verdict }) => `${owner} ${verdict.prot}`)
      .sort()
      .join()
    const group = groups.get(key)
    if (why === 'attributes' || (group === undefined && groups.size >= MAX_GROUPS)) yield { first: alias, count: 1, bytes }
    else if (group === undefined) groups.set(key, { first: alias, count: 1, bytes })
    else {
      group.count++
      group.bytes += bytes
    }
  }
  yield* groups.values()
}
