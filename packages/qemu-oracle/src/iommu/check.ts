/** All checks of one configuration, and their counts for the report. */
import { type Outcome, record } from '../machine/index.ts'
import type { Iommu } from './iommu.ts'
import { randomRun } from './random-run.ts'
import type { Case } from './setup.ts'
import { type Callback, type Level, responsible, staleRun } from './stale.ts'
import { wrongRun } from './wrong.ts'

/** What a configuration's checks say; everything in it is to be as its name says, `missed` and `wrong` empty. */
export interface Checked {
  /** Where QEMU and we differ. */
  readonly wrong: readonly string[]
  /** Levels at which something stale was left though all callbacks arrived. */
  readonly stale: readonly Level[]
  /** Callbacks whose absence did not show where it must, or showed elsewhere. */
  readonly unproven: readonly string[]
  /** Flipped bits that QEMU did not notice, and those that it noticed though it is known to ignore them. */
  readonly missed: readonly string[]
  /** Bytes of table memory that were not freed. */
  readonly leaked: number
  readonly outcome: Outcome
}

export async function check<I extends Iommu>(iommu: I, oracle: string, given: Case<I>, seed: bigint): Promise<Checked> {
  const random = await randomRun(iommu, given, seed)
  const flushed = await staleRun(iommu, given, seed)
  const unproven: string[] = []
  const order = given.format.policy(given.format.configure(given.config)).flushOrder
  for (const [callback, levels] of responsible(order, given.style)) {
    const { stale } = await staleRun(iommu, given, seed, callback)
    if (!sameLevels(stale, levels)) unproven.push(say(callback, levels, stale))
  }
  const flipped = await wrongRun(iommu, given, seed)
  await iommu.machine.qtest.settle()
  const outcome: Outcome = {
    oracle,
    format: given.format.FORMAT,
    config: given.name,
    translations: random.translations,
    faults: random.faults,
    flushes: flushed.changes,
    wrong: flipped.caught,
    qemu: iommu.machine.version,
    limits: given.limits,
  }
  record(outcome)
  return {
    wrong: [...random.wrong, ...flushed.wrong],
    stale: flushed.stale,
    unproven,
    missed: flipped.wrong,
    leaked: random.leaked,
    outcome,
  }
}

function sameLevels(a: readonly Level[], b: readonly Level[]): boolean {
  return a.length === b.length && a.every((level) => b.includes(level))
}

function say(callback: Callback, expected: readonly Level[], stale: readonly Level[]): string {
  return `without ${callback} something stale is expected at ${expected.join(', ')}; it is at ${stale.join(', ') || 'no level'}`
}
