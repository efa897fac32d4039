/**
 * The rule by which the engine knows a descriptor without decoding it: one mask and value that descriptors of no earlier kind pass, since the
 * first kind that matches wins.
 */
import type { Match } from '../format/bits.ts'

/** Whether no descriptor passes both tests. */
export function excludes(one: Match, other: Match): boolean {
  return (one.mask & other.mask & (one.value ^ other.value)) !== 0n
}

/**
 * A test that is at least as strict as `own` and that nothing passes of what `earlier` holds for; undefined where there is none.
 * @param written bits that are the same in all such descriptors that we write: where `own` does not tell them apart, one of these bits may
 */
export function distinct(own: Match, earlier: readonly Match[], written: Match): Match | undefined {
  let { mask, value } = own
  for (const other of earlier) {
    if (excludes({ mask, value }, other)) continue
    const telling = written.mask & other.mask & (written.value ^ other.value)
    if (telling === 0n) return undefined
    const bit = telling & -telling
    mask |= bit
    value |= written.value & bit
  }
  return { mask, value }
}
