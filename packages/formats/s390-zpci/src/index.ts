/** DMA tables of PCI functions on IBM Z, read: decoded, walked, dumped and checked. */
import { readOnly } from '@io-pgtable/core'
import { declare, type S390ZpciFormat } from './declaration.ts'

export type { S390ZpciConfig, S390ZpciFormat, S390ZpciParams, S390ZpciQuirk, S390ZpciRegs, S390ZpciVariant } from './declaration.ts'

/** IBM Z PCI. The tables are big-endian. */
export const s390Zpci: S390ZpciFormat = readOnly(declare({ byteOrder: 'big' }))
