/** The generator of random numbers of all tests that are not fast-check's. */

/**
 * Integers that are the same in every run (mulberry32).
 * @returns a function that gives the next integer from 0 on, below `limit`, which is at most 2^32
 */
export function seededIntegers(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}
