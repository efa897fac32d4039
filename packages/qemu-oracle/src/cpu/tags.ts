/** What stands in RAM where mappings lead: a number that tells its own physical address, and code behind it. */

/** Places lie at multiples of this. */
export const PLACE_BYTES = 16n
/** From a place to the code. */
export const CODE_OFFSET = 8n
const SHIFT = 3n

/** Never zero. 32 bits tell 35 bits of address. */
export function tagOf(paddr: bigint): bigint {
  return (paddr >> SHIFT) + 1n
}

/** The address that a tag tells. */
export function taggedAddress(tag: bigint): bigint {
  return (tag - 1n) << SHIFT
}
