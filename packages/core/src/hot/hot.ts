/**
 * The hot loops. They know descriptors as int32 lanes of one Int32Array (64-bit entries: low lane first, as little-endian memory has
 * them; 32-bit entries: one lane) and a test `(lo & mask) === value`. Loops are unrolled because V8 does not: see docs/PERFORMANCE.md.
 * A leaf is written with the lane of its valid bit, the low one, last, and cleared with it first, so that a walker never sees half of one.
 * `at` is always a word index, `n` a number of entries.
 */

/** The index of the first of `n` entries that fails the test; `n` if none does. */
export function prefix64(words: Int32Array, at: number, n: number, maskBits: number, valueBits: number): number {
  const mask = maskBits | 0
  const value = valueBits | 0
  let i = at | 0
  const end = (at + 2 * n) | 0
  const bulk = (end - 16) | 0
  for (; i <= bulk; i = (i + 16) | 0) {
    const a = (words[i]! ^ value) | (words[(i + 2) | 0]! ^ value)
    const b = (words[(i + 4) | 0]! ^ value) | (words[(i + 6) | 0]! ^ value)
    const c = (words[(i + 8) | 0]! ^ value) | (words[(i + 10) | 0]! ^ value)
    const d = (words[(i + 12) | 0]! ^ value) | (words[(i + 14) | 0]! ^ value)
    if (((a | b | c | d) & mask) !== 0) break
  }
  for (; i < end; i = (i + 2) | 0) if (((words[i]! ^ value) & mask) !== 0) break
  return (i - at) >> 1
}

/**
 * The index of the first of `n` entries that fails the test or is empty; `n` if none does. Some formats mark an empty entry by several bits, so that
 * the test alone does not exclude empty entries: this variant asks for both.
 */
export function fullPrefix64(
  words: Int32Array,
  at: number,
  n: number,
  maskBits: number,
  valueBits: number,
  emptyMaskBits: number,
  emptyValueBits: number,
): number {
  const mask = maskBits | 0
  const value = valueBits | 0
  const emptyMask = emptyMaskBits | 0
  const empty = emptyValueBits | 0
  let i = at | 0
  const end = (at + 2 * n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    const a = words[i]!
    const b = words[(i + 2) | 0]!
    const c = words[(i + 4) | 0]!
    const d = words[(i + 6) | 0]!
    if ((((a ^ value) | (b ^ value) | (c ^ value) | (d ^ value)) & mask) !== 0) break
    if ((a & emptyMask) === empty || (b & emptyMask) === empty || (c & emptyMask) === empty || (d & emptyMask) === empty) break
  }
  for (; i < end; i = (i + 2) | 0) {
    const d = words[i]!
    if ((d & mask) !== value || (d & emptyMask) === empty) break
  }
  return (i - at) >> 1
}

/** {@link fullPrefix64} for 32-bit entries. */
export function fullPrefix32(
  words: Int32Array,
  at: number,
  n: number,
  mask: number,
  value: number,
  emptyMask: number,
  empty: number,
): number {
  let i = at | 0
  const end = (at + n) | 0
  for (; i < end; i = (i + 1) | 0) {
    const d = words[i]!
    if ((d & mask) !== value || (d & emptyMask) === empty) break
  }
  return (i - at) | 0
}

/** {@link prefix64} for 32-bit entries. */
export function prefix32(words: Int32Array, at: number, n: number, maskBits: number, valueBits: number): number {
  const mask = maskBits | 0
  const value = valueBits | 0
  let i = at | 0
  const end = (at + n) | 0
  const bulk = (end - 4) | 0
  for (; i <= bulk; i = (i + 4) | 0) {
    const a = words[i]! ^ value
    const b = words[(i + 1) | 0]! ^ value
    const c = words[(i + 2) | 0]! ^ value
    const d = words[(i + 3) | 0]! ^ value
    if (((a | b | c | d) & mask) !== 0) break
  }
  for (; i < end; i = (i + 1) | 0) if (((words[i]! ^ value) & mask) !== 0) break
  return (i - at) | 0
}

