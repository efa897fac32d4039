/** `checkFormat`: every law on every configuration of a format, each a test of whatever runner there is. */
import { type AnyFmt, IoPageTable, type VectorBinding } from '@io-pgtable/core'
import { adopting } from './adopt-law.ts'
import { bounds } from './bounds-law.ts'
import { type AdoptTable, type Case, type CaseOptions, type CreateTable, type Effort, makeCase, type Replay } from './case.ts'
import { descriptorLaws } from './descriptor-laws.ts'
import { dirty } from './dirty-law.ts'
import { editLaws } from './edit-laws.ts'
import { environmentVariable } from './environment.ts'
import { failedFlush } from './failed-flush-law.ts'
import { checkDeclaration, formatShapeLaws } from './format-laws.ts'
import { lateMemory } from './late-memory-law.ts'
import { Fault, type Law, LawError, type LawName } from './law.ts'
import { leaves } from './leaves-law.ts'
import { lostMemory } from './lost-memory-law.ts'
import { reference } from './reference-law.ts'
import { registers } from './registers-law.ts'
import { rightsLaws } from './rights-law.ts'
import { conflicts, entries, memory, model } from './table-laws.ts'
import { defaultStart, type StartWorker, Team } from './team.ts'
import { tlbLaws } from './tlb-laws.ts'
import { type VectorFile, vectorLaw } from './vectors-law.ts'
import { workerLaws } from './workers-law.ts'

/** Registers a test: `test` of vitest, of node:test, or any function that calls `fn` and reports what it throws. */
export type TestFunction = (name: string, fn: () => void | Promise<void>) => unknown

export interface CheckFormatOptions {
  readonly test: TestFunction
  readonly format: AnyFmt
  /** How golden vectors speak of the format: its `./vectors`. */
  readonly bindings?: readonly VectorBinding[]
  /** The vectors: a folder that is searched for .json files (in Node), or the files themselves. Without any the format is self-consistent only. */
  readonly vectors?: URL | readonly VectorFile[]
  /** Built JavaScript that exports the format: what workers load, for the laws of concurrency. */
  readonly module?: URL
  /** Starts a worker, where neither Node nor a global `Worker` does. */
  readonly startWorker?: StartWorker
  /** `full` runs longer sequences of the same laws. Default `quick`, or IOPT_EFFORT. */
  readonly effort?: Effort
  /** What makes tables instead of `IoPageTable.createRaw`, to test an engine, or a fault in one. */
  readonly createTable?: CreateTable
  /** The same instead of `IoPageTable.adopt`. */
  readonly adoptTable?: AdoptTable
  /** A line that a failure printed: runs that law on that configuration alone, from that seed. Default: IOPT_REPLAY. */
  readonly replay?: string
  /** Of all random sequences. Default: IOPT_SEED, or a fixed number. */
  readonly seed?: number
  /** Where the summary goes. Default `console.log`. */
  readonly log?: (text: string) => void
}

const SEED = 0x10_96_7a_b1
/** The laws that all others rest on: where the declaration breaks one, the later ones are not checked, since they would only say it again. */
const SHAPE: ReadonlySet<LawName> = new Set(formatShapeLaws.map(({ name }) => name))

/** Registers the laws as tests, the last of which prints what was skipped and why. */
export function checkFormat(options: CheckFormatOptions): void {
  const { test, format, module } = options
  const start = options.startWorker ?? defaultStart()
  const team = start && new Team(start)
  const laws = format.writes === false ? declarationLaws : lawsOf(team, module)
  const skips = new Map<string, string[]>()
  if (format.writes === false) skips.set('table/..., tlb/..., workers/...: the format only reads', ['all'])
  const replay = replayOf(options.replay ?? environmentVariable('IOPT_REPLAY'))
  if (replay === undefined) test(`${format.FORMAT} · format/declaration`, () => runDeclaration(format))
  for (const [index, { name, config }] of format.configs.entries()) {
    const share = { index, of: format.configs.length }
    const made = lazily(() => makeCase({ ...caseOptions(options), name, request: config, replay: replay?.at, share }))
    let broken: LawName | undefined
    for (const law of laws) {
      if (replay !== undefined && (replay.law !== law.name || replay.config !== name)) continue
      test(`${format.FORMAT} · ${name} · ${law.name}`, async () => {
        if (broken !== undefined) return skip(skips, law.name, `${broken} is broken`, name)
        try {
          await runLaw(law, options, name, made, skips)
        } catch (error) {
          if (SHAPE.has(law.name)) broken ??= law.name
          throw error
        }
      })
    }
  }
  if (replay !== undefined) return
  for (const { name, run } of vectorLaw(options)) test(`${format.FORMAT} · ${name}`, () => runVectors(options, run, skips))
  test(`${format.FORMAT} · summary`, () => {
    team?.stop()
    summary(options, skips)
  })
}

