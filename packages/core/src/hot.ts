/**
 * The hot loops. They know descriptors as int32 lanes of one Int32Array (64-bit entries: low lane first, as little-endian memory has
 * them; 32-bit entries: one lane) and a test `(lo & mask) === value`. Loops are unrolled because V8 does not: see docs/PERFORMANCE.md.
 * A leaf is written with the lane of its valid bit, the low one, last, and cleared with it first, so that a walker never sees half of one.
 * `at` is always a word index, `n` a number of entries.
 */

/** The first of `n` entries that fails the test, or `n`. */
export function prefix64(words: Int32Array, at: number, n: number, mask: number, value: number): number {
  let i = at
  const end = (at + 2 * n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    const a = words[i]! ^ value
    const b = words[i + 2]! ^ value
    const c = words[i + 4]! ^ value
    const d = words[i + 6]! ^ value
    if (((a | b | c | d) & mask) !== 0) break
  }
  for (; i < end; i = (i + 2) | 0) if (((words[i]! ^ value) & mask) !== 0) break
  return (i - at) >> 1
}

/** The first of `n` 64-bit entries that passes the test, or `n`: for tests of several bits that must not all hold, like `not empty`. */
export function until64(words: Int32Array, at: number, n: number, mask: number, value: number): number {
  let i = at
  const end = (at + 2 * n) | 0
  for (; i < end; i = (i + 2) | 0) if (((words[i]! ^ value) & mask) === 0) break
  return (i - at) >> 1
}

/** The same as {@link until64} for 32-bit entries. */
export function until32(words: Int32Array, at: number, n: number, mask: number, value: number): number {
  let i = at
  const end = (at + n) | 0
  for (; i < end; i = (i + 1) | 0) if (((words[i]! ^ value) & mask) === 0) break
  return (i - at) | 0
}

/** The same as {@link prefix64} for 32-bit entries. */
export function prefix32(words: Int32Array, at: number, n: number, mask: number, value: number): number {
  let i = at
  const end = (at + n) | 0
  const bulk = (end - 4) | 0
  for (; i <= bulk; i = (i + 4) | 0) {
    const a = words[i]! ^ value
    const b = words[i + 1]! ^ value
    const c = words[i + 2]! ^ value
    const d = words[i + 3]! ^ value
    if (((a | b | c | d) & mask) !== 0) break
  }
  for (; i < end; i = (i + 1) | 0) if (((words[i]! ^ value) & mask) !== 0) break
  return (i - at) | 0
}

/** Writes `n` entries; the low lane rises by `step`, the high one is constant. */
export function fill64(words: Int32Array, at: number, n: number, lo: number, hi: number, step: number): void {
  let i = at
  let d = lo
  const end = (at + 2 * n) | 0
  const bulk = (end - 16) | 0
  for (; i <= bulk; i = (i + 16) | 0) {
    words[i + 1] = hi
    words[i] = d
    words[i + 3] = hi
    words[i + 2] = (d + step) | 0
    d = (d + step + step) | 0
    words[i + 5] = hi
    words[i + 4] = d
    words[i + 7] = hi
    words[i + 6] = (d + step) | 0
    d = (d + step + step) | 0
    words[i + 9] = hi
    words[i + 8] = d
    words[i + 11] = hi
    words[i + 10] = (d + step) | 0
    d = (d + step + step) | 0
    words[i + 13] = hi
    words[i + 12] = d
    words[i + 15] = hi
    words[i + 14] = (d + step) | 0
    d = (d + step + step) | 0
  }
  for (; i < end; i = (i + 2) | 0) {
    words[i + 1] = hi
    words[i] = d
    d = (d + step) | 0
  }
}

/** Writes `n` 32-bit entries that rise by `step`. */
export function fill32(words: Int32Array, at: number, n: number, lo: number, step: number): void {
  let i = at
  let d = lo
  const end = (at + n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    words[i] = d
    words[i + 1] = (d + step) | 0
    d = (d + step + step) | 0
    words[i + 2] = d
    words[i + 3] = (d + step) | 0
    d = (d + step + step) | 0
    words[i + 4] = d
    words[i + 5] = (d + step) | 0
    d = (d + step + step) | 0
    words[i + 6] = d
    words[i + 7] = (d + step) | 0
    d = (d + step + step) | 0
  }
  for (; i < end; i = (i + 1) | 0) {
    words[i] = d
    d = (d + step) | 0
  }
}

/** Clears `n` entries to the empty value, the low lane of each first. */
export function clear64(words: Int32Array, at: number, n: number, lo: number, hi: number): void {
  let i = at
  const end = (at + 2 * n) | 0
  const bulk = (end - 16) | 0
  for (; i <= bulk; i = (i + 16) | 0) {
    words[i] = lo
    words[i + 1] = hi
    words[i + 2] = lo
    words[i + 3] = hi
    words[i + 4] = lo
    words[i + 5] = hi
    words[i + 6] = lo
    words[i + 7] = hi
    words[i + 8] = lo
    words[i + 9] = hi
    words[i + 10] = lo
    words[i + 11] = hi
    words[i + 12] = lo
    words[i + 13] = hi
    words[i + 14] = lo
    words[i + 15] = hi
  }
  for (; i < end; i = (i + 2) | 0) {
    words[i] = lo
    words[i + 1] = hi
  }
}
