/**
 * Long random runs: thousands of calls on few tables, so that memory is freed and used again many times and what a call leaves behind is
 * met by a much later one. The short sequences of `checkFormat` shrink better; these remember more.
 */
import { type AnyFmt, IoPageTable } from '@io-pgtable/core'
import { type CreateTable, makeCase } from './check/case.ts'
import { environmentVariable } from './check/environment.ts'
import { type Draw, operationOf } from './check/generate.ts'
import { Fault } from './check/law.ts'
import { Session } from './check/session.ts'
import { syncBefore } from './check/table-laws.ts'
import { seededIntegers } from './seeded-integers.ts'

export interface LongRunOptions {
  readonly format: AnyFmt
  /** The name of one of the format's configurations. */
  readonly config: string
  readonly operations: number
  /** Default: FC_SEED, or a fixed number. */
  readonly seed?: number
  /** Operations from one comparison of the whole memory to the next. Default 100. */
  readonly every?: number
  readonly createTable?: CreateTable
}

/** What a run met: for tests that want to know that it met enough. */
export interface LongRunReport {
  /** Tables that it used: one is freed, and another made, when half of its memory is taken. */
  readonly tables: number
  /** Maps with a mapping in the way, and unmaps of a part of a larger leaf. */
  readonly conflicts: number
  readonly parts: number
  /** The most mappings that there were at once. */
  readonly mappings: number
}

const SEED = 0x5eed
/** Calls that a failure prints. */
const SHOWN = 12

/**
 * Makes random calls on tables of one configuration and on the kit's model of them, which must agree in every result, in the account of
 * table memory, and, time and again, in every descriptor.
 * @throws `Error` with the seed, a line that runs it again, and the last calls, where they differ
 */
export function longRun(options: LongRunOptions): LongRunReport {
  const { format, config, operations, every = 100, createTable } = options
  const seed = options.seed ?? Number(environmentVariable('FC_SEED') ?? SEED)
  const request = format.configs.find(({ name }) => name === config)?.config
  if (request === undefined) throw new Error(`${format.FORMAT} has no configuration ${config}`)
  const make: CreateTable = createTable ?? ((fmt, wanted) => IoPageTable.createRaw(fmt, wanted))
  const c = makeCase({ format, name: config, request, createTable: make, effort: 'quick', replay: undefined, seed })
  const below = seededIntegers(seed)
  const report = { tables: 0, conflicts: 0, parts: 0, mappings: 0 }
  let session = new Session(c)
  let n = 0
  try {
    for (; n < operations; n++) {
      const op = operationOf(session.model, drawn(below))
      syncBefore(session, op)
      session.apply(op)
      for (const { code } of session.warnings) report[code === 'EEXIST' ? 'conflicts' : 'parts']++
      if (n % every === every - 1) {
        session.compare()
        report.mappings = Math.max(report.mappings, session.model.mappings().length)
      }
      if (session.pool.stats().live <= session.pool.size / 2) continue
      session.end()
      report.tables++
      session = new Session(c)
    }
    session.end()
    report.tables++
  } catch (error) {
    throw failure(error, { format, config, seed, n, calls: session.log })
  }
  return report
}

function failure(error: unknown, at: { format: AnyFmt; config: string; seed: number; n: number; calls: readonly string[] }): Error {
  const { format, config, seed, n, calls } = at
  const text = [
    `${format.FORMAT}, configuration "${config}", operation ${n}: ${error instanceof Error ? error.message : error}`,
    `  the last of ${calls.length} calls on the table:`,
    ...calls.slice(-SHOWN).map((call) => `    table.${call}`),
    `  replay: FC_SEED=${seed} with the same command`,
  ]
  const fault = new Fault(text.join('\n'))
  fault.cause = error
  return fault
}

function drawn(below: (limit: number) => number): Draw {
  return {
    what: below(16),
    digits: Array.from({ length: 6 }, () => below(12)),
    size: below(12),
    count: below(16),
    paddr: below(8),
    prot: below(64),
    gather: below(3),
    // sometimes at what is mapped already: to find that takes the most time of all
    near: below(5) === 0 ? 12 + below(12) : 0,
  }
}
