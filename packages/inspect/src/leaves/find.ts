/** The other way round: which input addresses reach a physical one. */
import { type DumpOptions, type DumpResult, LeafDump } from './dump.ts'
import type { LeafRun } from './run.ts'
import type { Tables } from './tables.ts'

export interface PaddrHit {
  readonly iova: bigint
  /** The run that maps it; valid until the sink returns. */
  readonly run: LeafRun
}

/** Takes a hit. False ends the search. */
export type HitSink = (hit: PaddrHit) => boolean | undefined | void

/** Gives every input address that reaches `paddr`, in their order. A range, a filter and a limit hold as in a dump. */
export function findPaddr(tables: Tables, paddr: bigint, sink: HitSink, options: DumpOptions = {}): DumpResult {
  return new PaddrSearch(tables, paddr, options).run(sink)
}

/** The same, to be run again after a page miss: `image.loading(() => search.run(sink))`. */
export class PaddrSearch {
  readonly #paddr: bigint
  readonly #dump: LeafDump

  constructor(tables: Tables, paddr: bigint, options: DumpOptions = {}) {
    this.#paddr = paddr
    this.#dump = new LeafDump(tables, { ...options, filter: { ...options.filter, paddrFirst: paddr, paddrLast: paddr } })
  }

  run(sink: HitSink): DumpResult {
    return this.#dump.run((run) => sink({ iova: run.iova + (this.#paddr - run.paddr), run }))
  }
}
