/** What Linux means by entries that are not valid: its documented layout of software bits (arm64, swap entries and PROT_NONE). */
import { hex, ones } from '@io-pgtable/core'

const ADDRESS = ones(47, 12)
/** Bit 11 (nG) with the valid bit clear, from 6.11 on; bit 58 before. */
const PROT_NONE = [1n << 11n, 1n << 58n]

export function linuxOf(raw: bigint): string | undefined {
  if (raw === 0n) return undefined
  const page = hex(raw & ADDRESS)
  if (PROT_NONE.some((bit) => (raw & bit) !== 0n) && (raw & (1n << 10n)) !== 0n)
    return `PROT_NONE: mapped, and no access is let through; the page is still at ${page}`
  if ((raw & (1n << 10n)) !== 0n && (raw & 3n) === 0n)
    return `memory that was taken out of the linear map: with its valid bit it would be at ${page}`
  return (raw & 3n) === 0n
    ? 'a swap entry, or one of migration, poisoned or device memory: the page is not at an address that it holds'
    : undefined
}
