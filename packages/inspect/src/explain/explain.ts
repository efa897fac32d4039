/** What one descriptor says: every bit of it by a format's declaration, and what is wrong. */
import {
  AccessRules,
  type AnyFmt,
  bitsOf,
  type Decoded,
  type DecodedLeaf,
  decode,
  entrySpan,
  extract,
  type Field,
  type Geometry,
  hex,
  type Kind,
  type LeafKind,
  type LevelNode,
  type MemoryType,
  type Piece,
  protNames,
  protOfRights,
  rightsByParty,
  slotBytes,
  type TableKind,
} from '@io-pgtable/core'
import type { Severity } from '../finding.ts'
import { rightsLeft } from '../rights/rules.ts'
import { type Leaf, misalignedBits, outOfRangeBits, reservedBits } from './bits.ts'
import { hintsOf } from './hints.ts'

/** One field, or the address, of a descriptor. */
export interface ExplainedField {
  readonly name: string
  /** Descriptor bits, as `hi:lo` each, from the highest. */
  readonly bits: readonly string[]
  readonly pieces: readonly Piece[]
  readonly value: bigint
  /** What this value means, where the format says it. */
  readonly meaning?: string
  /** What the field is. */
  readonly doc: string
  /** The manual's section. */
  readonly section?: string
  readonly reserved?: boolean
}

/** What is wrong with a descriptor. The codes are those of a check. */
export interface Problem {
  readonly severity: Severity
  readonly code: string
  readonly message: string
}

export interface Explanation {
  readonly format: string
  readonly manual: string
  readonly level: number
  readonly node: LevelNode
  readonly raw: bigint
  readonly type: Decoded['type']
  readonly kind: string
  /** The bits that tell the kind. */
  readonly kindMask: bigint
  /** From the highest bit on: all fields, and the address. */
  readonly fields: readonly ExplainedField[]
  /** Of a table descriptor: the table it points to, and that table's level. */
  readonly next?: bigint
  readonly nextLevel?: number
  /** Of a leaf: the output address, bytes of one mapping, and how many entries it takes. */
  readonly paddr?: bigint
  readonly size?: number
  readonly slots?: number
  /** By party: what the descriptor gives by itself, after the regime's registers. */
  readonly rights?: Readonly<Record<string, string>>
  /** The memory type's name, where it is known. */
  readonly memory?: string
  readonly prot?: readonly string[]
  /** Bits that are set and should not be. */
  readonly reserved: bigint
  /** Whether it translates, or leads to a table. */
  readonly present: boolean
  readonly problems: readonly Problem[]
  /** What the value looks like, where it is hardly a descriptor. */
  readonly hints: readonly string[]
  /** Of an entry that is not valid: what it would be with its valid bit set. */
  readonly wouldBe?: Explanation
  /** What the operating system means by an entry that is not valid. */
  readonly os?: string
}

export interface ExplainOptions {
  /** Members of the decode context that nothing tells: a memory type that follows from one is not named. */
  readonly unknown?: ReadonlySet<string>
  /** The operating system whose meaning of entries that are not valid is wanted. */
  readonly os?: string
  /** The register of the physical address width, where it was not given: an address that a smaller width would not have is noted. */
  readonly widthRegister?: string
}

/** Explains `raw` as an entry of `node`. `context`: what gives its bits a meaning; that of its configuration or registers. */
export function explain(
  format: AnyFmt,
  geometry: Geometry,
  node: LevelNode,
  raw: bigint,
  context: unknown,
  options: ExplainOptions = {},
): Explanation {
  const entry = decode(geometry, node, raw)
  const isPresent = entry.type === 'leaf' || entry.type === 'table'
  const valid = isPresent ? undefined : validOf(geometry, node, entry)
  const os = isPresent || options.os === undefined ? undefined : format.os?.[options.os]?.(raw, node)
  return {
    format: format.FORMAT,
    manual: format.manual,
    level: node.level,
    node,
    raw,
    type: entry.type,
    kind: entry.kind.name,
    kindMask: entry.kind.match.mask,
    fields: fieldsOf(entry),
    ...pointsTo(format, geometry, entry, context, options),
    reserved: entry.reserved,
    present: isPresent,
    problems: [...problemsOf(geometry, entry), ...widthNote(entry, options)],
    hints: hintsOf(node, raw),
    ...(valid !== undefined && { wouldBe: explain(format, geometry, node, valid, context, options) }),
    ...(os !== undefined && { os }),
  }
}

