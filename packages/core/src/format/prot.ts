/** Access permissions and attributes of a mapping: the values of Linux's `IOMMU_*` flags (linux/iommu.h). */

/** Flags that `mapPages` takes, OR-ed together. */
export const Prot = {
  /** The device may read. */
  READ: 1,
  /** The device may write. */
  WRITE: 2,
  /** DMA is cache coherent: the mapping is cacheable. */
  CACHE: 4,
  /** The device may not fetch instructions. */
  NOEXEC: 8,
  /** Memory-mapped I/O: the mapping has a device memory type. */
  MMIO: 16,
  /** Only privileged accesses of the device are allowed. */
  PRIV: 32,
} as const

/** The name of one {@link Prot} flag. */
export type ProtName = keyof typeof Prot

/**
 * An OR of {@link Prot} flags: an integer below 64. What these cannot say (a PAT index, an aperture), a format has as attributes of its own,
 * from bit 6 on: its package makes them, see {@link protWith}.
 */
export type Prot = number

/** All values of {@link Prot} without attributes of a format's own are below this. */
export const PROT_LIMIT = 64

/** Bits that the attributes of a format's own may have. */
export const ATTRIBUTE_BITS = 8

/** `flags`, and attributes of a format's own: the number that its package gives them. */
export function protWith(flags: Prot, attributes: number): Prot {
  return flags | (attributes << 6)
}

/** The attributes of a format's own in a prot. */
export function attributesIn(prot: Prot): number {
  return prot >>> 6
}

/** Prots of a leaf kind are below this. */
export function protLimit({ attributeBits = 0 }: { readonly attributeBits?: number }): number {
  return PROT_LIMIT << attributeBits
}

const NAMES = Object.keys(Prot) as ProtName[]

/** The flags of `prot` by name, in the order of their bits. */
export function protNames(prot: Prot): ProtName[] {
  return NAMES.filter((name) => (prot & Prot[name]) !== 0)
}

/** The inverse of {@link protNames}. */
export function protOf(names: readonly ProtName[]): Prot {
  return names.reduce((prot, name) => prot | Prot[name], 0)
}
