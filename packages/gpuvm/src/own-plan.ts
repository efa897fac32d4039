/** Plans as a VA space makes them: with mappings that are ready to be entered, and the state that they are for. */
import type { Changes } from './changes.ts'
import type { GpuVmPlan, GpuVmStep } from './plan.ts'
import type { GpuVmOperation } from './series.ts'
import type { BoNode, GpuBo, VaNode } from './va.ts'
import type { GpuVm } from './vm.ts'

/** A step as it is made: with mappings that are ready to be entered. */
export type OwnStep<O extends GpuBo> = GpuVmStep<O> & { readonly va: VaNode<O>; readonly prev?: VaNode<O>; readonly next?: VaNode<O> }

/** A plan, with the state of the VM that it was made for. */
export class OwnPlan<O extends GpuBo> implements GpuVmPlan<O> {
  readonly kind: GpuVmPlan['kind']
  readonly addr: bigint
  readonly range: bigint
  readonly steps: readonly OwnStep<O>[]
  readonly vm: GpuVm<O>
  readonly version: number
  /** The buffer object of an evict or restore. */
  readonly bo: BoNode<O> | undefined
  /** Whether that was evicted before. */
  readonly wasEvicted: boolean

  constructor(plan: GpuVmPlan<O> & { readonly steps: readonly OwnStep<O>[] }, vm: GpuVm<O>, version: number, bo: BoNode<O> | undefined) {
    this.kind = plan.kind
    this.addr = plan.addr
    this.range = plan.range
    this.steps = plan.steps
    this.vm = vm
    this.version = version
    this.bo = bo
    this.wasEvicted = bo?.evicted ?? false
  }
}

/** Plans of operations that follow one another, and what they change together. Made by a {@link GpuVm}, and good until that changes. */
export interface GpuVmSeries<O extends GpuBo = GpuBo> {
  readonly operations: readonly GpuVmOperation<O>[]
  /** Of each operation, on the state that those before it leave. */
  readonly plans: readonly GpuVmPlan<O>[]
  readonly changes: Changes<O>
}

export class OwnSeries<O extends GpuBo> implements GpuVmSeries<O> {
  readonly operations: readonly GpuVmOperation<O>[]
  readonly plans: readonly OwnPlan<O>[]
  readonly changes: Changes<O>
  readonly vm: GpuVm<O>
  readonly version: number

  constructor(parts: Pick<OwnSeries<O>, 'operations' | 'plans' | 'changes'>, vm: GpuVm<O>, version: number) {
    this.operations = parts.operations
    this.plans = parts.plans
    this.changes = parts.changes
    this.vm = vm
    this.version = version
  }
}
