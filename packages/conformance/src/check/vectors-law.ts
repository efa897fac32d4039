/** The law of absolute truth: golden vectors, recorded from another implementation. */
import type { VectorBinding } from '@io-pgtable/core'
import { describeOutcome } from '../describe.ts'
import { runVectorFile, vectorFormat } from '../run.ts'
import { builtin } from './environment.ts'
import { Fault } from './law.ts'

/** A vector file that was read. */
export interface VectorFile {
  readonly name: string
  /** The parsed JSON, or what returns it when it is wanted. */
  readonly json: unknown
}

interface VectorTest {
  readonly name: string
  /** @returns why it was skipped, or compared in part */
  run(): string | undefined
}

/** One test for each file that one of the bindings speaks for, or one that says why there is none. */
export function vectorLaw({
  bindings,
  vectors,
}: {
  readonly bindings?: readonly VectorBinding[]
  readonly vectors?: URL | readonly VectorFile[]
}): VectorTest[] {
  if (bindings === undefined || vectors === undefined) {
    return [{ name: 'truth/vectors', run: () => 'self-consistent only: the format comes without golden vectors' }]
  }
  const files = vectors instanceof URL ? filesIn(vectors) : vectors
  if (files.length === 0) return [{ name: 'truth/vectors', run: () => noFiles(vectors) }]
  return files.map((file) => ({ name: `truth/vectors · ${file.name}`, run: () => runFile(file, bindings) }))
}

function noFiles(vectors: unknown): never {
  throw new Fault(`no vector files in ${String(vectors)}`)
}

function runFile({ name, json }: VectorFile, bindings: readonly VectorBinding[]): string | undefined {
  const value = typeof json === 'function' ? (json as () => unknown)() : json
  const outcome = runVectorFile(value, bindings)
  if (outcome.status === 'failed') throw new Fault(`${vectorFormat(value) ?? 'no format'}\n${describeOutcome(outcome, name)}`)
  return outcome.reason === undefined ? undefined : `${name}: ${outcome.reason}`
}

interface FileSystem {
  readdirSync(path: URL, options: { recursive: true; encoding: 'utf8' }): string[]
  readFileSync(path: URL, encoding: 'utf8'): string
}

function filesIn(folder: URL): VectorFile[] {
  const fs = builtin<FileSystem>('node:fs')
  if (fs === undefined) throw new Fault('a folder of vectors can be read in Node alone: pass the files')
  const base = folder.href.endsWith('/') ? folder : new URL(`${folder.href}/`)
  return fs
    .readdirSync(base, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.replaceAll('\\', '/'))
    .sort()
    .map((name) => ({ name, json: () => JSON.parse(fs.readFileSync(new URL(name, base), 'utf8')) as unknown }))
}
