/** The one choice of page sizes: the largest that alignment and length allow, for as long as no larger one becomes possible. */
import type { Request } from './request.ts'

/**
 * Chooses how the next pages of a range are mapped or unmapped, as Linux's `iommu_pgsize`: the largest page size that the alignment of both
 * addresses and the length allow, and as many of it as there are before the next larger size could be used. There may be forty sizes, so
 * that they are compared by their logarithms.
 */
export function pickPages(r: Request): void {
  const { hi, lo, paddrHi, paddrLo, left } = r
  const { plans } = r.t.compiled
  const most = Math.min(zeros(hi | paddrHi, lo | paddrLo), floorLg(left))
  // As far as the two differ only above, they can be aligned at once.
  const atOnce = zeros(hi ^ paddrHi, lo ^ paddrLo)
  let best = 0
  while (best + 1 < plans.length && plans[best + 1]!.stepLg <= most) best++
  const plan = plans[best]!
  const larger = plans[best + 1]
  let bytes = left
  if (larger !== undefined && larger.stepLg <= atOnce) {
    const toBoundary = larger.pgsize - below(hi | paddrHi, lo | paddrLo, larger.pgsize)
    if (toBoundary + larger.pgsize <= left) bytes = toBoundary
  }
  r.want(plan, Math.floor(bytes / plan.pgsize))
}

/** The number of zero bits below the lowest one of two lanes; 64 where all are. */
function zeros(hi: number, lo: number): number {
  if (lo !== 0) return 31 - Math.clz32(lo & -lo)
  return hi === 0 ? 64 : 63 - Math.clz32(hi & -hi)
}

/** log2 of a positive integer below 2^53, rounded down. */
function floorLg(value: number): number {
  return value >= 0x1_0000_0000 ? 63 - Math.clz32(value / 0x1_0000_0000) : 31 - Math.clz32(value)
}

/** An address modulo a power of two. */
function below(hi: number, lo: number, size: number): number {
  if (size <= 0x1_0000_0000) return (lo >>> 0) % size
  return ((hi >>> 0) % (size / 0x1_0000_0000)) * 0x1_0000_0000 + (lo >>> 0)
}
