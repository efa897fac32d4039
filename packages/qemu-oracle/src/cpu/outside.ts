/** Addresses that a table does not translate because they lie outside of its windows. */
import { type Geometry, inputRanges } from '@io-pgtable/core'
import type { Random } from '../machine/index.ts'
import type { Spot } from './rules.ts'

/** Next to the windows, and anywhere up to `limit`. `level`: where the walker says that such a walk ends. */
export function outsideSpots(
  geometry: Geometry,
  random: Random,
  count: number,
  level: number,
  limit: bigint = (1n << 64n) - 1n,
): readonly Spot[] {
  const ranges = inputRanges(geometry)
  const outside = (iova: bigint): boolean => iova >= 0n && iova <= limit && ranges.every(({ first, last }) => iova < first || iova > last)
  const beside = ranges.flatMap(({ first, last }) => [first - 1n, last + 1n, first - 0x1000n, last + 0x1000n])
  const drawn = Array.from({ length: count }, () => random.below(limit + 1n) >> BigInt(random.int(24)))
  return [...beside, ...drawn].filter(outside).map((iova) => ({ iova, mapping: undefined, level }))
}
