/** Accessed and dirty state that hardware writes into descriptors as it walks. Where others may write too, by compare-and-exchange. */
import { lanes as R } from './access.ts'
import type { Level, Pattern } from './level.ts'
import type { Walker } from './walker.ts'

const WRITES = 0b010_010

/**
 * Marks one descriptor, whose words are at `place` of the walker's memory. `need`: 0 for a table.
 * @returns 0; 1 where somebody else has changed it meanwhile, so that the walk begins anew; -1 where stage 2 does not let it be written
 */
export function mark(m: Walker, c: Pattern, level: Level, place: number, lo: number, hi: number, need: number): number {
  const dirties = (need & WRITES) !== 0
  const setLo = c.accessedSetLo | (dirties ? c.dirtySetLo : 0)
  const setHi = c.accessedSetHi | (dirties ? c.dirtySetHi : 0)
  const clearLo = c.accessedClearLo | (dirties ? c.dirtyClearLo : 0)
  const clearHi = c.accessedClearHi | (dirties ? c.dirtyClearHi : 0)
  if ((setLo | setHi | clearLo | clearHi) === 0) return 0
  if (m.below !== undefined && m.refetch() !== 0) return -1
  return write(m.words, place, level.wide, lo, hi, (lo & ~clearLo) | setLo, (hi & ~clearHi) | setHi) ? 0 : 1
}

function write(words: Int32Array, place: number, wide: number, lo: number, hi: number, newLo: number, newHi: number): boolean {
  if (typeof SharedArrayBuffer === 'undefined' || !(words.buffer instanceof SharedArrayBuffer)) {
    words[place] = newLo
    if (wide === 1) words[place + 1] = newHi
    return true
  }
  if (wide === 0) return Atomics.compareExchange(words, place, lo, newLo) === lo
  const entries = new BigInt64Array(words.buffer, words.byteOffset, words.length >> 1)
  const old = entry(hi, lo)
  return Atomics.compareExchange(entries, place >> 1, old, entry(newHi, newLo)) === old
}

function entry(hi: number, lo: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0)
}

/** The fault of stage 2, on the way of this access. */
export function lostBelow(hi: number, lo: number, need: number): number {
  R[8] = 1
  R[11] = hi
  R[12] = lo
  R[13] = need
  return R[5] as number
}
