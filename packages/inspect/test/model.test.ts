/** A dump against core's walker over tables of random descriptors: entry for entry the same, whatever the format. */
import { describe, expect, it } from 'vitest'
import { cases, compare } from './support/model.ts'

describe('a dump is what core walks', () => {
  it.each(cases)('$id', (one) => {
    let leaves = 0
    // Roots of few entries give few leaves: then several tables
    for (let seed = 1; leaves <= 10; seed++) {
      const { got, want, runs, complete, judged } = compare(one, seed)
      expect(complete, `seed ${seed}`).toBe(true)
      expect(got, `seed ${seed}`).toEqual(want)
      for (const [run, walk] of judged) expect(run, `seed ${seed}`).toBe(walk)
      expect(runs).toBeLessThanOrEqual(want.length)
      leaves += want.length
      expect(seed, 'seeds without leaves').toBeLessThan(200)
    }
  })
})
