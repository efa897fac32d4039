/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { s390Dat } from '../src/index.ts'

checkFormat({ test, format: s390Dat, module: new URL('../dist/index.js', import.meta.url) })
