/** Vector documents: their types, and the strict reader that makes them from JSON. The README describes the schema. */
import type {
  GenericPtVectorConfig,
  IoPgtableVectorConfig,
  JsonValue,
  Prot,
  VectorBinding,
  VectorLevel,
  VectorMembers,
} from '@io-pgtable/core'
import { type DriverDocument, parseDriverDocument } from './driver-document.ts'
import {
  anyMembers,
  countOf,
  flagOf,
  hexOf,
  levelOf,
  listOf,
  malformed,
  members,
  nullOr,
  protAt,
  rawOf,
  textOf,
  tupleOf,
} from './fields.ts'
import { type Operation, operationsOf } from './operations.ts'

/** `config` of a document, with the family of schemas that its members are of. */
export type VectorConfig =
  | { readonly family: 'io-pgtable'; readonly values: IoPgtableVectorConfig }
  | { readonly family: 'generic_pt'; readonly values: GenericPtVectorConfig }
  | { readonly family: 'driver'; readonly values: VectorMembers }

/** `registers`: compared member by member with what the binding and the runner make of the table. */
export type Registers = { readonly [name: string]: JsonValue }

interface Document {
  readonly name: string
  readonly format: string
}

/** A sequence of operations on one table. */
export interface OperationsDocument extends Document {
  readonly kind: 'operations'
  readonly config: VectorConfig
  readonly registers: Registers
  /** Loose behaviours that occur in the file. */
  readonly features: readonly string[]
  readonly ops: readonly Operation[]
}

/** Descriptors, each of one leaf that was mapped alone. */
export interface FactsDocument extends Document {
  readonly kind: 'facts'
  readonly config: VectorConfig
  readonly rows: readonly Fact[]
}

export interface Fact {
  /** null where a refused leaf has none. */
  readonly level: VectorLevel | null
  readonly pgsize: number
  readonly prot: Prot
  readonly paddr: bigint
  /** null: refused, with `error`. */
  readonly raw: bigint | null
  readonly error: string | null
}

/** Configurations, each with the registers that it gives. */
export interface ConfigDocument extends Document {
  readonly kind: 'config'
  readonly rows: readonly ConfigRow[]
}

export interface ConfigRow {
  readonly config: VectorConfig
  /** null: refused. */
  readonly result: Registers | null
  /** Why it was refused, where the recording says so. */
  readonly error?: string | null
}

export type VectorDocument = OperationsDocument | FactsDocument | ConfigDocument | DriverDocument

const COLUMNS = ['level', 'pgsize', 'prot', 'paddr', 'raw', 'error']

/** Reads a document as its binding's family has it. @throws `EBADMSG` naming the place of whatever the schema does not have. */
export function parseVectorDocument(json: unknown, family: VectorBinding['family'] | undefined): VectorDocument {
  const document = anyMembers(json, 'document')
  if (document.schema !== 1) throw malformed('schema', '1', document.schema)
  if (family === 'driver') return parseDriverDocument(document)
  const common = ['schema', 'name', 'source', 'format']
  if ('ops' in document) members(json, 'document', [...common, 'config', 'registers', 'features', 'ops'], ['seed', 'shows'])
  else if ('columns' in document) members(json, 'document', [...common, 'config', 'columns', 'rows'])
  else members(json, 'document', [...common, 'rows'])
  textOf(document.source, 'source')
  const base = { name: textOf(document.name, 'name'), format: textOf(document.format, 'format') }
  if ('ops' in document) return operations(base, document)
  if ('columns' in document) return facts(base, document)
  return { ...base, kind: 'config', rows: listOf(document.rows, 'rows', configRow) }
}

function operations(base: Document, document: Record<string, unknown>): OperationsDocument {
  const config = configOf(document.config, 'config')
  if ('seed' in document) countOf(document.seed, 'seed')
  if ('shows' in document) textOf(document.shows, 'shows')
  return {
    ...base,
    kind: 'operations',
    config,
    registers: anyMembers(document.registers, 'registers') as Registers,
    features: listOf(document.features, 'features', textOf),
    ops: operationsOf(document.ops, 'ops', config.family),
  }
}

function facts(base: Document, document: Record<string, unknown>): FactsDocument {
  const columns = listOf(document.columns, 'columns', textOf)
  if (columns.join() !== COLUMNS.join()) throw malformed('columns', COLUMNS.join(', '), columns)
  return { ...base, kind: 'facts', config: configOf(document.config, 'config'), rows: listOf(document.rows, 'rows', fact) }
}

function fact(value: unknown, at: string): Fact {
  const [level, pgsize, prot, paddr, raw, error] = tupleOf(value, at, COLUMNS.length)
  if ((raw === null) === (error === null)) throw malformed(at, 'a raw value or an error', value)
  if (raw !== null && level === null) throw malformed(at, 'the level of a raw value', value)
  return {
    level: nullOr(level, `${at}.level`, levelOf),
    pgsize: countOf(pgsize, `${at}.pgsize`),
    prot: protAt(prot, `${at}.prot`),
    paddr: hexOf(paddr, `${at}.paddr`),
    raw: nullOr(raw, `${at}.raw`, rawOf),
    error: nullOr(error, `${at}.error`, textOf),
  }
}

function configRow(value: unknown, at: string): ConfigRow {
  const row = members(value, at, ['config', 'result'], ['error'])
  const config = configOf(row.config, `${at}.config`)
  const result = nullOr(row.result, `${at}.result`, anyMembers) as Registers | null
  if (!('error' in row)) return { config, result }
  return { config, result, error: nullOr(row.error, `${at}.error`, textOf) }
}

function configOf(value: unknown, at: string): Exclude<VectorConfig, { family: 'driver' }> {
  return 'vaBits' in anyMembers(value, at) ? genericConfig(value, at) : ioPgtableConfig(value, at)
}

function ioPgtableConfig(value: unknown, at: string): { family: 'io-pgtable'; values: IoPgtableVectorConfig } {
  const config = members(value, at, ['pgsizeBitmap', 'ias', 'oas', 'quirks', 'coherentWalk'], ['cpuPageSize'])
  const values = {
    pgsizeBitmap: hexOf(config.pgsizeBitmap, `${at}.pgsizeBitmap`),
    ias: countOf(config.ias, `${at}.ias`),
    oas: countOf(config.oas, `${at}.oas`),
    quirks: listOf(config.quirks, `${at}.quirks`, textOf),
    coherentWalk: flagOf(config.coherentWalk, `${at}.coherentWalk`),
    ...('cpuPageSize' in config ? { cpuPageSize: countOf(config.cpuPageSize, `${at}.cpuPageSize`) } : {}),
  }
  return { family: 'io-pgtable', values }
}

function genericConfig(value: unknown, at: string): { family: 'generic_pt'; values: GenericPtVectorConfig } {
  const config = members(value, at, ['features', 'vaBits', 'oaBits', 'topLevel'])
  const values = {
    features: listOf(config.features, `${at}.features`, textOf),
    vaBits: countOf(config.vaBits, `${at}.vaBits`),
    oaBits: countOf(config.oaBits, `${at}.oaBits`),
    topLevel: countOf(config.topLevel, `${at}.topLevel`),
  }
  return { family: 'generic_pt', values }
}
