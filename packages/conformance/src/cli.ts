#!/usr/bin/env node
/** The commands: `check MODULE`, `vectors PATH...`. Formats for the latter are found at run time, by what the package.json files around say. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { AnyFmt, VectorBinding } from '@io-pgtable/core'
import type { Effort } from './check/case.ts'
import { runFormat } from './check/run-format.ts'
import type { VectorFile } from './check/vectors-law.ts'
import { describeOutcome } from './describe.ts'
import { runVectorFile, vectorFormat } from './run.ts'

const USAGE = [
  'usage: iopt-conformance check MODULE.js [--effort quick|full] [--vectors PATH] [--format ID] [--seed N]',
  '       iopt-conformance vectors PATH... [--format ID]',
].join('\n')

/** What the formats around provide, and why some could not be loaded. */
interface Found {
  readonly bindings: readonly VectorBinding[]
  readonly problems: readonly string[]
}

/** Package folders that may hold formats: those of the workspace that this file is in, else the current folder and its node_modules. */
function packageFolders(): string[] {
  const workspace = workspaceOf(dirname(fileURLToPath(import.meta.url)))
  if (workspace !== undefined) return memberFolders(workspace)
  const modules = join(process.cwd(), 'node_modules')
  const names = subfolders(modules).flatMap((name) =>
    name.startsWith('@') ? subfolders(join(modules, name)).map((n) => join(name, n)) : [name],
  )
  return [process.cwd(), ...names.map((name) => join(modules, name))]
}

/** The nearest folder above that is a pnpm workspace; an installed package is in none of its own. */
function workspaceOf(folder: string): string | undefined {
  if (folder.split(/[\\/]/).includes('node_modules')) return undefined
  if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return folder
  const parent = dirname(folder)
  return parent === folder ? undefined : workspaceOf(parent)
}

/** The members that a workspace file lists under `packages`: `folder` or `folder/*`. */
function memberFolders(workspace: string): string[] {
  const lines = readFileSync(join(workspace, 'pnpm-workspace.yaml'), 'utf8').split(/\r?\n/)
  const rest = lines.slice(lines.findIndex((line) => /^packages:\s*$/.test(line)) + 1)
  const end = rest.findIndex((line) => /^\S/.test(line) && !line.startsWith('-'))
  const globs = rest.slice(0, end < 0 ? rest.length : end).flatMap((line) => /^\s*-\s*['"]?([^'"#\s]+)/.exec(line)?.[1] ?? [])
  return globs.flatMap((glob) => {
    if (!glob.endsWith('/*')) return [join(workspace, glob)]
    const parent = join(workspace, glob.slice(0, -2))
    return subfolders(parent).map((name) => join(parent, name))
  })
}

function subfolders(folder: string): string[] {
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => !name.startsWith('.'))
        .sort()
    : []
}

/** The `./vectors` module of a package that is a format and has one. */
function vectorsModule(folder: string): string | undefined {
  const manifest = join(folder, 'package.json')
  if (!existsSync(manifest)) return undefined
  const { ioPgtable } = JSON.parse(readFileSync(manifest, 'utf8')) as { ioPgtable?: { vectors?: string } }
  return ioPgtable?.vectors === undefined ? undefined : resolve(folder, ioPgtable.vectors)
}

async function findBindings(): Promise<Found> {
  const bindings: VectorBinding[] = []
  const problems: string[] = []
  for (const folder of packageFolders()) {
    try {
      const module = vectorsModule(folder)
      if (module === undefined) continue
      const { vectorBindings } = (await import(pathToFileURL(module).href)) as { vectorBindings: readonly VectorBinding[] }
      bindings.push(...vectorBindings)
    } catch (error) {
      problems.push(`${folder}: ${messageOf(error)}`)
    }
  }
  return { bindings, problems }
}

/** Files to run: each path as it is, or for a folder every .json file below it, sorted. */
function filesOf(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path]
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'))
  return names
    .map((name) => join(path, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isDirectory() !== true)
    .sort()
}

/** Runs one file; undefined when it is of another format than the one asked for. */
function runFile(file: string, { bindings, problems }: Found, format: string | undefined): 'passed' | 'failed' | 'skipped' | undefined {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    print(`failed: ${file}: ${messageOf(error)}`)
    return 'failed'
  }
  const theirs = vectorFormat(json)
  if (format !== undefined && theirs !== undefined && theirs !== format) return undefined
  const outcome = runVectorFile(json, bindings)
  const text = describeOutcome(outcome, file)
  if (text !== '') print(text)
  if (theirs !== undefined && !bindings.some((b) => b.format === theirs))
    for (const problem of problems) print(`  could not load ${problem}`)
  return outcome.status
}

