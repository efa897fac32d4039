/** The laws of declarations on the big-endian format; every law, and the vectors, on the same declaration in the byte order of the recording. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { ppcTce } from '../src/index.ts'
import { ppcTceValues, vectorBindings } from '../src/vectors.ts'

checkFormat({ test, format: ppcTce })
checkFormat({
  test: (name, run) => test(`values · ${name}`, run),
  format: ppcTceValues,
  bindings: vectorBindings,
  vectors: new URL('../test-data/vectors/', import.meta.url),
  module: new URL('../dist/vectors.js', import.meta.url),
})
