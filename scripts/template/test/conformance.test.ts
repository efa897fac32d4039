/** Everything that a format has to hold, by the kit. */
import { checkFormat } from '@io-pgtable/conformance'
import { test } from 'vitest'
import { acmeIommu } from '../src/index.ts'

checkFormat({ test, format: acmeIommu })
