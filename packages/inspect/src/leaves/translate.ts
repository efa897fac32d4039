/** The way of one address through tables, level by level: where it ends, or why it does not, and whether an access gets through. */
import {
  type Access,
  type AddressVerdict,
  type Decoded,
  type EntryPlace,
  hex,
  inputRanges,
  type LevelNode,
  type MemoryType,
  nodeOf,
  type Parties,
  type ReadMemory,
  type Rights,
  rightsByParty,
  type WalkFault,
} from '@io-pgtable/core'
import { max, min } from '../minmax.ts'
import { faultOfAll, rulesOf, stageOf } from '../rights/rules.ts'
import { type FaultJson, faultJson } from './run.ts'
import type { Tables } from './tables.ts'

/** Why an address is not translated, or an access not let through. */
export interface TranslationFault extends WalkFault {
  /** The stage of translation; undefined where no table was looked at. */
  readonly stage: 1 | 2 | undefined
}

/** A descriptor on the way. */
export type Step = Decoded &
  EntryPlace & {
    readonly tables: Tables
    /** What is left of the rights at this level; undefined for what is no table and no leaf. */
    readonly rights: Rights | undefined
  }

export interface Translation {
  readonly iova: bigint
  /** The root that translates the address; undefined where none does. */
  readonly tables: Tables | undefined
  /** The output address. Exactly one of it and `fault` is there. */
  readonly paddr?: bigint
  readonly fault?: TranslationFault
  /** Who may do what; undefined where no walk gets to a leaf. */
  readonly rights?: Rights
  readonly parties?: Parties
  readonly memory?: MemoryType
  /** No table translates it: it is its own output address. */
  readonly bypass?: true
  /** Registers that were not given, and what was taken for them. */
  readonly assumed?: readonly string[]
  /** Every descriptor on the way, the last one included. */
  readonly walk: readonly Step[]
}

export interface TranslateOptions {
  /** The access that is asked about. Default: none, what every access meets. */
  readonly access?: Access
  /** The tables behind these ones: what they give is translated once more. Their own tables are read through them. */
  readonly below?: readonly Tables[]
}

/** Translates an address by the first of the given tables whose range has it. Only the pages on its way are read. */
export function translate(tables: Tables | readonly Tables[], iova: bigint, options: TranslateOptions = {}): Translation {
  const all = 'geometry' in tables ? [tables] : tables
  const { access, below } = options
  if (below !== undefined) return translateTwice(all, iova, below, access)
  const own = all.find((one) => translates(one, iova))
  return own === undefined ? translatedByNone(all, iova) : oneStage(own, iova, access)
}

/** Whether a root translates an address: a tag is no part of it. */
export function translates(tables: Tables, iova: bigint): boolean {
  const { first, last, geometry } = tables
  const address = rulesOf(tables).untagged(iova)
  return address >= first && address <= last && (geometry.window === 'sign-extended' || inRange(geometry, address))
}

function inRange(geometry: Tables['geometry'], address: bigint): boolean {
  return inputRanges(geometry).some((range) => address >= range.first && address <= range.last)
}

function translatedByNone(all: readonly Tables[], iova: bigint): Translation {
  const [some] = all
  const type = some?.geometry.window === 'sign-extended' ? 'not-canonical' : 'translation'
  const fault = { type, level: undefined, stage: some && stageOf(some), reason: outside(all, iova) } as const
  return { iova, tables: undefined, walk: [], fault }
}

function outside(all: readonly Tables[], iova: bigint): string {
  return `${hex(iova)} is translated by no root: ${ranges(all) || 'none is in use'}`
}

/** What the roots translate. */
function ranges(all: readonly Tables[]): string {
  const each = all.flatMap(({ name, first, last, geometry }) =>
    inputRanges(geometry).map((range) => `${name} ${hex(max(first, range.first))} to ${hex(min(last, range.last))}`),
  )
  return each.join(', ')
}

function oneStage(tables: Tables, iova: bigint, access: Access | undefined): Translation {
  const rules = rulesOf(tables)
  const verdict = rules.translate(tables.roots, tables.read, iova)
  const { assumed, walk, paddr, rights, memory } = verdict
  const steps = untilFault(verdict).map((entry, i): Step => ({ ...entry, tables, rights: verdict.steps[i] }))
  const end = { iova, tables, assumed, walk: steps, parties: rules.parties }
  const leaf = walk.at(-1)?.type === 'leaf' && verdict.fault === undefined ? { rights, ...(memory && { memory }) } : {}
  const fault = (access === undefined ? undefined : rules.fault(verdict, access)) ?? faultOfAll(verdict)
  if (fault === undefined && paddr !== undefined) return { ...end, ...leaf, paddr }
  const why = fault ?? { type: 'translation' as const, level: verdict.level, reason: 'the walk ends without a leaf' }
  return { ...end, ...leaf, fault: { ...told(why, tables, verdict, iova), stage: stageOf(tables) } }
}

