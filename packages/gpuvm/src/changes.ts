/** Which translations a request changes: a mapping that stays, or whose buffer object is away, changes none. */
import type { AddressRange } from '@io-pgtable/core'
import type { GpuVmPlan, MapStep, RemapStep, UnmapStep } from './plan.ts'
import { continues, type GpuBo, type GpuVa } from './va.ts'

/** A part of a mapping. */
export interface Piece<O extends GpuBo> {
  readonly va: GpuVa<O>
  readonly addr: bigint
  /** Bytes. */
  readonly range: bigint
}

/** What a request does to the tables: pieces by address, none of which overlaps another of its list. */
export interface Changes<O extends GpuBo> {
  readonly removals: readonly Piece<O>[]
  readonly additions: readonly Piece<O>[]
  /** Bytes whose descriptors stay, and are right for what is mapped there. */
  readonly kept: bigint
  readonly steps: number
}

/** The changes of one plan. */
export function changesOf<O extends GpuBo>(plan: GpuVmPlan<O>): Changes<O> {
  const kept = keptOf(plan)
  return {
    removals: plan.steps.flatMap((step) => (step.op === 'map' ? [] : (removalOf(step) ?? []))),
    additions: plan.steps.flatMap((step) => (step.op === 'map' ? additionsOf(plan, step, kept) : [])),
    kept: kept.reduce((sum, { range }) => sum + range, 0n),
    steps: plan.steps.length,
  }
}

/** What of the step's mapping the step takes, whether or not its descriptors may stay. */
function taken<O extends GpuBo>(step: UnmapStep<O> | RemapStep<O>): Piece<O> {
  return step.op === 'unmap' ? wholeOf(step.va) : step
}

/** What must be unmapped for a step. */
function removalOf<O extends GpuBo>(step: UnmapStep<O> | RemapStep<O>): Piece<O> | undefined {
  return step.keep || step.va.bo.evicted ? undefined : taken(step)
}

/** The parts of a plan's steps whose descriptors stay; by address. */
function keptOf<O extends GpuBo>({ steps }: GpuVmPlan<O>): Piece<O>[] {
  return steps.flatMap((step) => (step.op !== 'map' && step.keep && !step.va.bo.evicted ? [taken(step)] : []))
}

/** What must be mapped for a step: what no kept mapping translates already. */
function additionsOf<O extends GpuBo>({ kind }: GpuVmPlan<O>, { va }: MapStep<O>, kept: readonly Piece<O>[]): Piece<O>[] {
  if (kind === 'restore') return [wholeOf(va)]
  return va.bo.evicted ? [] : without(wholeOf(va), kept)
}

/** A mapping, all of it. */
export function wholeOf<O extends GpuBo>(va: GpuVa<O>): Piece<O> {
  return { va, addr: va.addr, range: va.range }
}

/** What is left of a piece without others, which are by address and do not overlap. */
export function without<O extends GpuBo>({ va, addr, range }: Piece<O>, others: readonly Piece<O>[]): Piece<O>[] {
  const left: Piece<O>[] = []
  let from = addr
  const upTo = (to: bigint): void => {
    if (from < to) left.push({ va, addr: from, range: to - from })
  }
  for (const other of others) {
    const end = other.addr + other.range
    if (end <= from) continue
    if (other.addr >= addr + range) break
    upTo(other.addr)
    from = end
  }
  upTo(addr + range)
  return left
}

/** Joins neighbours that show what follows in the same buffer object, with the same flags: they may share leaves. */
export function joinPieces<O extends GpuBo>(pieces: readonly Piece<O>[]): Piece<O>[] {
  const joint: Piece<O>[] = []
  for (const piece of pieces) {
    const last = joint.at(-1)
    if (last !== undefined && last.addr + last.range === piece.addr && continues(last.va, piece.va))
      joint[joint.length - 1] = { ...last, range: last.range + piece.range }
    else joint.push(piece)
  }
  return joint
}

/** An end of what is unmapped, and the piece that ends there. */
export interface Boundary<O extends GpuBo> {
  readonly at: bigint
  readonly piece: Piece<O>
}

/** Where what is unmapped begins and ends: the ends of its pieces, neighbours joined. */
export function boundariesOf<O extends GpuBo>({ removals }: Changes<O>): Boundary<O>[] {
  const ends: Boundary<O>[] = []
  for (const piece of removals) {
    if (ends.at(-1)?.at === piece.addr) ends.pop()
    else ends.push({ at: piece.addr, piece })
    ends.push({ at: piece.addr + piece.range, piece })
  }
  return ends
}

/** Bytes between two changes from which on they are locked apart. */
const APART = 2n << 20n
/** Most ranges that a request locks. */
const MOST_LOCKS = 8

/** The ranges that are locked for changes: those close to each other as one, and at most eight, by address. */
export function clustersOf<O extends GpuBo>({ removals, additions }: Changes<O>, cuts: readonly AddressRange[]): AddressRange[] {
  const rangeOf = ({ addr, range }: Piece<O>): AddressRange => ({ first: addr, last: addr + range - 1n })
  const ranges = [...removals.map(rangeOf), ...additions.map(rangeOf), ...cuts].sort((a, b) => (a.first < b.first ? -1 : 1))
  const clusters: AddressRange[] = []
  for (const range of ranges) {
    const last = clusters.at(-1)
    if (last === undefined || range.first - last.last > APART) clusters.push(range)
    else if (range.last > last.last) clusters[clusters.length - 1] = { first: last.first, last: range.last }
  }
  return fewer(clusters)
}

/** Joins across the smallest gaps until there are few enough. */
function fewer(clusters: readonly AddressRange[]): AddressRange[] {
  const gap = (i: number): bigint => (clusters[i + 1] as AddressRange).first - (clusters[i] as AddressRange).last
  const gaps = Array.from({ length: Math.max(0, clusters.length - 1) }, (_, i) => i).sort((a, b) => (gap(a) > gap(b) ? -1 : 1))
  const kept = new Set(gaps.slice(0, MOST_LOCKS - 1))
  const few: AddressRange[] = []
  for (const [i, cluster] of clusters.entries()) {
    const last = few.at(-1)
    if (last === undefined || kept.has(i - 1)) few.push(cluster)
    else few[few.length - 1] = { first: last.first, last: cluster.last }
  }
  return few
}
