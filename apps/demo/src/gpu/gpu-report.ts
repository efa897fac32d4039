/** What a scenario on the GPU comes to: plain data, as text and as JSON. */
import type { Prot } from '@io-pgtable/core'
import type { FlushCounts } from '../flush-count.ts'
import type { Check } from '../report.ts'
import type { FaultReport } from './fault.ts'
import type { FirmwareCounts } from './firmware.ts'
import type { Command } from './job.ts'
import type { TreeLine } from './tree.ts'

/** A step of a scenario on the GPU. */
export interface GpuStepReport {
  readonly number: number
  readonly op: string
  readonly vm: string | undefined
  readonly buffer: string | undefined
  readonly at: bigint | undefined
  readonly size: bigint | undefined
  readonly prot: Prot | undefined
  readonly commands: readonly Command[] | undefined
  readonly note: string | undefined
  /** The steps of each plan that was applied. */
  readonly plans: readonly (readonly string[])[]
  /** `done`, the code of an error, or how a job ended. */
  readonly outcome: string
  readonly asExpected: boolean
  readonly message: string | undefined
  /** Faults of a job, and the steps that fixed each. */
  readonly faults: readonly (FaultReport & { readonly fix: readonly string[] | undefined })[]
  readonly flushes: number
  /** Each VM's VA space after it. */
  readonly bars: readonly { readonly vm: string; readonly cells: string }[]
}

/** A scenario on the GPU, for one format. */
export interface GpuReport {
  readonly scenario: { readonly name: string; readonly about: string }
  readonly format: string
  readonly title: string
  readonly ias: number
  readonly oas: number
  readonly pageSizes: readonly number[]
  /** The letter of each buffer in the bars. */
  readonly letters: Readonly<Record<string, string>>
  readonly vms: readonly { readonly name: string; readonly start: bigint; readonly range: bigint }[]
  readonly steps: readonly GpuStepReport[]
  readonly tree: readonly { readonly vm: string; readonly lines: readonly TreeLine[] }[]
  readonly totals: FirmwareCounts & {
    readonly requests: number
    readonly steps: number
    readonly refused: number
    /** Blocks that were split for a boundary. */
    readonly cuts: number
    /** Bytes whose descriptors stayed although their mapping was replaced. */
    readonly keptBytes: number
    readonly faults: number
    readonly tables: number
    readonly tableBytes: number
    readonly peakBytes: number
    /** What invalidation by address would have taken. */
    readonly byAddress: FlushCounts
    readonly tlbHits: number
    readonly tlbWalks: number
    readonly stalls: number
    /** Comparisons with the models of the VMs, and the pages mapped in them. */
    readonly comparisons: number
    readonly compared: number
  }
  /** The first differences from the model, and how many there are. */
  readonly differences: readonly string[]
  readonly differing: number
  readonly afterUnbind: string
  readonly leakedBytes: number
  readonly checks: readonly Check[]
}
