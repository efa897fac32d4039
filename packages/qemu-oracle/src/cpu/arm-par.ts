/** What PAR and the syndromes of exceptions say (Arm ARM DDI 0487: PAR_EL1, ESR_EL2, D24.2; DDI 0406C: PAR, B4.1.112; HSR, B4.1.64). */
import { hex } from '@io-pgtable/core'
import { HVC_VECTOR } from './guest-a64.ts'
import type { Answer } from './question.ts'

const LONG_KINDS = ['address size', 'translation', 'access flag', 'permission'] as const
/** Level -1, which only FEAT_LPA2 has, has codes of its own. */
const LEVEL_MINUS_1: Readonly<Record<number, string>> = { 41: 'address size', 43: 'translation' }

/** A fault status code of the long-descriptor format: xFSC of ESR, FST of PAR. */
export function longFault(status: number): string {
  const kind = LONG_KINDS[status >> 2]
  if (kind !== undefined) return `${kind} L${status & 3}`
  const minus = LEVEL_MINUS_1[status]
  return minus === undefined ? `status ${hex(status)}` : `${minus} L-1`
}

/** PAR_EL1: PA[51:12], the attribute of MAIR and the shareability. Below 4 KiB an AT says nothing. */
export function parAnswer64(par: bigint): Answer {
  if (par & 1n) return { fault: longFault(Number((par >> 1n) & 0x3fn)) }
  return { paddr: par & 0xf_ffff_ffff_f000n, memory: memoryOf(Number(par >> 56n), Number((par >> 7n) & 3n)) }
}

/** The 64-bit PAR of AArch32, PA[39:12], which an instruction in Hyp mode gives; for short descriptors, too, but for their memory type. */
export function parAnswer32(par: bigint, lpae: boolean): Answer {
  if (par & 1n) return { fault: longFault(Number((par >> 1n) & 0x3fn)) }
  const paddr = par & 0xff_ffff_f000n
  return lpae ? { paddr, memory: memoryOf(Number(par >> 56n), Number((par >> 7n) & 3n)) } : { paddr }
}

/** An attribute of MAIR with a shareability, in one word for all tests. */
export function memoryOf(attribute: number, shareability: number): string {
  return `attribute ${hex(attribute)}, shareability ${shareability}`
}

const EC = { unknown: 0x00, hvc32: 0x12, hvc64: 0x16, fetchBelow: 0x20, fetchHere: 0x21, dataBelow: 0x24 } as const

/**
 * What ended an excursion to EL1 or EL0, as a fault or none: it came back by a hypervisor call, of the code that it was to reach or of a
 * vector of EL1; or by an abort of stage 2. At EL0 a hypervisor call is undefined, which shows that it was fetched.
 */
export function tripAnswer64(esrEl2: bigint, esrEl1: bigint): Answer {
  const vector = vectorOf(esrEl2, EC.hvc64)
  if (typeof vector !== 'number') return vector
  const ec = Number(esrEl1 >> 26n) & 63
  if (ec === EC.unknown) return {}
  return { fault: ec === EC.fetchBelow || ec === EC.fetchHere ? longFault(Number(esrEl1) & 63) : `exception class ${hex(ec)}` }
}

/** IFSR with short descriptors (B3.13.3): the same faults as in the long format; level 1 are sections, level 2 pages. */
const SHORT_FETCH: Readonly<Record<number, string>> = {
  5: 'translation L1',
  7: 'translation L2',
  3: 'access flag L1',
  6: 'access flag L2',
  13: 'permission L1',
  15: 'permission L2',
}
const UNDEFINED = 1
const PREFETCH_ABORT = 3
const LPAE = 1n << 9n

/** The same in AArch32: HSR, with IFSR above it. */
export function tripAnswer32(syndromes: bigint): Answer {
  const vector = vectorOf(syndromes & 0xffff_ffffn, EC.hvc32)
  if (typeof vector !== 'number') return vector
  if (vector === UNDEFINED) return {}
  if (vector !== PREFETCH_ABORT) return { fault: `vector ${vector}` }
  const ifsr = syndromes >> 32n
  const status = Number(ifsr & 0x3fn)
  return { fault: ifsr & LPAE ? longFault(status) : (SHORT_FETCH[status & 15] ?? `status ${hex(status)}`) }
}

/** The number of the vector of EL1 that made the hypervisor call, or what else there was. */
function vectorOf(syndrome: bigint, hvc: number): Answer | number {
  const ec = Number(syndrome >> 26n) & 63
  if (ec === EC.fetchBelow || ec === EC.dataBelow) return { fault: longFault(Number(syndrome) & 63) }
  if (ec !== hvc) return { fault: `exception class ${hex(ec)}` }
  const immediate = Number(syndrome & 0xffffn)
  return immediate < HVC_VECTOR ? {} : immediate - HVC_VECTOR
}
