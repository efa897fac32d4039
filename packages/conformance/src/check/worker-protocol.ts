/** What the concurrency laws and their workers say to one another. */
import type { TableToken } from '@io-pgtable/core'

/** One call, as plain data. */
export interface WorkerCall {
  readonly op: 'map' | 'unmap'
  readonly iova: bigint
  readonly paddr: bigint
  readonly pgsize: number
  readonly count: number
  readonly prot: number
  /** Bytes that the call must answer. */
  readonly bytes: number
}

export interface WorkerJob {
  /** Built code that exports the format. */
  readonly module: string
  readonly format: string
  readonly token: TableToken
  readonly calls: readonly WorkerCall[]
  /** Word 0: workers that are ready; they begin together when it is `workers`. Word 1: 1 lets a worker that waits in a callback go on. */
  readonly gate: Int32Array
  readonly workers: number
  /** Stop in the first `sync` hook, with the range held, until word 1 of the gate is set. */
  readonly pause: boolean
}

/** `paused`: the worker is inside a call, and holds its range. `done`: with what went wrong. */
export type WorkerAnswer = { readonly type: 'paused' } | { readonly type: 'done'; readonly problems: readonly string[] }
