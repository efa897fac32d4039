/** Event records as an SMMUv3 writes them to its queue: IHI 0070, 7.3. Four words of 64 bits. */
import type { FaultType } from '@io-pgtable/core'
import type { MmuFault } from '@io-pgtable/mmu'

export type EventRecord = readonly [bigint, bigint, bigint, bigint]

/** What a device asks. */
export interface Transaction {
  readonly sid: number
  /** SubstreamID (a PASID); left out: the transaction has none. */
  readonly ssid?: number
  readonly iova: bigint
  /** As `Access` of `@io-pgtable/mmu` has it. */
  readonly access: number
}

/** 7.3: event numbers. */
export const EVENT = {
  C_BAD_STREAMID: 0x02,
  F_STE_FETCH: 0x03,
  C_BAD_STE: 0x04,
  F_STREAM_DISABLED: 0x06,
  C_BAD_SUBSTREAMID: 0x08,
  F_CD_FETCH: 0x09,
  C_BAD_CD: 0x0a,
  F_WALK_EABT: 0x0b,
  F_TRANSLATION: 0x10,
  F_ADDR_SIZE: 0x11,
  F_ACCESS: 0x12,
  F_PERMISSION: 0x13,
} as const

const OF_FAULT: Readonly<Partial<Record<FaultType, number>>> = {
  'address-size': EVENT.F_ADDR_SIZE,
  'access-flag': EVENT.F_ACCESS,
  permission: EVENT.F_PERMISSION,
  'walk-abort': EVENT.F_WALK_EABT,
  'unknown-memory': EVENT.F_WALK_EABT,
}

/** What stage 2 was asked for: a context descriptor, a table of stage 1, or the transaction's own address. */
export type FaultClass = 'CD' | 'TTD' | 'IN'
const CLASS: Readonly<Record<FaultClass, bigint>> = { CD: 0n, TTD: 1n, IN: 2n }

const flag = (on: boolean, at: bigint): bigint => (on ? 1n << at : 0n)

/** Event number, SubstreamID and StreamID. */
function head(number: number, { sid, ssid }: Transaction): bigint {
  const substream = ssid === undefined ? 0n : (1n << 11n) | (BigInt(ssid) << 12n)
  return BigInt(number) | substream | (BigInt(sid) << 32n)
}

/** A record that names the stream alone. */
export function streamEvent(number: number, transaction: Transaction): EventRecord {
  return [head(number, transaction), 0n, 0n, 0n]
}

/** A structure could not be read: bits 51:3 of its address. */
export function fetchEvent(number: number, transaction: Transaction, address: bigint): EventRecord {
  return [head(number, transaction), 0n, 0n, address & 0xf_ffff_ffff_fff8n]
}

/** A translation failed. The record's address of a fetch that was aborted is that of the transaction: which entry it was is not known here. */
export function faultEvent(transaction: Transaction, fault: MmuFault, cause: FaultClass): EventRecord {
  const { type, stage, privileged, access, ipa } = fault
  const number = OF_FAULT[type] ?? EVENT.F_TRANSLATION
  const attributes = flag(privileged, 33n) | flag(access === 'execute', 34n) | flag(access !== 'write', 35n)
  // TTRnW: tables are read
  const word = attributes | flag(stage === 2, 39n) | (CLASS[cause] << 40n) | flag(cause === 'TTD', 44n)
  return [
    head(number, transaction),
    word,
    transaction.iova,
    stage === 2 && number !== EVENT.F_WALK_EABT ? (ipa ?? 0n) & 0xf_ffff_ffff_f000n : 0n,
  ]
}
