/** The kit can fail: each of these faults must be found, and by the law that is there for it. What found it is in MUTANTS.md. */
import { afterAll, expect, test } from 'vitest'
import { checkFormat, LawError } from '../src/index.ts'
import { ARM_MUTANTS } from './mutants/arm-mutants.ts'
import { EDIT_MUTANTS } from './mutants/edit-mutants.ts'
import { ENGINE_MUTANTS } from './mutants/engine-mutants.ts'
import type { Mutant } from './mutants/mutant.ts'
import { RIGHTS_MUTANTS } from './mutants/rights-mutants.ts'
import { TOY_FORMAT_MUTANTS } from './mutants/toy-mutants.ts'
import { WORKER_MUTANTS } from './mutants/worker-mutants.ts'

const MUTANTS = [...TOY_FORMAT_MUTANTS, ...RIGHTS_MUTANTS, ...ARM_MUTANTS, ...ENGINE_MUTANTS, ...EDIT_MUTANTS, ...WORKER_MUTANTS]
const killedBy = new Map<Mutant, LawError>()

/** Runs the laws in their order, until one is broken. */
async function firstBroken({ options }: Mutant): Promise<LawError | undefined> {
  const tests: (() => void | Promise<void>)[] = []
  checkFormat({ ...options, test: (_name, fn) => void tests.push(fn), log: () => {} })
  for (const run of tests) {
    try {
      await run()
    } catch (error) {
      if (error instanceof LawError) return error
      throw error
    }
  }
  return undefined
}

test.each(MUTANTS)('$of: $fault', async (mutant) => {
  const error = await firstBroken(mutant)
  if (error !== undefined) killedBy.set(mutant, error)
  expect(error?.law, error?.message).toBe(mutant.law)
  expect(error?.message).toContain(`law ${mutant.law} is broken: ${mutant.options.format.FORMAT}, configuration "`)
})

test('the list of mutants is up to date', async () => {
  const rows = MUTANTS.map((mutant) => `| ${mutant.of} | ${mutant.fault} | \`${killedBy.get(mutant)?.law ?? 'nothing'}\` |`)
  const laws = new Set([...killedBy.values()].map(({ law }) => law))
  const text = [
    '# Mutants',
    '',
    `The kit tests itself on ${MUTANTS.length} faults, of formats and of the engine, each put into a sound format or engine. All are found, by ${laws.size} laws.`,
    'This file is made by `long/mutants.test.ts` (`vitest -u` rewrites it).',
    '',
    '| fault of | what is wrong | found by |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
  await expect(text).toMatchFileSnapshot('../MUTANTS.md')
})

afterAll(() => {
  console.log(
    MUTANTS.map((mutant) => `${(killedBy.get(mutant)?.law ?? 'NOTHING').padEnd(20)} ${mutant.of.padEnd(6)} ${mutant.fault}`).join('\n'),
  )
})
