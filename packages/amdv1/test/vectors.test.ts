/** The golden vectors of this format: every recorded answer of Linux's generic_pt, one test a file. */
import { readdirSync, readFileSync } from 'node:fs'
import { describeOutcome, runVectorFile } from '@io-pgtable/conformance'
import { expect, test } from 'vitest'
import { vectorBindings } from '../src/vectors.ts'

const VECTORS = new URL('../test-data/vectors/', import.meta.url)
const files = readdirSync(VECTORS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.json'))
  .sort()

test.each(files)('%s', (file) => {
  const outcome = runVectorFile(JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')), vectorBindings)
  expect(outcome.status, describeOutcome(outcome, file)).toBe('passed')
})
