/** The laws of a format that only reads, on every configuration that it lists. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { amdgpuVm } from '../src/index.ts'

checkFormat({ test, format: amdgpuVm })
