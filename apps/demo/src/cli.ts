/** The command: arguments, output, exit code. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { IoPgtableError } from '@io-pgtable/core'
import { runDemo, runGpu } from './demo.ts'
import { type Dumps, openDump } from './dumps.ts'
import { randomScenario } from './gpu/random.ts'
import { parseScenario } from './gpu/scenario.ts'
import { renderDemo, renderOne } from './render.ts'
import { renderGpu } from './render-gpu.ts'
import { renderReplay } from './render-replay.ts'
import { replay } from './replay.ts'
import { type Check, toJson } from './report.ts'
import { colorsFor } from './text.ts'

const USAGE = `usage: npm run demo [-- COMMAND] [OPTIONS]

The library at work as a GPU driver uses it, and the page tables of real kernels:
walked, compared, rebuilt and compared again. Exits with 1 when anything differs.

  scenario FILE    the requests of a scenario, on two formats: see apps/demo/scenarios
  random SEED N    N random requests; with --print their scenario, which is not run
  replay TRACE     the maps and unmaps of a trace as ftrace prints it, compared with the
                   image beside it (memory.elf, expected.json): a file, or its folder
  without one      a frame on the GPU, the kernels' tables, the kernels' traces

  --json           one JSON document with the same facts
  --all            show every step, and every range of the kernels' tables
  --stream ID      replay: the stream that the trace is of; else the one that fits best
  --help           show this
`

const RANGES_SHOWN = 4

/** Where the command writes, and whether in colour. */
export interface Io {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly color: boolean
  /** What the paths of arguments are relative to. Default: the current folder. */
  readonly folder?: string
}

type Values = {
  readonly json: boolean
  readonly all: boolean
  readonly help: boolean
  readonly print: boolean
  readonly stream?: string | undefined
}

interface Arguments {
  readonly values: Values
  readonly command: string | undefined
  readonly operands: readonly string[]
}

/** A mistake of whoever gave the arguments. */
class UsageError extends Error {}

/** Runs the command. @returns its exit code: 0 all is well, 1 something differs or cannot be read, 2 bad arguments */
export async function runCli(args: readonly string[], io: Io, dumps: () => Promise<Dumps>): Promise<number> {
  try {
    const given = argumentsOf(args)
    if (given.values.help) {
      io.out(USAGE)
      return 0
    }
    return await commandOf(given)(given, io, dumps)
  } catch (error) {
    const usage = error instanceof UsageError
    io.err(`demo: ${error instanceof Error ? error.message : String(error)}\n${usage ? USAGE : ''}`)
    return usage ? 2 : 1
  }
}

type Command = (given: Arguments, io: Io, dumps: () => Promise<Dumps>) => number | Promise<number>

const COMMANDS: Readonly<Record<string, { readonly operands: number; readonly options: readonly string[]; readonly run: Command }>> = {
  scenario: { operands: 1, options: [], run: (given, io) => scenario(readText(io, given.operands[0]), given.operands[0] ?? '', given, io) },
  random: { operands: 2, options: ['print'], run: random },
  replay: { operands: 1, options: ['stream'], run: replayed },
}

function commandOf({ command, operands, values }: Arguments): Command {
  if (command === undefined) return whole
  const known = COMMANDS[command]
  if (known === undefined) throw new UsageError(`no command ${JSON.stringify(command)}: ${Object.keys(COMMANDS).join(', ')} expected`)
  if (operands.length !== known.operands) throw new UsageError(`${command}: ${known.operands} operands expected, got ${operands.length}`)
  for (const name of ['print', 'stream'] as const)
    if (values[name] !== undefined && values[name] !== false && !known.options.includes(name))
      throw new UsageError(`${command} has no --${name}`)
  return known.run
}

/** The options and operands. */
function argumentsOf(args: readonly string[]): Arguments {
  const flag = { type: 'boolean', default: false } as const
  const options = { json: flag, all: flag, print: flag, stream: { type: 'string' }, help: { ...flag, short: 'h' } } as const
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const [command, ...operands] = positionals
    return { values, command, operands }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function numberOf(text: string | undefined, what: string, most: number): number {
  const value = Number(text)
  if (text === undefined || text.trim() === '' || !Number.isInteger(value) || value < 0 || value > most)
    throw new UsageError(`${what} ${JSON.stringify(text)}: a whole number up to ${most} expected`)
  return value
}

async function whole({ values }: Arguments, io: Io, dumps: () => Promise<Dumps>): Promise<number> {
  for (const name of ['print', 'stream'] as const)
    if (values[name] !== undefined && values[name] !== false) throw new UsageError(`--${name} is for a command`)
  const report = runDemo(await dumps())
  io.out(`${values.json ? toJson(report) : renderDemo(report, renderOptions(values, io))}\n`)
  return report.ok ? 0 : 1
}

function scenario(text: string, name: string, { values }: Arguments, io: Io): number {
  const parts = runGpu(parseScenario(text, basename(name)))
  const title = `A GPU driver at work: ${parts.reports[0]?.scenario.name ?? ''}`
  return tell(values, io, { title, value: parts, lines: () => renderGpu(parts.reports, renderOptions(values, io)), checks: parts.checks })
}

function random(given: Arguments, io: Io): number {
  const [seed, steps] = [numberOf(given.operands[0], 'SEED', 2 ** 32 - 1), numberOf(given.operands[1], 'N', 100_000)]
  if (steps === 0) throw new UsageError('N 0: at least one request expected')
  const text = randomScenario(seed, steps)
  if (!given.values.print) return scenario(text, `random ${seed}`, given, io)
  io.out(text)
  return 0
}

async function replayed({ values, operands }: Arguments, io: Io): Promise<number> {
  const sid = values.stream === undefined ? undefined : numberOf(values.stream, '--stream', 2 ** 32 - 1)
  const given = resolve(io.folder ?? '.', operands[0] ?? '')
  const file = existsSync(given) && statSync(given).isDirectory() ? join(given, 'trace.txt') : given
  const name = basename(dirname(file))
  const beside = (other: string): string => join(dirname(file), other)
  const trace = { name, text: readText(io, file) }
  const dump = await openDump(name, readBytes(io, beside('memory.elf')), readText(io, beside('expected.json')))
  const report = replay(trace, dump, sid)
  const title = "A real kernel's trace, replayed"
  return tell(values, io, { title, value: report, lines: () => renderReplay(report, renderOptions(values, io)), checks: report.checks })
}

interface Told {
  readonly title: string
  readonly value: object
  readonly lines: () => string[]
  readonly checks: readonly Check[]
}

function tell(values: Values, io: Io, { title, value, lines, checks }: Told): number {
  const ok = checks.every((check) => check.ok)
  io.out(`${values.json ? toJson({ ok, ...value }) : renderOne(title, lines(), checks, renderOptions(values, io))}\n`)
  return ok ? 0 : 1
}

function renderOptions({ all }: Values, { color }: Io): { colors: ReturnType<typeof colorsFor>; ranges: number } {
  return { colors: colorsFor(color), ranges: all ? Number.POSITIVE_INFINITY : RANGES_SHOWN }
}

function readBytes({ folder = '.' }: Io, file: string): Uint8Array {
  try {
    return readFileSync(resolve(folder, file))
  } catch (error) {
    throw new IoPgtableError('EFAULT', 'read', `${file}: ${error instanceof Error ? error.message : String(error)}`, { value: file })
  }
}

function readText(io: Io, file = ''): string {
  return Buffer.from(readBytes(io, file)).toString('utf8')
}
