/** What changed between two tables, as mappings: the sizes of blocks and pages, and where tables lie, are no mappings. */
import type { Prot } from '@io-pgtable/core'
import type { Finding } from '../finding.ts'
import { min } from '../minmax.ts'
import { type DumpOptions, LeafDump } from './dump.ts'
import type { LeafRun } from './run.ts'
import type { Tables } from './tables.ts'

/** One side of a change. */
export interface DiffSide {
  readonly paddr: bigint
  readonly prot: Prot
  readonly fields: Readonly<Record<string, number>>
  readonly leafSize: number
  readonly descriptor: bigint
}

/** Input addresses whose mapping is not the same; each side is what its first address is mapped to. */
export interface Change {
  readonly change: 'added' | 'removed' | 'changed'
  readonly iova: bigint
  /** Bytes. */
  readonly size: bigint
  readonly before?: DiffSide
  readonly after?: DiffSide
}

/** Takes a change. False ends the comparison. */
export type ChangeSink = (change: Change) => boolean | undefined | void

export interface DiffResult {
  readonly changes: number
  readonly complete: boolean
  /** Of both sides. */
  readonly findings: readonly Finding[]
}

/** Compares the mappings of two tables in the order of their input addresses. @throws what reading throws */
export function diffTables(before: Tables, after: Tables, sink: ChangeSink, options: DumpOptions = {}): DiffResult {
  return new TableDiff(before, after, options).run(sink)
}

/** The same, to be run again after a page miss: it goes on where it was. */
export class TableDiff {
  readonly #before: Side
  readonly #after: Side
  readonly #limit: number
  #changes = 0
  #pending: Change | undefined

  constructor(before: Tables, after: Tables, options: DumpOptions = {}) {
    this.#before = new Side(before, { ...options, limit: Number.POSITIVE_INFINITY })
    this.#after = new Side(after, { ...options, limit: Number.POSITIVE_INFINITY })
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY
  }

  run(sink: ChangeSink): DiffResult {
    let complete = true
    for (let change = this.#next(); complete && change !== undefined; change = complete ? this.#next() : undefined) {
      if (this.#changes >= this.#limit) complete = false
      else {
        this.#changes++
        complete = sink(change) !== false
      }
    }
    const isWhole = complete && !this.#before.dump.isStopped && !this.#after.dump.isStopped
    return { changes: this.#changes, complete: isWhole, findings: [...this.#before.dump.findings, ...this.#after.dump.findings] }
  }

  /** The next change; those that continue one another are one. */
  #next(): Change | undefined {
    for (let piece = this.#piece(); piece !== undefined; piece = this.#piece()) {
      const last = this.#pending
      if (last !== undefined && continues(last, piece)) this.#pending = { ...last, size: last.size + piece.size }
      else {
        this.#pending = piece
        if (last !== undefined) return last
      }
    }
    const last = this.#pending
    this.#pending = undefined
    return last
  }

  /** The next piece of input addresses in which both sides are one run each, or none, and differ. */
  #piece(): Change | undefined {
    for (;;) {
      const [a, b] = [this.#before.load(), this.#after.load()]
      if (a === undefined && b === undefined) return undefined
      if (a === undefined || (b !== undefined && b.iova < a.iova)) return this.#one('added', this.#after, a?.iova)
      if (b === undefined || a.iova < b.iova) return this.#one('removed', this.#before, b?.iova)
      const size = min(a.left, b.left)
      const change: Change = { change: 'changed', iova: a.iova, size, before: a.side(), after: b.side() }
      a.take(size)
      b.take(size)
      if (!alike(change)) return change
    }
  }

  #one(change: 'added' | 'removed', side: Side, until: bigint | undefined): Change {
    const { iova, left } = side
    const size = until === undefined || until - iova > left ? left : until - iova
    const what = side.side()
    side.take(size)
    return { change, iova, size, ...(change === 'added' ? { after: what } : { before: what }) }
  }
}

/** The runs of one side, and how much of the current one is used up. */
class Side {
  readonly dump: LeafDump
  #run: LeafRun | undefined
  #used = 0n
  constructor(tables: Tables, options: DumpOptions) {
    this.dump = new LeafDump(tables, options)
  }
  /** Itself, with a run; undefined at the end. */
  load(): Side | undefined {
    this.#run ??= this.dump.next()
    return this.#run === undefined ? undefined : this
  }
  get iova(): bigint {
    return (this.#run?.iova ?? 0n) + this.#used
  }
  get left(): bigint {
    return BigInt(this.#run?.size ?? 0) - this.#used
  }
  take(bytes: bigint): void {
    this.#used += bytes
    if (this.left > 0n) return
    this.#run = undefined
    this.#used = 0n
  }
  side(): DiffSide {
    const { paddr, prot, fields, leafSize, descriptor } = this.#run as LeafRun
    return { paddr: paddr + this.#used, prot, fields, leafSize, descriptor }
  }
}

/** Mapped to the same memory with the same rights, and equal in all fields that both kinds of leaf have. */
function alike({ before, after }: Change): boolean {
  if (before === undefined || after === undefined) return before === after
  return before.paddr === after.paddr && sameAttributes(before, after)
}

function sameAttributes(a: DiffSide, b: DiffSide): boolean {
  return a.prot === b.prot && Object.entries(a.fields).every(([name, value]) => (b.fields[name] ?? value) === value)
}

function continues(last: Change, next: Change): boolean {
  if (last.change !== next.change || last.iova + last.size !== next.iova) return false
  return goesOn(last.before, next.before, last.size) && goesOn(last.after, next.after, last.size)
}

function goesOn(last: DiffSide | undefined, next: DiffSide | undefined, size: bigint): boolean {
  if (last === undefined || next === undefined) return last === next
  return last.paddr + size === next.paddr && last.leafSize === next.leafSize && sameAttributes(last, next)
}
