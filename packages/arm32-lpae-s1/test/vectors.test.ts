/** The golden vectors of this format: every recorded answer of Linux's io-pgtable, one test a file. */
import { readdirSync, readFileSync } from 'node:fs'
import { describeOutcome, runVectorFile } from '@io-pgtable/conformance'
import { expect, test } from 'vitest'
import { vectorBindings } from '../src/vectors.ts'

const VECTORS = new URL('../test-data/vectors/', import.meta.url)
const files = readdirSync(VECTORS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replaceAll('\\', '/'))
  .sort()

test('all files are here', () => {
  expect(files.length).toBe(6)
})

test.each(files)('%s', (file) => {
  const outcome = runVectorFile(JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')), vectorBindings)
  expect(outcome.status, describeOutcome(outcome, file)).toBe('passed')
})
