/** 40,000 random requests with failures on each format of the Arm architecture, fewer on another, against a model page by page. */
import { describe, expect, test } from 'vitest'
import { FORMATS } from '../test/support/formats.ts'
import { RandomRequests } from '../test/support/random-requests.ts'

const SEED = Number(process.env.SEED ?? 20_261_121)

describe.each(FORMATS)('$name', (format) => {
  const REQUESTS = format.ranged ? 10_000 : 40_000
  test(`${REQUESTS} random requests: SEED=${SEED}`, () => {
    const requests = new RandomRequests(format, SEED)
    for (let i = 0; i < REQUESTS; i++) requests.step()
    expect(requests.finish()).toBe(0)
    const { cuts, failed } = requests.tally
    expect(cuts).toBeGreaterThan(REQUESTS / 100)
    const told = format.ranged ? [] : ['flushWalk', 'addPages']
    for (const why of [...told, 'ENOMEM', 'sync', 'backing', 'lock', 'unlock', 'bad: EINVAL', 'bad: ERANGE'])
      expect(failed[why], why).toBeGreaterThanOrEqual(10)
  })
})
