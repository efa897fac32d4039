/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { x8632 } from '../src/index.ts'

checkFormat({ test, format: x8632, module: new URL('../dist/index.js', import.meta.url) })
