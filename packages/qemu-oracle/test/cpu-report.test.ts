/** The report, of made-up runs: what it counts, and that it says what nothing has verified. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { expect, it } from 'vitest'
import type { Outcome } from '../src/machine/index.ts'
import { verificationText } from '../src/report/markdown.ts'

const outcome = (facts: Partial<Outcome>): Outcome => ({
  oracle: 'AArch64 MMU',
  format: 'arm64-lpae-s1',
  config: '4K, 48 bits',
  translations: 1000,
  faults: 234,
  qemu: '10.0.2',
  limits: ['it is a model'],
  ...facts,
})
const vectors = { files: 3, operations: 1234, configs: 2 }

it('sums what was found, CPU and IOMMU apart', () => {
  const outcomes = [outcome({ mappings: 2000, wrong: 5 }), outcome({ oracle: 'SMMUv3', config: '4K', faults: 1, wrong: 2 })]
  const text = verificationText([{ format: arm64LpaeS1, folder: 'packages/formats/arm64-lpae-s1', vectors, outcomes, dumps: [] }])
  expect(text).toContain('| `arm64-lpae-s1` | 3, 1,234 | 1, 1,001 | 1, 1,234 | 7 | – |')
  expect(text).toContain('| 4K, 48 bits | AArch64 MMU | 2,000 | 1,000 | 234 | 5 | – |')
  expect(text).toContain('QEMU 10.0.2.')
  expect(text).toContain('- it is a model')
  expect(text).toContain('walker above has under that name: 4K, 39 bits')
})

it('says plainly that nothing has verified a format', () => {
  const none = { files: 0, operations: 0, configs: 0 }
  const format = { ...arm64LpaeS1, FORMAT: 'nobody-knows' }
  const text = verificationText([{ format, folder: 'packages/formats/nobody-knows', vectors: none, outcomes: [], dumps: [] }])
  expect(text).toContain('| `nobody-knows` | – | – | – | – | – |')
  expect(text).toContain('All of it: there is no walker in QEMU, no vector and no dump.')
})
