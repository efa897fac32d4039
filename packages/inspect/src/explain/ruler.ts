/** A bit ruler: the bits of a descriptor, 32 to a block, and below them which field each belongs to. */
import type { ExplainedField, Explanation } from './explain.ts'

const WIDTH = 32
const MARKS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** The mark of each field in the ruler, in the order of the fields. */
export function marks(fields: readonly ExplainedField[]): readonly string[] {
  return fields.map((_, i) => MARKS[i] ?? '?')
}

/**
 * Lines of text, three for each 32 bits: numbers of the bits, their values, the marks of their fields; `=` is a bit
 * that tells the kind, `.` one of no field, `!` one that is reserved and set.
 */
export function ruler({ raw, node, fields, reserved, kindMask }: Explanation): readonly string[] {
  const letters = marks(fields)
  const lines: string[] = []
  for (let top = node.entryBytes * 8 - 1; top > 0; top -= WIDTH) {
    const bits = Array.from({ length: WIDTH }, (_, i) => top - i)
    lines.push(group(bits, (bit) => (bit % 4 === 3 ? `${bit}` : '')))
    lines.push(group(bits, (bit) => `${(raw >> BigInt(bit)) & 1n}`))
    lines.push(group(bits, (bit) => markOf(bit, fields, letters, reserved, kindMask)))
  }
  return lines
}

function markOf(bit: number, fields: readonly ExplainedField[], letters: readonly string[], reserved: bigint, kindMask: bigint): string {
  if ((reserved >> BigInt(bit)) & 1n) return '!'
  const at = fields.findIndex(({ pieces }) => pieces.some(([hi, lo]) => bit <= hi && bit >= lo))
  return letters[at] ?? ((kindMask >> BigInt(bit)) & 1n ? '=' : '.')
}

/** Nibbles, five columns each; a text longer than a column takes the empty ones behind it. */
function group(bits: readonly number[], text: (bit: number) => string): string {
  const nibbles: string[] = []
  for (let i = 0; i < bits.length; i += 4)
    nibbles.push(
      bits
        .slice(i, i + 4)
        .map(text)
        .join('')
        .padEnd(4),
    )
  return nibbles.join(' ').trimEnd()
}
