/** Every law of the conformance kit, on every configuration that the format lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { riscv64G } from '../src/index.ts'

checkFormat({ test, format: riscv64G, module: new URL('../dist/index.js', import.meta.url) })
