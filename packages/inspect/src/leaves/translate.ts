/** The way of one address through tables, level by level: where it ends, or why it does not. */
import {
  type Decoded,
  type DecodedTable,
  type DecodedVoid,
  type EntryPlace,
  entrySpan,
  hex,
  inputRanges,
  type LevelNode,
  nodeOf,
  walkAddress,
} from '@io-pgtable/core'
import { max, min } from '../minmax.ts'
import type { Tables } from './tables.ts'

/** An address that is not translated. */
export interface TranslationFault {
  /** The level at which the walk ended, as the manual counts. */
  readonly level: number
  readonly reason: string
}

export interface Translation {
  readonly iova: bigint
  /** The root that translates the address; undefined where none does. */
  readonly tables: Tables | undefined
  /** The output address. Exactly one of it and `fault` is there. */
  readonly paddr?: bigint
  readonly fault?: TranslationFault
  /** Every descriptor on the way, the last one included. */
  readonly walk: readonly (Decoded & EntryPlace)[]
}

/** Translates an address by the first of the given tables whose range has it. Only the pages on its way are read. */
export function translate(tables: Tables | readonly Tables[], iova: bigint): Translation {
  const all = 'geometry' in tables ? [tables] : tables
  const own = all.find((one) => translates(one, iova))
  if (own === undefined) return { iova, tables: undefined, walk: [], fault: { level: levelOf(all[0]), reason: outside(all, iova) } }
  const walk = walkAddress(own.geometry, own.roots, own.read, iova)
  const last = walk.at(-1)
  if (last?.type !== 'leaf') return { iova, tables: own, walk, fault: faultOf(own, iova, last) }
  return { iova, tables: own, walk, paddr: last.paddr | (iova & BigInt(entrySpan(last.node, last.size) - 1)) }
}

function translates({ first, last, geometry }: Tables, iova: bigint): boolean {
  return iova >= first && iova <= last && inputRanges(geometry).some((range) => iova >= range.first && iova <= range.last)
}

function levelOf(tables: Tables | undefined): number {
  return tables === undefined ? 0 : nodeOf(tables.geometry, tables.geometry.top).level
}

function outside(all: readonly Tables[], iova: bigint): string {
  const ranges = all.flatMap(({ name, first, last, geometry }) =>
    inputRanges(geometry).map((range) => `${name} ${hex(max(first, range.first))} to ${hex(min(last, range.last))}`),
  )
  return `${hex(iova)} is translated by no root: ${ranges.join(', ') || 'none is in use'}`
}

const WHAT = {
  empty: 'nothing is mapped',
  invalid: 'the descriptor is invalid',
  sparse: 'the range is sparse, where reads give zero and writes are dropped',
} as const

function faultOf(tables: Tables, iova: bigint, last: ((DecodedTable | DecodedVoid) & EntryPlace) | undefined): TranslationFault {
  if (last === undefined) return nothingInRoot(tables, iova)
  const { level } = last.node
  if (last.type === 'table') return nothingAt(tables, iova, last.child, last.next, indexOf(tables, last.child, iova))
  const what = WHAT[last.type]
  return { level, reason: `${what}: entry ${last.index} of the table at ${hex(last.table)} is ${hex(last.raw)} (${last.kind.name})` }
}

/** The root of several that an address chooses by its highest bits. */
function nothingInRoot(tables: Tables, iova: bigint): TranslationFault {
  const { geometry, roots } = tables
  const node = nodeOf(geometry, geometry.top)
  const slots = 2 ** node.bits / roots.length
  const index = indexOf(tables, node, iova)
  return nothingAt(tables, iova, node, roots[Math.floor(index / slots)] ?? 0n, index % slots)
}

/** A walk that ends at a table: it is unknown, or does not reach the address, whose upper bits it skips. */
function nothingAt({ read }: Tables, iova: bigint, { level, entryBytes }: LevelNode, table: bigint, index: number): TranslationFault {
  const entry = table + BigInt(index * entryBytes)
  const bytes = read(entry, entryBytes)
  const what = `the level ${level} table at ${hex(table)}`
  if (bytes === undefined || bytes.byteLength < entryBytes)
    return { level, reason: `${what} is not in the image: ${hex(entry)} is unknown memory` }
  return { level, reason: `${what} does not reach ${hex(iova)}: address bits that are skipped are not zero` }
}

function indexOf({ geometry: { base = 0n } }: Tables, { bits, shift }: LevelNode, iova: bigint): number {
  return Number(BigInt.asUintN(bits, (iova - base) >> BigInt(shift)))
}

/** A translation as JSON. */
export interface TranslationJson {
  readonly iova: string
  readonly paddr: string | null
  readonly fault?: TranslationFault
  readonly walk: readonly {
    readonly level: number
    readonly table: string
    readonly index: number
    readonly descriptor: string
    readonly kind: string
  }[]
}

/** The object of one line of JSON. */
export function translationJson({ iova, paddr, fault, walk }: Translation): TranslationJson {
  return {
    iova: hex(iova),
    paddr: paddr === undefined ? null : hex(paddr),
    ...(fault === undefined ? {} : { fault }),
    walk: walk.map(({ node, table, index, raw, kind }) => {
      return { level: node.level, table: hex(table), index, descriptor: hex(raw), kind: kind.name }
    }),
  }
}
