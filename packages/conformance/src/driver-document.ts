/**
 * Vector documents that were recorded from drivers with page-table code of their own: the second edition of the schema. Configurations and
 * operations have members of each format's own, which only its binding can read; the shape of everything else is checked here.
 */
import type { JsonValue, VectorMembers } from '@io-pgtable/core'
import type { ConfigDocument, ConfigRow, Registers } from './document.ts'
import { anyMembers, countOf, hexOf, listOf, members, nullOr, textOf, tupleOf } from './fields.ts'
import { type DumpOperation, dump } from './operations.ts'

interface Document {
  readonly name: string
  readonly format: string
}

/** A sequence of operations on one table. */
export interface DriverOperationsDocument extends Document {
  readonly kind: 'driver operations'
  readonly config: VectorMembers
  readonly registers: Registers
  readonly features: readonly string[]
  readonly ops: readonly VectorMembers[]
}

/** Lists of rows, each row with its members by the names of the list's columns. */
export interface DriverFactsDocument extends Document {
  readonly kind: 'driver facts'
  readonly config: VectorMembers
  readonly lists: readonly FactList[]
}

export interface FactList {
  readonly name: string
  readonly columns: readonly string[]
  readonly rows: readonly VectorMembers[]
}

/** Memory, and what a walk of it gives. */
export interface WalksDocument extends Document {
  readonly kind: 'walks'
  readonly config: VectorMembers
  readonly root: bigint
  /** Eight bytes by their address. */
  readonly memory: ReadonlyMap<bigint, bigint>
  readonly walks: readonly RecordedWalk[]
}

export interface RecordedWalk {
  readonly iova: bigint
  readonly result: bigint | null
  /** What the walk says beside the address. */
  readonly rest: VectorMembers
}

export type DriverDocument = DriverOperationsDocument | DriverFactsDocument | WalksDocument | ConfigDocument

/** The columns of rows that a table can answer by a mapping. */
export const PAGE_COLUMNS = 'level,pgsize,prot,paddr,raw,error'
const COMMON = ['schema', 'format']
const DUMP = ['topLevel', 'holes', 'stale', 'mmio']
const MORE = ['name', 'source', 'config', 'seed', 'shows']

/** Reads a document. @throws `EBADMSG` */
export function parseDriverDocument(document: Record<string, unknown>): DriverDocument {
  const { name = '', source = '', seed = 0, shows = '', config = {} } = document
  for (const [at, text] of Object.entries({ source, shows })) textOf(text, at)
  countOf(seed, 'seed')
  const base = { name: textOf(name, 'name'), format: textOf(document.format, 'format'), config: json(config, 'config') }
  if ('ops' in document) return operations(base, document)
  if ('walks' in document) return walks(base, document)
  if ('columns' in document) return facts(base, document)
  members(document, 'document', [...COMMON, 'rows'], MORE)
  return { ...base, kind: 'config', rows: listOf(document.rows, 'rows', configRow) }
}

type Base = Document & { readonly config: VectorMembers }

function operations(base: Base, document: Record<string, unknown>): DriverOperationsDocument {
  members(document, 'document', [...COMMON, 'config', 'ops'], [...MORE, 'registers', 'features'])
  const { registers = {}, features = [] } = document
  return {
    ...base,
    kind: 'driver operations',
    registers: json(registers, 'registers'),
    features: listOf(features, 'features', textOf),
    ops: listOf(document.ops, 'ops', operation),
  }
}

function operation(value: unknown, at: string): VectorMembers {
  const op = json(value, at)
  textOf(op.op, `${at}.op`)
  return op
}

/**
 * A dump; holes, stale entries and register writes may stand in it, and are not compared.
 * @param common a row in the common form
 */
export function dumpOf(
  op: VectorMembers,
  at: string,
  common: (row: readonly JsonValue[]) => readonly JsonValue[],
): Omit<DumpOperation, 'topLevel'> {
  const { leaves, tables, tableBytes } = members(op, at, ['op', 'leaves', 'tables', 'tableBytes'], DUMP)
  const rows = (list: unknown, name: string) => listOf(list, `${at}.${name}`, (row, place) => common(listOf(row, place, jsonValue)))
  return dump({ leaves: rows(leaves, 'leaves'), tables: rows(tables, 'tables'), tableBytes }, at)
}

function facts(base: Base, document: Record<string, unknown>): DriverFactsDocument {
  const lists: FactList[] = []
  for (const [member, value] of Object.entries(document)) {
    const columnsOf = /^(?:columns|(\w+)Columns)$/.exec(member)
    if (columnsOf === null) continue
    const columns = listOf(value, member, textOf)
    const name = columnsOf[1] === undefined ? 'rows' : listName(columnsOf[1], document)
    lists.push({ name, columns, rows: listOf(document[name], name, (row, at) => rowOf(row, at, columns)) })
  }
  const listed = lists.flatMap(({ name }) => [name])
  members(document, 'document', [...COMMON, ...listed], [...MORE, ...Object.keys(document).filter((member) => /olumns$/.test(member))])
  return { ...base, kind: 'driver facts', lists }
}

/** `tableColumns` are those of `tables`. */
function listName(singular: string, document: Record<string, unknown>): string {
  return [singular, `${singular}s`].find((name) => name in document) ?? `${singular}s`
}

function rowOf(value: unknown, at: string, columns: readonly string[]): VectorMembers {
  const row = tupleOf(value, at, columns.length)
  return Object.fromEntries(columns.map((column, i) => [column, row[i] as JsonValue]))
}

function walks(base: Base, document: Record<string, unknown>): WalksDocument {
  members(document, 'document', [...COMMON, 'config', 'root', 'memory', 'walks'], MORE)
  const memory = listOf(document.memory, 'memory', (value, at) => {
    const [address, word] = tupleOf(value, at, 2)
    return [hexOf(address, at), hexOf(word, at)] as const
  })
  const walk = (value: unknown, at: string): RecordedWalk => {
    const { iova, result, ...rest } = json(value, at)
    return { iova: hexOf(iova, `${at}.iova`), result: nullOr(result, `${at}.result`, hexOf), rest }
  }
  const list = listOf(document.walks, 'walks', walk)
  return { ...base, kind: 'walks', root: hexOf(document.root, 'root'), memory: new Map(memory), walks: list }
}

function configRow(value: unknown, at: string): ConfigRow {
  const row = members(value, at, ['config', 'result'], ['error'])
  const config = { family: 'driver', values: json(row.config, `${at}.config`) } as const
  const result = nullOr(row.result, `${at}.result`, json)
  return { config, result, ...('error' in row && { error: nullOr(row.error, `${at}.error`, textOf) }) }
}

function jsonValue(value: unknown): JsonValue {
  return value as JsonValue
}

function json(value: unknown, at: string): VectorMembers {
  return anyMembers(value, at) as VectorMembers
}
