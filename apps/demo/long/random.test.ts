/** Random requests, many of them, on both formats: each step compared with the model, and the formats with one another. */
import { expect, test } from 'vitest'
import { runGpu } from '../src/demo.ts'
import { randomScenario } from '../src/gpu/random.ts'
import { parseScenario } from '../src/gpu/scenario.ts'

test.each([101, 102, 103, 104, 105, 106, 107, 108])('500 steps from seed %i', (seed) => {
  const { checks, reports } = runGpu(parseScenario(randomScenario(seed, 500), 'random'))
  expect(checks.filter(({ ok }) => !ok)).toEqual([])
  for (const { totals } of reports) {
    expect(totals.requests).toBeGreaterThan(200)
    expect(Math.min(totals.refused, totals.faults, totals.switches)).toBeGreaterThan(5)
  }
})
