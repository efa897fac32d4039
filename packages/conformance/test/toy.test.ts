/** The teaching format passes every law. */
import { test } from 'vitest'
import { checkFormat } from '../src/index.ts'
import { toy } from '../src/toy.ts'

checkFormat({ test, format: toy, module: new URL('../dist/toy.js', import.meta.url) })
