/** The command: arguments, output, exit code. */
import { parseArgs } from 'node:util'
import { runDemo } from './demo.ts'
import type { Dumps } from './dumps.ts'
import { renderDemo } from './render.ts'
import { toJson } from './report.ts'
import { colorsFor } from './text.ts'

const USAGE = `usage: npm run demo [-- OPTIONS]

The library at work as a GPU driver uses it, and the page tables of real kernels:
walked, compared, rebuilt and compared again. Exits with 1 when anything differs.

  --json   one JSON document with the same facts
  --all    show every range of the kernels' tables
  --help   show this
`

const RANGES_SHOWN = 4

/** Where the command writes, and whether in colour. */
export interface Io {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly color: boolean
}

/** Runs the command. @returns its exit code: 0 all is well, 1 something differs or cannot be read, 2 bad arguments */
export function runCli(args: readonly string[], io: Io, dumps: () => Dumps): number {
  const options = optionsOf(args)
  if (typeof options === 'string') {
    io.err(`demo: ${options}\n${USAGE}`)
    return 2
  }
  if (options.help) {
    io.out(USAGE)
    return 0
  }
  try {
    const report = runDemo(dumps())
    const ranges = options.all ? Number.POSITIVE_INFINITY : RANGES_SHOWN
    io.out(`${options.json ? toJson(report) : renderDemo(report, { colors: colorsFor(io.color), ranges })}\n`)
    return report.ok ? 0 : 1
  } catch (error) {
    io.err(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

/** The options, or what is wrong with them. */
function optionsOf(args: readonly string[]): { json: boolean; all: boolean; help: boolean } | string {
  const flag = { type: 'boolean', default: false } as const
  try {
    const { values } = parseArgs({ args: [...args], options: { json: flag, all: flag, help: { ...flag, short: 'h' } } })
    return values
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
