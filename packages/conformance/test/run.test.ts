/** The runner, proved by mutants: every answer that a file records is changed in turn, and the run must fail there. */
import { expect, test } from 'vitest'
import { describeOutcome, runVectorFile, type VectorOutcome } from '../src/index.ts'
import { vectorBindings } from './toy.ts'
import { configs, facts, operations, ranges } from './toy-vectors.ts'

const run = (json: unknown): VectorOutcome => runVectorFile(json, vectorBindings)

test.each([operations(), facts(), configs(), ranges()])('$name passes as it is', (json) => {
  const outcome = run(json)
  expect(outcome, describeOutcome(outcome, 'file')).toMatchObject({ status: 'passed', mismatches: [], name: json.name })
})

/** A change: the path to a member, its new value, and how the first mismatch is called. */
type Mutant = readonly [path: string, value: unknown, at: string, what: string]

const MUTANTS: readonly Mutant[] = [
  ['registers.baseAttr', '0x1', 'registers', 'baseAttr'],
  ['registers.rootBytes', 8192, 'registers', 'rootBytes'],
  ['registers.startLevel', 0, 'registers', 'startLevel'],
  ['registers.extra', 1, 'registers', 'extra'],
  ['ops.0.result.mapped', 12288, 'ops[0] map', 'result'],
  ['ops.0.tlb', [['flushWalk', '0x0', 4096, 4096]], 'ops[0] map', 'tlb'],
  ['ops.1.result', '0x80001344', 'ops[1] translate', 'result'],
  ['ops.1.result', null, 'ops[1] translate', 'result'],
  ['ops.3.result.error', 'EINVAL', 'ops[3] map', 'result'],
  ['ops.3.result.error', null, 'ops[3] map', 'result'],
  ['ops.3.result.error', 'ENOTANAME', 'ops[3] map', 'result'],
  ['ops.4.leaves.0.2', '0x80000007', 'ops[4] dump', 'leaf slot 0 of 5'],
  ['ops.4.leaves.0.4', '0x1001', 'ops[4] dump', 'leaf slot 1 of 5'],
  ['ops.4.leaves.0.3', 3, 'ops[4] dump', 'leaf slot 3 of 4'],
  ['ops.4.leaves.0.3', 5, 'ops[4] dump', 'leaf slot 4 of 6'],
  ['ops.4.leaves.1.1', 2, 'ops[4] dump', 'leaf slot 4 of 5'],
  ['ops.4.leaves.1.0', '0x400000', 'ops[4] dump', 'leaf slot 4 of 5'],
  ['ops.4.leaves', [], 'ops[4] dump', 'leaf slot 0 of 0'],
  ['ops.4.tables.0.2', '0x7', 'ops[4] dump', 'table descriptor 0 of 1'],
  ['ops.4.tables.0.1', 2, 'ops[4] dump', 'table descriptor 0 of 1'],
  ['ops.4.tables', [], 'ops[4] dump', 'table descriptor 0 of 0'],
  ['ops.4.tableBytes', 8193, 'ops[4] dump', 'tableBytes'],
  ['ops.5.result.unmapped', 12288, 'ops[5] unmap', 'result'],
  ['ops.5.tlb', [], 'ops[5] unmap', 'tlb'],
  ['ops.5.tlb.0.3', 3, 'ops[5] unmap', 'tlb'],
  ['ops.5.tlb.0.1', '0x2000', 'ops[5] unmap', 'tlb'],
  ['ops.6.tlb', [], 'ops[6] map', 'tlb'],
  ['ops.6.tlb.0.3', 2 ** 21, 'ops[6] map', 'tlb'],
  ['ops.8.result', '0x60002345', 'ops[8] translate', 'result'],
  ['ops.10.tlb', [], 'ops[10] free', 'tlb'],
  ['ops.10.tableBytes', 4096, 'ops[10] free', 'tableBytes'],
]

test.each(MUTANTS)('operations with %s = %j fail at %s: %s', (path, value, at, what) => {
  const outcome = run(mutate(operations(), path, value))
  expect(outcome.status).toBe('failed')
  expect(outcome.mismatches[0]).toMatchObject({ at, what })
  expect(describeOutcome(outcome, 'x.json')).toContain(`x.json: ${at}: ${what}`)
})

const ROW_MUTANTS: readonly (readonly [string, unknown, string, string])[] = [
  ['rows.0.4', '0x80003002', 'rows[0]', 'slots'],
  ['rows.0.0', 1, 'rows[0]', 'slots'],
  ['rows.0.0', 7, 'rows[0]', 'slots'],
  ['rows.1.5', 'ERANGE', 'rows[1]', 'result'],
  ['rows.2', [1, 2 ** 21, ['READ'], '0xc0200000', null, 'EINVAL'], 'rows[2]', 'result'],
]

test.each(ROW_MUTANTS)('facts with %s = %j fail at %s: %s', (path, value, at, what) => {
  const outcome = run(mutate(facts(), path, value))
  expect(outcome).toMatchObject({ status: 'failed', mismatches: expect.arrayContaining([expect.objectContaining({ at, what })]) })
})

