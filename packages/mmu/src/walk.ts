/**
 * The walks. Three shapes of one loop: addresses that stand in the descriptor where they stand in the address (`plain`); entries and addresses
 * of 32 bits besides (`narrow`); and everything else (`general`): addresses that move, stage 2, updates by hardware. Each takes one walker as
 * its argument, since a closure for each configuration would lose the constants. They allocate nothing. Lanes are written by number, and
 * rotations are written out, since what is called here must not use up the inliner's budget.
 */
import { lanes as R } from './access.ts'
import { coldWalk } from './cold.ts'
import { meaningAt } from './compile.ts'
import { failAt, failBefore, failRights, failUnknown } from './fail.ts'
import { lostBelow, mark } from './updates.ts'
import type { Walker } from './walker.ts'

// a constant of this module: an import is a variable to V8
const OUT = R

/** Walks by the walker's shape: 0, or a fault's number. `need`: rights that are needed. */
export function walk(m: Walker, hi: number, lo: number, need: number): number {
  if (m.words.length === 0) m.reload()
  if (m.shape === 1) return plain(m, hi, lo, need)
  if (m.shape === 2) return narrow(m, hi, lo, need)
  if (m.shape === 3) return general(m, hi, lo, need)
  if (m.shape === 0) return coldWalk(m, hi, lo, need)
  m.selectRoot(hi, lo)
  return general(m, hi, lo, need)
}

function plain(m: Walker, tagged: number, lo: number, need: number): number {
  const hi = (tagged << m.tag) >> m.tag
  const w = hi & m.inHi
  const v = lo & m.inLo
  if (((w ^ m.windowHi) | (v ^ m.windowLo)) !== 0 && ((w ^ m.otherHi) | (v ^ m.otherLo)) !== 0) return failBefore(m, tagged, lo, need)
  let r = m.top
  let tHi = m.rootHi
  let tLo = m.rootLo
  let limits = 127
  let up = 0
  let words = m.words
  for (;;) {
    const by = r.rotate
    const at = (tLo + ((((lo << by) | (lo >>> (32 - by))) & r.maskLo) | (((hi << by) | (hi >>> (32 - by))) & r.maskHi))) | 0
    if (tHi !== m.chunkHi || (at - m.chunkLo) >>> 0 >= m.chunkSize >>> 0) {
      if (!m.find(tHi, at)) return failUnknown(m, r, tagged, lo, need)
      words = m.words
    }
    const place = ((at - m.chunkLo) >>> 2) | 0
    const d = words[place]! | 0
    const h = words[place + r.wide]! | 0
    if ((((d & r.tableMaskLo) ^ r.tableValueLo) | ((h & r.tableMaskHi) ^ r.tableValueHi)) === 0) {
      tLo = d & r.lowMask
      tHi = h & r.highMask
      limits &= r.limits
      up = r.up
      r = r.next
      continue
    }
    let c = r.leaf
    if ((((d & c.maskLo) ^ c.valueLo) | ((h & c.maskHi) ^ c.valueHi) | (up ^ c.above)) !== 0) {
      c = meaningAt(m.levels, r, d, h, up)
      if (c.fault !== 0) return failAt(m, r, c, tagged, lo, need)
      if (c.cold) return coldWalk(m, tagged, lo, need)
      if (!c.leaf) {
        tLo = d & c.lowMask
        tHi = h & c.highMask
        limits &= c.rights
        up = c.up
        r = c.child!
        continue
      }
    }
    const path = c.rights & limits
    const rights = m.regime[path]! | 0
    if ((((c.traps & need) | (need & ~rights)) & 63) !== 0) return failRights(m, r, c, tagged, lo, need)
    OUT[0] = (h & c.highMask) | (hi & c.keepHi)
    OUT[1] = (d & c.lowMask) | (lo & c.keepLo)
    OUT[2] = rights
    OUT[3] = c.sizeLg
    OUT[4] = c.memory
    OUT[5] = 0
    OUT[16] = path
    OUT[17] = c.open
    return 0
  }
}

function narrow(m: Walker, hi: number, lo: number, need: number): number {
  if ((((hi & m.inHi) ^ m.windowHi) | ((lo & m.inLo) ^ m.windowLo)) !== 0) return failBefore(m, hi, lo, need)
  let r = m.top
  let tLo = m.rootLo
  let limits = 127
  let up = 0
  let words = m.words
  for (;;) {
    const by = r.rotate
    const at = (tLo + (((lo << by) | (lo >>> (32 - by))) & r.maskLo)) | 0
    if (m.chunkHi !== 0 || (at - m.chunkLo) >>> 0 >= m.chunkSize >>> 0) {
      if (!m.find(0, at)) return failUnknown(m, r, hi, lo, need)
      words = m.words
    }
    const d = words[((at - m.chunkLo) >>> 2) | 0]! | 0
    if ((d & r.tableMaskLo) === r.tableValueLo) {
      tLo = d & r.lowMask
      limits &= r.limits
      up = r.up
      r = r.next
      continue
    }
    let c = r.leaf
    if ((((d & c.maskLo) ^ c.valueLo) | (up ^ c.above)) !== 0) {
      c = meaningAt(m.levels, r, d, 0, up)
      if (c.fault !== 0) return failAt(m, r, c, hi, lo, need)
      if (c.cold) return coldWalk(m, hi, lo, need)
      if (!c.leaf) {
        tLo = d & c.lowMask
        limits &= c.rights
        up = c.up
        r = c.child!
        continue
      }
    }
    const path = c.rights & limits
    const rights = m.regime[path]! | 0
    if ((((c.traps & need) | (need & ~rights)) & 63) !== 0) return failRights(m, r, c, hi, lo, need)
    OUT[0] = 0
    OUT[1] = (d & c.lowMask) | (lo & c.keepLo)
    OUT[2] = rights
    OUT[3] = c.sizeLg
    OUT[4] = c.memory
    OUT[5] = 0
    OUT[16] = path
    OUT[17] = c.open
    return 0
  }
}

