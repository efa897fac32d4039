/** A raw descriptor for people: its bits under their numbers, and its fields. */
import { bitsOf, extract, type Kind, type LevelNode, matches } from '@io-pgtable/core'

/**
 * Several lines: the numbers of the bits in groups of eight, the bits, and a line for each field of its kind.
 *
 *     31       23       15       7      0
 *     00000000.00010010.00000000.00000011  0x00120003: page
 *       V [0] = 1
 */
export function descriptorText(node: LevelNode, raw: bigint): string {
  const width = node.entryBytes * 8
  const bits = raw.toString(2).padStart(width, '0')
  const groups = Array.from({ length: node.entryBytes }, (_, i) => bits.slice(i * 8, i * 8 + 8))
  const numbers = groups.map((_, i) => (i === node.entryBytes - 1 ? '7      0' : String(width - 1 - i * 8).padEnd(8))).join(' ')
  const kind = node.kinds.find((k) => matches(raw, k.match))
  const value = `0x${raw.toString(16).padStart(width / 4, '0')}`
  const lines = [`    ${numbers}`, `    ${groups.join('.')}  ${value}: ${kind?.name ?? 'of no kind'}`]
  return [...lines, ...(kind === undefined ? [] : fieldLines(kind, raw))].join('\n')
}

function fieldLines(kind: Kind, raw: bigint): string[] {
  const lines = kind.fields.map((f) => `      ${f.name} [${place(f.pieces)}] = ${extract(raw, f.pieces)}`)
  if ('address' in kind && bitsOf(kind.address) !== 0n) {
    lines.push(`      address [${place(kind.address)}] = 0x${extract(raw, kind.address).toString(16)}`)
  }
  return lines
}

function place(pieces: readonly (readonly [number, number, number])[]): string {
  return pieces.map(([hi, lo]) => (hi === lo ? `${hi}` : `${hi}:${lo}`)).join(',')
}
