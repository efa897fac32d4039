/** What the law `truth/vectors` of the kit does not show: which vector files are skipped, and that corrupted copies fail. */
import { readFileSync } from 'node:fs'
import { describeOutcome, runVectorFile, type VectorOutcome } from '@io-pgtable/conformance'
import { expect, test } from 'vitest'
import { vectorBindings } from '../src/vectors.ts'

const VECTORS = new URL('../test-data/vectors/', import.meta.url)

/** The only two that hold a run which fails after the kernel freed an empty table: what follows cannot be compared. */
const SKIPPED: Readonly<Record<string, string>> = {
  'arm64-lpae-s1-64k-52/004.json': 'ops[143] map: the kernel freed an empty table before it found EEXIST',
  'hand/lpae-4k-eexist-after-empty-table.json': 'ops[3] map: the kernel freed an empty table before it found EEXIST',
}

test.each(Object.entries(SKIPPED))('%s is skipped, at that operation', (file, reason) => {
  const outcome = runVectorFile(read(file), vectorBindings)
  expect(outcome.status, describeOutcome(outcome, file)).toBe('skipped')
  expect(outcome.reason ?? '').toContain(reason)
})

const RANDOM = 'arm64-lpae-s1-64k-52/001.json'
const HAND = 'hand/lpae-4k-block-over-empty-table.json'
const FACTS = 'facts/arm64-lpae-s1-4k-hd.json'
const CONFIG = 'config/arm64-lpae-s1.json'

/** One change of one recorded answer: what it is, in which file, where, from what to what. */
const CORRUPTIONS: readonly (readonly [what: string, file: string, path: string, change: (was: never) => unknown])[] = [
  ['one bit of a leaf', RANDOM, 'ops.*.leaves.0.2', flipBit(53)],
  ['the address of a leaf', HAND, 'ops.4.leaves.1.2', flipBit(21)],
  ['one bit of a table descriptor', RANDOM, 'ops.*.tables.0.2', flipBit(63)],
  ['a TLB event removed', HAND, 'ops.1.tlb', () => []],
  ['a flushWalk removed', HAND, 'ops.3.tlb', () => []],
  ['the size of a flushWalk', HAND, 'ops.3.tlb.0.2', () => 4096],
  ['an error name', RANDOM, 'ops.*.result.error', (name: string) => (name === 'EINVAL' ? 'EEXIST' : 'EINVAL')],
  ['mapped bytes', HAND, 'ops.0.result.mapped', () => 4096],
  ['unmapped bytes', HAND, 'ops.1.result.unmapped', () => 4096],
  ['tableBytes', HAND, 'ops.2.tableBytes', (bytes: number) => bytes + 4096],
  ['a field of TCR', HAND, 'registers.tcr.ips', () => 4],
  ['MAIR', HAND, 'registers.mair', flipBit(2)],
  ['attributes of TTBR', HAND, 'registers.ttbrAttr', flipBit(0)],
  ['one bit of a fact', FACTS, 'rows.1.4', flipBit(51)],
  ['the refusal of a fact', 'facts/arm64-lpae-s1-4k.json', 'rows.0.5', () => 'ERANGE'],
  ['a register of a configuration', CONFIG, 'rows.0.result.tcr.tsz', () => 16],
  ['an accepted configuration', CONFIG, 'rows.0.result', () => null],
]

test.each(CORRUPTIONS)('a copy with a change of %s in %s fails there', (_, file, path, change) => {
  const json = read(file)
  const at = corrupt(json, path, change as (was: unknown) => unknown)
  const outcome: VectorOutcome = runVectorFile(json, vectorBindings)
  expect(outcome.status).toBe('failed')
  expect(outcome.mismatches.map((mismatch) => mismatch.at.split(' ')[0])).toEqual([at])
})

function read(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8'))
}

function flipBit(bit: number): (was: string) => string {
  return (was) => `0x${(BigInt(was) ^ (1n << BigInt(bit))).toString(16)}`
}

/** Changes the member at a path, where `*` stands for the first item that has the rest of it. Returns the place that the runner must name. */
function corrupt(json: unknown, path: string, change: (was: unknown) => unknown): string {
  const steps = path.split('.')
  const star = steps.indexOf('*')
  const list = (json as Record<string, unknown[]>)[steps[0] ?? '']
  if (star > 0) steps[star] = String(list?.findIndex((item) => valueAt(item, steps.slice(star + 1)) != null))
  const last = steps.pop() ?? ''
  const parent = valueAt(json, steps) as Record<string, unknown>
  parent[last] = change(parent[last])
  return steps[0] === 'registers' ? 'registers' : `${steps[0]}[${steps[1] ?? last}]`
}

function valueAt(value: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>((node, step) => (node as Record<string, unknown> | undefined)?.[step], value)
}
