/**
 * The tables on the way to a leaf: what they leave of its rights, and fields that only they have, such as the domain of a short descriptor's
 * pages. Equal descriptors on equal ways are one object, so that what follows from them is worked out once.
 */
import {
  type AccessRules,
  bitsOf,
  type DecodedLeaf,
  type DecodedTable,
  decode,
  extract,
  type Field,
  type LeafKind,
  type LevelNode,
  type PathVerdict,
  Right,
  type Rights,
} from '@io-pgtable/core'
import type { LaneLeaf, LaneTable } from '@io-pgtable/core/compiled'
import { rulesOf } from '../rights/rules.ts'
import { joined } from './joined.ts'
import type { Tables } from './tables.ts'

/** Ways that are remembered below one table, and verdicts of one way; hostile tables have more. */
const MOST = 2 ** 12

/** The way from the root to a table: its last descriptor, and the way to that. A root's way has none. */
export class Inherited {
  readonly rules: AccessRules
  readonly above: Inherited | undefined
  readonly table: LaneTable | undefined
  readonly node: LevelNode | undefined
  readonly lo: number
  readonly hi: number
  readonly #below: Map<LaneTable, Map<number, Map<number, Inherited>>> = new Map()
  #count = 0
  #path: readonly DecodedTable[] | undefined
  #left: string | undefined
  #verdicts: Map<LaneLeaf, Map<number, Map<number, PathVerdict>>> = new Map()
  #verdictCount = 0

  private constructor(
    rules: AccessRules,
    above: Inherited | undefined,
    table: LaneTable | undefined,
    node: LevelNode | undefined,
    lo: number,
    hi: number,
  ) {
    this.rules = rules
    this.above = above
    this.table = table
    this.node = node
    this.lo = lo
    this.hi = hi
  }

  /** The way to the roots of tables. */
  static root(tables: Tables): Inherited {
    return new Inherited(rulesOf(tables), undefined, undefined, undefined, 0, 0)
  }

  /** The way that goes on by a descriptor of `node`. Its address is left out, unless it is one that ends the walk. */
  by(table: LaneTable, node: LevelNode, lo: number, hi: number): Inherited {
    const isBeyond = table.address(lo, hi) >= 2 ** this.rules.geometry.oas
    const isWhole = isBeyond || (table.kind.match.mask & bitsOf(table.kind.address)) !== 0n
    const low = isWhole ? lo : lo & ~table.addressLo
    const high = isWhole ? hi : hi & ~table.addressHi
    const row = rowOf(this.#below, table, high)
    let way = row.get(low)
    if (way === undefined) {
      way = new Inherited(this.rules, this, table, node, low, high)
      if (this.#count < MOST) row.set(low, way)
      this.#count++
    }
    return way
  }

  /** The descriptors from the root down. */
  get path(): readonly DecodedTable[] {
    if (this.#path === undefined) {
      const { above, node } = this
      const own = node === undefined ? [] : [decode(this.rules.geometry, node, joined(this.lo, this.hi)) as DecodedTable]
      this.#path = [...(above?.path ?? []), ...own]
    }
    return this.#path
  }

  /** What a leaf at the end of this way lets whom do. `isBeyond`: its address may be one that ends the walk. */
  verdict(leaf: LaneLeaf, lo: number, hi: number, isBeyond: boolean): PathVerdict {
    if (isBeyond) return this.#judge(leaf, lo, hi)
    const low = lo & ~leaf.addressLo
    const high = hi & ~leaf.addressHi
    let row = rowOf(this.#verdicts, leaf, high)
    let verdict = row.get(low)
    if (verdict === undefined) {
      if (++this.#verdictCount > MOST) {
        this.#verdicts = new Map()
        this.#verdictCount = 0
        row = rowOf(this.#verdicts, leaf, high)
      }
      row.set(low, (verdict = this.#judge(leaf, lo, hi)))
    }
    return verdict
  }

  /** What a leaf gives by itself. */
  rights({ node }: LaneLeaf, lo: number, hi: number): Rights {
    return this.rules.grants(decode(this.rules.geometry, node, joined(lo, hi)) as DecodedLeaf, this.path.at(-1))
  }

  #judge({ node }: LaneLeaf, lo: number, hi: number): PathVerdict {
    return this.rules.path([...this.path, decode(this.rules.geometry, node, joined(lo, hi))])
  }

  /**
   * The fields of the tables above a leaf that its own kind lacks; not those that are reserved, or choose a table. A field of several
   * levels is the OR of them: that is how attributes of Arm's tables add up.
   */
  fields(leaf: LeafKind): Record<string, number> {
    if (this.table === undefined) return {}
    const values = this.above?.fields(leaf) ?? {}
    const raw = joined(this.lo, this.hi)
    for (const field of passedOn(this.table, leaf)) values[field.name] = (values[field.name] ?? 0) | Number(extract(raw, field.pieces))
    return values
  }

  /** Whether leaves below either read the same, and let the same accesses through. */
  equals(other: Inherited, leaf: LeafKind): boolean {
    if (this === other || this.#sameBits(other)) return true
    return this.#leaves === other.#leaves && JSON.stringify(this.fields(leaf)) === JSON.stringify(other.fields(leaf))
  }

  /** What the tables leave, in a word. */
  get #leaves(): string {
    if (this.#left === undefined) {
      const { steps, fault } = this.rules.path(this.path)
      this.#left = `${steps.at(-1) ?? Right.ALL} ${fault === undefined ? '' : `${fault.type} ${fault.level}`}`
    }
    return this.#left
  }

  /** The quick way to equality: all bits beside the addresses are equal. */
  #sameBits(other: Inherited): boolean {
    let a: Inherited | undefined = this
    let b: Inherited | undefined = other
    while (a !== undefined && b !== undefined && a !== b) {
      if (a.table !== b.table || a.lo !== b.lo || a.hi !== b.hi) return false
      a = a.above
      b = b.above
    }
    return a === b
  }
}

/** The values by low lane, of one kind and high lane. */
function rowOf<K, V>(all: Map<K, Map<number, Map<number, V>>>, key: K, high: number): Map<number, V> {
  let rows = all.get(key)
  if (rows === undefined) all.set(key, (rows = new Map()))
  let row = rows.get(high)
  if (row === undefined) rows.set(high, (row = new Map()))
  return row
}

/** How the declarations speak of bits that hardware ignores. */
const MEANS_NOTHING = /^(ignored|no architectural meaning)/

function passedOn({ kind }: LaneTable, leaf: LeafKind): Field[] {
  const chooser = typeof kind.child === 'string' ? undefined : kind.child.field
  const says = ({ name, doc, reserved }: Field): boolean => !reserved && name !== chooser && !MEANS_NOTHING.test(doc)
  return kind.fields.filter((field) => says(field) && !leaf.fields.some((own) => own.name === field.name))
}
