/** Long random runs: the engine on every shape of the format that core's own tests are made of, and that a fault is found and told. */
import { IoPageTable, IotlbGather } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type Shape, toy } from '../../core/test/toy-format.ts'
import { longRun } from '../src/long-run.ts'

const CONFIG = 'everything'
const COVERED = { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } as const

const SHAPES: [string, Partial<Shape>][] = [
  ['unchanged', {}],
  ['conflicts by entry, slot order', { policy: { conflict: 'entry', flushOrder: 'slot-order', addPagesWithoutGather: true } }],
  ['runs of 4 slots', { policy: { runSlots: 4 } }],
  ['tables are never freed', { policy: { freeTables: 'never' } }],
  ['32-bit entries, large pages', { entryBytes: 4, large: true }],
  ['32-bit entries, inverted, large pages, by entry', { entryBytes: 4, inverted: true, large: true, policy: { conflict: 'entry' } }],
  ['inverted, both kinds of several entries', { inverted: true, large: true, contiguous: 'encode' }],
  ['scattered addresses', { scattered: true, indexBits: 9 }],
  ['levels that can be skipped', { skips: true }],
  ['one level', { levels: 1, indexBits: 6 }],
  ['six levels, four roots', { levels: 6, roots: 4 }],
  ['the top window', { window: 'top' }],
  ['a sign-extended window', { window: 'sign-extended' }],
  ['a root that grows', { levels: 5, grows: 2 }],
  ['covered', { policy: COVERED }],
  ['covered, large pages', { large: true, policy: COVERED }],
  ['covered, a root that grows', { levels: 5, grows: 3, policy: COVERED }],
]

test.each(SHAPES)('%s', (_name, shape) => {
  const report = longRun({ format: toy(shape), config: CONFIG, operations: 1500 })
  expect(report.conflicts).toBeGreaterThan(20)
  expect(report.mappings).toBeGreaterThan(5)
})

/** An engine that, from the n-th call of a method on, does something else. */
function faulty<K extends 'mapPages' | 'unmapPages' | 'iovaToPhys'>(name: K, n: number, fault: (real: IoPageTable[K]) => IoPageTable[K]) {
  return (...args: Parameters<typeof IoPageTable.createRaw>): IoPageTable => {
    const table = IoPageTable.createRaw(...args)
    const real = table[name].bind(table) as IoPageTable[K]
    let calls = 0
    const method = (...rest: never[]): unknown => ((++calls < n ? real : fault(real)) as (...rest: never[]) => unknown)(...rest)
    return Object.assign(table, { [name]: method })
  }
}

const FAULTS = [
  faulty('mapPages', 200, (real) => (iova, paddr, pgsize, count, prot) => real(iova, paddr, pgsize, count, prot ^ 8)),
  faulty('mapPages', 200, (real) => (iova, paddr, pgsize, count, prot) => real(iova, paddr ^ BigInt(pgsize), pgsize, count, prot)),
  faulty('unmapPages', 200, (real) => (iova, pgsize, count) => real(iova, pgsize, count, new IotlbGather())),
  faulty('unmapPages', 200, (real) => (iova, pgsize, count, gather) => real(iova, pgsize, Math.max(1, count - 1), gather)),
  faulty('iovaToPhys', 200, (real) => (iova) => real(iova ^ 1n)),
]

test.each(FAULTS.map((createTable, i) => ({ i, createTable })))(
  'fault $i is found, with the seed and the last calls',
  ({ createTable }) => {
    const run = (seed: number): string => {
      try {
        longRun({ format: toy(), config: CONFIG, operations: 4000, seed, createTable })
      } catch (error) {
        return String(error)
      }
      return 'not found'
    }
    const text = run(7)
    expect(text).toMatch(/toy, configuration "everything", operation \d+: .+/)
    expect(text).toMatch(/the last of \d+ calls on the table:\n {4}table\..+/)
    expect(text).toContain('replay: FC_SEED=7 with the same command')
    // the same seed finds the same
    expect(run(7)).toBe(text)
  },
)

test('a configuration that the format does not have', () => {
  expect(() => longRun({ format: toy(), config: 'none', operations: 1 })).toThrow('toy has no configuration none')
})
