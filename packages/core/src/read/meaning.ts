/** Meanings, compiled: from the bits of a few fields to a row of a table. Cold: it reads bigints. */

import type { Field } from '../format/bits.ts'
import { bitsOf, extract, type Piece } from '../format/bits.ts'
import type { Kind } from '../format/format.ts'
import { MEANING_BITS, type Meaning } from '../format/rights.ts'

/** What a meaning says of any descriptor of one kind, below table entries of one kind, in one context. */
export class CompiledMeaning<T> {
  /** By the bits of all fields, the first one's lowest. */
  readonly table: readonly T[]
  /** The bits of the descriptor, and of the one above, that it looks at. */
  readonly mask: bigint
  readonly maskAbove: bigint
  readonly #own: readonly Piece[]
  readonly #above: readonly Piece[]

  /**
   * @param above the kind of the table entry above; undefined where it is not known: fields with `^` are 0 then
   * @throws `Error` for a field that the kind lacks, and for too many bits: faults of the format
   */
  constructor(meaning: Meaning<T>, kind: Kind, above: Kind | undefined, context: unknown) {
    const places = placesOf(meaning, kind, above)
    const bits = places.reduce((sum, { width }) => sum + width, 0)
    if (bits > MEANING_BITS) throw new Error(`kind ${kind.name}: the fields ${meaning.fields.join(', ')} have ${bits} bits together`)
    this.#own = places.filter(({ isAbove }) => !isAbove).flatMap(({ pieces }) => pieces)
    this.#above = places.filter(({ isAbove }) => isAbove).flatMap(({ pieces }) => pieces)
    this.mask = bitsOf(this.#own)
    this.maskAbove = bitsOf(this.#above)
    this.table = Array.from({ length: 2 ** bits }, (_, row) => meaning.of(valuesAt(places, row), context))
  }

  /** What a descriptor means, and the entry above it. */
  of(raw: bigint, above = 0n): T {
    const row = extract(raw, this.#own) | extract(above, this.#above)
    return this.table[Number(row)] as T
  }
}

interface Place {
  readonly name: string
  readonly isAbove: boolean
  /** Of the row: its lowest bit, and how many. */
  readonly low: number
  readonly width: number
  /** From the descriptor into the row. */
  readonly pieces: readonly Piece[]
}

function placesOf(meaning: Meaning<unknown>, kind: Kind, above: Kind | undefined): Place[] {
  const places: Place[] = []
  let low = 0
  for (const name of meaning.fields) {
    const isAbove = name.startsWith('^')
    const owner = isAbove ? above : kind
    const field = owner?.fields.find((f) => f.name === (isAbove ? name.slice(1) : name))
    if (field === undefined && owner !== undefined)
      throw new Error(`kind ${owner.name} has no field ${name}, which a meaning of ${kind.name} wants`)
    const width = field === undefined ? 0 : fieldWidth(field)
    const pieces = (field?.pieces ?? []).map(([hi, lo, at]): Piece => [hi, lo, at + low])
    places.push({ name, isAbove, low, width, pieces })
    low += width
  }
  return places
}

/** Bits of a field's value. */
export function fieldWidth({ pieces }: Field): number {
  return Math.max(...pieces.map(([hi, lo, at]) => at + hi - lo + 1))
}

function valuesAt(places: readonly Place[], row: number): Record<string, number> {
  return Object.fromEntries(places.map(({ name, low, width }) => [name, (row >> low) & (2 ** width - 1)]))
}