test.each([
  ['rows.0.result.ias', 29, 'rows[0]', 'ias'],
  ['rows.1.result', null, 'rows[1]', 'result'],
  ['rows.2.result', configs().rows[0]?.result, 'rows[2]', 'result'],
  ['rows.3.error', 'ERANGE', 'rows[3]', 'result'],
])('configurations with %s = %j fail at %s: %s', (path, value, at, what) => {
  expect(run(mutate(configs(), path, value))).toMatchObject({ status: 'failed', mismatches: [{ at, what }] })
})

test.each([
  ['ops.0.result.mapped', 4096, 'ops[0] mapRange', 'result'],
  ['ops.0.newTopLevel', 2, 'ops[0] mapRange', 'newTopLevel'],
  ['ops.0.sync', [{ start: '0x0', end: '0xfff', freedTables: 1 }], 'ops[0] mapRange', 'sync'],
  ['ops.1.topLevel', 2, 'ops[1] dump', 'topLevel'],
  ['ops.2.result.error', 'ENXIO', 'ops[2] mapRange', 'result'],
  ['ops.3.gather.end', '0x3fefff', 'ops[3] unmapRange', 'gather'],
  ['ops.3.gather.freedTables', 1, 'ops[3] unmapRange', 'gather'],
  ['ops.3.gather.leafLevels', 1, 'ops[3] unmapRange', 'gather'],
  ['ops.3.gather', null, 'ops[3] unmapRange', 'gather'],
  ['ops.4.gather', { start: '0x0', end: '0xfff', freedTables: 0 }, 'ops[4] unmapRange', 'gather'],
])('ranges with %s = %j fail at %s: %s', (path, value, at, what) => {
  expect(run(mutate(ranges(), path, value))).toMatchObject({ status: 'failed', mismatches: [{ at, what }] })
})

test('the events of a run are compared in order, and folded whatever calls they came from', () => {
  const json = operations()
  const unmapped = json.ops[5] as { tlb: unknown[] }
  unmapped.tlb = [
    ['addPage', '0x1000', 4096, 1],
    ['addPage', '0x2000', 4096, 3],
  ]
  expect(run(json).status).toBe('passed')
  unmapped.tlb = [
    ['addPage', '0x2000', 4096, 3],
    ['addPage', '0x1000', 4096, 1],
  ]
  expect(run(json)).toMatchObject({ status: 'failed', mismatches: [{ index: 5, what: 'tlb' }] })
})

test('an operation that the library refuses by throwing is a mismatch of that operation, and the run goes on', () => {
  const json = mutate(operations(), 'ops.5.pgsize', 8192)
  const outcome = run(json)
  expect(outcome.mismatches[0]).toMatchObject({ index: 5, what: 'call', got: expect.stringContaining('EINVAL') })
  expect(outcome.mismatches.length).toBeGreaterThan(1)
})

test.each([
  ['schema', 2, 'schema'],
  ['ops.0.iova', 4096, 'ops[0].iova'],
  ['ops.0.iova', '0x10000000000000000', 'ops[0].iova'],
  ['ops.0.prot', ['EXEC'], 'ops[0].prot'],
  ['ops.0.pgcount', -1, 'ops[0].pgcount'],
  ['ops.0.surprise', 1, 'ops[0].surprise'],
  ['ops.0.op', 'mapRange', 'ops[0].op'],
  ['ops.5.tlb.0', ['addPage', '0x1000', 4096], 'ops[5].tlb[0]'],
  ['ops.5.tlb.0.0', 'flushSome', 'ops[5].tlb[0]'],
  ['ops.4.leaves.0.3', 0, 'ops[4].leaves[0]'],
  ['config', { features: [] }, 'config'],
  ['surprise', 1, 'document.surprise'],
  ['registers', null, 'registers'],
])('a file whose %s is %j is refused by name', (path, value, place) => {
  const outcome = run(mutate(operations(), path, value))
  expect(outcome).toMatchObject({ status: 'failed', mismatches: [], reason: expect.stringContaining(`EBADMSG: vector file: ${place}: `) })
})

test.each([null, [], 'text', 7, {}])('%j is no vector file', (json) => {
  expect(run(json)).toMatchObject({ status: 'failed', reason: expect.stringContaining('EBADMSG') })
})

test('a file of a format that nobody provides fails', () => {
  expect(run({ ...operations(), format: 'nothing' })).toMatchObject({ status: 'failed', reason: 'no package provides the format nothing' })
})

test('a configuration of the other family is a failure that says so', () => {
  const outcome = run({ ...ranges(), format: 'toy' })
  expect(outcome.mismatches[0]?.got).toContain('a generic_pt configuration')
})

/** `json` with the member at a path set. */
function mutate<T extends object>(json: T, path: string, value: unknown): T {
  const copy = JSON.parse(JSON.stringify(json)) as T // no part of it shared with another
  const steps = path.split('.')
  const last = steps.pop() ?? ''
  const parent = steps.reduce<Record<string, unknown>>(
    (node, step) => node[step] as Record<string, unknown>,
    copy as Record<string, unknown>,
  )
  parent[last] = value
  return copy
}
