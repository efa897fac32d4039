/** The walk by `AccessRules`, for what the fast ones have no form for: levels that are skipped, tables that lie askew. It makes bigints. */
import { type Decoded, type DecodedTable, entrySpan, type ReadMemory, Right } from '@io-pgtable/core'
import { faultCode, memoryNumber, NO_LEVEL, lanes as R, SPARSE } from './access.ts'
import { fail } from './fail.ts'
import { LOCAL } from './level.ts'
import type { Walker } from './walker.ts'

const join = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
const low = (value: bigint): number => Number(BigInt.asIntN(32, value)) | 0
const high = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n)) | 0

export function coldWalk(m: Walker, hi: number, lo: number, need: number): number {
  const { rules } = m.levels
  let fetched = 0
  const read: ReadMemory = (paddr, bytes) => {
    if (m.below === undefined) return m.memory.read(paddr, bytes)
    fetched = m.fetch(high(paddr), low(paddr), hi, lo, need)
    return fetched === 0 ? m.memory.read(join(R[0] as number, R[1] as number), bytes) : undefined
  }
  const verdict = rules.translate(m.roots, read, join(hi, lo))
  if (fetched !== 0) return fetched
  const { fault, level = NO_LEVEL, traps, paddr } = verdict
  if (verdict.sparse) return fail(m, SPARSE, level, hi, lo, need)
  if (fault !== undefined || paddr === undefined) {
    fail(m, faultCode(fault?.type ?? 'translation'), fault?.level ?? NO_LEVEL, hi, lo, need)
    R[14] = high(fault?.bits ?? 0n)
    R[15] = low(fault?.bits ?? 0n)
    return R[5] as number
  }
  const rights = m.regime[verdict.path] as number
  const wanted = need | (need >> 3)
  const trap = (wanted & 2 && traps.write) || (wanted & 1 && traps.read) || (wanted & 4 && traps.execute)
  if (trap) return fail(m, faultCode(trap), level, hi, lo, need)
  if ((need & ~rights) !== 0) return fail(m, faultCode('permission'), level, hi, lo, need)
  const leaf = verdict.walk.at(-1)
  const isGlobal = verdict.walk.some(
    (entry, i) => (entry.type === 'leaf' || entry.type === 'table') && rules.isGlobal(entry, aboveOf(verdict.walk[i - 1])),
  )
  R[0] = high(paddr)
  R[1] = low(paddr)
  R[2] = (rights & 63) | (isGlobal ? 0 : LOCAL)
  R[3] = leaf?.type === 'leaf' ? Math.log2(entrySpan(leaf.node, leaf.size)) : 0
  R[4] = memoryNumber(verdict.memory)
  R[5] = 0
  R[16] = verdict.path | (isGlobal ? 0 : LOCAL)
  R[17] = 127 & ~((traps.read ? Right.READ : 0) | (traps.write ? Right.WRITE : 0) | (traps.execute ? Right.EXECUTE : 0))
  return m.below === undefined ? 0 : m.finish(hi, lo, need)
}

function aboveOf(entry: Decoded | undefined): DecodedTable | undefined {
  return entry?.type === 'table' ? entry : undefined
}
