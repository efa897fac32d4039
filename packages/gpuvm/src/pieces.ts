/** Which descriptors the steps of a plan change: a mapping that stays, or whose buffer object is away, changes none. */
import type { AddressRange } from '@io-pgtable/core'
import type { GpuVmPlan, GpuVmStep, MapStep, RemapStep, UnmapStep } from './plan.ts'
import { continues, type GpuBo, type GpuVa } from './va.ts'

/** A part of a mapping. */
export interface Piece<O extends GpuBo> {
  readonly va: GpuVa<O>
  readonly addr: bigint
  /** Bytes. */
  readonly range: bigint
}

/** What of the step's mapping the step takes, whether or not its descriptors may stay. */
function taken<O extends GpuBo>(step: UnmapStep<O> | RemapStep<O>): Piece<O> {
  return step.op === 'unmap' ? { va: step.va, addr: step.va.addr, range: step.va.range } : step
}

/** What must be unmapped for a step. */
export function removalOf<O extends GpuBo>(step: UnmapStep<O> | RemapStep<O>): Piece<O> | undefined {
  return step.keep || step.va.bo.evicted ? undefined : taken(step)
}

/** The parts of a plan's steps whose descriptors stay, and are right for what the plan maps there; by address. */
export function keptOf<O extends GpuBo>({ steps }: GpuVmPlan<O>): Piece<O>[] {
  return steps.flatMap((step) => (step.op !== 'map' && step.keep && !step.va.bo.evicted ? [taken(step)] : []))
}

/** What must be mapped for a step: what no kept mapping translates already. */
export function additionsOf<O extends GpuBo>(plan: GpuVmPlan<O>, { va }: MapStep<O>): Piece<O>[] {
  if (plan.kind === 'restore') return [{ va, addr: va.addr, range: va.range }]
  if (va.bo.evicted) return []
  const pieces: Piece<O>[] = []
  let from = va.addr
  const upTo = (to: bigint): void => {
    if (from < to) pieces.push({ va, addr: from, range: to - from })
  }
  for (const { addr, range } of keptOf(plan)) {
    upTo(addr)
    from = addr + range
  }
  upTo(va.end)
  return pieces
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

/** Where what a plan unmaps begins and ends: the ends of its pieces, neighbours joined. */
export function boundariesOf<O extends GpuBo>({ steps }: GpuVmPlan<O>): bigint[] {
  const ends: bigint[] = []
  for (const step of steps) {
    const piece = step.op === 'map' ? undefined : removalOf(step)
    if (piece === undefined) continue
    if (ends.at(-1) === piece.addr) ends.pop()
    else ends.push(piece.addr)
    ends.push(piece.addr + piece.range)
  }
  return ends
}

/** All addresses whose translations a plan changes; undefined where it changes none. */
export function hullOf<O extends GpuBo>(plan: GpuVmPlan<O>): AddressRange | undefined {
  const changed = (step: GpuVmStep<O>): readonly (Piece<O> | undefined)[] =>
    step.op === 'map' ? additionsOf(plan, step) : [removalOf(step)]
  let hull: AddressRange | undefined
  for (const piece of plan.steps.flatMap(changed)) {
    if (piece !== undefined) hull = joined(hull, { first: piece.addr, last: piece.addr + piece.range - 1n })
  }
  return hull
}

/** The hull of two ranges. */
export function joined(a: AddressRange | undefined, b: AddressRange): AddressRange {
  if (a === undefined) return b
  return { first: min(a.first, b.first), last: max(a.last, b.last) }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
