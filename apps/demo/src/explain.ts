/** Descriptors in words, from the format's declaration alone. */
import { type Decoded, type EntryPlace, extract, type Field, meaningOf, type Piece } from '@io-pgtable/core'
import type { FieldText, WalkStep } from './report.ts'

/** One descriptor of a walk with its fields by name. Reserved fields that are zero are left out. */
export function explainEntry(entry: Decoded & EntryPlace): WalkStep {
  return {
    level: entry.node.level,
    node: entry.node.name,
    table: entry.table,
    index: entry.index,
    raw: entry.raw,
    type: entry.type,
    kind: entry.kind.name,
    target: targetOf(entry),
    fields: entry.kind.fields.filter((f) => !f.reserved || extract(entry.raw, f.pieces) !== 0n).map((f) => explainField(f, entry.raw)),
  }
}

function targetOf(entry: Decoded): bigint | undefined {
  if (entry.type === 'table') return entry.next
  return entry.type === 'leaf' ? entry.paddr : undefined
}

function explainField(field: Field, raw: bigint): FieldText {
  const value = extract(raw, field.pieces)
  const meaning = meaningOf(field, raw)
  return { name: field.name, bits: bitsText(field.pieces), value, meaning: meaning === undefined ? field.doc : `${meaning} (${field.doc})` }
}

/** `[4:2]`, `[11]`, and `[63,4:2]` for bits that lie apart. */
export function bitsText(pieces: readonly Piece[]): string {
  return `[${pieces.map(([hi, lo]) => (hi === lo ? `${hi}` : `${hi}:${lo}`)).join(',')}]`
}
