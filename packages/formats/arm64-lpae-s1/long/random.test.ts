/** Long random runs against the kit's model: 21,600 operations over all configurations. A failure names its seed; FC_SEED=<seed> replays it. */
import { longRun } from '@io-pgtable/conformance'
import { expect, test } from 'vitest'
import { arm64LpaeS1 } from '../src/index.ts'

test.each(arm64LpaeS1.configs.map(({ name }) => name))('%s: as the model does', (config) => {
  const report = longRun({ format: arm64LpaeS1, config, operations: 1800, every: 150 })
  // it met conflicts, parts of blocks, and tables with much in them
  expect(report.conflicts).toBeGreaterThan(50)
  expect(report.parts).toBeGreaterThan(5)
  expect(report.mappings).toBeGreaterThan(100)
})
