/** What changed between two tables, as mappings: the sizes of blocks and pages, and where tables lie, are no mappings. */
import type { Parties, Prot, Rights, WalkFault } from '@io-pgtable/core'
import { type Finding, Findings } from '../finding.ts'
import { min } from '../minmax.ts'
import { DEFAULT_LIMIT, type DumpOptions, LeafDump } from './dump.ts'
import type { RunFilter } from './filter.ts'
import type { WalkLimits } from './leaf-taker.ts'
import type { LeafRun } from './run.ts'
import type { Tables } from './tables.ts'

/** One side of a change. */
export interface DiffSide {
  readonly paddr: bigint
  readonly prot: Prot
  /** Over the path, after the regime's registers. */
  readonly rights: Rights
  readonly parties: Parties
  readonly fault?: WalkFault
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
  /** Of both sides, and what has ended the comparison. */
  readonly findings: readonly Finding[]
}

export interface DiffOptions extends WalkLimits {
  readonly filter?: RunFilter
  /** Changes that are given before the comparison ends, with a finding. Default {@link DEFAULT_LIMIT}. */
  readonly limit?: number
  /** Pieces of input addresses that are compared before it ends, with a finding; those that differ in a bit count for 4. Default 2^22. */
  readonly pieces?: number
}

/** Tables that share tables can have more runs than anybody waits for. */
const PIECES = 2 ** 22
/** A piece of which the bits differ: its fields are compared. */
const DIFFERENT = 4

/** Compares the mappings of two tables in the order of their input addresses. @throws what reading throws */
export function diffTables(before: Tables, after: Tables, sink: ChangeSink, options: DiffOptions = {}): DiffResult {
  return new TableDiff(before, after, options).run(sink)
}

/** The same, to be run again after a page miss: it goes on where it was. */
export class TableDiff {
  readonly #before: Side
  readonly #after: Side
  readonly #limit: number
  readonly #findings: Findings = new Findings()
  readonly #place: string
  #pieces: number
  #changes = 0
  #pending: Change | undefined
  #complete = true
  /** Whether equal bits mean the same on both sides: the registers give them a meaning. */
  readonly #sameMeaning: boolean

  constructor(before: Tables, after: Tables, options: DiffOptions = {}) {
    this.#place = after.name
    this.#sameMeaning = before.format === after.format && meaning(before) === meaning(after)
    this.#pieces = options.pieces ?? PIECES
    this.#before = new Side(before, { ...options, limit: Number.POSITIVE_INFINITY })
    this.#after = new Side(after, { ...options, limit: Number.POSITIVE_INFINITY })
    this.#limit = options.limit ?? DEFAULT_LIMIT
  }

  run(sink: ChangeSink): DiffResult {
    for (let change = this.#next(); change !== undefined; change = this.#next()) {
      if (this.#changes >= this.#limit) this.#end('warning', 'limit', `ended after ${this.#limit} changes; there are more`)
      else {
        this.#changes++
        if (sink(change) === false) this.#complete = false
      }
      if (!this.#complete) break
    }
    const [a, b] = [this.#before.dump, this.#after.dump]
    const findings = [...a.findings, ...b.findings, ...this.#findings.list]
    return { changes: this.#changes, complete: this.#complete && !a.isStopped && !b.isStopped, findings }
  }

  #end(severity: 'warning' | 'error', code: string, what: string): void {
    this.#complete = false
    this.#findings.add({ severity, code, place: this.#place, message: `${what}: give a range of addresses, or a higher limit` })
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
      if (this.#pieces-- <= 0) {
        if (this.#complete) this.#end('error', 'work-limit', 'ended: tables that are reached in many ways would go on')
        return undefined
      }
      if (a === undefined || (b !== undefined && b.iova < a.iova)) return this.#one('added', this.#after, a?.iova)
      if (b === undefined || a.iova < b.iova) return this.#one('removed', this.#before, b?.iova)
      const size = min(a.left, b.left)
      if (this.#sameMeaning && a.equals(b)) {
        a.take(size)
        b.take(size)
        continue
      }
      this.#pieces -= DIFFERENT - 1
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
  /** Whether what is left of both runs begins at the same memory, with the same bits. */
  equals(other: Side): boolean {
    const [a, b] = [this.#run as LeafRun, other.#run as LeafRun]
    return a.paddr + this.#used === b.paddr + other.#used && a.hasBitsOf(b)
  }
  side(): DiffSide {
    const { paddr, prot, rights, parties, fault, fields, leafSize, descriptor } = this.#run as LeafRun
    return { paddr: paddr + this.#used, prot, rights, parties, ...(fault && { fault }), fields, leafSize, descriptor }
  }
}

function meaning({ context }: Tables): string {
  return JSON.stringify(context, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? ''
}

/** Mapped to the same memory with the same rights, and equal in all fields that both kinds of leaf have. */
function alike({ before, after }: Change): boolean {
  if (before === undefined || after === undefined) return before === after
  return before.paddr === after.paddr && sameAttributes(before, after)
}

function sameAttributes(a: DiffSide, b: DiffSide): boolean {
  if (a.prot !== b.prot || a.rights !== b.rights || a.fault?.type !== b.fault?.type) return false
  return Object.entries(a.fields).every(([name, value]) => (b.fields[name] ?? value) === value)
}

function continues(last: Change, next: Change): boolean {
  if (last.change !== next.change || last.iova + last.size !== next.iova) return false
  return goesOn(last.before, next.before, last.size) && goesOn(last.after, next.after, last.size)
}

function goesOn(last: DiffSide | undefined, next: DiffSide | undefined, size: bigint): boolean {
  if (last === undefined || next === undefined) return last === next
  return last.paddr + size === next.paddr && last.leafSize === next.leafSize && sameAttributes(last, next)
}
