/** Page sizes, and the bitmap of them that io-pgtable configurations carry. */
import { IoPgtableError } from '../errors.ts'

export const SZ_4K = 0x1000
export const SZ_16K = 0x4000
export const SZ_64K = 0x1_0000
export const SZ_1M = 0x10_0000
export const SZ_2M = 0x20_0000
export const SZ_16M = 0x100_0000
export const SZ_32M = 0x200_0000
export const SZ_512M = 0x2000_0000
export const SZ_1G = 0x4000_0000
export const SZ_64G = 0x10_0000_0000
export const SZ_512G = 0x80_0000_0000
export const SZ_4T = 0x400_0000_0000

/**
 * The bitmap of page sizes: bit n stands for a page of 2^n bytes, as `pgsize_bitmap` of Linux's io-pgtable.
 * A bigint, since `|` on numbers breaks at 2^31.
 * @throws `EINVAL` when a size is not a power of two.
 */
export function pgsizeBitmap(...sizes: readonly number[]): bigint {
  let bitmap = 0n
  for (const size of sizes) {
    if (!isPowerOfTwo(size)) throw new IoPgtableError('EINVAL', 'pgsizeBitmap', `page size ${size} is not a power of two`, { value: size })
    bitmap |= BigInt(size)
  }
  return bitmap
}

/** The page sizes of a bitmap in bytes, smallest first. Sizes of 2^53 and more are not numbers and are left out. */
export function pageSizes(bitmap: bigint): number[] {
  const sizes: number[] = []
  for (let lg = 0; lg < 53; lg++) if ((bitmap >> BigInt(lg)) & 1n) sizes.push(2 ** lg)
  return sizes
}

/** Whether `value` is a power of two that a number holds exactly. */
export function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value))
}
