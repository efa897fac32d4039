/** What the oracle tests need of an IOMMU, whichever it is. */
import type { TlbFlushOps } from '@io-pgtable/core'
import type { Machine } from '../machine/index.ts'
import type { Edu } from './edu.ts'

/** A record that the IOMMU made of an access that it refused. */
export interface Fault {
  /** The reason's code, as the manual numbers it. */
  readonly code: number
  /** The input address; the IOMMU may leave out the bits of the offset. */
  readonly address: bigint
  /** Requester id: bus, device, function. */
  readonly device: number
  /** Undefined where the record does not say it. */
  readonly write: boolean | undefined
}

/** Why an access is refused: nothing is mapped there, the mapping does not allow it, or the tables do not reach so far. */
export type Cause = 'unmapped' | 'denied' | 'beyond'

/** An IOMMU in a machine with one device behind it. */
export interface Iommu {
  readonly machine: Machine
  readonly edu: Edu
  /** The device's requester id. */
  readonly device: number
  /** Guest memory for page tables. */
  readonly tables: { readonly base: bigint; readonly size: number }
  /** Guest memory that mappings may point to. */
  readonly targets: PhysicalRange
  /** The model records a refusal where it walks, not where it finds the translation in its TLB: such probes begin with an empty one. */
  readonly recordsWalksAlone?: boolean
  /** The model ignores address bits that the tables do not reach. */
  readonly ignoresReach?: boolean
  /** Input addresses that are not translated. */
  readonly reserved?: readonly PhysicalRange[]
  /** A page that moves bytes in and out of the device's buffer. */
  readonly scratch: bigint
  /** Takes the records of faults since the last call. @throws (rejects) when the IOMMU has not consumed all commands, or reports one as wrong */
  faults(): Promise<readonly Fault[]>
}

export interface PhysicalRange {
  readonly first: bigint
  readonly last: bigint
}

/** One use of an IOMMU by page tables of a kind: the driver that owns the device's structures and invalidates. Everything is queued, in order. */
export interface Stage<R> {
  /** The driver's side of the engine's callbacks: they become the IOMMU's invalidation commands. */
  readonly tlb: TlbFlushOps & Required<Pick<TlbFlushOps, 'sync'>>
  /** Writes the registers of a table into the device's structures. What the IOMMU cached of translations stays. */
  point(regs: R): void
  /** Forgets all translations. */
  invalidateAll(): void
  /** The code of the record for an access, undefined where the IOMMU writes none. */
  code(cause: Cause, write: boolean): number | undefined
}
