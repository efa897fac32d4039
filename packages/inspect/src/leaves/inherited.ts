/** What the tables on the way to a leaf say of it: fields that only they have, such as the domain of a short descriptor's pages. */
import { extract, type Field, type LeafKind } from '@io-pgtable/core'
import type { LaneTable } from '@io-pgtable/core/compiled'
import { joined } from './joined.ts'

/** One table descriptor, and those above it. */
export class Inherited {
  readonly above: Inherited | undefined
  readonly table: LaneTable
  readonly lo: number
  readonly hi: number

  constructor(above: Inherited | undefined, table: LaneTable, lo: number, hi: number) {
    this.above = above
    this.table = table
    this.lo = lo
    this.hi = hi
  }

  /**
   * The fields of the tables above a leaf that its own kind lacks; not those that are reserved, or choose a table. A field of several
   * levels is the OR of them: that is how attributes of Arm's tables add up.
   */
  fields(leaf: LeafKind): Record<string, number> {
    const values = this.above?.fields(leaf) ?? {}
    const raw = joined(this.lo, this.hi)
    for (const field of passedOn(this.table, leaf)) values[field.name] = (values[field.name] ?? 0) | Number(extract(raw, field.pieces))
    return values
  }

  /** Whether leaves below either read the same. */
  equals(other: Inherited | undefined, leaf: LeafKind): boolean {
    if (this === other) return true
    if (other === undefined) return JSON.stringify(this.fields(leaf)) === '{}'
    if (this.#sameBits(other)) return true
    return JSON.stringify(this.fields(leaf)) === JSON.stringify(other.fields(leaf))
  }

  /** The quick way to equality: all bits beside the addresses are equal. */
  #sameBits(other: Inherited): boolean {
    let a: Inherited | undefined = this
    let b: Inherited | undefined = other
    while (a !== undefined && b !== undefined && a !== b) {
      const { table } = a
      if (table !== b.table || ((a.lo ^ b.lo) & ~table.addressLo) !== 0 || ((a.hi ^ b.hi) & ~table.addressHi) !== 0) return false
      a = a.above
      b = b.above
    }
    return a === b
  }
}

/** How the declarations speak of bits that hardware ignores. */
const MEANS_NOTHING = /^(ignored|no architectural meaning)/

function passedOn({ kind }: LaneTable, leaf: LeafKind): Field[] {
  const chooser = typeof kind.child === 'string' ? undefined : kind.child.field
  const says = ({ name, doc, reserved }: Field): boolean => !reserved && name !== chooser && !MEANS_NOTHING.test(doc)
  return kind.fields.filter((field) => says(field) && !leaf.fields.some((own) => own.name === field.name))
}
