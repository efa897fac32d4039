/** Whole IOMMU translation models. See the README. */
export { Smmuv3, type Smmuv3Answer, type Smmuv3Options, type Smmuv3State } from './smmuv3.ts'
export { EVENT as SMMUV3_EVENT, type EventRecord, type Transaction } from './smmuv3-events.ts'
