/** Spoilt logs, many of them. FUZZ_SEED gives others, FUZZ_LOGS more. */
import { it } from 'vitest'
import { fuzzLogs } from '../test/support/log-fuzz.ts'
import { random } from '../test/support/memory.ts'

it('spoilt logs throw nothing', () => {
  const seed = Number(process.env.FUZZ_SEED ?? 1130)
  console.log(`log fuzz: FUZZ_SEED=${seed}`)
  fuzzLogs(random(seed), Number(process.env.FUZZ_LOGS ?? 100_000))
})
