/** The comparison of test/model.test.ts with many more tables. */
import { describe, expect, it } from 'vitest'
import { cases, compare } from '../test/support/model.ts'

describe('a dump is what core walks', () => {
  it.each(cases)('$id', (one) => {
    for (let seed = 2; seed <= 12; seed++) {
      const { got, want, complete } = compare(one, seed)
      expect(complete, `seed ${seed}`).toBe(true)
      expect(got, `seed ${seed}`).toEqual(want)
    }
  })
})
