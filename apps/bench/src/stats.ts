/** Statistics of repeated measurements: the few that a noisy machine does not spoil. */

export interface Summary {
  readonly runs: number
  readonly median: number
  readonly min: number
  /** Half of the runs lie within this distance of the median: the median of the distances. */
  readonly spread: number
}

/** The middle value; between the two middle ones when their number is even. @throws RangeError for no values */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of no values')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Median, minimum and spread. @throws RangeError for no values */
export function summarize(values: readonly number[]): Summary {
  const middle = median(values)
  return {
    runs: values.length,
    median: middle,
    min: values.reduce((least, value) => Math.min(least, value)),
    spread: median(values.map((value) => Math.abs(value - middle))),
  }
}

/** Random integers below 2^32 that are the same in every run: xorshift32. */
export function randomSource(seed: number): () => number {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}