/** The value with the bits set that would make it valid; undefined for one in which nothing else is set. */
function validOf(geometry: Geometry, node: LevelNode, { raw, kind }: Decoded): bigint | undefined {
  const { mask } = kind.match
  if (raw === node.empty || (raw & ~mask) === 0n) return undefined
  const others = node.kinds.filter(({ type }) => type === 'leaf').concat(node.kinds.filter(({ type }) => type === 'table'))
  const single = (mask & (mask - 1n)) === 0n ? [raw ^ mask] : []
  const values = [...single, ...others.map(({ match }) => (raw & ~mask) | (match.value & mask))]
  return values.find((value) => value !== raw && ['leaf', 'table'].includes(decode(geometry, node, value).type))
}

/** An address that only some hardware has. */
function widthNote(entry: Decoded, { widthRegister }: ExplainOptions): Problem[] {
  if (widthRegister === undefined || (entry.type !== 'leaf' && entry.type !== 'table')) return []
  const bits = extract(entry.raw, entry.kind.address).toString(2).length
  if (bits <= LEAST_WIDTH) return []
  const message = `the address needs ${bits} bits: where ${widthRegister} is less, bits of it are reserved, and a walk faults`
  return [{ severity: 'note', code: 'address-width', message }]
}

/** No hardware with 64-bit entries has fewer address bits. */
const LEAST_WIDTH = 36

function pointsTo(
  format: AnyFmt,
  geometry: Geometry,
  entry: Decoded,
  context: unknown,
  { unknown = NOTHING }: ExplainOptions,
): Partial<Explanation> {
  if (entry.type === 'table') return { next: entry.next, nextLevel: entry.child.level }
  if (entry.type !== 'leaf') return {}
  const { paddr, size } = entry
  const rules = new AccessRules(format, geometry, context)
  const rights = rightsLeft(rules.path([entry]))
  const memory = memoryOf(rules, entry, unknown)
  return {
    ...{ paddr, size: size.pgsize, slots: size.slots, rights: rightsByParty(rights, rules.parties) },
    ...(memory !== undefined && { memory: memory.name }),
    prot: protNames(protOfRights(rights, memory)),
  }
}

const NOTHING: ReadonlySet<string> = new Set()

/** The memory type, unless it follows from what nothing tells. */
function memoryOf({ format, geometry, context }: AccessRules, leaf: DecodedLeaf, unknown: ReadonlySet<string>): MemoryType | undefined {
  const read = new Set<string>()
  const rules = new AccessRules(format, geometry, watched(context, read))
  read.clear()
  const type = rules.memory(leaf)
  return [...read].some((name) => unknown.has(name)) ? undefined : type
}

/** A decode context that notes what is read of it. */
function watched(context: unknown, read: Set<string>): unknown {
  if (typeof context !== 'object' || context === null) return context
  return new Proxy(context, {
    get(target, name) {
      if (typeof name === 'string') read.add(name)
      return Reflect.get(target, name)
    },
  })
}

function fieldsOf(entry: Decoded): readonly ExplainedField[] {
  const { kind, raw } = entry
  const fields = kind.fields.map((field) => explainField(field, raw))
  if (entry.type === 'table') fields.push(addressField('table address', 'where the next table is', entry.kind.address, raw))
  if (entry.type === 'leaf' && entry.kind.address.length > 0)
    fields.push(addressField('output address', 'what the descriptor translates to', entry.kind.address, raw))
  return fields.sort((a, b) => topBit(b) - topBit(a))
}

/** A field of a value, whatever the value is of. */
export function explainField({ name, pieces, doc, section, values, reserved }: Field, raw: bigint): ExplainedField {
  const value = extract(raw, pieces)
  const meaning = values?.[Number(value)]
  return {
    name,
    bits: bitNames(pieces),
    pieces,
    value,
    doc,
    ...(meaning !== undefined && { meaning }),
    ...(section !== undefined && { section }),
    ...(reserved !== undefined && { reserved: true }),
  }
}

function addressField(name: string, doc: string, pieces: readonly Piece[], raw: bigint): ExplainedField {
  return { name, bits: bitNames(pieces), pieces, value: extract(raw, pieces), doc }
}

