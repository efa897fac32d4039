/** Attribute bits of a leaf, both ways, and how such tables are changed. */
import { type Policy, Prot, when } from '@io-pgtable/core'
import type { X86Context } from './context.ts'

const RW = 1n << 1n
const US = 1n << 2n
const PWT = 1n << 3n
const PCD = 1n << 4n
const D = 1n << 6n
const XD = 1n << 63n

/** Ranges, conflicts and unmaps as Linux's generic_pt has them. */
export const X86_POLICY: Policy = {
  conflict: 'entry',
  freeTables: 'covered',
  flushOrder: 'range',
  addPagesWithoutGather: false,
  dirty: { dirty: when(D, D), clear: D, set: 0n },
}

/** What is present can be read. A page that may be written is dirty: D goes with it, as `dirty` of the policy clears it. */
export function x86LeafBits(prot: Prot): bigint {
  return (
    (prot & Prot.WRITE ? RW | D : 0n) | (prot & Prot.PRIV ? 0n : US) | (prot & Prot.NOEXEC ? XD : 0n) | (prot & Prot.MMIO ? PCD | PWT : 0n)
  )
}

/** Memory types of the PAT: uncacheable, and uncached unless an MTRR says write-combining; write-through, write-protected, write-back. */
const UNCACHEABLE = [0n, 7n]
const CACHED = [4n, 5n, 6n]

/**
 * @param pat which bit of the entry is PAT
 * @param encrypted whether the C-bit of a machine that has one is set: memory that is not encrypted though memory is, is told as MMIO
 */
export function x86Prot(raw: bigint, pat: bigint, context: X86Context, encrypted = true): Prot {
  const index = ((raw >> pat) & 1n) * 4n + ((raw >> 3n) & 3n)
  const type = (context.pat >> (index * 8n)) & 7n
  const device = UNCACHEABLE.includes(type) || !encrypted
  return (
    Prot.READ |
    (raw & RW ? Prot.WRITE : 0) |
    (raw & US ? 0 : Prot.PRIV) |
    (raw & XD ? Prot.NOEXEC : 0) |
    (device ? Prot.MMIO : CACHED.includes(type) ? Prot.CACHE : 0)
  )
}
