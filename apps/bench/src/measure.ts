/**
 * The method. All rows are prepared, run and verified first, so that the engine has seen every format and every kind of call before the
 * clock starts. Then come rounds: in each one every row gives one sample, in the same order. What disturbs the machine for a while thus
 * falls on all rows, the references too.
 */
import { expectEqual, type Pass, type Row } from './row.ts'
import { type Summary, summarize } from './stats.ts'

export interface Plan {
  /** Samples of each row. */
  readonly runs: number
  /** Milliseconds of timed work in a sample. */
  readonly sampleMs: number
  /** Milliseconds for which a row runs before it counts. */
  readonly warmUpMs: number
  /** Milliseconds of samples after which a row gets no more of them: one whose pass takes seconds is measured fewer times. */
  readonly limitMs: number
}

export interface Measured extends Omit<Row, 'prepare' | 'full' | 'everyFormat' | 'ballast'> {
  /** Nanoseconds a unit. */
  readonly ns: Summary
}

interface Prepared {
  readonly row: Row
  readonly pass: Pass
  /** Passes in a sample. */
  passes: number
  readonly samples: number[]
  /** Milliseconds that its samples took. */
  spentMs: number
}

/** @throws WrongResult when a row did not do what it is to do */
export function measure(rows: readonly Row[], plan: Plan, progress: (text: string) => void): Measured[] {
  const prepared = rows.map((row) => {
    progress(`prepare ${row.id}`)
    const pass = row.prepare()
    return { row, pass, passes: 1, samples: [] as number[], spentMs: 0 }
  })
  for (const one of prepared) warmUp(one, plan.warmUpMs, progress)
  for (const one of prepared) checked(one)
  // what the later rows taught the compiler may have cost the earlier ones their code
  for (const one of prepared) warmUp(one, plan.warmUpMs / 3, progress)
  for (const one of prepared) one.passes = Math.max(1, Math.ceil(plan.sampleMs / timePass(one.pass)))
  for (let run = 1; run <= plan.runs; run++) {
    progress(`run ${run} of ${plan.runs}`)
    for (const one of prepared) if (one.spentMs < plan.limitMs) sample(one)
  }
  for (const one of prepared) checked(one)
  progress('')
  return prepared.map(({ row: { id, title, unit, units }, samples }) => ({ id, title, unit, units, ns: summarize(samples) }))
}

/** One run with a look at everything that it did. */
export function checked({ row, pass }: Pick<Prepared, 'row' | 'pass'>): void {
  try {
    expectEqual('result', pass.run(), pass.expected)
    pass.verify()
  } catch (error) {
    if (error instanceof Error) error.message = `${row.id}: ${error.message}`
    throw error
  }
  pass.reset?.()
}

function warmUp(one: Prepared, ms: number, progress: (text: string) => void): void {
  progress(`warm up ${one.row.id}`)
  const end = performance.now() + ms
  do timePass(one.pass)
  while (performance.now() < end)
}

/** Nanoseconds a unit; the first pass, untimed, brings the row's memory into the caches again after the other rows. */
function sample(one: Prepared): void {
  const { row, pass, passes } = one
  timePass(pass)
  let ms = 0
  for (let i = 0; i < passes; i++) ms += timePass(pass)
  one.samples.push((ms * 1e6) / (passes * row.units))
  one.spentMs += ms
}

/** Milliseconds of one run. */
export function timePass(pass: Pass): number {
  const start = performance.now()
  const result = pass.run()
  const ms = performance.now() - start
  if (result !== pass.expected) expectEqual('result', result, pass.expected)
  pass.reset?.()
  return ms
}
