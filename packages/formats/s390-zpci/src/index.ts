/** DMA tables of PCI functions on IBM Z, read: decoded, walked, dumped and checked. */
import { readOnly } from '@io-pgtable/core'
import { declare } from './declaration.ts'

export type { S390ZpciConfig, S390ZpciParams, S390ZpciQuirk, S390ZpciRegs, S390ZpciVariant } from './declaration.ts'

/** IBM Z PCI. The tables are big-endian. */
export const s390Zpci = readOnly(declare({ byteOrder: 'big' }))
