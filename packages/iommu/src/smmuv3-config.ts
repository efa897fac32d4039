/**
 * From a StreamID and a SubstreamID to the structures that decide: Arm System Memory Management Unit Architecture Specification, version 3
 * (IHI 0070), 3.3 (data structures and translation procedure), 3.9 (substreams), 5.1 to 5.4.
 */
import { extract, type Piece, type ReadMemory } from '@io-pgtable/core'
import { readStructure, type StreamTable } from '@io-pgtable/inspect'
import { EVENT, type EventRecord, fetchEvent, streamEvent, type Transaction } from './smmuv3-events.ts'

type Fields<N extends string> = Readonly<Record<N, Piece>>

/** Stream table entry, 5.2, and context descriptor, 5.4: what is not about tables. */
const STE: Fields<'V' | 'Config' | 'S1Fmt' | 'S1ContextPtr' | 'S1CDMax' | 'S1DSS' | 'PRIVCFG' | 'INSTCFG' | 'S2VMID' | 'S2AFFD' | 'S2R'> = {
  V: [0, 0, 0],
  Config: [3, 1, 0],
  S1Fmt: [5, 4, 0],
  S1ContextPtr: [55, 6, 6],
  S1CDMax: [63, 59, 0],
  S1DSS: [65, 64, 0],
  PRIVCFG: [113, 112, 0],
  INSTCFG: [115, 114, 0],
  S2VMID: [143, 128, 0],
  S2AFFD: [181, 181, 0],
  S2R: [186, 186, 0],
}
const CD: Fields<'AFFD' | 'PAN' | 'R' | 'ASID'> = { AFFD: [35, 35, 0], PAN: [40, 40, 0], R: [45, 45, 0], ASID: [63, 48, 0] }

const STE_BYTES = 64
const L1_BYTES = 8
/** SubstreamID bits that a leaf of a 2-level table of context descriptors holds, by S1Fmt. */
const CD_SPLIT: Readonly<Record<number, number>> = { 1: 6, 2: 10 }

export function ste(raw: bigint, name: keyof typeof STE): number {
  return Number(extract(raw, [STE[name]]))
}
export function cd(raw: bigint, name: keyof typeof CD): number {
  return Number(extract(raw, [CD[name]]))
}

/** A structure, or why there is none. */
export type Fetched = { readonly raw: bigint } | { readonly event: EventRecord }

/** 3.3.1: the stream table entry of a stream. */
export function fetchSte({ base, format, split, sidBits }: StreamTable, read: ReadMemory, of: Transaction): Fetched {
  const { sid } = of
  const outside = { event: streamEvent(EVENT.C_BAD_STREAMID, of) }
  if (sid >= 2 ** sidBits) return outside
  if (format === 'linear') return steAt(base + BigInt(sid * STE_BYTES), read, of)
  const at = base + BigInt(Math.floor(sid / 2 ** split) * L1_BYTES)
  const descriptor = readStructure(read, at, L1_BYTES)
  if (descriptor === undefined) return { event: fetchEvent(EVENT.F_STE_FETCH, of, at) }
  const span = Number(descriptor & 31n)
  const index = sid % 2 ** split
  // reserved spans behave as 0
  if (span === 0 || span > Math.min(11, split + 1) || index >= 2 ** (span - 1)) return outside
  const array = extract(descriptor, [[55, 6, 6]]) & -BigInt(STE_BYTES * 2 ** (span - 1))
  return steAt(array + BigInt(index * STE_BYTES), read, of)
}

function steAt(at: bigint, read: ReadMemory, of: Transaction): Fetched {
  const raw = readStructure(read, at, STE_BYTES)
  if (raw === undefined) return { event: fetchEvent(EVENT.F_STE_FETCH, of, at) }
  return ste(raw, 'V') === 0 ? { event: streamEvent(EVENT.C_BAD_STE, of) } : { raw }
}

/** 3.9: which context descriptor a transaction uses: its number, `bypass` of stage 1, or the event. */
export function substreamOf(raw: bigint, of: Transaction): number | 'bypass' | { readonly event: EventRecord } {
  const { ssid } = of
  const max = ste(raw, 'S1CDMax')
  if (max === 0) return ssid === undefined ? 0 : { event: streamEvent(EVENT.C_BAD_SUBSTREAMID, of) }
  const dss = ste(raw, 'S1DSS')
  if (ssid === undefined) return dss === 1 ? 'bypass' : dss === 2 ? 0 : { event: streamEvent(EVENT.F_STREAM_DISABLED, of) }
  if (ssid >= 2 ** max) return { event: streamEvent(EVENT.C_BAD_SUBSTREAMID, of) }
  return dss === 2 && ssid === 0 ? { event: streamEvent(EVENT.F_STREAM_DISABLED, of) } : ssid
}

/** The context descriptor of a substream. `read` goes through stage 2 where there is one, and throws what that says. */
export function fetchCd(raw: bigint, index: number, read: ReadMemory, of: Transaction): Fetched {
  const pointer = extract(raw, [STE.S1ContextPtr])
  const max = ste(raw, 'S1CDMax')
  const split = CD_SPLIT[ste(raw, 'S1Fmt')]
  if (max === 0) return cdAt(pointer, read, of)
  if (split === undefined) return cdAt((pointer & -BigInt(STE_BYTES * 2 ** max)) + BigInt(index * STE_BYTES), read, of)
  const table = pointer & -BigInt(L1_BYTES * 2 ** Math.max(0, max - split))
  const at = table + BigInt(Math.floor(index / 2 ** split) * L1_BYTES)
  const descriptor = readStructure(read, at, L1_BYTES)
  if (descriptor === undefined) return { event: fetchEvent(EVENT.F_CD_FETCH, of, at) }
  if ((descriptor & 1n) === 0n) return { event: streamEvent(EVENT.C_BAD_SUBSTREAMID, of) }
  const leaf = extract(descriptor, [[55, 12, 12]]) & -BigInt(STE_BYTES * 2 ** split)
  return cdAt(leaf + BigInt((index % 2 ** split) * STE_BYTES), read, of)
}

function cdAt(at: bigint, read: ReadMemory, of: Transaction): Fetched {
  const raw = readStructure(read, at, STE_BYTES)
  return raw === undefined ? { event: fetchEvent(EVENT.F_CD_FETCH, of, at) } : { raw }
}
