/** Fault records of IOMMUs: what they have in common once they are decoded. */
import { bitsOf, type Field, hex, IoPgtableError } from '@io-pgtable/core'
import { type ExplainedField, explainField } from '../explain/explain.ts'

/** What the device tried, as far as the record says it. */
export interface FaultAccess {
  readonly write?: boolean
  readonly execute?: boolean
  readonly privileged?: boolean
}

export interface FaultRecord {
  /** The manual. */
  readonly manual: string
  readonly raw: bigint
  /** The record's code, and its name in the manual. */
  readonly code: number
  readonly name: string
  /** What happened, in a sentence. */
  readonly meaning: string
  /** The device: StreamID, source id, device id. */
  readonly sid: number
  /** SubstreamID, PASID, process id; undefined where there was none. */
  readonly pasid?: number
  /** The input address, where the record has one. */
  readonly iova?: bigint
  /** The bytes that the address stands for: some records only have its page. */
  readonly granule?: number
  /** The address between two stages, where the second one faulted. */
  readonly ipa?: bigint
  /** The structure that the IOMMU could not read. */
  readonly fetch?: bigint
  readonly stage?: 1 | 2
  readonly access: FaultAccess
  /** Whether the transaction waits for an answer. */
  readonly stalled?: boolean
  readonly fields: readonly ExplainedField[]
  /** Bits of no field that are set. */
  readonly reserved: bigint
}

/** The fields of a record from the lowest bit on, and the bits that none has. */
export function fieldsOf(raw: bigint, fields: readonly Field[]): Pick<FaultRecord, 'fields' | 'reserved'> {
  const known = bitsOf(fields.flatMap(({ pieces }) => pieces))
  return { fields: fields.map((field) => explainField(field, raw)), reserved: raw & ~known }
}

/**
 * Words as one value, the first one lowest.
 * @param total bits of a record
 * @throws `EINVAL` for another number of words than make up a record, or a word that is too large
 */
export function joinWords(op: string, words: readonly bigint[], total: number): bigint {
  const width = total / words.length
  if (width !== 32 && width !== 64)
    throw new IoPgtableError('EINVAL', op, `${words.length} words: ${total / 64} of 64 bits or ${total / 32} of 32 expected`, {
      value: words.length,
    })
  return words.reduce((raw, word, i) => {
    if (word < 0n || word >= 1n << BigInt(width))
      throw new IoPgtableError('EINVAL', op, `${hex(word)}: a word of ${width} bits expected`, { value: word })
    return raw | (word << BigInt(width * i))
  }, 0n)
}

/** One bit as a boolean. */
export function bit(raw: bigint, at: number): boolean {
  return ((raw >> BigInt(at)) & 1n) === 1n
}

/** Bits `hi..lo`. */
export function bits(raw: bigint, hi: number, lo: number): bigint {
  return BigInt.asUintN(hi - lo + 1, raw >> BigInt(lo))
}
