/** Faults as data. */
import { type AccessFault, type AccessKind, type ArchFault, FAULT_TYPES, type FaultType } from '@io-pgtable/core'
import { Lane, lanes, NO_LEVEL } from './access.ts'

/** Why an access does not get through. */
export interface MmuFault extends AccessFault {
  readonly stage: 1 | 2
  readonly iova: bigint
  /** Where stage 2 faulted: the address that it was given. */
  readonly ipa?: bigint
  /** Stage 2 faulted on the fetch of a table of stage 1. */
  readonly onWalk: boolean
  /** As hardware reports it, where the format says how. */
  readonly arch?: ArchFault
}

const at = (lane: number): number => lanes[lane] as number
const wide = (hi: number, lo: number): bigint => (BigInt(at(hi) >>> 0) << 32n) | BigInt(at(lo) >>> 0)

/** The fault that the lanes hold, without its code; undefined where the last access got through. */
export function faultInLanes(): Omit<MmuFault, 'arch'> | undefined {
  const type = FAULT_TYPES[at(Lane.FAULT) - 1]
  if (type === undefined) return undefined
  const need = at(Lane.NEED)
  const level = at(Lane.LEVEL) === NO_LEVEL ? undefined : at(Lane.LEVEL)
  const stage = at(Lane.STAGE) === 2 ? 2 : 1
  const onWalk = at(Lane.ON_WALK) === 1
  const bits = wide(Lane.BITS_HI, Lane.BITS_LO)
  const access = kindOf(need)
  return {
    type,
    level,
    reason: reasonOf(type, level, access, onWalk),
    access,
    privileged: need > 7,
    stage,
    iova: wide(Lane.IOVA_HI, Lane.IOVA_LO),
    onWalk,
    ...(stage === 2 && { ipa: wide(Lane.IPA_HI, Lane.IPA_LO) }),
    ...(bits !== 0n && { bits }),
  }
}

function kindOf(need: number): AccessKind {
  const wanted = need | (need >> 3)
  return wanted & 2 ? 'write' : wanted & 4 ? 'execute' : 'read'
}

function reasonOf(type: FaultType, level: number | undefined, access: AccessKind, onWalk: boolean): string {
  const where = level === undefined ? 'before any table' : `at level ${level}`
  return `${access}: ${type} ${where}${onWalk ? ' of stage 2, on the fetch of a table of stage 1' : ''}`
}
