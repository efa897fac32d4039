/**
 * Long random runs against the kit's model: 24,000 operations over all configurations, with conflicts that leave a prefix, holes, unmaps that
 * span mappings and tables, parts of large pages and supersections. A failure names its seed; FC_SEED=<seed> replays it.
 */
import { longRun } from '@io-pgtable/conformance'
import { expect, test } from 'vitest'
import { armV7s } from '../src/index.ts'

const OPERATIONS = 24_000

test.each(armV7s.configs.map(({ name }) => name))('%s: as the model does', (config) => {
  const report = longRun({ format: armV7s, config, operations: Math.ceil(OPERATIONS / armV7s.configs.length) })
  expect(report.conflicts).toBeGreaterThan(100)
  expect(report.parts).toBeGreaterThan(20)
  expect(report.mappings).toBeGreaterThan(100)
})
