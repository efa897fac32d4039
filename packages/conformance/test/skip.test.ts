/** When a file may be skipped: for one reason alone, at one operation alone. */
import { expect, test } from 'vitest'
import { runVectorFile, type VectorOutcome } from '../src/index.ts'
import { vectorBindings } from './toy.ts'
import { emptyTableFreed, emptyTableFreedInRange } from './toy-vectors.ts'

const M2 = 2 ** 21
type Op = Record<string, unknown> & { tlb: unknown[][]; result: Record<string, unknown>; sync: Record<string, unknown>[] }

function run(change: (ops: Op[], file: Record<string, unknown>) => void, file = emptyTableFreed()): VectorOutcome {
  change(file.ops as Op[], file)
  return runVectorFile(file, vectorBindings)
}

test('the kernel freed an empty table before it found the conflict: the file is skipped, with the operation and the reason', () => {
  const outcome = run(() => {})
  expect(outcome).toMatchObject({ status: 'skipped', mismatches: [] })
  expect(outcome.reason).toBe('ops[3] map: the kernel freed an empty table before it found EEXIST; here a run is checked first')
})

test('with generic_pt, by a sync', () => {
  expect(run(() => {}, emptyTableFreedInRange())).toMatchObject({ status: 'skipped', reason: expect.stringContaining('EADDRINUSE') })
})

test('the recorded operation agrees: nothing is skipped', () => {
  const outcome = run((ops) => {
    ops[3]!.tlb = []
    ops.pop()
  })
  expect(outcome.status).toBe('passed')
})

const STRICT: readonly (readonly [string, (ops: Op[], file: Record<string, unknown>) => void])[] = [
  ['the file does not have the feature', (_, file) => Object.assign(file, { features: [] })],
  ['the file has the other family’s feature', (_, file) => Object.assign(file, { features: ['eaddrinuseAfterEmptyTableFreed'] })],
  ['the error differs', (ops) => Object.assign(ops[3]!.result, { error: 'EINVAL' })],
  ['the error goes by another name', (ops) => Object.assign(ops[3]!.result, { error: 'EADDRINUSE' })],
  ['there is no error', (ops) => Object.assign(ops[3]!.result, { error: null })],
  ['the bytes differ', (ops) => Object.assign(ops[3]!.result, { mapped: M2 })],
  ['the event is of another kind', (ops) => Object.assign(ops[3]!, { tlb: [['addPage', '0x0', M2, 1]] })],
  ['the event has another size', (ops) => Object.assign(ops[3]!, { tlb: [['flushWalk', '0x0', 4096, 4096]] })],
  ['the event is larger than the table', (ops) => Object.assign(ops[3]!, { tlb: [['flushWalk', '0x0', 2 * M2, 4096]] })],
  ['the event has another granule', (ops) => Object.assign(ops[3]!, { tlb: [['flushWalk', '0x0', M2, M2]] })],
  ['the event lies outside the run', (ops) => Object.assign(ops[3]!, { tlb: [['flushWalk', '0x400000', M2, 4096]] })],
  ['the event is of a slot without a table', (ops) => Object.assign(ops[3]!, { tlb: [['flushWalk', '0x200000', M2, 4096]] })],
  ['one more event is missing', (ops) => ops[3]!.tlb.push(['flushWalk', '0x200000', M2, 4096])],
  ['the table is not empty', (ops) => ops.splice(1, 1)],
  ['an earlier operation differs', (ops) => ops[1]!.tlb.pop()],
  ['an earlier register differs', (_, file) => Object.assign(file.registers as object, { rootBytes: 1 })],
]

test.each(STRICT)('no skip when %s', (_, change) => {
  expect(run(change).status).toBe('failed')
})

test.each<readonly [string, (ops: Op[], file: Record<string, unknown>) => void]>([
  ['the feature is missing', (_, file) => Object.assign(file, { features: ['eexistAfterEmptyTableFreed'] })],
  ['the sync lies outside the run', (ops) => Object.assign(ops[3]!.sync[0]!, { start: '0x400000', end: '0x5fffff' })],
  ['the sync frees more tables than there are', (ops) => Object.assign(ops[3]!.sync[0]!, { freedTables: 2 })],
  ['the sync frees none', (ops) => Object.assign(ops[3]!.sync[0]!, { freedTables: 0 })],
  ['the sync is of a part of the table', (ops) => Object.assign(ops[3]!.sync[0]!, { end: '0xfffff' })],
  ['the root grew', (ops) => Object.assign(ops[3]!, { newTopLevel: 2 })],
  ['the bytes differ', (ops) => Object.assign(ops[3]!.result, { mapped: M2 })],
])('no skip of a range when %s', (_, change) => {
  expect(run(change, emptyTableFreedInRange()).status).toBe('failed')
})
