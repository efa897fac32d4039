/** What is known of each format's verification: vector files, QEMU's walks, real dumps. Read from the workspace's files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AnyFmt } from '@io-pgtable/core'
import type { Outcome } from '../machine/index.ts'

/** A format's package: its folder from the root on, and the formats that it exports. */
export interface FormatPackage {
  readonly folder: string
  readonly formats: readonly AnyFmt[]
  /** What its package.json says of its verification: dumps are found by their names there. */
  readonly verified: string
}

export interface Vectors {
  readonly files: number
  readonly operations: number
  readonly configs: number
}

export interface Dump {
  readonly name: string
  readonly what: string
  readonly leaves: number
}

/** All that is known of one format. */
export interface Evidence {
  readonly format: AnyFmt
  readonly folder: string
  readonly vectors: Vectors
  readonly outcomes: readonly Outcome[]
  readonly dumps: readonly Dump[]
}

type Json = Readonly<Record<string, unknown>>

function readJson(file: string): Json {
  return JSON.parse(readFileSync(file, 'utf8')) as Json
}

/** Every outcome in a folder, in a stable order. */
export function readOutcomes(folder: string): readonly Outcome[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return files.sort().map((name) => readJson(join(folder, name)) as unknown as Outcome)
}

export function collect(root: string, packages: readonly FormatPackage[], outcomes: readonly Outcome[]): readonly Evidence[] {
  return packages.flatMap(({ folder, formats, verified }) => {
    const vectors = readVectors(join(root, folder, 'test-data', 'vectors'))
    const dumps = readDumps(join(root, 'packages/inspect/test-data/dumps'), verified)
    return formats.map((format) => ({
      format,
      folder,
      vectors,
      dumps,
      outcomes: outcomes.filter((outcome) => outcome.format === format.FORMAT),
    }))
  })
}

function readVectors(folder: string): Vectors {
  if (!existsSync(folder)) return { files: 0, operations: 0, configs: 0 }
  const names = readdirSync(folder, { recursive: true }).map(String)
  const files = names.filter((name) => name.endsWith('.json')).map((name) => readJson(join(folder, name)))
  const operations = files.reduce((sum, { ops }) => sum + (Array.isArray(ops) ? ops.length : 0), 0)
  return { files: files.length, operations, configs: new Set(files.map(({ config }) => JSON.stringify(config))).size }
}

/** The dumps that a text names. */
function readDumps(folder: string, text: string): readonly Dump[] {
  const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'expected.json')))
  return names
    .filter((name) => new RegExp(`\\b${name}\\b`).test(text))
    .map((name) => {
      const expected = readJson(join(folder, name, 'expected.json'))
      return { name, what: String(expected.what), leaves: countLeaves(expected) }
    })
}

/** Rows of the members `...appings`, which may have a column `count`. */
function countLeaves(expected: Json): number {
  const columns = Array.isArray(expected.mappingColumns) ? expected.mappingColumns.map(String) : []
  const count = columns.findIndex((column) => column.startsWith('count'))
  const rows = (value: Json): number =>
    Object.entries(value).reduce(
      (sum, [key, list]) => (/mappings$/i.test(key) && Array.isArray(list) ? sum + countRows(list, count) : sum),
      0,
    )
  const streams = Array.isArray(expected.streams) ? (expected.streams as readonly Json[]) : []
  return rows(expected) + streams.reduce((sum, stream) => sum + rows(stream), 0)
}

function countRows(rows: readonly unknown[], column: number): number {
  return rows.reduce<number>((sum, row) => sum + (column < 0 || !Array.isArray(row) ? 1 : Number(row[column])), 0)
}
