/** What was played as text, in the width of the terminal. */
import type { Block, Cell, Check, Played } from './stage.ts'
import { type Colors, columns, wrapped } from './text.ts'

export interface RenderOptions {
  readonly colors: Colors
  /** Characters of a line. */
  readonly width: number
}

const INDENT = '    '

/** A scene, without a line break at its end. */
export function renderScene({ title, about, blocks, checks }: Played, number: number, options: RenderOptions): string {
  const { colors, width } = options
  const head = `${String(number).padStart(2)}  ${title} `
  return [
    colors.bold(colors.cyan(head)) + colors.dim('─'.repeat(Math.max(0, width - head.length))),
    ...wrapped(about, width - INDENT.length).map((line) => INDENT + colors.dim(line)),
    ...blocks.flatMap((block, i) => [...(i > 0 && 'bar' in block ? [] : ['']), ...renderBlock(block, options)]),
    '',
    ...renderChecks(checks, options),
    '',
  ].join('\n')
}

/** The last line: how many checks there were, and how many passed. */
export function renderEnd(scenes: readonly Played[], seconds: number, { colors }: RenderOptions): string {
  const checks = scenes.flatMap((scene) => scene.checks)
  const passed = checks.filter(({ ok }) => ok).length
  return `${mark(passed === checks.length, colors)} ${colors.bold(`${passed} of ${checks.length} checks`)} · ${scenes.length} scenes · ${seconds.toFixed(1)} s`
}

function renderBlock(block: Block, { colors, width }: RenderOptions): string[] {
  const room = width - INDENT.length
  if ('say' in block)
    return block.say
      .split('\n')
      .flatMap((text) => wrapped(text, room, 4))
      .map((line) => INDENT + line)
  if ('bar' in block) return [`${INDENT}${block.of.padEnd(8)} ${colors.dim('│')}${paint(block.bar, colors)}${colors.dim('│')}`]
  const right = block.head.flatMap((_, i) => (block.rows.every((row) => typeof row[i] === 'number') ? [i] : []))
  const [head = '', ...rows] = columns([block.head, ...block.rows.map((row) => row.map((cell) => textOf(cell)))], right)
  return [colors.dim(head), ...rows.map((row) => cut(row, room).replace(/0x[0-9a-f]+/g, (address) => colors.yellow(address)))].map(
    (line) => INDENT + line,
  )
}

function textOf(cell: Cell): string {
  if (typeof cell === 'bigint') return `0x${cell.toString(16).padStart(8, '0')}`
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : cell
}

/** Of a line that is too long the beginning. */
function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}…` : line
}

/** A colour for each letter. */
function paint(bar: string, colors: Colors): string {
  const palette = [colors.green, colors.yellow, colors.magenta, colors.red, colors.cyan, colors.blue]
  return bar.replace(/([a-z])\1*|[^a-z]+/gi, (cells) => {
    const letter = cells.toLowerCase().charCodeAt(0) - 97
    return letter >= 0 && letter < 26 ? (palette[letter % palette.length] ?? colors.dim)(cells) : colors.dim(cells)
  })
}

function mark(ok: boolean, { green, red }: Colors): string {
  return ok ? green('✔') : red('✘')
}

/** What was found stands behind its check: on a line of its own where there is no room. */
function renderChecks(checks: readonly Check[], { colors, width }: RenderOptions): string[] {
  return checks.flatMap(({ what, ok, detail }) => {
    const line = `${INDENT}${mark(ok, colors)} ${what}`
    const room = width - INDENT.length - 2 - what.length - 2
    if (detail === '' || detail.length <= room) return [detail === '' ? line : `${line}  ${colors.dim(detail)}`]
    return [line, ...wrapped(detail, width - 8).map((text) => ' '.repeat(8) + (ok ? colors.dim(text) : colors.red(text)))]
  })
}
