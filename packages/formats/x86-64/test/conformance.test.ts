/** Every law of the conformance kit, on every configuration that the format lists, and every golden vector. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { x8664 } from '../src/index.ts'
import { vectorBindings } from '../src/vectors.ts'

checkFormat({
  test,
  format: x8664,
  bindings: vectorBindings,
  vectors: new URL('../test-data/vectors/', import.meta.url),
  module: new URL('../dist/index.js', import.meta.url),
})
