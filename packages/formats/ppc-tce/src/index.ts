/** TCE tables of POWER, read: decoded, walked, dumped and checked. */
import { readOnly } from '@io-pgtable/core'
import { declare } from './declaration.ts'

export type { PpcTceConfig, PpcTceParams, PpcTceQuirk, PpcTceRegs } from './declaration.ts'

/** POWER TCE tables. They are big-endian. */
export const ppcTce = readOnly(declare({ byteOrder: 'big' }))
