/** The command's `--against`: is this version slower than another one? Both are measured by turns, in many fresh processes. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { compare, LIMIT } from './compare.ts'
import { type Column, type Judgement, type RowComparison, renderJudgement } from './judgement.ts'
import { run } from './processes.ts'
import { machine } from './report.ts'
import { type Listed, matched, type Share, sharesOf } from './shares.ts'
import { progressOf, type Streams } from './streams.ts'
import { buildVersions, commitOf, type Versions } from './versions.ts'

const USAGE = `usage: npm run bench -- --against REF [options]

Is this version slower than the commit REF? Both are bundled, each by its own scripts, and measured by turns in fresh processes: this one, REF,
and a second copy of REF. The least time of all processes counts. A row is slower when its ratio is above ${LIMIT} and outside of the spread
that REF has against itself in the same run.

  --rows PATTERN   only rows whose name the regular expression finds
  --runs N         processes of each (15)
  --full           also the rows that take much time or memory
  --one-format     only the figures with one format in use; --all-formats: only those with every format of the workspace used before
  --json FILE      write the figures as JSON to a file, too
  --help           print this

The exit status is 1 where a row is slower, and 2 where nothing could be said.
`

interface Options {
  readonly ref: string
  readonly rows: RegExp
  readonly runs: number
  readonly full: boolean
  readonly columns: readonly Column[]
  readonly json: string | undefined
}

/** @returns the exit status */
export async function runAgainst(args: readonly string[], streams: Streams): Promise<number> {
  let options: Options | undefined
  try {
    options = parse(args)
  } catch (error) {
    streams.err(`${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  if (options === undefined) {
    streams.out(USAGE)
    return 0
  }
  try {
    const judgement = await judge(options, progressOf(streams))
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(judgement, undefined, 2)}\n`)
    streams.out(renderJudgement(judgement))
    return judgement.rows.some(({ slower }) => slower) ? 1 : 0
  } catch (error) {
    streams.err(`${(error as Error).message}\n`)
    return 2
  }
}

/** @returns undefined where help is asked for @throws Error */
function parse(args: readonly string[]): Options | undefined {
  const flag = { type: 'boolean', default: false } as const
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ against: text, rows: { ...text, default: '' }, runs: { ...text, default: '15' }, json: text },
      ...{ full: flag, 'one-format': flag, 'all-formats': flag, help: flag },
    },
  })
  if (values.help) return undefined
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1 || runs > 1000) throw new Error(`--runs ${values.runs}: a number from 1 to 1000 is expected`)
  if (values['one-format'] && values['all-formats']) throw new Error('--one-format or --all-formats, not both')
  const columns = (['one', 'all'] as const).filter((column) => !values[column === 'one' ? 'all-formats' : 'one-format'])
  return { ref: values.against ?? '', rows: new RegExp(values.rows), runs, full: values.full, columns, json: values.json }
}

async function judge(options: Options, progress: (text: string) => void): Promise<Judgement> {
  const commit = commitOf(options.ref)
  const versions = await buildVersions(commit, progress)
  const [here, ref] = await Promise.all([listOf(versions.here, options), listOf(versions.ref, options)])
  const { common, ...others } = matched(here, ref)
  const shares = sharesOf(common, options.columns)
  if (shares.length === 0) throw new Error(`no row that both versions have has a name that ${options.rows} finds`)
  const core = coreToPin()
  progress('look at what the rows do')
  for (const file of [versions.here, versions.ref]) await start(core, file, 'check', common)
  const rows = await measured(shares, versions, options.runs, core, progress)
  progress('')
  return { commit, machine: machine(), core, runs: options.runs, rows, ...others }
}

async function listOf(file: string, { rows, full }: Options): Promise<Listed[]> {
  const all = JSON.parse(await run([process.execPath, file, 'list'], dirname(file))) as Listed[]
  return all.filter((row) => rows.test(row.id) && (full || row.full !== true))
}

/** A process of `pass.ts`. @returns what it wrote */
function start(
  core: number | undefined,
  file: string,
  what: 'check' | 'measure',
  rows: readonly Listed[],
  format?: string,
): Promise<string> {
  const pinned = core === undefined ? [] : ['taskset', '-c', String(core)]
  const names = rows.map(({ id }) => id).join('\n')
  return run([...pinned, process.execPath, file, what, names, ...(format === undefined ? [] : [format])], dirname(file))
}

/** Round by round, each share by each version: what disturbs the machine for a while falls on all versions. */
async function measured(
  shares: readonly Share[],
  versions: Versions,
  runs: number,
  core: number | undefined,
  progress: (text: string) => void,
): Promise<RowComparison[]> {
  const trials = shares.map(({ rows }) => rows.map(() => ({ here: [] as number[], ref: [] as number[], copy: [] as number[] })))
  for (let round = 0; round < runs; round++)
    for (const [i, { rows, format }] of shares.entries())
      for (const version of turn(round)) {
        progress(`round ${round + 1} of ${runs}: ${format ?? 'every format'}, ${version}`)
        const least = JSON.parse(await start(core, versions[version], 'measure', rows, format)) as Record<string, number>
        for (const [k, { id }] of rows.entries()) trials[i]?.[k]?.[version].push(least[id] ?? Number.NaN)
      }
  return shares.flatMap(({ column, rows }, i) =>
    rows.flatMap(({ id, unit }, k) => {
      const processes = trials[i]?.[k]
      return processes === undefined ? [] : [{ id, column, unit, ...compare(processes), processes }]
    }),
  )
}

/** Each version is the first one as often as the others. */
function turn(round: number): (keyof Versions)[] {
  const order = ['here', 'ref', 'copy'] as const
  return [...order.slice(round % 3), ...order.slice(0, round % 3)]
}

/** The last processor that this process may run on; undefined without `taskset`, which Linux alone has. */
function coreToPin(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const core = Number(/^Cpus_allowed_list:.*?(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  return spawnSync('taskset', ['-c', String(core), 'true']).status === 0 ? core : undefined
}
