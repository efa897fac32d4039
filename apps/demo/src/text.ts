/** Text for a terminal: colours where they are wanted, lines that are broken, aligned columns. */
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

/** Bytes in the largest unit that they are a multiple of: `2M`, `1028K`. */
export function bytes(count: number): string {
  const units = ['', 'K', 'M', 'G']
  const unit = count === 0 ? 0 : units.findLastIndex((_, i) => count % 1024 ** i === 0)
  return `${(count / 1024 ** unit).toLocaleString('en-US')}${units[unit]}`
}

function widthOf(cell: string): number {
  return stripVTControlCharacters(cell).length
}

/** Lines of aligned columns, two spaces apart; a column whose number is in `right` is aligned to the right. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell))
  return rows.map((row) => {
    const cells = row.map((cell, i) => {
      const space = ' '.repeat((widths[i] ?? 0) - widthOf(cell))
      return right.includes(i) ? space + cell : cell + space
    })
    return cells.join('  ').trimEnd()
  })
}

/** A plain text in lines of at most `width` characters, broken at spaces; all but the first are indented by `hang`. */
export function wrapped(text: string, width: number, hang = 0): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const next = line === '' ? word : `${line} ${word}`
    if (next.length <= width || line.trim() === '') line = next
    else {
      lines.push(line)
      line = ' '.repeat(hang) + word
    }
  }
  return [...lines, line]
}
