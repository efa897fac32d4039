/** Several operations as one request: what they change together, and which of them an error comes from. */
import { hex, IoPgtableError } from '@io-pgtable/core'
import { type Changes, type Piece, wholeOf, without } from './changes.ts'
import type { GpuVmPlan } from './plan.ts'
import type { GpuVaRange, MapRequest, SparseRequest } from './request.ts'
import { type BoNode, continues, type GpuBo, type GpuVa, type GpuVmBo } from './va.ts'

/** One operation of a series. */
export type GpuVmOperation<O extends GpuBo = GpuBo> =
  | ({ readonly op: 'map' } & MapRequest<O>)
  | ({ readonly op: 'sparse' } & SparseRequest)
  | ({ readonly op: 'unmap' } & GpuVaRange)
  | { readonly op: 'evict'; readonly bo: GpuVmBo<O> }
  | { readonly op: 'restore'; readonly bo: GpuVmBo<O> }

/** An operation of a series failed. The code and the value are those of its own error, which is the cause. */
export class SeriesError extends IoPgtableError {
  /** The operation's place in the series, from 0 on. */
  readonly index: number

  constructor(index: number, operation: GpuVmOperation, cause: IoPgtableError) {
    const text = `operation ${index}, ${describeOperation(operation)}: ${cause.message}`
    super(cause.code, 'bind', text, { cause, ...(cause.value !== undefined && { value: cause.value }) })
    this.name = 'SeriesError'
    this.index = index
  }
}

/** Names the operation of an error. What is no error of this library passes as it is. */
export function inSeries(error: unknown, index: number, operation: GpuVmOperation | undefined): unknown {
  return error instanceof IoPgtableError && operation !== undefined ? new SeriesError(index, operation, error) : error
}

/** An operation in words. */
export function describeOperation(operation: GpuVmOperation): string {
  if (operation.op === 'evict' || operation.op === 'restore') return `${operation.op} ${operation.bo?.name ?? 'nothing'}`
  const { op, addr, range } = operation
  return typeof addr === 'bigint' && typeof range === 'bigint' && range > 0n ? `${op} ${hex(addr)}..${hex(addr + range - 1n)}` : op
}

/**
 * The difference between what is translated before plans and after them. Mappings that come and go in between are nothing, and one that
 * stays in parts keeps the descriptors of these.
 */
export class SeriesChanges<O extends GpuBo> {
  /** Mappings from before that are gone. */
  readonly #gone = new Set<GpuVa<O>>()
  /** New mappings that are there. */
  readonly #made = new Set<GpuVa<O>>()
  /** Buffer objects that were evicted or restored, and whether they were evicted before that. */
  readonly #moved = new Map<BoNode<O>, boolean>()
  #steps = 0

  /** Notes a plan, before it is entered. */
  note(plan: GpuVmPlan<O>, bo: BoNode<O> | undefined): void {
    this.#steps += plan.steps.length
    if (bo !== undefined) {
      if (bo.evicted !== (plan.kind === 'evict') && !this.#moved.has(bo)) this.#moved.set(bo, bo.evicted)
      return
    }
    for (const step of plan.steps) {
      if (step.op === 'map') this.#made.add(step.va)
      else if (!this.#made.delete(step.va)) this.#gone.add(step.va)
      if (step.op !== 'remap') continue
      for (const part of [step.prev, step.next]) if (part !== undefined) this.#made.add(part)
    }
  }

  /** The changes, when all plans are entered. */
  result(): Changes<O> {
    const stay = [...this.#moved.keys()].flatMap((bo) => [...bo.mappings()])
    const before = [...this.#gone, ...stay.filter((va) => !this.#made.has(va))].filter(({ bo }) => !this.#wasEvicted(bo))
    const after = [...this.#made, ...stay.filter((va) => !this.#made.has(va))].filter(({ bo }) => !bo.evicted)
    const [old, now] = [before.map(wholeOf).sort(byAddress), after.map(wholeOf).sort(byAddress)]
    const kept = this.#kept(old, now)
    return {
      removals: differ(old, kept),
      additions: differ(now, kept),
      kept: kept.reduce((sum, { range }) => sum + range, 0n),
      steps: this.#steps,
    }
  }

  #wasEvicted(bo: GpuVmBo<O>): boolean {
    return this.#moved.get(bo as BoNode<O>) ?? bo.evicted
  }

  /** What both have, of buffer objects whose memory did not move in between. */
  #kept(old: readonly Piece<O>[], now: readonly Piece<O>[]): Piece<O>[] {
    const kept: Piece<O>[] = []
    for (let i = 0, j = 0; i < old.length && j < now.length; ) {
      const [a, b] = [old[i] as Piece<O>, now[j] as Piece<O>]
      const addr = later(a.addr, b.addr)
      const end = -later(-endOf(a), -endOf(b))
      if (addr < end && continues(a.va, b.va) && !this.#moved.has(a.va.bo as BoNode<O>)) kept.push({ va: b.va, addr, range: end - addr })
      if (endOf(a) <= endOf(b)) i++
      else j++
    }
    return kept
  }
}

/** Each piece without what is kept; both are by address. */
function differ<O extends GpuBo>(pieces: readonly Piece<O>[], kept: readonly Piece<O>[]): Piece<O>[] {
  let from = 0
  return pieces.flatMap((piece) => {
    while (from < kept.length && endOf(kept[from] as Piece<O>) <= piece.addr) from++
    let to = from
    while (to < kept.length && (kept[to] as Piece<O>).addr < endOf(piece)) to++
    return without(piece, kept.slice(from, to))
  })
}

function endOf({ addr, range }: { readonly addr: bigint; readonly range: bigint }): bigint {
  return addr + range
}

function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function byAddress(a: { readonly addr: bigint }, b: { readonly addr: bigint }): number {
  return a.addr < b.addr ? -1 : 1
}

/**
 * The operation that a failure at an address comes from: where something was to be mapped, the last one that gives the address that
 * mapping; where something was to go, the first one that takes it.
 */
export function blamed<O extends GpuBo>(operations: readonly GpuVmOperation<O>[], { va, addr }: Piece<O>, mapping: boolean): number {
  const concerns = (one: GpuVmOperation<O>): boolean => {
    if (one.op === 'evict' || one.op === 'restore') return one.bo === va.bo && (one.op === 'restore') === mapping
    if (mapping && (one.op === 'unmap' || (one.op === 'map' ? one.bo !== va.bo : !va.bo.sparse))) return false
    return one.addr <= addr && (addr < one.addr + one.range || (!mapping && addr === one.addr + one.range))
  }
  return mapping ? operations.findLastIndex(concerns) : operations.findIndex(concerns)
}
