/** The GPU and its driver: the scenario that the demo carries, random ones, and whether the checks find what is wrong. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { pgsizeBitmap, SZ_1M, SZ_2M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { runGpu } from '../src/demo.ts'
import type { GpuReport } from '../src/gpu/gpu-report.ts'
import { Mmu } from '../src/gpu/mmu.ts'
import { VmModel } from '../src/gpu/model.ts'
import { randomScenario } from '../src/gpu/random.ts'
import { runScenario } from '../src/gpu/run.ts'
import { parseScenario, type Scenario } from '../src/gpu/scenario.ts'
import { ALL } from './support.ts'

const ARM64 = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 40 }
const FRAME = parseScenario(ALL.scenario.text, ALL.scenario.name)

afterEach(() => void vi.restoreAllMocks())

const failed = ({ checks }: Pick<GpuReport, 'checks'>): string[] =>
  checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)

describe('a frame', () => {
  const { reports, checks } = runGpu(FRAME)
  const [arm64, v7s] = reports as [GpuReport, GpuReport]
  const step = (number: number): GpuReport['steps'][number] => arm64.steps[number - 1] as GpuReport['steps'][number]

  test('passes on both formats', () => {
    expect(failed({ checks })).toEqual([])
    expect([arm64.format, v7s.format]).toEqual(['arm64-lpae-s1', 'arm-v7s'])
    expect(v7s.steps.map(({ outcome }) => outcome)).toEqual(arm64.steps.map(({ outcome }) => outcome))
  })

  test('a mapping in the middle of another one leaves two, and cuts a large page', () => {
    expect(step(6).plans[0]?.map((line) => line.split(' ')[0])).toEqual(['remap', 'map'])
    expect([arm64.totals.cuts, v7s.totals.cuts > 0, arm64.totals.keptBytes]).toEqual([1, true, 512 * 1024])
  })

  test('a fault in a heap is explained, fixed and tried again', () => {
    const { faults, outcome } = step(15)
    expect(outcome).toBe('done')
    expect(faults.map(({ address, level, descriptor, fix }) => [address, level, descriptor, fix?.length])).toEqual([
      [0xd0_0000n, 2, 0n, 1],
      [0xd1_0000n, 3, 0n, 1],
      [0xd2_0000n, 3, 0n, 1],
    ])
    expect(faults[0]?.why).toMatch(/^entry 6 of the table at 0x[0-9a-f]+ is empty: nothing is mapped there$/)
    expect(v7s.steps[14]?.faults.map(({ level }) => level)).toEqual([1, 2, 2])
  })

  test('others end the job, and say why', () => {
    expect([16, 17, 22].map((number) => step(number).outcome)).toEqual(['fault', 'fault', 'fault'])
    expect(step(16).faults[0]?.why).toMatch(/is a page that grants READ, and the job wants to write$/)
    expect(step(16).faults[0]?.fix).toBeUndefined()
  })

  test('requests that must be refused change nothing', () => {
    for (const number of [10, 11, 12, 13]) {
      expect([step(number).plans, step(number).bars]).toEqual([[], step(9).bars])
      expect(step(number).message).toMatch(/^E(INVAL|RANGE): smMap: /)
    }
  })

  test('one flush a request is less than one a page', () => {
    const { flushes, locks, byAddress, tables } = arm64.totals
    expect(flushes).toBe(locks)
    expect(byAddress.pages).toBeGreaterThan(50 * flushes)
    expect(arm64.tree.flatMap(({ lines }) => lines).filter(({ type }) => type === 'table')).toHaveLength(tables)
  })

  test('the bar says what is where', () => {
    expect(step(9).bars[0]?.cells).toBe('aB··CCCC······cC················DDDD+EE+DDDDDDDD············▒▒▒▒')
    expect(step(21).bars[0]?.cells).toContain('----+EE+--------')
  })
})

test.each([1, 2, 3])('random requests from seed %i: both formats agree with the model', (seed) => {
  expect(failed(runGpu(parseScenario(randomScenario(seed, 40), 'random')))).toEqual([])
})

test('the same seed gives the same scenario, in which everything happens', () => {
  const text = randomScenario(7, 300)
  expect(randomScenario(7, 300)).toBe(text)
  const { steps } = parseScenario(text, 'random')
  expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(['map', 'unmap', 'job', 'evict', 'restore']))
  expect(steps.some((step) => step.op === 'job' && step.faults)).toBe(true)
  expect(new Set(steps.map(({ refused }) => refused))).toEqual(new Set([undefined, 'EINVAL', 'ERANGE']))
})

describe('the checks find', () => {
  const two: Scenario = parseScenario(
    JSON.stringify({
      buffers: { a: '64K', b: '64K' },
      vms: { v: { size: '1M' } },
      steps: [
        { map: 'a', at: 0, size: '64K' },
        { job: [['fill', 0, '64K', 1]] },
        { map: 'b', at: 0, size: '64K' },
        { job: [['expect', 0, '64K', 0]] },
        { unmap: 0, size: '4K' },
        { job: [['expect', 0, '4K', 0]], faults: true },
      ],
    }),
    'two.json',
  )
  const run = (): GpuReport => runScenario(arm64LpaeS1, ARM64, two)

  test('nothing in what is right', () => {
    expect(failed(run())).toEqual([])
  })

  test('a TLB that is not flushed: the job reads the old buffer', () => {
    vi.spyOn(Mmu.prototype, 'invalidate').mockImplementation(() => {})
    const report = run()
    expect(failed(report)).toEqual(['every step went as the scenario says: 4 of 6', 'jobs read what was written: 3 jobs'])
    expect(report.steps[3]?.message).toBe('0x0 holds 0x1, not 0x0')
  })

  test('an unmap that the model does not make', () => {
    vi.spyOn(VmModel.prototype, 'unmap').mockImplementation(() => {})
    const report = run()
    expect(failed(report)).toEqual([expect.stringMatching(/^VA space and tables are as a model of pages has them: /)])
    expect(report.differences[0]).toMatch(/^after step 5, v: 0x0 translates to nothing, not to 0x9/)
  })

  test('steps that go otherwise than the scenario says', () => {
    const steps = two.steps.map((step) => ({ ...step, refused: 'EBUSY' }))
    expect(failed(runScenario(arm64LpaeS1, ARM64, { ...two, steps }))).toEqual(['every step went as the scenario says: 0 of 6'])
  })
})

test('a request for which table memory ends is refused, and changes nothing', () => {
  const text = JSON.stringify({
    tables: '20K',
    buffers: { a: { size: '4M', pieces: '4K' } },
    vms: { v: { size: '16M' } },
    steps: [
      { map: 'a', at: 0, size: '1M' },
      { map: 'a', at: '512K', size: '4M', refused: 'ENOMEM' },
      {
        job: [
          ['fill', 0, '1M', 7],
          ['expect', 0, '1M', 7],
        ],
      },
      { map: 'a', at: '512K', size: '1M' },
    ],
  })
  const report = runScenario(arm64LpaeS1, { ...ARM64, ias: 48 }, parseScenario(text, 's.json'))
  expect(failed(report)).toEqual([])
  expect(report.totals.peakBytes).toBe(20 * 1024)
})

test('a VA space that the format does not translate is ERANGE', () => {
  const scenario = (size: string): Scenario =>
    parseScenario(`{"buffers": {"a": "4K"}, "vms": {"v": {"size": "${size}"}}, "steps": []}`, 's.json')
  const v7s = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M), ias: 32, oas: 32 }
  expect(() => runScenario(armV7s, v7s, scenario('8G'))).toThrow(/^ERANGE: /)
})
