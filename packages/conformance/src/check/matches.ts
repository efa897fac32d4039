/** What sets of descriptors have in common, decided over masks and values: no descriptor is sampled. */
import type { Match } from '@io-pgtable/core'

/** A descriptor that `wanted` matches and none of `others` does; undefined where there is none. Without `wanted`: any descriptor. */
export function apartFrom(others: readonly Match[], wanted: Match = { mask: 0n, value: 0n }): bigint | undefined {
  const next = others.findIndex(({ mask, value }) => ((value ^ wanted.value) & mask & wanted.mask) === 0n)
  const other = others[next]
  if (other === undefined) return wanted.value & wanted.mask
  const free = other.mask & ~wanted.mask
  if (free === 0n) return undefined
  // one open bit of the first that still matches everything: unlike it, then like it
  const bit = free & -free
  const mask = wanted.mask | bit
  const rest = others.slice(next)
  const like = (wanted.value & wanted.mask) | (other.value & bit)
  return apartFrom(rest.slice(1), { mask, value: like ^ bit }) ?? apartFrom(rest, { mask, value: like })
}

/** What both match; undefined where they contradict each other. */
export function both(a: Match, b: Match): Match | undefined {
  if (((a.value ^ b.value) & a.mask & b.mask) !== 0n) return undefined
  return { mask: a.mask | b.mask, value: (a.value & a.mask) | (b.value & b.mask) }
}