/** The entries that hardware reads: none behind the one at which the walk faults. */
function untilFault({ walk, fault }: AddressVerdict): readonly (Decoded & EntryPlace)[] {
  const at = fault?.level === undefined ? -1 : walk.findIndex(({ node }) => node.level === fault.level)
  return at < 0 ? walk : walk.slice(0, at + 1)
}

/** The fault with the place of the entry, or table, that says it. */
function told(fault: WalkFault, tables: Tables, verdict: AddressVerdict, iova: bigint): WalkFault {
  const walk = untilFault(verdict)
  const { traps } = verdict
  const { type, level, bits } = fault
  const plain = { type, level, ...(bits !== undefined && { bits }) }
  const last = walk.at(-1)
  if (type === 'not-canonical') return { ...plain, reason: `${hex(iova)} is not canonical: ${ranges([tables])}` }
  if (last !== undefined && last.type !== 'leaf' && last.type !== 'table') return { ...plain, reason: emptyReason(last) }
  if (
    level !== undefined &&
    (type === 'unknown-memory' || type === 'translation') &&
    last?.type !== 'leaf' &&
    fault.level !== last?.node.level
  ) {
    const node = last?.type === 'table' ? last.child : nodeOf(tables.geometry, tables.geometry.top)
    return { ...plain, reason: endReason(tables, iova, node, last?.type === 'table' ? last.next : undefined) }
  }
  const assumed = Object.keys(traps).length > 0 ? rulesOf(tables).path([]).assumed : []
  const where = last === undefined ? '' : `: ${hex(last.raw)}, entry ${last.index} of the table at ${hex(last.table)}`
  return { ...plain, reason: `${fault.reason}${where}${assumed.length === 0 ? '' : ` (assumed: ${assumed.join(', ')})`}` }
}

const WHAT: Readonly<Partial<Record<Decoded['type'], string>>> = {
  empty: 'nothing is mapped',
  sparse: 'the range is sparse, where reads give zero and writes are dropped',
}

function emptyReason({ type, index, table, raw, kind }: Decoded & EntryPlace): string {
  const what = WHAT[type] ?? 'the descriptor is invalid'
  return `${what}: entry ${index} of the table at ${hex(table)} is ${hex(raw)} (${kind.name})`
}

/** A walk that ends at a table: it is unknown, or does not reach the address, whose upper bits it skips. */
function endReason({ read, roots, geometry }: Tables, iova: bigint, node: LevelNode, below: bigint | undefined): string {
  const { level, entryBytes, bits, shift } = node
  const perRoot = 2 ** bits / (below === undefined ? roots.length : 1)
  const index = Number(BigInt.asUintN(bits, (iova - (geometry.base ?? 0n)) >> BigInt(shift)))
  const table = below ?? roots[Math.floor(index / perRoot)] ?? 0n
  const entry = table + BigInt((index % perRoot) * entryBytes)
  const what = `the level ${level} table at ${hex(table)}`
  if ((read(entry, entryBytes)?.byteLength ?? 0) < entryBytes) return `${what} is not in the image: ${hex(entry)} is unknown memory`
  return `${what} does not reach ${hex(iova)}: address bits that are skipped are not zero`
}

/** Two stages: tables of the first one are at addresses that the second one translates. */
function translateTwice(all: readonly Tables[], iova: bigint, below: readonly Tables[], access: Access | undefined): Translation {
  let unread: Translation | undefined
  const read: ReadMemory = (address, byteLength) => {
    const found = translate(below, address, { access: { access: 'read', privileged: false } })
    if (found.paddr === undefined) unread = found
    return found.paddr === undefined ? undefined : found.tables?.read(found.paddr, byteLength)
  }
  const first = translate(
    all.map((tables) => ({ ...tables, read })),
    iova,
    access && { access },
  )
  if (first.fault?.type === 'unknown-memory' && unread?.fault !== undefined) {
    const reason = `the read of a table of the first stage at ${hex(unread.iova)} faults: ${unread.fault.reason}`
    return { ...first, walk: [...first.walk, ...unread.walk], fault: { ...unread.fault, reason } }
  }
  if (first.paddr === undefined) return first
  return joined(first, translate(below, first.paddr, access && { access }))
}

