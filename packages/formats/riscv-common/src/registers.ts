/**
 * satp, vsatp and hgatp of RV64 (Privileged Architecture, "Supervisor Address Translation and Protection Register", "Hypervisor Guest
 * Address Translation and Protection Register"), iosatp and iohgatp of the IOMMU (RISC-V IOMMU Architecture Specification 1.0.1,
 * 3.1.3: device context): MODE 63:60, an address space in 59:44, PPN 43:0.
 */

/** MODE, and what it points to. */
export interface RiscvAtp {
  /** 0 is Bare: no translation. */
  readonly mode: number
  /** PPN of the root: its physical address / 4096. */
  readonly ppn: bigint
}

/** The register for a root at this physical address; ASID, VMID and GSCID are 0. */
export function packAtp(mode: number, root: bigint): bigint {
  return (BigInt(mode) << 60n) | (root >> 12n)
}

/** The inverse of {@link packAtp}; the address space is left out. */
export function unpackAtp(value: bigint): RiscvAtp {
  return { mode: Number(value >> 60n), ppn: value & ((1n << 44n) - 1n) }
}
