/** The command: chooses rows, measures them in processes with one format and with every format, prints the report, and guards it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runAgainst } from './against.ts'
import { exerciseFormats } from './exercise.ts'
import { type Baseline, baselineOf, judge } from './guard.ts'
import { measureApart } from './isolated.ts'
import { measure, type Plan } from './measure.ts'
import { type Column, type Figure, figures, type HeapFigure, joined, machine, type Report, renderReport } from './report.ts'
import type { HeapRow, Row } from './row.ts'
import { HEAP_ROWS, REFERENCES, ROWS } from './rows.ts'
import { progressOf, type Streams } from './streams.ts'

const USAGE = `usage: npm run bench -- [options]

Measures the page tables, next to plain writes of the same bytes in the same run: once with one format in use, once with every one.

  --quick          15 short runs of each row, under a minute (the default)
  --full           31 longer runs, and the rows that take much time or memory
  --one-format     only the figures with one format in use; --all-formats: only those with every format of the workspace used before
  --isolated       for the figures with one format, each row in a process of its own that did nothing else before
  --against REF    is this version slower than the commit REF? See \`--against REF --help\`
  --rows PATTERN   only rows whose name the regular expression finds; the references always run
  --list           print the names of the rows
  --json           print the report as JSON
  --out FILE       write the report as JSON to a file, too
  --guard FILE     exit with 1 where a ratio is over 3 times that in the file, a baseline; over 1.5 times is a warning
  --baseline FILE  write such a file
  --help           print this
`

const QUICK: Plan = { runs: 15, sampleMs: 3, warmUpMs: 60, limitMs: 10_000 }
const FULL: Plan = { runs: 31, sampleMs: 16, warmUpMs: 400, limitMs: 10_000 }

type Named = Pick<Row, 'id'>

interface Choice {
  readonly rows: readonly Row[]
  readonly heap: readonly HeapRow[]
}

/** @returns the exit status: 1 for a row that did something wrong or became slow, 2 for a bad command line */
export async function runCli(args: readonly string[], streams: Streams): Promise<number> {
  if (args.some((arg) => /^--against(=|$)/.test(arg))) return runAgainst(args, streams)
  let options: Options
  let choice: Choice
  let baseline: Baseline | undefined
  try {
    options = parse(args)
    if (options.help) return print(streams, USAGE)
    choice = choose(options)
    baseline = options.guard === undefined ? undefined : (JSON.parse(readFileSync(options.guard, 'utf8')) as Baseline)
  } catch (error) {
    streams.err(`${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  if (options.list) return print(streams, [...choice.rows, ...choice.heap].map(({ id }) => `${id}\n`).join(''))
  try {
    if (options.column !== undefined) return print(streams, JSON.stringify(here(options, choice, streams)))
    return tell(options, run(options, choice, streams), baseline, streams)
  } catch (error) {
    streams.err(`${(error as Error).message}\n`)
    return 1
  }
}

type Options = ReturnType<typeof parse>

function parse(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ quick: flag, full: flag, isolated: flag, 'one-format': flag, 'all-formats': flag, json: flag, list: flag, help: flag },
      ...{ rows: text, out: text, guard: text, baseline: text },
      // how the command calls itself: one column, rows of exactly these names, a line each
      ...{ column: text, names: text },
    },
  })
  if (values.quick && values.full) throw new Error('--quick or --full, not both')
  if (values['one-format'] && values['all-formats']) throw new Error('--one-format or --all-formats, not both')
  return values
}

/** The rows that the options name. @throws Error when there are none */
function choose({ full, rows: found, names }: Options): Choice {
  const pattern = found === undefined ? undefined : new RegExp(found)
  const exact = names === undefined ? undefined : new Set(names.split('\n'))
  const wanted = ({ id }: Named): boolean => (exact?.has(id) ?? true) && (pattern?.test(id) ?? true)
  const rows = ROWS.filter((one) => wanted(one) && (full || one.full !== true))
  const heap = HEAP_ROWS.filter(wanted)
  if (rows.length + heap.length === 0 && !REFERENCES.some(wanted)) throw new Error(`no row has the name ${found ?? names}`)
  return { rows, heap }
}

/** Measures in this process. */
function here(options: Options, { rows, heap }: Choice, streams: Streams): Column {
  if (options.column === 'all') exerciseFormats()
  // the same for one format, so that the columns differ by the others alone
  else if (!options.isolated) exerciseFormats(new Set(rows.map(groupOf)))
  const measured = figures(measure([...REFERENCES, ...rows], options.full ? FULL : QUICK, progressOf(streams)))
  return { rows: measured, heap: heap.map(({ measure: bytes, ...row }) => ({ ...row, bytes: bytes() })) }
}

function run(options: Options, choice: Choice, streams: Streams): Report {
  const one = options['all-formats'] ? { rows: [], heap: [] } : oneFormat(options, choice, streams)
  const all = options['one-format'] ? { rows: [], heap: [] } : everyFormat(options, choice.rows, one.heap.length > 0 ? [] : choice.heap)
  const rows = joined([...REFERENCES, ...choice.rows], one.rows, all.rows)
  const heap = one.heap.length > 0 ? one.heap : all.heap
  return { machine: machine(), mode: options.full ? 'full' : 'quick', isolated: options.isolated, rows, heap }
}

/** Every format used first, in two processes: that of the rows which burden the heap is another. */
function everyFormat(options: Options, rows: readonly Row[], heap: readonly HeapRow[]): Column {
  const light = rows.filter(({ ballast }) => ballast !== true)
  const heavy = rows.filter(({ ballast }) => ballast === true)
  const found = apart(options, 'all', light, heap)
  if (heavy.length === 0) return found
  const more = apart(options, 'all', heavy, [])
  return { rows: [...found.rows, ...more.rows], heap: found.heap }
}

/** The format, or what else it measures. */
function groupOf({ id }: Named): string {
  return id.split('/')[0] ?? ''
}

function apart(options: Options, column: 'one' | 'all', rows: readonly Named[], heap: readonly Named[]): Column {
  const names = [...REFERENCES, ...rows, ...heap].map(({ id }) => id).join('\n')
  const isolated = options.isolated ? ['--isolated'] : []
  return measureApart([options.full ? '--full' : '--quick', ...isolated, '--column', column, '--names', names])
}

/** Each format, or each row, in a process of its own; the references' figures are those of the first, each row's ratio is to the `fill` beside it. */
function oneFormat(options: Options, choice: Choice, streams: Streams): Column {
  const rows: Figure[] = []
  const heap: HeapFigure[] = []
  const own = options.isolated ? ({ id }: Named): string => id : groupOf
  const chosen = choice.rows.filter((row) => row.everyFormat !== true)
  const groups = new Set([...chosen, ...choice.heap].map(own))
  for (const group of groups) {
    progressOf(streams)(group)
    const inGroup = (row: Named): boolean => own(row) === group
    const found = apart(options, 'one', chosen.filter(inGroup), choice.heap.filter(inGroup))
    rows.push(...found.rows)
    heap.push(...found.heap)
  }
  progressOf(streams)('')
  return { rows, heap }
}

function tell(options: Options, report: Report, baseline: Baseline | undefined, streams: Streams): number {
  const json = `${JSON.stringify(report, undefined, 2)}\n`
  if (options.out !== undefined) writeFileSync(options.out, json)
  if (options.baseline !== undefined) writeFileSync(options.baseline, `${JSON.stringify(baselineOf(report), undefined, 2)}\n`)
  print(streams, options.json ? json : renderReport(report))
  if (baseline === undefined) return 0
  const { lines, failed } = judge(report, baseline)
  streams.err(lines.map((line) => `${line}\n`).join(''))
  return failed ? 1 : 0
}

function print({ out }: Streams, text: string): number {
  out(text)
  return 0
}
