/**
 * Apple DART, the descriptors of T6000 (M1 Pro, Max, Ultra) and T8110 (M2 and later): output addresses of 42 bits that stand four bits
 * lower than they are (PA[41:14] in bits 37:10), permissions inverted, sub-page protection always on, a bit for uncached mappings.
 * Apple publishes no manual; see `@io-pgtable/apple-dart-common`.
 */
import { type DartFormat, dartFormat } from '@io-pgtable/apple-dart-common'
import { field, meaning, Prot } from '@io-pgtable/core'

export type { DartConfig, DartHardware, DartParams, DartQuirk, DartRegs } from '@io-pgtable/apple-dart-common'

const NO_CACHE = 1n << 1n
const NO_WRITE = 1n << 2n
const NO_READ = 1n << 3n

export const appleDart2: DartFormat = dartFormat({
  format: 'apple-dart2',
  title: 'Apple DART, shifted addresses',
  // T8110: VALID 0, address 31:2 by 16K
  ttbr: { valid: 1n, address: [[31, 2, 14]] },
  paddrBits: 42,
  missing: 0x3000n,
  address: [[37, 10, 14]],
  tableAlign: 16384,
  fields: [
    field('NO_CACHE', 1, 1, 'accesses are not cached (display controllers)'),
    field('NO_WRITE', 2, 2, 'writes are not allowed'),
    field('NO_READ', 3, 3, 'reads are not allowed'),
  ],
  memory: meaning(['NO_CACHE'], ({ NO_CACHE: uncached }) =>
    uncached ? { name: 'not cached', caching: 'uncached' } : { name: 'cached', caching: 'cached' },
  ),
  encode: (prot) => (prot & Prot.CACHE ? 0n : NO_CACHE) | (prot & Prot.WRITE ? 0n : NO_WRITE) | (prot & Prot.READ ? 0n : NO_READ),
  decode: (raw) => (raw & NO_READ ? 0 : Prot.READ) | (raw & NO_WRITE ? 0 : Prot.WRITE) | (raw & NO_CACHE ? 0 : Prot.CACHE),
})
