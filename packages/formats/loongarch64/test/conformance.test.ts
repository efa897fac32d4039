/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { loongarch64 } from '../src/index.ts'

checkFormat({ test, format: loongarch64, module: new URL('../dist/index.js', import.meta.url) })
