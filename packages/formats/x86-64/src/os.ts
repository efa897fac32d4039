/** What Linux means by entries that are not present: its documented layout of software bits (x86-64, with the inversion against L1TF). */
import { hex, ones } from '@io-pgtable/core'

const ADDRESS = ones(51, 12)
/** The bit of global pages, with P clear. */
const PROT_NONE = 1n << 8n

export function linuxOf(raw: bigint): string | undefined {
  if (raw === 0n) return undefined
  if ((raw & PROT_NONE) !== 0n && (raw & ones(7, 5)) !== 0n)
    return `PROT_NONE: mapped, and no access is let through; the page is at ${hex(~raw & ADDRESS)} (its address bits are inverted), or at ${hex(raw & ADDRESS)} where they are not`
  const type = Number((raw >> 59n) & 31n)
  const what = type >= 24 ? 'migration, poisoned or device memory' : 'swapped out'
  return `a swap entry: type ${type} (${what}), offset ${hex((~raw & ones(58, 9)) >> 9n)}`
}
