/** The bits of a page-table entry (Privileged Architecture, "Sv32, Addressing and Memory Protection"; Svnapot; Svpbmt). */
export const V: bigint = 1n << 0n
export const R: bigint = 1n << 1n
export const W: bigint = 1n << 2n
export const X: bigint = 1n << 3n
export const U: bigint = 1n << 4n
export const A: bigint = 1n << 6n
export const D: bigint = 1n << 7n
/** PBMT, bits 62:61: non-cacheable memory, and I/O. */
export const PBMT_NC: bigint = 1n << 61n
export const PBMT_IO: bigint = 2n << 61n
export const PBMT_MASK: bigint = 3n << 61n
export const N: bigint = 1n << 63n
/** The low PPN bits, which hold the size of a NAPOT range, and N with the one size that is not reserved: 1000, 64 KiB. */
export const NAPOT_MASK: bigint = 15n << 10n
export const NAPOT_64K: bigint = N | (8n << 10n)
