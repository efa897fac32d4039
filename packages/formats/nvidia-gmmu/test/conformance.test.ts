/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { nvidiaGmmu } from '../src/index.ts'
import { vectorBindings } from '../src/vectors.ts'

checkFormat({
  test,
  format: nvidiaGmmu,
  bindings: vectorBindings,
  vectors: new URL('../test-data/vectors/', import.meta.url),
  module: new URL('../dist/index.js', import.meta.url),
})
