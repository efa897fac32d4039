/** The published JSON schema and the runner's own reader must accept the same files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, test } from 'vitest'
import { runVectorFile } from '../src/index.ts'
import { driverFacts, driverOperations, runs, walks } from './driver-toy.ts'
import { vectorBindings } from './toy.ts'
import { configs, emptyTableFreed, emptyTableFreedInRange, facts, operations, ranges } from './toy-vectors.ts'

const schema = JSON.parse(readFileSync(new URL('../vectors.schema.json', import.meta.url), 'utf8'))
const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema)
/** What Linux's frameworks gave, which no member but the registers' may add to. */
const strict = new Ajv2020({ allowUnionTypes: true }).compile({ ...schema, anyOf: [{ $ref: '#/$defs/frameworks' }] })
const FORMATS = new URL('../../formats/', import.meta.url)

const TOYS = [operations(), facts(), configs(), ranges(), emptyTableFreed(), emptyTableFreedInRange()]

test.each(TOYS)('the schema has $name', (json) => {
  expect(validate(json), JSON.stringify(validate.errors)).toBe(true)
  expect(strict(json), JSON.stringify(strict.errors)).toBe(true)
})

test.each([driverOperations(), driverFacts(), runs(), walks()])('the schema has the files of drivers: %#', (json) => {
  expect(validate(json), JSON.stringify(validate.errors)).toBe(true)
  expect(validate({ ...json, format: 1 })).toBe(false)
})

test('the schema has every vector file of the workspace', () => {
  const files = readdirSync(FORMATS).flatMap((name) => jsonFilesIn(new URL(`${name}/test-data/vectors/`, FORMATS)))
  expect(files.length).toBeGreaterThan(0)
  for (const file of files)
    expect(validate(JSON.parse(readFileSync(file, 'utf8'))), `${file} ${JSON.stringify(validate.errors)}`).toBe(true)
})

test('what the schema refuses, the reader refuses, member by member', () => {
  for (const json of TOYS) {
    for (const [path, bad] of damaged(json)) {
      expect(strict(bad), `the schema, ${path}`).toBe(false)
      const { reason } = runVectorFile(bad, vectorBindings)
      expect(reason, `the reader, ${path}`).toContain('EBADMSG')
    }
  }
})

function jsonFilesIn(folder: URL): URL[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.json')).map((name) => new URL(name.replaceAll('\\', '/'), folder))
}

/** Copies in each of which one value, wherever it stands, is one of a type that the schema has nowhere; registers hold anything. */
function* damaged(json: object): Generator<readonly [string, unknown]> {
  for (const path of pathsOf(json)) {
    if (/(registers|result)\..*/.test(path) && !/^ops\./.test(path)) continue
    const copy = structuredClone(json) as Record<string, unknown>
    const steps = path.split('.')
    const last = steps.pop() ?? ''
    const parent = steps.reduce((node, step) => node[step] as Record<string, unknown>, copy)
    parent[last] = 0.5
    yield [`${path} 0.5`, copy]
  }
}

function pathsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => [name, ...pathsOf(member).map((path) => `${name}.${path}`)])
}
