/** Random sequences of operations, and what is printed of one that fails: the seed, the shrunk sequence, a line that runs it again. */
import fc from 'fast-check'
import { type Case, shareOf } from './case.ts'
import { type Draw, draws } from './generate.ts'
import { Fault, type LawName } from './law.ts'

/** How many sequences, and how long. */
export interface Length {
  readonly sequences: number
  readonly operations: number
}

/** Milliseconds that shrinking may take. */
const SHRINK = 10_000

/**
 * Runs random sequences, or this configuration's share of them.
 * @param run makes the calls that the draws stand for; returns nothing, throws where a law is broken, and appends to `log` what it calls
 */
export function sequences(
  c: Case,
  law: LawName,
  { sequences, operations }: Length,
  run: (draws: readonly Draw[], log: string[]) => void,
): void {
  let log: string[] = []
  const property = fc.property(fc.array(draws, { minLength: 1, maxLength: operations, size: 'max' }), (sequence) => {
    log = []
    run(sequence, log)
  })
  const { seed, replay, share } = c
  const from = replay === undefined ? { seed: seed + share.index } : { seed: replay.seed, path: replay.path }
  const details = fc.check(property, { ...from, numRuns: shareOf(c, sequences), interruptAfterTimeLimit: SHRINK + 1000 * sequences })
  if (!details.failed || details.counterexample === null) return
  const fails = (sequence: readonly Draw[]): boolean => failureOf(() => run(sequence, [])) !== undefined
  const counterexample = withoutNeedless(details.counterexample[0], fails)
  const error = failureOf(() => {
    log = []
    run(counterexample, log)
  })
  const line = `${law}|${c.name}|${details.seed}|${details.counterexamplePath ?? '0'}`
  const calls = log.map((call, i) => `  ${i === log.length - 1 ? '>' : ' '} table.${call}`)
  const text = [
    error instanceof Error ? error.message : 'a failure that does not come again',
    `  seed ${details.seed}, shrunk ${details.numShrinks} times to these calls:`,
    ...calls,
    `  replay: IOPT_REPLAY='${line}' with the same command, or checkFormat({ ..., replay: '${line}' })`,
  ]
  const fault = new Fault(text.join('\n'))
  fault.cause = error
  throw fault
}

/** Leaves out what the failure does not need: fast-check keeps the last element, which need not be the one that fails. */
function withoutNeedless(sequence: readonly Draw[], fails: (sequence: readonly Draw[]) => boolean): readonly Draw[] {
  let kept = sequence
  for (let i = sequence.length - 1; i >= 0; i--) {
    const less = kept.filter((_, at) => at !== i)
    if (fails(less)) kept = less
  }
  return kept
}

/** What a run throws; undefined when it passes. */
function failureOf(run: () => void): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
