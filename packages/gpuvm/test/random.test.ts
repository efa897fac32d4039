/** Random requests with failures against a model page by page: the short run, always the same; `long/` has the long one. */
import { describe, expect, test } from 'vitest'
import { FORMATS } from './support/formats.ts'
import { RandomRequests } from './support/random-requests.ts'

const SEED = Number(process.env.SEED ?? 2)
const REQUESTS = 200

describe.each(FORMATS)('$name', (format) => {
  test(`${REQUESTS} random requests: SEED=${SEED}`, () => {
    const requests = new RandomRequests(format, SEED)
    for (let i = 0; i < REQUESTS; i++) requests.step()
    expect(requests.finish()).toBe(0)
    expect(requests.tally.cuts).toBeGreaterThan(0)
    expect(requests.tally.stopped).toBeGreaterThan(0)
    expect(Object.keys(requests.tally.failed).length).toBeGreaterThan(3)
  })
})
