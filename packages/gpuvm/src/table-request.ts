/** One request at work on the tables: what its steps change, noted as it goes, so that it can be put back. */
import { type AddressRange, hex, type IoPageTable, IoPgtableError, type IotlbGather, nodeOf, type Prot } from '@io-pgtable/core'
import { additionsOf, boundariesOf, hullOf, joined, joinPieces, keptOf, type Piece, removalOf } from './pieces.ts'
import type { GpuVmOps, GpuVmPlan, MapStep, RemapStep, UnmapStep } from './plan.ts'
import { type Backing, leafAt, mapPiece, unmapHoley } from './tables.ts'
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

export class TableRequest<O extends GpuBo> implements GpuVmOps<O> {
  readonly #target: Target<O>
  readonly #plan: GpuVmPlan<O>
  readonly #unmapped: Change<O>[] = []
  readonly #mapped: Change<O>[] = []
  /** What is to be unmapped next, all in one range. */
  readonly #run: Piece<O>[] = []
  /** What is to be mapped at the end. */
  readonly #coming: Piece<O>[] = []
  #locked: AddressRange | undefined = undefined

  constructor(target: Target<O>, plan: GpuVmPlan<O>) {
    this.#target = target
    this.#plan = plan
  }

  /** Locks what will change, and makes the boundaries: what can run out of memory first comes before any translation changes. */
  begin(plan: GpuVmPlan<O>): void {
    const { lock, stats } = this.#target
    stats.requests++
    repair(this.#target)
    flush(this.#target)
    const cuts = this.#cutsOf(plan)
    const hull = cuts.reduce((range, { leaf }) => joined(range, leaf), hullOf(plan))
    if (hull === undefined) return
    lock?.(hull)
    this.#locked = hull
    for (const { at } of cuts) this.#cut(at)
  }

  stepUnmap(step: UnmapStep<O>): void {
    this.#remove(removalOf(step))
  }

  stepRemap(step: RemapStep<O>): void {
    this.#remove(removalOf(step))
  }

  stepMap(step: MapStep<O>): void {
    this.#coming.push(...additionsOf(this.#plan, step))
  }

  /** The one flush comes between what goes and what comes: an address never changes from one translation to another without it. */
  end(plan: GpuVmPlan<O>): void {
    const { stats } = this.#target
    this.#unmapRun()
    flush(this.#target)
    for (const piece of joinPieces(this.#coming)) this.#map(piece)
    this.#unlock()
    stats.steps += plan.steps.length
    for (const { range } of keptOf(plan)) stats.kept += range
  }

  /** Puts everything back. @throws `EFAULT` when that is not possible */
  abort(_plan: GpuVmPlan<O>, cause: unknown): void {
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
  #cutsOf(plan: GpuVmPlan<O>): { at: bigint; leaf: AddressRange }[] {
    return boundariesOf(plan).flatMap((at) => {
      const leaf = leafAt(this.#target.table, at)
      return leaf === undefined || leaf.iova === at ? [] : [{ at, leaf: { first: leaf.iova, last: leaf.iova + BigInt(leaf.size) - 1n } }]
    })
  }

  #cut(at: bigint): void {
    const { table, gather, stats } = this.#target
    if (table.cut(at, gather)) stats.cuts++
  }

  /** Neighbours are unmapped together: they may share a leaf. */
  #remove(piece: Piece<O> | undefined): void {
    if (piece === undefined) return
    const last = this.#run.at(-1)
    if (last !== undefined && last.addr + last.range !== piece.addr) this.#unmapRun()
    this.#run.push(piece)
  }

  #unmapRun(): void {
    const [first] = this.#run
    if (first === undefined) return
    const { table, gather } = this.#target
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
    })
  }

  /** Frees the tables that were made for what is gone again. They may reach over the range, up to what an entry of the root translates. */
  #trim(): void {
    const { table, gather } = this.#target
    const { geometry } = table
    const span = 1n << BigInt(nodeOf(geometry, geometry.top).shift)
    const ranges = this.#mapped.map(({ piece: { addr, range } }) => ({ first: addr, last: addr + range - 1n }))
    const hull = ranges.reduce<AddressRange | undefined>(joined, undefined)
    if (hull === undefined) return
    table.trim({ first: hull.first - (hull.first % span), last: hull.last - (hull.last % span) + span - 1n }, gather)
  }

  #unlock(): void {
    const range = this.#locked
    if (range !== undefined) this.#target.unlock?.(range)
    this.#locked = undefined
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
