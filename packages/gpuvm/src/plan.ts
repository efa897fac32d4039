/** Plans: what a request does to a VA space, step by step, before it is done. */
import { hex } from '@io-pgtable/core'
import type { GpuBo, GpuVa } from './va.ts'

/** A new mapping; of a plan of `restore`, one whose buffer object has its memory again. */
export interface MapStep<O extends GpuBo = GpuBo> {
  readonly op: 'map'
  readonly va: GpuVa<O>
}

/** A mapping goes; of a plan of `evict`, it stays in the VA space, and only its translations go. */
export interface UnmapStep<O extends GpuBo = GpuBo> {
  readonly op: 'unmap'
  readonly va: GpuVa<O>
  /** The request maps the same bytes of the same buffer object here, with the same flags: its descriptors may stay. */
  readonly keep: boolean
}

/** A mapping goes in part: what is left in front of it and behind it are new mappings. Their translations never change. */
export interface RemapStep<O extends GpuBo = GpuBo> {
  readonly op: 'remap'
  /** The mapping as it was. */
  readonly va: GpuVa<O>
  readonly prev?: GpuVa<O>
  readonly next?: GpuVa<O>
  /** What goes: between `prev` and `next`. */
  readonly addr: bigint
  /** Bytes. */
  readonly range: bigint
  /** As that of an unmap, for what goes. */
  readonly keep: boolean
}

export type GpuVmStep<O extends GpuBo = GpuBo> = MapStep<O> | UnmapStep<O> | RemapStep<O>

/** The steps of a request: unmaps and remaps by rising address, then the map. Made by a {@link GpuVm}, and good until that changes. */
export interface GpuVmPlan<O extends GpuBo = GpuBo> {
  readonly kind: 'map' | 'unmap' | 'evict' | 'restore'
  /** What was asked for; of an evict or restore, the hull of the buffer object's mappings. */
  readonly addr: bigint
  /** Bytes. */
  readonly range: bigint
  readonly steps: readonly GpuVmStep<O>[]
}

/** What applies the steps of a plan. Each may throw: the VA space is then as before, and the driver's `abort` puts back what it did. */
export interface GpuVmOps<O extends GpuBo = GpuBo> {
  /** Before the first step. Should it throw, `abort` is called as well. */
  begin?(plan: GpuVmPlan<O>): void
  stepMap(step: MapStep<O>): void
  stepUnmap(step: UnmapStep<O>): void
  stepRemap(step: RemapStep<O>): void
  /** After the last step; the VA space changes after it, which cannot fail. */
  end?(plan: GpuVmPlan<O>): void
  /** A callback threw `error`. */
  abort?(plan: GpuVmPlan<O>, error: unknown): void
}

/** A step in a line. */
export function describeStep(step: GpuVmStep): string {
  const { op } = step
  const keep = op !== 'map' && step.keep ? ', keep' : ''
  if (op !== 'remap') return `${op} ${describeVa(step.va)}${keep}`
  const parts = [step.prev && `prev ${describeVa(step.prev)}`, step.next && `next ${describeVa(step.next)}`]
  return `remap ${describeVa(step.va)}: ${parts.filter((part) => part !== undefined).join(', ')}${keep}`
}

/** A plan for people: the request, then a line for each step. */
export function describePlan(plan: GpuVmPlan): string {
  const head = `${plan.kind} ${span(plan.addr, plan.range)}`
  return [head, ...plan.steps.map((step) => `  ${describeStep(step)}`)].join('\n')
}

function describeVa({ addr, range, bo, offset, flags }: GpuVa): string {
  return `${span(addr, range)} ${bo.sparse ? 'sparse' : `${bo.name}+${hex(offset)}`} flags ${hex(flags)}`
}

function span(addr: bigint, range: bigint): string {
  return range === 0n ? 'nothing' : `${hex(addr)}..${hex(addr + range - 1n)}`
}
