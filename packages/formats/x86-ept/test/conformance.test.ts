/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { x86Ept } from '../src/index.ts'

checkFormat({ test, format: x86Ept, module: new URL('../dist/index.js', import.meta.url) })