function joined(first: Translation, second: Translation): Translation {
  const walk = [...first.walk, ...second.walk]
  const assumed = [...new Set([...(first.assumed ?? []), ...(second.assumed ?? [])])]
  const both = first.rights !== undefined && second.rights !== undefined ? { rights: first.rights & second.rights } : {}
  const memory = memoryOfBoth(first.memory, second.memory)
  const { paddr: _, rights: __, memory: ___, ...start } = first
  const end = second.paddr === undefined ? { ...(second.fault && { fault: second.fault }) } : { paddr: second.paddr }
  return { ...start, ...both, ...(memory && { memory }), ...end, assumed, walk }
}

/** How both stages combine is hardware's: both are told, and the more restrictive way of caching is what is left. */
function memoryOfBoth(first: MemoryType | undefined, second: MemoryType | undefined): MemoryType | undefined {
  if (first === undefined || second === undefined) return first ?? second
  const order: readonly MemoryType['caching'][] = ['device', 'uncached', 'unknown', 'cached']
  const caching = order.find((each) => each === first.caching || each === second.caching) ?? 'unknown'
  return { name: `stage 1 ${first.name}, stage 2 ${second.name}`, caching }
}

/** A translation as JSON. */
export interface TranslationJson {
  readonly iova: string
  readonly paddr: string | null
  readonly rights?: Readonly<Record<string, string>>
  readonly memory?: string
  readonly bypass?: true
  readonly fault?: FaultJson & { readonly stage: 1 | 2 | null }
  readonly assumed?: readonly string[]
  readonly walk: readonly {
    readonly level: number
    readonly table: string
    readonly index: number
    readonly descriptor: string
    readonly kind: string
    readonly rights?: Readonly<Record<string, string>>
    /** Of two stages. */
    readonly stage?: 1 | 2
  }[]
}

/** The object of one line of JSON. */
export function translationJson({ iova, paddr, rights, parties, memory, bypass, fault, assumed = [], walk }: Translation): TranslationJson {
  const isNested = new Set(walk.map(({ tables }) => tables.format)).size > 1
  return {
    iova: hex(iova),
    paddr: paddr === undefined ? null : hex(paddr),
    ...(rights !== undefined && { rights: rightsByParty(rights, parties) }),
    ...(memory !== undefined && { memory: memory.name }),
    ...(bypass && { bypass }),
    ...(fault !== undefined && { fault: faultOfJson(fault) }),
    ...(assumed.length > 0 && { assumed }),
    walk: walk.map((step) => ({
      ...{ level: step.node.level, table: hex(step.table), index: step.index, descriptor: hex(step.raw), kind: step.kind.name },
      ...(step.rights !== undefined && { rights: rightsByParty(step.rights, rulesOf(step.tables).parties) }),
      ...(isNested && { stage: stageOf(step.tables) }),
    })),
  }
}

function faultOfJson(fault: TranslationFault): FaultJson & { readonly stage: 1 | 2 | null } {
  const { type, level, reason, ...bits } = faultJson(fault)
  return { type, level, stage: fault.stage ?? null, ...bits, reason }
}

/** Where a geometry looks for an address, without memory: the index at each level down to the smallest leaf, and the offset in that. */
export interface Position {
  readonly iova: bigint
  readonly walk: readonly { readonly level: number; readonly index: number }[]
  /** Bytes. */
  readonly offset: number
}

/** The way that an address goes where every level has a table. */
export function positionOf({ geometry }: Pick<Tables, 'geometry'>, iova: bigint): Position {
  const walk: { level: number; index: number }[] = []
  const low = iova - (geometry.base ?? 0n)
  let node: LevelNode | undefined = nodeOf(geometry, geometry.top)
  let shift = 0
  for (let depth = 0; node !== undefined && depth < geometry.nodes.length; depth++) {
    shift = node.shift
    walk.push({ level: node.level, index: Number(BigInt.asUintN(node.bits, low >> BigInt(shift))) })
    const table: LevelNode['kinds'][number] | undefined = node.kinds.find(({ type }) => type === 'table')
    const child: string | undefined =
      table?.type !== 'table' ? undefined : typeof table.child === 'string' ? table.child : longestChild(geometry, table.child.nodes)
    node = child === undefined ? undefined : nodeOf(geometry, child)
  }
  return { iova, walk, offset: Number(BigInt.asUintN(shift, low)) }
}

/** Of several nodes that may come next, the one that skips the fewest levels. */
function longestChild(geometry: Tables['geometry'], nodes: Readonly<Record<number, string>>): string | undefined {
  return Object.values(nodes).sort((a, b) => nodeOf(geometry, b).shift - nodeOf(geometry, a).shift)[0]
}
