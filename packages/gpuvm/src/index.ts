/** The GPU VA space manager, and the way of its steps into page tables. See the README. */
export { type AddressSpaceOptions, type BindOptions, type BindResult, GpuAddressSpace } from './address-space.ts'
export type { Changes, Piece } from './changes.ts'
export type { GpuVmSeries } from './own-plan.ts'
export {
  describePlan,
  describeStep,
  type GpuVmOps,
  type GpuVmPlan,
  type GpuVmStep,
  type MapStep,
  type RemapStep,
  type UnmapStep,
} from './plan.ts'
export type { GpuVaRange, GpuVmOptions, MapRequest, ReservedRange, SparseRequest } from './request.ts'
export { describeOperation, type GpuVmOperation, SeriesError } from './series.ts'
export type { AddressSpaceStats } from './table-request.ts'
export { type Backing, contiguous, type Segment, type SparseBacking } from './tables.ts'
export type { GpuBo, GpuVa, GpuVmBo } from './va.ts'
export { GpuVm } from './vm.ts'
