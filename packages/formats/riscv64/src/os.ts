/** What Linux means by entries that are not valid: its documented layout of software bits (riscv). */
import { hex } from '@io-pgtable/core'

/** The bit of global pages, with V clear. */
const PROT_NONE = 1n << 5n

export function linuxOf(raw: bigint): string | undefined {
  if (raw === 0n) return undefined
  if ((raw & PROT_NONE) !== 0n)
    return `PROT_NONE: mapped, and no access is let through; the page is still at ${hex(((raw >> 10n) & ((1n << 44n) - 1n)) << 12n)}`
  const type = Number((raw >> 7n) & 31n)
  const what = type >= 24 ? 'migration, poisoned or device memory' : 'swapped out'
  return `a swap entry: type ${type} (${what}), offset ${hex(raw >> 12n)}`
}