function general(m: Walker, tagged: number, lo: number, need: number): number {
  const hi = (tagged << m.tag) >> m.tag
  const w = hi & m.inHi
  const v = lo & m.inLo
  if (((w ^ m.windowHi) | (v ^ m.windowLo)) !== 0 && ((w ^ m.otherHi) | (v ^ m.otherLo)) !== 0) return failBefore(m, tagged, lo, need)
  let r = m.top
  let tHi = m.rootHi
  let tLo = m.rootLo
  let limits = 127
  let up = 0
  for (;;) {
    const by = r.rotate
    let at = (tLo + ((((lo << by) | (lo >>> (32 - by))) & r.maskLo) | (((hi << by) | (hi >>> (32 - by))) & r.maskHi))) | 0
    let atHi = tHi
    if (m.below !== undefined) {
      const fault = m.fetch(tHi, at, tagged, lo, need)
      if (fault !== 0) return fault
      atHi = OUT[0]! | 0
      at = OUT[1]! | 0
    }
    if (atHi !== m.chunkHi || (at - m.chunkLo) >>> 0 >= m.chunkSize >>> 0) if (!m.find(atHi, at)) return failUnknown(m, r, tagged, lo, need)
    const place = ((at - m.chunkLo) >>> 2) | 0
    const d = m.words[place]! | 0
    const h = m.words[place + r.wide]! | 0
    if ((((d & r.tableMaskLo) ^ r.tableValueLo) | ((h & r.tableMaskHi) ^ r.tableValueHi)) === 0) {
      const a = r.low
      const b = r.high
      const e = r.across
      const f = r.second
      tLo = ((d << a) | (d >>> (32 - a))) & r.lowMask
      tHi =
        (((h << b) | (h >>> (32 - b))) & r.highMask) |
        (((d << e) | (d >>> (32 - e))) & r.acrossMask) |
        (((d << f) | (d >>> (32 - f))) & r.secondMask)
      limits &= r.limits
      up = r.up
      r = r.next
      continue
    }
    let c = r.leaf
    if ((((d & c.maskLo) ^ c.valueLo) | ((h & c.maskHi) ^ c.valueHi) | (up ^ c.above)) !== 0) {
      c = meaningAt(m.levels, r, d, r.wide === 0 ? 0 : h, up)
      if (c.fault !== 0) return failAt(m, r, c, tagged, lo, need)
      if (c.cold) return coldWalk(m, tagged, lo, need)
    }
    const a = c.low
    const b = c.high
    const e = c.across
    const f = c.second
    const outLo = ((d << a) | (d >>> (32 - a))) & c.lowMask
    const outHi =
      (((h << b) | (h >>> (32 - b))) & c.highMask) |
      (((d << e) | (d >>> (32 - e))) & c.acrossMask) |
      (((d << f) | (d >>> (32 - f))) & c.secondMask)
    if (!c.leaf) {
      if (m.updates) {
        const lost = mark(m, c, r, place, d, h, 0)
        if (lost !== 0) return lost > 0 ? general(m, tagged, lo, need) : lostBelow(tagged, lo, need)
      }
      tLo = outLo
      tHi = outHi
      limits &= c.rights
      up = c.up
      r = c.child!
      continue
    }
    const path = c.rights & limits
    const rights = m.regime[path]! | 0
    if ((((c.traps & need) | (need & ~rights)) & 63) !== 0) return failRights(m, r, c, tagged, lo, need)
    if (m.updates) {
      const lost = mark(m, c, r, place, d, h, need)
      if (lost !== 0) return lost > 0 ? general(m, tagged, lo, need) : lostBelow(tagged, lo, need)
    }
    OUT[0] = outHi | (hi & c.keepHi)
    OUT[1] = outLo | (lo & c.keepLo)
    OUT[2] = rights
    OUT[3] = c.sizeLg
    OUT[4] = c.memory
    OUT[5] = 0
    OUT[16] = path
    OUT[17] = c.open
    return m.below === undefined ? 0 : m.finish(tagged, lo, need)
  }
}
