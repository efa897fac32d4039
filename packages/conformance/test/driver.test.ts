/** The runner on files of drivers: every answer changed in turn must fail, and a difference ends a file where it is named, and nowhere else. */
import type { JsonValue } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { describeOutcome, runVectorFile, type VectorOutcome } from '../src/index.ts'
import { driverBinding, driverFacts, driverOperations, found, foundBinding, runs, runsBinding, walks } from './driver-toy.ts'
import { vectorBindings } from './toy.ts'
import { operations, ranges } from './toy-vectors.ts'

const run = (json: unknown): VectorOutcome => runVectorFile(json, [driverBinding, runsBinding, foundBinding, ...vectorBindings])

test.each([driverOperations(), walks()])('a file passes as it is', (json) => {
  const outcome = run(json)
  expect(outcome, describeOutcome(outcome, 'file')).toEqual({ name: '', format: 'toy-driver', status: 'passed', mismatches: [] })
})

test('rows that a format has no answer to are counted, with the reason', () => {
  const outcome = run(driverFacts())
  expect(outcome, describeOutcome(outcome, 'file')).toMatchObject({ status: 'passed', reason: '9 of 10 rows: no such colour here' })
})

test('parts of dumps that a binding leaves out are named', () => {
  const outcome = run(runs())
  expect(outcome, describeOutcome(outcome, 'file')).toMatchObject({ status: 'passed' })
  expect(outcome.reason).toBe('tables not compared: eight at once; tableBytes not compared: eight at once')
})

test.each([
  ['registers.vaBits', 29, 'registers', 'vaBits'],
  ['registers.nothing', 1, 'registers', 'nothing'],
  ['ops.0.result.mapped', 8192, 'ops[0] map', 'result'],
  ['ops.1.aperture', 'ram', 'ops[5] dump', 'leaf slot 4 of 8'],
  ['ops.2.aperture', 'rom', 'ops[2] translate', 'beside the address'],
  ['ops.2.extra', 1, 'ops[2] translate', 'beside the address'],
  ['ops.3.aperture', 'ram', 'ops[3] translate', 'beside the address'],
  ['ops.3.result', '0x1000', 'ops[3] translate', 'result'],
  ['ops.4.sg.1.0', '0x50200000', 'ops[5] dump', 'leaf slot 7 of 8'],
  ['ops.4.result.used', ['4K'], 'ops[4] mapRange', 'result'],
  ['ops.5.leaves.0.1', 'PD', 'ops[5] dump', 'leaf slot 0 of 8'],
  ['ops.5.leaves.4.2', '0x1000000000000000000000050000005', 'ops[5] dump', 'leaf slot 7 of 8'],
  ['ops.5.tables.0.2', '0x7', 'ops[5] dump', 'table descriptor 0 of 1'],
  ['ops.5.tableBytes', 4096, 'ops[5] dump', 'tableBytes'],
  ['ops.6.result.unmapped', 4096, 'ops[6] unmap', 'result'],
  ['ops.6.extra', 1, 'ops[6] unmap', 'call'],
  ['ops.7.paddr', '0x70001000', 'ops[10] dump', 'leaf slot 3 of 8'],
  ['ops.8.prot', ['READ', 'WRITE'], 'ops[10] dump', 'leaf slot 3 of 8'],
  ['ops.8.result.error', 'EINVAL', 'ops[8] reprot', 'result'],
  ['ops.9.result.unmapped', 4096, 'ops[9] unmapRange', 'result'],
  ['ops.11.result', {}, 'ops[11] drop', 'result'],
  ['ops.11.op', 'lift', 'ops[11] lift', 'call'],
  ['ops.12.tableBytes', 4096, 'ops[12] free', 'tableBytes'],
])('operations with %s = %j fail at %s: %s', (path, value, at, what) => {
  const outcome = run(mutate(driverOperations(), path, value))
  expect(outcome.status).toBe('failed')
  expect(outcome.mismatches[0]).toMatchObject({ at, what })
})

test.each([
  ['ops.1.result.mapped', 20480, 'ops[1] map', 'result'],
  ['ops.1.extra', 1, 'ops[1] map', 'call'],
  ['ops.2.leaves.0.2', '0x90000007', 'ops[2] dump', 'leaf slot 0 of 6'],
  ['ops.3.result.unmapped', 32768, 'ops[3] unmap', 'result'],
])('runs with %s = %j fail at %s: %s', (path, value, at, what) => {
  expect(run(mutate(runs(), path, value)).mismatches[0]).toMatchObject({ at, what })
})

test('an unmap that takes what is there: by pgsize, or by what is left of the range', () => {
  expect(run(found())).toMatchObject({ status: 'passed' })
  const byRange = runVectorFile(found(), [{ ...foundBinding, unmapsFound: 'range' }])
  const expected = '{"unmapped":4096}'
  expect(byRange.mismatches[0]).toMatchObject({ at: 'ops[2] unmap', expected, got: `{"unmapped":${4096 + 2 ** 21}}` })
  const { trims: _, ...keeps } = foundBinding
  expect(runVectorFile(found(), [keeps]).mismatches[0]).toMatchObject({ at: 'ops[7] dump', what: 'table descriptor 0 of 0' })
  const byPages = runVectorFile(mutate(found(), 'ops.4.result.unmapped', 4096), [foundBinding])
  expect(byPages.mismatches).toMatchObject([{ at: 'ops[4] unmap', what: 'result' }])
})

