/** The loops over descriptors. */

/** How many of `n` 64-bit entries from word `at` on are the first one with its address risen by `step` in the low lane each. */
export function rising64(words: Int32Array, at: number, n: number, stepBits: number): number {
  const step = stepBits | 0
  const hi = words[at + 1]!
  let expected = words[at]! | 0
  let i = at | 0
  const end = (at + 2 * n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    const a = words[i]! ^ expected
    const b = words[(i + 2) | 0]! ^ (expected + step)
    const c = words[(i + 4) | 0]! ^ (expected + 2 * step)
    const d = words[(i + 6) | 0]! ^ (expected + 3 * step)
    const h = (words[(i + 1) | 0]! ^ hi) | (words[(i + 3) | 0]! ^ hi) | (words[(i + 5) | 0]! ^ hi) | (words[(i + 7) | 0]! ^ hi)
    if ((a | b | c | d | h) !== 0) break
    expected = (expected + 4 * step) | 0
  }
  for (; i < end; i = (i + 2) | 0) {
    if (words[i] !== expected || words[(i + 1) | 0] !== hi) break
    expected = (expected + step) | 0
  }
  return (i - at) >> 1
}

/** The same for 32-bit entries. */
export function rising32(words: Int32Array, at: number, n: number, stepBits: number): number {
  const step = stepBits | 0
  let expected = words[at]! | 0
  let i = at | 0
  const end = (at + n) | 0
  for (; i < end; i = (i + 1) | 0) {
    if (words[i] !== expected) break
    expected = (expected + step) | 0
  }
  return (i - at) | 0
}

/** How many of `n` entries of `width` words from word `at` on are this one. */
export function equal(words: Int32Array, at: number, n: number, width: number, lo: number, hi: number): number {
  return width === 2 ? equal64(words, at, n, lo, hi) : equal32(words, at, n, lo)
}

function equal64(words: Int32Array, at: number, n: number, lo: number, hi: number): number {
  let i = at | 0
  const end = (at + 2 * n) | 0
  const bulk = (end - 8) | 0
  for (; i <= bulk; i = (i + 8) | 0) {
    const a = (words[i]! ^ lo) | (words[(i + 2) | 0]! ^ lo) | (words[(i + 4) | 0]! ^ lo) | (words[(i + 6) | 0]! ^ lo)
    const b = (words[(i + 1) | 0]! ^ hi) | (words[(i + 3) | 0]! ^ hi) | (words[(i + 5) | 0]! ^ hi) | (words[(i + 7) | 0]! ^ hi)
    if ((a | b) !== 0) break
  }
  for (; i < end; i = (i + 2) | 0) if (words[i] !== lo || words[(i + 1) | 0] !== hi) break
  return (i - at) >> 1
}

function equal32(words: Int32Array, at: number, n: number, lo: number): number {
  let i = at | 0
  const end = (at + n) | 0
  for (; i < end; i = (i + 1) | 0) if (words[i] !== lo) break
  return (i - at) | 0
}

/** Table bytes as words; a copy where they are not aligned. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const length = bytes.byteLength >> 2
  if ((bytes.byteOffset & 3) === 0) return new Int32Array(bytes.buffer, bytes.byteOffset, length)
  return new Int32Array(bytes.slice(0, length * 4).buffer)
}

/** `count` words from word `at` on, as the lanes of big-endian entries of `width` words, the low one first. */
export function swapped(words: Int32Array, at: number, count: number, width: number): Int32Array {
  const out = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    const word = words[at + i]!
    out[width === 2 ? i ^ 1 : i] = (word >>> 24) | ((word >>> 8) & 0xff00) | ((word & 0xff00) << 8) | (word << 24)
  }
  return out
}

/** `count` entries of `width` words each, of which one begins every `step` words, one behind the other. */
export function picked(
  words: Int32Array,
  at: number,
  count: number,
  { width, step }: { readonly width: number; readonly step: number },
): Int32Array {
  const out = new Int32Array(count * width)
  for (let i = 0; i < count; i++) for (let k = 0; k < width; k++) out[i * width + k] = words[at + i * step + k]!
  return out
}
