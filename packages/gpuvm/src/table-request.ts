/** One request at work on the tables: what its steps change, noted as it goes, so that it can be put back. */
import { type AddressRange, hex, type IoPageTable, IoPgtableError, type IotlbGather, nodeOf, type Prot } from '@io-pgtable/core'
import { type Boundary, boundariesOf, type Changes, clustersOf, joinPieces, type Piece } from './changes.ts'
import { type Backing, leafAt, mapPiece, type SparseBacking, unmapHoley } from './tables.ts'
import type { GpuBo } from './va.ts'

/** Running totals of an address space. */
export interface AddressSpaceStats {
  /** Requests, those that failed included. */
  requests: number
  /** Steps of requests that succeeded. */
  steps: number
  /** Gathers that were synced: at most one a request, and one more for a rollback. */
  flushes: number
  /** Blocks that were cut for a boundary. */
  cuts: number
  rollbacks: number
  /** Bytes whose descriptors stayed, thanks to `keep`. */
  kept: bigint
}

/** What requests work on. */
export interface Target<O extends GpuBo> {
  readonly table: IoPageTable
  readonly backing: Backing<O>
  readonly sparse: SparseBacking | undefined
  readonly prot: (flags: number) => Prot
  readonly lock: ((range: AddressRange) => void) | undefined
  readonly unlock: ((range: AddressRange) => void) | undefined
  readonly gather: IotlbGather
  readonly stats: AddressSpaceStats
  /** What rollbacks could not put back. */
  lost: Piece<O>[]
}

/** A piece of which the first `bytes` were changed, or may have been. */
interface Change<O extends GpuBo> {
  readonly piece: Piece<O>
  bytes: number
}

/** Where a request is at work: what it maps, or takes away, from an address on. */
export interface Place<O extends GpuBo> extends Piece<O> {
  readonly mapping: boolean
}

export class TableRequest<O extends GpuBo> {
  readonly #target: Target<O>
  readonly #changes: Changes<O>
  readonly #unmapped: Change<O>[] = []
  readonly #mapped: Change<O>[] = []
  /** What is to be unmapped next, all in one range. */
  readonly #run: Piece<O>[] = []
  #locked: readonly AddressRange[] = []
  #place: Place<O> | undefined = undefined

  constructor(target: Target<O>, changes: Changes<O>) {
    this.#target = target
    this.#changes = changes
  }

  /** Where it stopped. */
  get place(): Place<O> | undefined {
    return this.#place
  }

