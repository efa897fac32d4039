/** The laws of declarations on the big-endian format; every law, and the vectors, on the same declaration in the byte order of the recording. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { s390Zpci } from '../src/index.ts'
import { s390ZpciValues, vectorBindings } from '../src/vectors.ts'

checkFormat({ test, format: s390Zpci })
checkFormat({
  test: (name, run) => test(`values · ${name}`, run),
  format: s390ZpciValues,
  bindings: vectorBindings,
  vectors: new URL('../test-data/vectors/', import.meta.url),
  module: new URL('../dist/vectors.js', import.meta.url),
})
