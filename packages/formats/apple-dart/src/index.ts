/**
 * Apple DART, the descriptors of T8020 and its kin (A-series SoCs, the M1's T8103): output addresses of 36 bits in their own place,
 * permissions inverted, sub-page protection optional. Apple publishes no manual; see `@io-pgtable/apple-dart-common`.
 */
import { type DartFormat, dartFormat } from '@io-pgtable/apple-dart-common'
import { field, Prot } from '@io-pgtable/core'

export type { DartConfig, DartHardware, DartParams, DartQuirk, DartRegs } from '@io-pgtable/apple-dart-common'

const SP_DIS = 1n << 1n
const NO_WRITE = 1n << 7n
const NO_READ = 1n << 8n

export const appleDart: DartFormat = dartFormat({
  format: 'apple-dart',
  title: 'Apple DART',
  // T8020: VALID 31, address 23:0 by 4K
  ttbr: { valid: 1n << 31n, address: [[23, 0, 12]] },
  paddrBits: 36,
  missing: 0x3f0_0000_0000n,
  address: [[35, 12, 12]],
  tableAlign: 4096,
  fields: [
    field('SP_DIS', 1, 1, 'sub-page protection is off: the whole page may be accessed, whatever SP_START and SP_END say'),
    field('NO_WRITE', 7, 7, 'writes are not allowed'),
    field('NO_READ', 8, 8, 'reads are not allowed'),
  ],
  encode: (prot) => SP_DIS | (prot & Prot.WRITE ? 0n : NO_WRITE) | (prot & Prot.READ ? 0n : NO_READ),
  decode: (raw) => (raw & NO_READ ? 0 : Prot.READ) | (raw & NO_WRITE ? 0 : Prot.WRITE),
})