  /** Locks what will change, and makes the boundaries: what can run out of memory first comes before any translation changes. */
  begin(): void {
    const { lock, stats } = this.#target
    stats.requests++
    repair(this.#target)
    flush(this.#target)
    const cuts = this.#cuts()
    const ranges = clustersOf(
      this.#changes,
      cuts.map(({ leaf }) => leaf),
    )
    for (const [i, range] of ranges.entries()) {
      lock?.(range)
      this.#locked = ranges.slice(0, i + 1)
    }
    for (const cut of cuts) this.#cut(cut)
  }

  /** The one flush comes between what goes and what comes: an address never changes from one translation to another without it. */
  end(): void {
    const { stats } = this.#target
    const { removals, additions, kept, steps } = this.#changes
    for (const piece of removals) this.#remove(piece)
    this.#unmapRun()
    this.#place = undefined
    flush(this.#target)
    for (const piece of joinPieces(additions)) this.#map(piece)
    this.#place = undefined
    this.#unlock()
    stats.steps += steps
    stats.kept += kept
  }

  /** Puts everything back. @throws `EFAULT` when that is not possible */
  abort(cause: unknown): void {
    const target = this.#target
    target.stats.rollbacks++
    for (const { piece, bytes } of [...this.#mapped, ...this.#unmapped])
      quietly(() => unmapHoley(target.table, piece.addr, bytes, target.gather))
    quietly(() => this.#trim())
    quietly(() => flush(target))
    const gone = this.#unmapped.filter(({ bytes }) => bytes > 0).map(({ piece, bytes }) => ({ ...piece, range: BigInt(bytes) }))
    // joined as they were unmapped: a part of a leaf would need a table
    const lost = joinPieces(gone).filter((piece) => !quietly(() => mapPiece(target, piece, () => {})))
    quietly(() => this.#unlock())
    target.lost = [...target.lost, ...lost]
    if (lost[0] !== undefined) throw incomplete('rollback', lost[0], cause)
  }

  /** The leaves that hold both what goes and what stays. Not only remaps need a boundary: a mapping split with `keep` shares its leaf. */
  #cuts(): (Boundary<O> & { leaf: AddressRange })[] {
    return boundariesOf(this.#changes).flatMap((boundary) => {
      const { at } = boundary
      const leaf = leafAt(this.#target.table, at)
      return leaf === undefined || leaf.iova === at
        ? []
        : [{ ...boundary, leaf: { first: leaf.iova, last: leaf.iova + BigInt(leaf.size) - 1n } }]
    })
  }

  #cut({ at, piece }: Boundary<O>): void {
    const { table, gather, stats } = this.#target
    this.#place = { ...piece, addr: at, mapping: false }
    if (table.cut(at, gather)) stats.cuts++
  }

  /** Neighbours are unmapped together: they may share a leaf. */
  #remove(piece: Piece<O>): void {
    const last = this.#run.at(-1)
    if (last !== undefined && last.addr + last.range !== piece.addr) this.#unmapRun()
    this.#run.push(piece)
  }

  #unmapRun(): void {
    const [first] = this.#run
    if (first === undefined) return
    const { table, gather } = this.#target
    this.#place = { ...first, mapping: false }
    const changes = this.#run.splice(0).map((piece) => ({ piece, bytes: Number(piece.range) }))
    const wanted = changes.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#unmapped.push(...changes)
    const done = table.unmapRange(first.addr, wanted, gather)
    if (done === wanted) return
    let left = done
    for (const change of changes) {
      change.bytes = Math.min(change.bytes, left)
      left -= change.bytes
    }
    const hole = first.addr + BigInt(done)
    throw new IoPgtableError('EFAULT', 'unmap', `nothing is unmapped at ${hex(hole)}: the table is not as the VA space says`, {
      value: hole,
    })
  }

  #map(piece: Piece<O>): void {
    const change = { piece, bytes: 0 }
    this.#mapped.push(change)
    mapPiece(this.#target, piece, (bytes) => {
      change.bytes = bytes
      this.#place = { ...piece, addr: piece.addr + BigInt(bytes), mapping: true }
    })
  }

  /** Frees the tables that were made for what is gone again. They may reach over the range, up to what an entry of the root translates. */
  #trim(): void {
    const { table, gather } = this.#target
    const { geometry } = table
    const span = 1n << BigInt(nodeOf(geometry, geometry.top).shift)
    const ranges = this.#mapped.map(({ piece: { addr, range } }) => ({ first: addr, last: addr + range - 1n }))
    for (const { first, last } of ranges) table.trim({ first: first - (first % span), last: last - (last % span) + span - 1n }, gather)
  }

  #unlock(): void {
    const ranges = this.#locked
    this.#locked = []
    for (const range of ranges) this.#target.unlock?.(range)
  }
}

/** Syncs the gather, if anything is in it. */
export function flush<O extends GpuBo>({ gather, stats }: Target<O>): void {
  if (gather.empty && gather.pendingTables === 0) return
  gather.sync()
  stats.flushes++
}

/** Maps again what rollbacks could not. @throws `EFAULT` when it still fails */
export function repair<O extends GpuBo>(target: Target<O>): void {
  for (let piece = target.lost[0]; piece !== undefined; piece = target.lost[0]) {
    try {
      unmapHoley(target.table, piece.addr, Number(piece.range), target.gather)
      flush(target)
      mapPiece(target, piece, () => {})
    } catch (cause) {
      throw incomplete('repair', piece, cause)
    }
    target.lost.shift()
  }
}

function incomplete<O extends GpuBo>(op: string, { addr, range, va }: Piece<O>, cause: unknown): IoPgtableError {
  const text = `${hex(range)} bytes of ${va.bo.name} at ${hex(addr)} could not be mapped again: the device faults there until repair()`
  return new IoPgtableError('EFAULT', op, text, { value: addr, cause })
}

/** Whether it did not throw: in a rollback, what throws must not keep the rest from being put back. */
function quietly(run: () => void): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}
