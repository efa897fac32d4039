/** Text for a terminal: colours where they are wanted, aligned columns, sizes and numbers as people write them. */
import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'

export type Colors = ReturnType<typeof pc.createColors>

/** Colours, or functions that change nothing. */
export function colorsFor(enabled: boolean): Colors {
  return pc.createColors(enabled)
}

/** Whether a stream wants colours: a terminal, unless NO_COLOR (no-color.org) or a dumb one says otherwise. */
export function wantsColor(stream: { readonly isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
}

/** Lines of aligned columns, two spaces apart. A column whose number is in `right` is aligned to the right. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = [], indent = 4): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell))
  return rows.map((row) => {
    const cells = row.map((cell, i) => {
      const space = ' '.repeat((widths[i] ?? 0) - width(cell))
      return right.includes(i) ? space + cell : cell + space
    })
    return (' '.repeat(indent) + cells.join('  ')).trimEnd()
  })
}

function width(cell: string): number {
  return stripVTControlCharacters(cell).length
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Bytes in the largest unit that they are a multiple of: `2 MiB`, `1028 KiB`. */
export function bytes(n: number): string {
  let unit = 0
  while (n >= 1024 && n % 1024 === 0 && unit < UNITS.length - 1) {
    n /= 1024
    unit++
  }
  return `${count(n)} ${UNITS[unit]}`
}

/** A number with its thousands apart. */
export function count(n: number): string {
  return n.toLocaleString('en-US')
}

/** `3 pages`, `1 page`. */
export function plural(n: number, word: string): string {
  return `${count(n)} ${word}${n === 1 ? '' : 's'}`
}

/** Hex with at least `digits` digits. */
export function padHex(value: bigint, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`
}

/** Columns of a terminal that the demo's text fits. */
export const WIDTH = 110

/** Lines of a plain text, broken at spaces; all but the first are indented further. */
export function wrapped(text: string, indent: number): string[] {
  const lines: string[] = []
  let line = ' '.repeat(indent)
  for (const word of text.split(' ')) {
    const next = line.trim() === '' ? line + word : `${line} ${word}`
    if (next.length <= WIDTH || line.trim() === '') line = next
    else {
      lines.push(line)
      line = ' '.repeat(indent + 2) + word
    }
  }
  return [...lines, line]
}
