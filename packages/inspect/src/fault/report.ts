/** What a fault record says, whatever hardware wrote it: one shape for all kinds, and its JSON. */
import { type AccessKind, bitsOf, type FaultType, type Field, hex, IoPgtableError } from '@io-pgtable/core'
import { type ExplainedField, explainField } from '../explain/explain.ts'
import { parseInteger } from '../json-text.ts'

/** What was tried, as far as the record says it. */
export interface FaultAccess {
  /** The input address. */
  readonly iova?: bigint
  readonly type?: AccessKind
  readonly privileged?: boolean
}

/** Why it failed, in the words of all packages. */
export interface FaultVerdict {
  readonly type?: FaultType
  /** As the manual counts. */
  readonly level?: number
  readonly stage?: 1 | 2
}

/** A fact of a record that has no field of its own there. */
export type Fact = number | string | boolean | bigint

export interface FaultReport {
  /** The kind, as in commands: `smmuv3`. */
  readonly kind: string
  /** The manual, or the document that the layout is from. */
  readonly manual: string
  /** The code's name in the manual. */
  readonly name: string
  /** What happened, in a sentence or two. */
  readonly explanation: string
  /** The device: StreamID, source id, device id. Of an IOMMU alone. */
  readonly sid?: number
  /** SubstreamID, PASID, process id; undefined where there was none. */
  readonly pasid?: number
  /** Further facts, by name: `stalled`, `vmid`, `client`. */
  readonly facts: Readonly<Record<string, Fact>>
  readonly access: FaultAccess
  readonly fault: FaultVerdict
  /** The address between two stages, where the record has it. */
  readonly ipa?: bigint
  /** The codes that a format's `fault` gives, by its names: they decide whether tables and record agree. */
  readonly codes?: Readonly<Record<string, number>>
  /** The hardware counts levels in a way of its own: they are not compared. */
  readonly ownLevels?: true
  readonly fields: readonly ExplainedField[]
  /** Bits of no field that are set. */
  readonly reserved: bigint
}

/** The fields of a record from the lowest bit on, and the bits that none has. */
export function fieldsOf(raw: bigint, fields: readonly Field[]): Pick<FaultReport, 'fields' | 'reserved'> {
  const known = bitsOf(fields.flatMap(({ pieces }) => pieces))
  return { fields: fields.map((field) => explainField(field, raw)), reserved: raw & ~known }
}

/** How bits of no field are told. */
export function reservedText(reserved: bigint): string {
  const places: number[] = []
  for (let at = 0, left = reserved; left !== 0n; at++, left >>= 1n) if ((left & 1n) === 1n) places.push(at)
  return `bit${places.length === 1 ? '' : 's'} ${places.join(', ')} set: of no field of this record`
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
  return words.reduce((raw, word, i) => raw | (checkedWord(op, word, width) << BigInt(width * i)), 0n)
}

/** @throws `EINVAL` for a word of more bits */
export function checkedWord(op: string, word: bigint, width: number): bigint {
  if (word < 0n || word >= 1n << BigInt(width))
    throw new IoPgtableError('EINVAL', op, `${hex(word)}: a word of ${width} bits expected`, { value: word })
  return word
}

/** A number of a command line or a log. @throws `EINVAL` */
export function number(op: string, text: string): bigint {
  const value = parseInteger(text)
  if (value === undefined) throw new IoPgtableError('EINVAL', op, `${JSON.stringify(text)}: an integer expected, as 0x1000`)
  return value
}

/** Numbers of a command line: `least` to `most` of them. @throws `EINVAL` */
export function numbers(op: string, texts: readonly string[], names: string, least: number, most: number): readonly bigint[] {
  if (texts.length < least || texts.length > most)
    throw new IoPgtableError('EINVAL', op, `${texts.length} words: ${names} expected`, { value: texts.length })
  return texts.map((text) => number(op, text))
}

/** One bit as a boolean. */
export function bit(raw: bigint, at: number): boolean {
  return ((raw >> BigInt(at)) & 1n) === 1n
}

/** Bits `hi..lo`. */
export function bits(raw: bigint, hi: number, lo: number): bigint {
  return BigInt.asUintN(hi - lo + 1, raw >> BigInt(lo))
}

/** The same as a number: of at most 53 bits. */
export function small(raw: bigint, hi: number, lo: number): number {
  return Number(bits(raw, hi, lo))
}

/** A PCI requester id as `bus:device.function`; with more than 16 bits, behind the segment. */
export function busDeviceFunction(sid: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0')
  const segment = Math.floor(sid / 0x10000)
  const own = `${two((sid >> 8) & 0xff)}:${two((sid >> 3) & 31)}.${sid & 7}`
  return segment === 0 ? own : `${segment.toString(16).padStart(4, '0')}:${own}`
}

/** `00:02.0`, also with a segment before it; undefined for another text. */
export function parseDevice(text: string): number | undefined {
  const [, segment = '0', bus = '', device = '', fn = ''] =
    /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i.exec(text.trim()) ?? []
  if (bus === '') return undefined
  const [d, s] = [Number.parseInt(device, 16), Number.parseInt(segment, 16)]
  return d > 31 ? undefined : s * 0x10000 + Number.parseInt(bus, 16) * 256 + d * 8 + Number(fn)
}

/** One record as JSON. `walks` and `agrees` are added by who has tables. */
export interface FaultReportJson {
  readonly kind: string
  readonly record: Readonly<Record<string, number | string | boolean>>
  readonly access: { readonly iova: string | null; readonly type: AccessKind | null; readonly privileged: boolean | null }
  readonly fault: { readonly type: FaultType | null; readonly level: number | null; readonly stage: 1 | 2 | null }
  readonly explanation: string
}

/** The object of one record. In `record`, fields of more than 32 bits are hex. */
export function faultReportJson({
  kind,
  name,
  explanation,
  sid,
  pasid,
  facts,
  access,
  fault,
  ipa,
  fields,
  reserved,
}: FaultReport): FaultReportJson {
  const { iova, type, privileged } = access
  const plain = Object.entries(facts).map(([key, value]) => [key, typeof value === 'bigint' ? hex(value) : value])
  return {
    kind,
    record: {
      name,
      ...(sid !== undefined && { sid, device: busDeviceFunction(sid) }),
      ...(pasid !== undefined && { pasid }),
      ...Object.fromEntries(plain),
      ...(ipa !== undefined && { ipa: hex(ipa) }),
      ...Object.fromEntries(fields.map((field) => [field.name, width(field) > 32 ? hex(field.value) : Number(field.value)])),
      ...(reserved !== 0n && { reserved: hex(reserved) }),
    },
    access: { iova: iova === undefined ? null : hex(iova), type: type ?? null, privileged: privileged ?? null },
    fault: { type: fault.type ?? null, level: fault.level ?? null, stage: fault.stage ?? null },
    explanation,
  }
}

function width({ pieces }: ExplainedField): number {
  return pieces.reduce((sum, [hi, lo]) => sum + hi - lo + 1, 0)
}
