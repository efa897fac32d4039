/** The one choice of page sizes: the largest that alignment and length allow, for as long as no larger one becomes possible. */
import type { LeafPlan } from './leaf-plan.ts'

export interface PickedPages {
  readonly pgsize: number
  readonly pgcount: number
}

/**
 * How the next pages of a range are mapped or unmapped, as Linux's `iommu_pgsize`: the largest page size that the alignment of both
 * addresses and the length allow, and as many of it as there are before the next larger size could be used.
 * @param plans smallest first
 * @param merged iova | paddr: its low zero bits are the alignment of both
 * @param apart iova ^ paddr: its low zero bits are where the two can be aligned at once
 */
export function pickPages(plans: readonly LeafPlan[], merged: bigint, apart: bigint, size: number): PickedPages {
  let best = 0
  for (let i = 1; i < plans.length; i++) {
    const pgsize = plans[i]!.pgsize
    if (pgsize <= size && isMultiple(merged, pgsize)) best = i
  }
  const pgsize = plans[best]!.pgsize
  const larger = plans[best + 1]?.pgsize
  let bytes = size
  if (larger !== undefined && isMultiple(apart, larger)) {
    const toBoundary = larger - Number(BigInt.asUintN(Math.log2(larger), merged))
    if (toBoundary + larger <= size) bytes = toBoundary
  }
  return { pgsize, pgcount: Math.floor(bytes / pgsize) }
}

function isMultiple(value: bigint, pgsize: number): boolean {
  return (value & (BigInt(pgsize) - 1n)) === 0n
}
