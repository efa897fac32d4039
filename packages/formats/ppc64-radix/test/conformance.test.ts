/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { ppc64Radix } from '../src/index.ts'

checkFormat({ test, format: ppc64Radix, module: new URL('../dist/index.js', import.meta.url) })