/** `47:12`, `0`; pieces from the highest bit on. */
export function bitNames(pieces: readonly Piece[]): string[] {
  return [...pieces].sort(([a], [b]) => b - a).map(([hi, lo]) => (hi === lo ? `${hi}` : `${hi}:${lo}`))
}

function topBit({ pieces }: ExplainedField): number {
  return Math.max(...pieces.map(([hi]) => hi))
}

function problemsOf(geometry: Geometry, entry: Decoded): readonly Problem[] {
  if (entry.type === 'empty') return []
  if (entry.type === 'invalid')
    return [
      { severity: 'error', code: 'illegal-kind', message: `${entry.kind.name}: a sound table has none of it at level ${entry.node.level}` },
    ]
  const problems = entry.type === 'leaf' ? leafProblems(geometry, entry) : []
  const beyond = outOfRangeBits(geometry, entry.kind as LeafKind | TableKind)
  if ((entry.raw & beyond) !== 0n) problems.push(outOfRange(geometry, entry))
  const ignored = reservedBits(entry.kind as LeafKind | TableKind, 'ignored')
  const reserved = entry.reserved & ~(entry.type === 'leaf' ? misalignedBits(geometry, entry) : 0n) & ~beyond & ~ignored
  if (reserved !== 0n) problems.push(reservedProblem(geometry, entry.kind, reserved))
  if (entry.type === 'leaf') problems.push(...reservedValues(geometry, entry.kind, entry.raw))
  return problems
}

/** Where such an entry is a misconfiguration, the whole field is told that must be zero. */
function reservedProblem({ reserved }: Geometry, { fields }: Kind, bits: bigint): Problem {
  const set = `${bitList(bits)} (${hex(bits)})`
  const wrong = fields.filter((field) => field.reserved === 'faults' && (bits & bitsOf(field.pieces)) !== 0n)
  if (reserved !== 'misconfigured' || wrong.length === 0)
    return { severity: wrong.length > 0 ? 'error' : 'warning', code: 'reserved-bits', message: `reserved bits are set: ${set}` }
  const where = wrong.flatMap(({ pieces }) => bitNames(pieces)).join(', ')
  return { severity: 'error', code: 'misconfigured', message: `misconfiguration: bits ${where} must be zero: set: ${set}` }
}

function reservedValues({ reserved }: Geometry, { fields }: Kind, raw: bigint): Problem[] {
  const word = reserved === 'misconfigured' ? 'misconfiguration: ' : ''
  return fields.flatMap(({ name, pieces, reservedValues: values = [] }) => {
    const value = extract(raw, pieces)
    if (!values.includes(Number(value))) return []
    return [
      {
        severity: 'error',
        code: 'reserved-value',
        message: `${word}${name} (bits ${bitNames(pieces).join(', ')}) has the reserved value ${value}`,
      },
    ]
  })
}

function leafProblems(geometry: Geometry, leaf: Leaf): Problem[] {
  const bits = leaf.raw & misalignedBits(geometry, leaf)
  if (bits === 0n) return []
  const bytes = entrySpan(leaf.node, leaf.size)
  return [
    {
      severity: 'error',
      code: 'misaligned-block',
      message: `the output address is no multiple of ${hex(bytes)}: set below it: ${bitList(bits)}`,
    },
  ]
}

function outOfRange(geometry: Geometry, entry: Decoded): Problem {
  const what = entry.type === 'table' ? 'table' : 'output'
  return { severity: 'error', code: 'address-out-of-range', message: `the ${what} address is beyond ${geometry.oas} bits` }
}

/** The bits of a mask: `63, 54:52`. */
export function bitList(mask: bigint): string {
  const names: string[] = []
  for (let bit = 255; bit >= 0; bit--) {
    if (((mask >> BigInt(bit)) & 1n) === 0n) continue
    const hi = bit
    while (bit > 0 && (mask >> BigInt(bit - 1)) & 1n) bit--
    names.push(hi === bit ? `${hi}` : `${hi}:${bit}`)
  }
  return names.join(', ')
}

/** What one level says of a descriptor, in a few words: `page → 0x4000 (0x1000 bytes)`. */
export function summary(explanation: Explanation): string {
  const { type, kind, next, nextLevel, paddr, size } = explanation
  if (type === 'table') return `${kind} → ${hex(next ?? 0n)}, level ${nextLevel}`
  if (type === 'leaf') return `${kind} → ${hex(paddr ?? 0n)}, ${hex(size ?? slotBytes(explanation.node))} bytes`
  return kind
}