test.each([
  ['rows.0.4', '0x80003002', 'rows[0]', 'first slot'],
  ['rows.0.0', 'PD', 'rows[0]', 'first slot'],
  ['rows.1.5', 'EINVAL', 'rows[1]', 'result'],
  ['rows.2.4', '0x80003003', 'rows[2]', 'raw'],
  ['rows.2.0', 'PD', 'rows[2]', 'level'],
  ['rows.3.5', 'ERANGE', 'rows[3]', 'result'],
  ['rows.4.4', '0x80003007', 'rows[4]', 'raw'],
  ['rows.5.5', 'EINVAL', 'rows[5]', 'result'],
  ['tables.0.2', '0x80001007', 'tables[0]', 'raw'],
  ['tables.0.0', 'PT', 'tables[0]', 'level'],
  ['roots.0.2', '0x1', 'roots[0]', 'value'],
  ['colours.0.1', '0x1', 'colours[0]', 'raw'],
])('facts with %s = %j fail at %s: %s', (path, value, at, what) => {
  expect(run(mutate(driverFacts(), path, value))).toMatchObject({ status: 'failed', mismatches: [{ at, what }] })
})

test.each([
  ['walks.0.result', '0x80000235', 'walks[0]', 'result'],
  ['walks.1.node', 'PT', 'walks[1]', 'beside the address'],
  ['walks.2.result', '0x0', 'walks[2]', 'result'],
  ['memory.1.1', '0x0', 'walks[0]', 'result'],
])('walks with %s = %j fail at %s: %s', (path, value, at, what) => {
  expect(run(mutate(walks(), path, value)).mismatches[0]).toMatchObject({ at, what })
})

/** Operations that each differ by one feature, after two that do not. */
const DIFFERENCES: readonly (readonly [feature: string, op: Record<string, JsonValue>, reason: string])[] = [
  ['overwrites', { ...pages('map', '0x4000', 1), paddr: '0x0', prot: ['READ', 'WRITE'] }, 'the driver overwrites; here it is EEXIST'],
  ['holes', pages('unmap', '0x1000', 6), 'the driver passes over holes'],
  ['parts', pages('unmap', '0x200000', 1), 'the driver splits'],
  ['parts', { op: 'unmapRange', iova: '0x1ff000', size: 8192, result: { unmapped: 1 } }, 'the driver splits'],
  ['odd', { ...pages('map', '0x8000', 1), paddr: '0x0', prot: ['READ'] }, 'read-only'],
]

test.each(DIFFERENCES)('%s: the file ends before the operation that differs, and passes', (feature, op, reason) => {
  const json = driverOperations()
  json.ops.splice(6, 0, op)
  json.ops.length = 9
  expect(run(json).status, 'without the feature it fails').toBe('failed')
  json.features = ['nothing', feature]
  const outcome = run(json)
  expect(outcome).toMatchObject({ status: 'passed', reason: `6 of 9 operations: ops[6] ${op.op}: ${feature}: ${reason}` })
  expect(describeOutcome(outcome, 'x.json')).toBe(`passed: x.json: ${outcome.reason}`)
  expect(run(mutate(json, 'ops.0.result.mapped', 1)).status, 'what stands before it is compared').toBe('failed')
})

test('a named feature ends no file whose operations do not show it', () => {
  const json = { ...driverOperations(), features: ['overwrites', 'holes', 'parts'] }
  expect(run(json)).toEqual({ name: '', format: 'toy-driver', status: 'passed', mismatches: [] })
})

test('files of the io-pgtable family may lack their events; what is recorded is compared', () => {
  const json = operations()
  for (const op of json.ops) delete op.tlb
  expect(run(json).status).toBe('passed')
  const unmap = json.ops[5] as Record<string, unknown>
  unmap.tlb = []
  expect(run(json)).toMatchObject({ status: 'failed', mismatches: [{ at: 'ops[5] unmap', what: 'tlb' }, { at: 'ops[6] map' }] })
  const generic = ranges()
  for (const op of generic.ops) delete op.gather
  expect(run(generic).status).toBe('passed')
})

test.each([
  ['ops.0.op', 1, 'ops[0].op'],
  ['surprise', 1, 'document.surprise'],
  ['registers', null, 'registers'],
  ['features', 'x', 'features'],
])('a file whose %s is %j is refused by name', (path, value, place) => {
  const reason = expect.stringContaining(`EBADMSG: vector file: ${place}: `)
  expect(run(mutate(driverOperations(), path, value))).toMatchObject({ status: 'failed', mismatches: [], reason })
})

function pages(op: string, iova: string, pgcount: number): Record<string, JsonValue> {
  return { op, iova, pgsize: 4096, pgcount, result: op === 'map' ? { mapped: 4096, error: null } : { unmapped: pgcount * 4096 } }
}

/** `json` with the member at a path set. */
function mutate<T extends object>(json: T, path: string, value: unknown): T {
  const copy = structuredClone(json)
  const steps = path.split('.')
  const last = steps.pop() ?? ''
  const parent = steps.reduce((node, step) => node[step] as Record<string, unknown>, copy as Record<string, unknown>)
  parent[last] = value
  return copy
}