/** The laws of a declaration, which hold for formats that only read, too. */
const declarationLaws: readonly Law[] = [...formatShapeLaws, ...descriptorLaws, ...rightsLaws, registers]

/** The laws in the order in which they are checked: what the later ones rest on comes first. */
function lawsOf(team: Team | undefined, module: URL | undefined): readonly Law[] {
  return [
    ...declarationLaws,
    entries,
    bounds,
    conflicts,
    model,
    memory,
    reference,
    dirty,
    ...tlbLaws,
    leaves,
    ...editLaws,
    adopting,
    lateMemory,
    ...workerLaws(team, module),
    failedFlush,
    lostMemory,
  ]
}

/** For {@link checkFlushOps} too. */
export function caseOptions({
  format,
  createTable,
  adoptTable,
  effort,
  seed,
}: Pick<CheckFormatOptions, 'format' | 'createTable' | 'adoptTable' | 'effort' | 'seed'>): Pick<
  CaseOptions,
  'format' | 'createTable' | 'adoptTable' | 'effort' | 'seed'
> {
  const wanted = environmentVariable('IOPT_EFFORT') === 'full' ? 'full' : 'quick'
  return {
    format,
    createTable: createTable ?? ((fmt, request) => IoPageTable.createRaw(fmt, request)),
    adoptTable,
    effort: effort ?? wanted,
    seed: seed ?? Number(environmentVariable('IOPT_SEED') ?? SEED),
  }
}

/** Checks one law; a skip is noted, a fault becomes a {@link LawError}. */
export async function runLaw(
  law: Law,
  { format }: Pick<CheckFormatOptions, 'format'>,
  config: string,
  made: () => Case,
  skips: Map<string, string[]>,
): Promise<void> {
  try {
    const result = await law.check(made())
    if (result !== undefined) skip(skips, law.name, result.skipped, config)
  } catch (error) {
    throw asLawError(law.name, format, config, error)
  }
}

function skip(skips: Map<string, string[]>, law: LawName, why: string, config: string): void {
  const where = skips.get(`${law}: ${why}`) ?? []
  skips.set(`${law}: ${why}`, [...where, config])
}

function asLawError(law: LawName, format: AnyFmt, config: string, error: unknown): LawError {
  if (error instanceof LawError) return error
  const message = error instanceof Fault ? error.message : error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new LawError(law, format, config, message, { cause: error })
}

function runDeclaration(format: AnyFmt): void {
  try {
    checkDeclaration(format)
  } catch (error) {
    throw asLawError('format/declaration', format, 'any', error)
  }
}

function runVectors({ format }: CheckFormatOptions, run: () => string | undefined, skips: Map<string, string[]>): void {
  try {
    const skipped = run()
    if (skipped !== undefined) skips.set(`truth/vectors: ${skipped}`, ['all'])
  } catch (error) {
    throw asLawError('truth/vectors', format, 'of the file', error)
  }
}

function summary({ format, log, bindings, vectors }: CheckFormatOptions, skips: ReadonlyMap<string, readonly string[]>): void {
  const truth = bindings === undefined || vectors === undefined ? 'self-consistent only' : 'tested against golden vectors'
  const all = format.configs.length
  const lines = [...skips].map(
    ([what, configs]) =>
      `  skipped ${what} (${configs.length === all || configs[0] === 'all' ? 'all configurations' : configs.join('; ')})`,
  )
  const tell = log ?? ((text: string) => console.log(text))
  tell([`${format.FORMAT}: ${all} configuration${all === 1 ? '' : 's'}, ${truth}`, ...lines].join('\n'))
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

function replayOf(line: string | undefined): { law: string; config: string; at: Replay } | undefined {
  if (line === undefined || line === '') return undefined
  const [law = '', config = '', seed = '', path = ''] = line.split('|')
  return { law, config, at: { seed: Number(seed), path } }
}