/** Writes `n` entries; the low lane rises by `step`, the high one is constant. */
export function fill64(words: Int32Array, at: number, n: number, lo: number, high: number, stepBits: number): void {
  const hi = high | 0
  const step = stepBits | 0
  const step2 = (step + step) | 0
  let i = at | 0
  let d = lo | 0
  const end = (at + 2 * n) | 0
  const bulk = (end - 16) | 0
  for (; i <= bulk; i = (i + 16) | 0) {
    words[(i + 1) | 0] = hi
    words[i] = d
    words[(i + 3) | 0] = hi
    words[(i + 2) | 0] = (d + step) | 0
    d = (d + step2) | 0
    words[(i + 5) | 0] = hi
    words[(i + 4) | 0] = d
    words[(i + 7) | 0] = hi
    words[(i + 6) | 0] = (d + step) | 0
    d = (d + step2) | 0
    words[(i + 9) | 0] = hi
    words[(i + 8) | 0] = d
    words[(i + 11) | 0] = hi
    words[(i + 10) | 0] = (d + step) | 0
    d = (d + step2) | 0
    words[(i + 13) | 0] = hi
    words[(i + 12) | 0] = d
    words[(i + 15) | 0] = hi
    words[(i + 14) | 0] = (d + step) | 0
    d = (d + step2) | 0
  }
  for (; i < end; i = (i + 2) | 0) {
    words[(i + 1) | 0] = hi
    words[i] = d
    d = (d + step) | 0
  }
}

/** The exponent of NaN, in the high lane of a double. */
const NAN_EXPONENT = 0x7ff0_0000
const pair = new Float64Array(2)
const pairLanes = new Int32Array(pair.buffer)

/**
 * {@link fill64} with one store an entry, for runs of some length: entries as doubles. Adding `step` units of the last place to a double adds
 * `step` to its bits, exactly, while the high lane, which holds the exponent, stays. `doubles` is the same memory as `words`.
 * @returns false, with something else written, when doubles cannot say it: NaNs, and denormals in a thread that flushes them to zero
 */
export function fillDoubles(
  doubles: Float64Array,
  words: Int32Array,
  at: number,
  n: number,
  lo: number,
  hi: number,
  step: number,
): boolean {
  if ((hi & NAN_EXPONENT) === NAN_EXPONENT) return false
  pairLanes[0] = lo
  pairLanes[1] = hi
  pairLanes[2] = (lo + step) | 0
  pairLanes[3] = hi
  let d = pair[0]!
  const s = pair[1]! - d
  const s2 = s + s
  const s4 = s2 + s2
  const s8 = s4 + s4
  let i = at >> 1
  const end = (i + n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    const e = d + s4
    doubles[i] = d
    doubles[(i + 1) | 0] = d + s
    doubles[(i + 2) | 0] = d + s2
    doubles[(i + 3) | 0] = d + s2 + s
    doubles[(i + 4) | 0] = e
    doubles[(i + 5) | 0] = e + s
    doubles[(i + 6) | 0] = e + s2
    doubles[(i + 7) | 0] = e + s2 + s
    d += s8
  }
  for (; i < end; i = (i + 1) | 0) {
    doubles[i] = d
    d += s
  }
  const last = (end - 1) << 1
  return words[last] === ((lo + Math.imul(n - 1, step)) | 0) && words[last + 1] === hi
}

/** Writes `n` 32-bit entries that rise by `step`. */
export function fill32(words: Int32Array, at: number, n: number, lo: number, stepBits: number): void {
  const step = stepBits | 0
  const step2 = (step + step) | 0
  let i = at | 0
  let d = lo | 0
  const end = (at + n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    words[i] = d
    words[(i + 1) | 0] = (d + step) | 0
    d = (d + step2) | 0
    words[(i + 2) | 0] = d
    words[(i + 3) | 0] = (d + step) | 0
    d = (d + step2) | 0
    words[(i + 4) | 0] = d
    words[(i + 5) | 0] = (d + step) | 0
    d = (d + step2) | 0
    words[(i + 6) | 0] = d
    words[(i + 7) | 0] = (d + step) | 0
    d = (d + step2) | 0
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
    words[(i + 1) | 0] = hi
    words[(i + 2) | 0] = lo
    words[(i + 3) | 0] = hi
    words[(i + 4) | 0] = lo
    words[(i + 5) | 0] = hi
    words[(i + 6) | 0] = lo
    words[(i + 7) | 0] = hi
    words[(i + 8) | 0] = lo
    words[(i + 9) | 0] = hi
    words[(i + 10) | 0] = lo
    words[(i + 11) | 0] = hi
    words[(i + 12) | 0] = lo
    words[(i + 13) | 0] = hi
    words[(i + 14) | 0] = lo
    words[(i + 15) | 0] = hi
  }
  for (; i < end; i = (i + 2) | 0) {
    words[i] = lo
    words[(i + 1) | 0] = hi
  }
}
