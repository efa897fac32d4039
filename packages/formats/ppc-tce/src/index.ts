/** TCE tables of POWER, read: decoded, walked, dumped and checked. */
import { readOnly } from '@io-pgtable/core'
import { declare, type PpcTceFormat } from './declaration.ts'

export type { PpcTceConfig, PpcTceFormat, PpcTceParams, PpcTceQuirk, PpcTceRegs } from './declaration.ts'

/** POWER TCE tables. They are big-endian. */
export const ppcTce: PpcTceFormat = readOnly(declare({ byteOrder: 'big' }))
