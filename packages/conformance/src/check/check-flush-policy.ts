/** `checkFlushPolicy`: a driver that decides for itself what is flushed when, and when addresses are used again. */
import type { AnyFmt } from '@io-pgtable/core'
import { seededIntegers } from '../seeded-integers.ts'
import { type Case, makeCase } from './case.ts'
import { type CheckFormatOptions, caseOptions, runLaw, type TestFunction } from './check-format.ts'
import { Fault, type Law } from './law.ts'
import { type MakePolicy, PolicySession } from './policy-session.ts'

export interface CheckFlushPolicyOptions extends Pick<CheckFormatOptions, 'effort' | 'seed' | 'createTable'> {
  readonly test: TestFunction
  readonly format: AnyFmt
  /** Makes the driver, its table included, for a modelled device. */
  readonly policy: MakePolicy
  /** Names of the configurations to test. Default: all that the format lists. */
  readonly configs?: readonly string[]
}

const LENGTHS = { quick: { sessions: 4, requests: 40 }, full: { sessions: 40, requests: 200 } } as const
/** Calls that a failure prints. */
const SHOWN = 12

/**
 * Registers a test for each configuration: random requests, during and after which no address that is mapped, or may be given out again,
 * translates by something stale, and no table that is gone is walked. A device that is locked makes no access to the locked range.
 */
export function checkFlushPolicy(options: CheckFlushPolicyOptions): void {
  const { test, format, policy, configs } = options
  const law: Law = {
    name: 'tlb/flush-policy',
    says: 'whatever a driver flushes and when, nothing stale is ever used',
    check(c) {
      const { sessions } = LENGTHS[c.effort]
      for (let session = 0; session < sessions; session++) runSession(c, policy, c.seed + session)
      return undefined
    },
  }
  for (const { name, config } of format.configs) {
    if (configs !== undefined && !configs.includes(name)) continue
    const made = (): Case => makeCase({ ...caseOptions(options), name, request: config, replay: undefined })
    test(`${format.FORMAT} · ${name} · ${law.name}`, () => runLaw(law, options, name, made, new Map()))
  }
}

function runSession(c: Case, policy: MakePolicy, seed: number): void {
  const session = new PolicySession(c, policy)
  const below = seededIntegers(seed)
  try {
    for (let i = 0; i < LENGTHS[c.effort].requests; i++) session.request(below)
    session.close()
  } catch (error) {
    const { log } = session
    const calls = log.slice(-SHOWN).map((call, i, all) => `  ${i === all.length - 1 ? '>' : ' '} ${call}`)
    const text = [error instanceof Error ? error.message : String(error), `  seed ${seed}, ${log.length} calls, the last ones:`, ...calls]
    const fault = new Fault(text.join('\n'))
    fault.cause = error
    throw fault
  }
}
