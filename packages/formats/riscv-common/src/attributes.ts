/** Attribute bits of leaves, both ways, and how tables of these formats are changed. */
import { type Policy, Prot, when } from '@io-pgtable/core'
import { D, PBMT_IO, PBMT_MASK, PBMT_NC, R, U, W, X } from './bits.ts'

export interface RiscvLeafOptions {
  /** Svpbmt is there and used: MMIO is I/O, and what is not CACHE is non-cacheable memory. */
  readonly pbmt: boolean
  /** PRIV gives pages of supervisor mode (no U); without it every page is one of user mode, as Linux maps for devices. */
  readonly supervisor: boolean
}

/**
 * The attribute bits of a leaf. R and A are not among them, since every leaf that we write has them: write-only is reserved, and A = 0 may
 * fault. D goes with W, since a write with D = 0 may fault.
 */
export function riscvLeafBits(prot: Prot, { pbmt, supervisor }: RiscvLeafOptions): bigint {
  const type = !pbmt ? 0n : prot & Prot.MMIO ? PBMT_IO : prot & Prot.CACHE ? 0n : PBMT_NC
  return (prot & Prot.WRITE ? W | D : 0n) | (prot & Prot.NOEXEC ? 0n : X) | (supervisor && prot & Prot.PRIV ? 0n : U) | type
}

/**
 * What a leaf grants. A shadow stack page (W without R and X) may be read. Without Svpbmt the entry does not know its memory type, and
 * CACHE is not told.
 */
export function riscvProt(raw: bigint, pbmt: boolean): Prot {
  const shadow = (raw & (R | W | X)) === W
  const type = raw & PBMT_MASK
  return (
    (raw & R || shadow ? Prot.READ : 0) |
    (raw & W && !shadow ? Prot.WRITE : 0) |
    (raw & X ? 0 : Prot.NOEXEC) |
    (raw & U ? 0 : Prot.PRIV) |
    (pbmt && type === PBMT_IO ? Prot.MMIO : 0) |
    (pbmt && type === 0n ? Prot.CACHE : 0)
  )
}

/** As Linux's generic_pt changes them. Dirty tracking: hardware, or we, set D. */
export const RISCV_POLICY: Policy = {
  conflict: 'entry',
  freeTables: 'covered',
  flushOrder: 'range',
  addPagesWithoutGather: false,
  dirty: { dirty: when(D, D), clear: D, set: 0n },
}
