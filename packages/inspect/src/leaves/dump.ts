/** Dumps: all leaves below a root as merged runs, in the order of their input addresses. */

import { type LaneLeaf, laneNodes } from '@io-pgtable/core/compiled'
import type { Finding } from '../finding.ts'
import { passes, type RunFilter } from './filter.ts'
import { Inherited } from './inherited.ts'
import type { LeafTaker, WalkLimits } from './leaf-taker.ts'
import { LeafWalk } from './leaf-walk.ts'
import { LeafRun, OpenRun } from './run.ts'
import type { Tables } from './tables.ts'

export interface DumpOptions extends WalkLimits {
  readonly filter?: RunFilter
  /** Runs that are given before the dump ends, with a finding. Default {@link DEFAULT_LIMIT}. */
  readonly limit?: number
}

/** Runs that wait for `next`. */
const QUEUE = 64

/** Takes a run; it is valid until the function returns. False ends the dump. */
export type RunSink = (run: LeafRun) => boolean | undefined | void

export interface DumpResult {
  /** Runs given. */
  readonly runs: number
  /** Whether all that is mapped was looked at: no limit, and no sink, has ended it before. */
  readonly complete: boolean
  readonly findings: readonly Finding[]
}

/** Tables that share tables can say more than anybody reads. */
export const DEFAULT_LIMIT = 1_000_000

/**
 * A dump that goes on where it was: `run` may be called again after it threw, which is what `MemoryImage.loading` does.
 * Runs touch `first..last`; a leaf that reaches beyond what the root translates is cut there.
 */
export class LeafDump {
  readonly #walk: LeafWalk
  readonly #merger: Merger
  readonly #run: LeafRun
  readonly #options: DumpOptions
  readonly #tables: Tables
  #sink: RunSink = () => undefined
  #runs = 0
  #complete = true
  #queue: LeafRun[] = []

  constructor(tables: Tables, options: DumpOptions = {}) {
    this.#tables = tables
    this.#options = options
    this.#merger = new Merger(tables, () => this.#flush())
    this.#walk = new LeafWalk(tables, this.#merger, options)
    this.#run = new LeafRun(tables, this.#merger.open)
  }

  get findings(): readonly Finding[] {
    return this.#walk.findings.list
  }

  /** Whether a limit, or a sink, has ended it before its end. */
  get isStopped(): boolean {
    return this.#walk.isStopped
  }

  /** Tables that were read so far. */
  get tablesRead(): number {
    return this.#walk.tablesRead
  }

  /** Goes on to the end. @throws what reading throws; what the sink throws, and then it cannot go on */
  run(sink: RunSink): DumpResult {
    this.#sink = sink
    this.#walk.run()
    if (!this.#walk.isPaused) this.#flush()
    return { runs: this.#runs, complete: this.#complete && !this.#walk.isStopped, findings: this.findings }
  }

  /** The next run, which stays as it is; undefined at the end. In place of `run`. @throws what reading throws: calling it again goes on */
  next(): LeafRun | undefined {
    while (this.#queue.length === 0) {
      this.run((run) => {
        this.#queue.unshift(run.keep())
        if (this.#queue.length === QUEUE) this.#walk.pause()
      })
      if (!this.#walk.isPaused) break
    }
    return this.#queue.pop()
  }

  #flush(): void {
    const { open } = this.#merger
    if (open.count === 0 || !this.#complete) return
    const { filter, limit = DEFAULT_LIMIT } = this.#options
    const run = this.#run
    const wanted = filter === undefined || passes(filter, run)
    if (wanted && this.#runs >= limit) this.#limited(limit)
    else if (wanted) {
      this.#runs++
      if (this.#sink(run) === false) this.#end()
    }
    open.count = 0
  }

  #limited(limit: number): void {
    const message = `ended after ${limit} runs; there are more: give a range of addresses, or a higher limit`
    this.#walk.findings.add({ severity: 'warning', code: 'limit', place: this.#tables.name, message })
    this.#end()
  }

  #end(): void {
    this.#complete = false
    this.#walk.stop()
  }
}

/** Puts the leaves of a walk together, and says when a run is at its end. */
class Merger implements LeafTaker {
  readonly open: OpenRun
  readonly #flush: () => void
  /** Output addresses from here on end a walk. */
  readonly #limit: number

  constructor(tables: Tables, flush: () => void) {
    // An open run has a leaf from the beginning, so that its shape never changes; where nothing can be mapped it never begins
    this.open = new OpenRun(laneNodes(tables.geometry).anyLeaf() as LaneLeaf, Inherited.root(tables))
    this.#limit = 2 ** tables.geometry.oas
    this.#flush = flush
  }

  leaves(leaf: LaneLeaf, iova: number, paddr: number, count: number, lo: number, hi: number, inherited: Inherited): void {
    const { open } = this
    const limit = this.#limit
    if (paddr < limit && paddr + count * leaf.leafSize > limit && count > 1) {
      this.#split(leaf, iova, paddr, count, lo, hi, inherited)
      return
    }
    if ((paddr < limit || open.paddr >= limit) && open.joins(leaf, iova, paddr, count, lo, hi, inherited)) return
    if (open.count > 0) this.#flush()
    open.start(leaf, iova, paddr, count, lo, hi, inherited)
  }

  /** Leaves of which the last ones are beyond the output addresses. */
  #split(leaf: LaneLeaf, iova: number, paddr: number, count: number, lo: number, hi: number, inherited: Inherited): void {
    const within = Math.floor((this.#limit - paddr) / leaf.leafSize)
    this.leaves(leaf, iova, paddr, within, lo, hi, inherited)
    const bytes = within * leaf.leafSize
    this.leaves(leaf, iova + bytes, paddr + bytes, count - within, (lo + within * leaf.step) | 0, hi, inherited)
  }
}

/** Gives all runs to a sink. In a browser, over a Blob: `image.loading(() => dump.run(sink))` with a {@link LeafDump}. */
export function dumpLeaves(tables: Tables, sink: RunSink, options: DumpOptions = {}): DumpResult {
  return new LeafDump(tables, options).run(sink)
}
