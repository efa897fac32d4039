/** How a walk ends: the fault, in lanes. */
import { faultCode, lanes, NO_LEVEL, PERMISSION, TRANSLATION, UNKNOWN_MEMORY } from './access.ts'
import type { Level, Pattern } from './level.ts'
import type { Walker } from './walker.ts'

const R = lanes

/** The fault of a stage that stands by itself, or of stage 1. */
export function fail(m: Walker, type: number, level: number, hi: number, lo: number, need: number): number {
  R[5] = type
  R[6] = level
  R[7] = m.stage
  R[8] = 0
  R[9] = 0
  R[10] = 0
  R[11] = hi
  R[12] = lo
  R[13] = need
  R[14] = 0
  R[15] = 0
  return type
}

/** A descriptor that ends every walk. */
export function failAt(m: Walker, { level }: Level, { fault, bitsHi, bitsLo }: Pattern, hi: number, lo: number, need: number): number {
  fail(m, fault, level, hi, lo, need)
  R[14] = bitsHi
  R[15] = bitsLo
  return fault
}

/** A leaf that lets this access not through: traps come first. */
export function failRights(m: Walker, { level }: Level, c: Pattern, hi: number, lo: number, need: number): number {
  const both = need | (need >> 3)
  const trap = (both & 2 && c.trapWrite) || (both & 1 && c.trapRead) || (both & 4 && c.trapExecute)
  return fail(m, trap || PERMISSION, level, hi, lo, need)
}

export function failUnknown(m: Walker, { level }: Level, hi: number, lo: number, need: number): number {
  return fail(m, UNKNOWN_MEMORY, level, hi, lo, need)
}

const NOT_CANONICAL = faultCode('not-canonical')

/** An address that the root does not translate, or a root beyond the address size. */
export function failBefore(m: Walker, hi: number, lo: number, need: number): number {
  if (!m.isInWindow((hi << m.tag) >> m.tag, lo)) return fail(m, m.isSignExtended ? NOT_CANONICAL : TRANSLATION, NO_LEVEL, hi, lo, need)
  if (m.rootFault !== 0) return fail(m, m.rootFault, 0, hi, lo, need)
  return fail(m, m.reachesRoot(hi, lo) ? TRANSLATION : UNKNOWN_MEMORY, m.top.level, hi, lo, need)
}
