/** Whether one version is slower than another, by the least times of many fresh processes of each. */

/** Least nanoseconds a unit that each process of a version measured. */
export type Times = readonly number[]

/** A row's times in this version, in the other one, and in a second copy of the other one, measured by turns. */
export interface Trial {
  readonly here: Times
  readonly ref: Times
  readonly copy: Times
}

export interface Comparison {
  /** Least nanoseconds a unit. */
  readonly here: number
  /** The same of the other version: the mean of its copies' minima. */
  readonly ref: number
  /** `here` by `ref`. */
  readonly ratio: number
  /** What the ratio may be by chance alone: {@link spreadOf} the other version's processes. */
  readonly spread: number
  readonly slower: boolean
}

/** A ratio up to this is never called slower. */
export const LIMIT = 1.05
/** How often two halves of one version's processes may lie further apart than its spread. */
const RARE = 0.01

/** Slower means: above the limit, and outside of the spread. @throws RangeError for no times */
export function compare({ here, ref, copy }: Trial): Comparison {
  const least = leastOf(here)
  const other = (leastOf(ref) + leastOf(copy)) / 2
  const ratio = least / other
  const spread = spreadOf([...ref, ...copy])
  return { here: least, ref: other, ratio, spread, slower: ratio > LIMIT && ratio > spread }
}

/**
 * The ratio between the minima of two halves of these times that only one division in a hundred exceeds. The least time of all is in one
 * half; the least of the other half is the k-th when the k - 1 before it are all on the first one's side. With too few times for
 * that to become rare, it is the largest ratio that any division has.
 */
export function spreadOf(times: Times): number {
  const sorted = [...times].sort((a, b) => a - b)
  const half = sorted.length >> 1
  let together = 1
  for (let chance = 1; together <= half && chance > RARE; together++) chance *= (half - together) / (sorted.length - together)
  return (sorted[together - 1] ?? Number.NaN) / (sorted[0] ?? Number.NaN)
}

function leastOf(times: Times): number {
  if (times.length === 0) throw new RangeError('the least of no times')
  return times.reduce((least, time) => Math.min(least, time))
}