/** All output goes to one stream and is never cut off by an exit, so that the counts are the last of it. */
function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The formats that a module exports. */
function formatsOf(module: object): AnyFmt[] {
  const isFormat = (value: unknown): value is AnyFmt =>
    typeof value === 'object' && value !== null && 'FORMAT' in value && 'configs' in value
  return [...new Set(Object.values(module).filter(isFormat))]
}

/** The bindings of the package that a module is in, else those of the packages around. */
async function bindingsFor(file: string): Promise<readonly VectorBinding[]> {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    if (!existsSync(join(folder, 'package.json'))) continue
    const module = vectorsModule(folder)
    if (module === undefined || !existsSync(module)) break
    return ((await import(pathToFileURL(module).href)) as { vectorBindings: readonly VectorBinding[] }).vectorBindings
  }
  return (await findBindings()).bindings
}

/** `check`: every law on every format that the module exports. */
async function check(path: string, values: Values): Promise<number> {
  const file = resolve(path)
  const module = pathToFileURL(file)
  const formats = formatsOf((await import(module.href)) as object).filter(({ FORMAT }) => FORMAT === (values.format ?? FORMAT))
  if (formats.length === 0) throw new Error(`${path} exports no format${values.format === undefined ? '' : ` ${values.format}`}`)
  const truth = values.vectors === undefined ? {} : await vectorsFrom(values.vectors, file)
  let status = 0
  for (const format of formats) {
    const { passed, failed } = await runFormat({ format, module, ...truth, ...settings(values), log: print }, (name, error) => {
      if (error !== undefined) print(`failed: ${name}\n  ${messageOf(error).replaceAll('\n', '\n  ')}`)
    })
    print(`${format.FORMAT}: ${passed} passed, ${failed} failed`)
    if (failed > 0) status = 1
  }
  return status
}

async function vectorsFrom(path: string, module: string): Promise<{ bindings: readonly VectorBinding[]; vectors: VectorFile[] }> {
  const vectors = filesOf(path).map((name) => ({ name, json: () => JSON.parse(readFileSync(name, 'utf8')) as unknown }))
  return { bindings: await bindingsFor(module), vectors }
}

function settings({ effort, seed }: Values): { effort?: Effort; seed?: number } {
  if (effort !== undefined && effort !== 'quick' && effort !== 'full') throw new Error(`--effort ${effort}: quick or full expected`)
  if (seed !== undefined && !Number.isInteger(Number(seed))) throw new Error(`--seed ${seed}: an integer expected`)
  return { ...(effort !== undefined && { effort }), ...(seed !== undefined && { seed: Number(seed) }) }
}

interface Values {
  readonly format?: string | undefined
  readonly effort?: string | undefined
  readonly vectors?: string | undefined
  readonly seed?: string | undefined
  readonly help?: boolean | undefined
}

async function runVectors(paths: readonly string[], { format }: Values): Promise<number> {
  const found = await findBindings()
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const file of paths.flatMap(filesOf)) {
    const status = runFile(file, found, format)
    if (status !== undefined) counts[status]++
  }
  if (counts.passed + counts.failed + counts.skipped === 0) print('no vector files found')
  print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed > 0 ? 1 : 0
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { format: text, effort: text, vectors: text, seed: text, help: { type: 'boolean', short: 'h' } },
  })
  const [command, ...paths] = positionals
  if (values.help) {
    print(USAGE)
    return 0
  }
  if (command !== undefined && command !== 'vectors' && command !== 'check') throw new Error(`no command ${command}`)
  const [first] = paths
  if (first === undefined) throw new Error('no PATH given')
  if (command !== 'check') return runVectors(paths, values)
  if (paths.length > 1) throw new Error('one module at a time')
  return check(first, values)
}

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n${USAGE}\n`)
    process.exitCode = 2
  },
)
