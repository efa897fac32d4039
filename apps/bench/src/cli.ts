/** The command: chooses rows, measures them in this process or in fresh ones, and prints the report. */
import { parseArgs } from 'node:util'
import { exerciseFormats } from './exercise.ts'
import { measureIsolated } from './isolated.ts'
import { measure, type Plan } from './measure.ts'
import { type Figure, figures, type HeapFigure, machine, type Report, renderReport } from './report.ts'
import type { HeapRow, Row } from './row.ts'
import { HEAP_ROWS, REFERENCES, ROWS } from './rows.ts'

const USAGE = `usage: npm run bench -- [options]

Measures the page tables, next to plain writes of the same bytes in the same run.

  --quick          15 short runs of each row, under a minute (the default)
  --full           31 longer runs, and the rows that take much time or memory
  --all-formats    use every format of the workspace first, in all its configurations
  --isolated       each row in a fresh process, which has seen no other format or call
  --only PATTERN   only rows whose name the regular expression finds; the references always run
  --row ID         only the row of exactly that name
  --list           print the names of the rows
  --json           print the report as JSON
  --help           print this
`

const QUICK: Plan = { runs: 15, sampleMs: 8, warmUpMs: 240 }
const FULL: Plan = { runs: 31, sampleMs: 40, warmUpMs: 900 }

interface Streams {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Errors go to a terminal, where one line can be written again and again. */
  readonly live: boolean
}

type Named = Pick<Row, 'id'>

interface Choice {
  readonly rows: readonly Row[]
  readonly heap: readonly HeapRow[]
}

/** @returns the exit status: 1 for a row that did something wrong, 2 for a bad command line */
export function runCli(args: readonly string[], streams: Streams): number {
  let options: Options
  let choice: Choice
  try {
    options = parse(args)
    if (options.help) return print(streams, USAGE)
    choice = choose(options)
  } catch (error) {
    streams.err(`${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  if (options.list) return print(streams, [...choice.rows, ...choice.heap].map(({ id }) => `${id}\n`).join(''))
  try {
    if (options['all-formats']) streams.err(`${exerciseFormats()} tables of every format used\n`)
    const report = run(options, choice, progressOf(streams))
    return print(streams, options.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report))
  } catch (error) {
    streams.err(`${(error as Error).message}\n`)
    return 1
  }
}

type Options = ReturnType<typeof parse>

function parse(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: flag,
      full: flag,
      isolated: flag,
      'all-formats': flag,
      json: flag,
      list: flag,
      help: flag,
      only: { type: 'string' },
      row: { type: 'string' },
    },
  })
  if (values.quick && values.full) throw new Error('--quick or --full, not both')
  return values
}

/** The rows that the options name. @throws Error when there are none */
function choose({ full, only, row }: Options): Choice {
  const pattern = only === undefined ? undefined : new RegExp(only)
  const wanted = ({ id }: Named): boolean => (row === undefined || id === row) && (pattern === undefined || pattern.test(id))
  const rows = ROWS.filter((one) => wanted(one) && (full || row !== undefined || one.full !== true))
  const heap = HEAP_ROWS.filter(wanted)
  if (rows.length + heap.length === 0 && !REFERENCES.some(wanted)) throw new Error(`no row has the name ${row ?? only}`)
  return { rows, heap }
}

function run(options: Options, choice: Choice, progress: (text: string) => void): Report {
  const { rows, heap } = options.isolated ? isolated(options, choice, progress) : together(options, choice, progress)
  return { machine: machine(), mode: options.full ? 'full' : 'quick', isolated: options.isolated, rows, heap }
}

type Found = Pick<Report, 'rows' | 'heap'>

function together(options: Options, { rows, heap }: Choice, progress: (text: string) => void): Found {
  const measured = figures(measure([...REFERENCES, ...rows], options.full ? FULL : QUICK, progress))
  return { rows: measured, heap: heap.map(({ measure: bytes, ...row }) => ({ ...row, bytes: bytes() })) }
}

/** The references' figures are those of the last process; each row's ratio is to the `fill` of its own. */
function isolated(options: Options, choice: Choice, progress: (text: string) => void): Found {
  const flags = options.full ? ['--full'] : ['--quick']
  const rows: Figure[] = []
  const heap: HeapFigure[] = []
  let references: readonly Figure[] = []
  for (const { id } of [...choice.rows, ...choice.heap]) {
    progress(id)
    const report = measureIsolated(id, flags)
    references = report.rows.slice(0, REFERENCES.length)
    rows.push(...report.rows.slice(REFERENCES.length))
    heap.push(...report.heap)
  }
  progress('')
  return { rows: [...references, ...rows], heap }
}

/** A line that is written over, where that is possible. */
function progressOf({ err, live }: Streams): (text: string) => void {
  return live ? (text) => err(`\r\x1b[K${text}`) : () => {}
}

function print({ out }: Streams, text: string): number {
  out(text)
  return 0
}
