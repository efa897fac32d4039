/**
 * A GPU driver at work on two formats: a simulated GPU whose TLB forgets nothing by itself, jobs that read and write through the tables,
 * faults that get their memory. After each request VA spaces and tables are compared with a model, page by page.
 */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { Prot, pgsizeBitmap, SZ_1G, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FRAME } from './support/frame.ts'
import { Mmu } from './support/mmu.ts'
import { VmModel } from './support/model.ts'
import { randomScenario } from './support/random.ts'
import { type RunResult, runScenario, type StepResult } from './support/run.ts'
import { expects, fill, KiB, MiB, type Scenario, stepsOn } from './support/steps.ts'

const ARM64 = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }
const V7S = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }

afterEach(() => void vi.restoreAllMocks())

/** What is wrong with a run. */
function faultsOf({ steps, differences, comparisons, stalls, afterUnbind, leakedBytes }: RunResult): string[] {
  const unexpected = steps.flatMap(({ asExpected, outcome, message }, i) =>
    asExpected ? [] : [`step ${i + 1}: ${outcome} ${message ?? ''}`],
  )
  const rest: [boolean, string][] = [
    [comparisons > 0, 'nothing was compared'],
    [stalls === 0, `${stalls} accesses to a locked range`],
    [afterUnbind === 'ENODEV', `a table that was kept gives ${afterUnbind} after the unbind`],
    [leakedBytes === 0, `${leakedBytes} bytes leaked`],
  ]
  return [...unexpected, ...differences, ...rest.flatMap(([ok, text]) => (ok ? [] : [text]))]
}

/** Both formats, which must agree in all that does not depend on the format. */
function runBoth(scenario: Scenario): { arm64: RunResult; v7s: RunResult } {
  const [arm64, v7s] = [runScenario(arm64LpaeS1, ARM64, scenario), runScenario(armV7s, V7S, scenario)]
  expect([faultsOf(arm64), faultsOf(v7s)]).toEqual([[], []])
  const seen = ({ steps }: RunResult): unknown =>
    steps.map(({ plans, outcome, spaces, faults }) => [
      plans,
      outcome,
      spaces,
      faults.map(({ address, access, fix }) => [address, access, fix]),
    ])
  expect(seen(v7s)).toEqual(seen(arm64))
  return { arm64, v7s }
}

describe('a frame', () => {
  const { arm64, v7s } = runBoth(FRAME)
  const step = (number: number): StepResult => arm64.steps[number - 1] as StepResult

  test('a mapping in the middle of another one leaves two, and cuts a large page', () => {
    expect(step(6).plans[0]?.map((line) => line.split(' ')[0])).toEqual(['remap', 'map'])
    expect([arm64.cuts, v7s.cuts > 0, arm64.keptBytes]).toEqual([1, true, 512 * KiB])
  })

  test('faults in a heap get their memory, one chunk each', () => {
    const { faults, outcome } = step(15)
    expect(outcome).toBe('done')
    expect(faults.map(({ address, level, descriptor, fix }) => [address, level, descriptor, fix?.length])).toEqual([
      [0xd0_0000n, 2, 0n, 1],
      [0xd1_0000n, 3, 0n, 1],
      [0xd2_0000n, 3, 0n, 1],
    ])
    expect(v7s.steps[14]?.faults.map(({ level }) => level)).toEqual([1, 2, 2])
  })

  test('others end the job', () => {
    expect([16, 17, 22].map((number) => step(number).outcome)).toEqual(['fault', 'fault', 'fault'])
    expect([16, 17, 22].map((number) => step(number).faults[0]?.fix)).toEqual([undefined, undefined, undefined])
    // the read-only page is there, the others are not
    expect([16, 17, 22].map((number) => step(number).faults[0]?.descriptor !== 0n)).toEqual([true, false, false])
  })

  test('requests that must be refused change nothing', () => {
    for (const number of [10, 11, 12, 13]) {
      expect([step(number).plans, step(number).spaces]).toEqual([[], step(9).spaces])
      expect(step(number).message).toMatch(/^E(INVAL|RANGE): smMap: /)
    }
  })

  test('an eviction leaves the VA space as it is', () => {
    expect(step(21).spaces).toEqual(step(20).spaces)
    expect(step(9).spaces).toContain(`${0x90_1000} ${0xf_e000} overlay`)
  })

  test('one flush a request is less than one a page', () => {
    expect(arm64.flushes).toBe(arm64.locks)
    expect(arm64.pagesByAddress).toBeGreaterThan(50 * arm64.flushes)
  })
})

describe('random requests', () => {
  test.each([1, 2, 3])('40 steps from seed %i: both formats agree with the model', (seed) => {
    runBoth(randomScenario(seed, 40))
  })

  test.each([101, 102, 103, 104, 105, 106, 107, 108])('500 steps from seed %i', (seed) => {
    for (const { requests, refused, faults, switches } of Object.values(runBoth(randomScenario(seed, 500)))) {
      expect(requests).toBeGreaterThan(200)
      expect(Math.min(refused, faults, switches)).toBeGreaterThan(5)
    }
  })

  test('the same seed gives the same scenario, in which everything happens', () => {
    const { steps } = randomScenario(7, 300)
    expect(randomScenario(7, 300).steps).toEqual(steps)
    expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(['map', 'unmap', 'job', 'evict', 'restore']))
    expect(steps.some((step) => step.op === 'job' && step.faults)).toBe(true)
    expect(new Set(steps.map(({ refused }) => refused))).toEqual(new Set([undefined, 'EINVAL', 'ERANGE']))
  })
})

describe('the checks find', () => {
  const { map, job, unmap, faultingJob } = stepsOn('v')
  const two: Scenario = {
    slots: 2,
    buffers: { a: { size: 64 * KiB }, b: { size: 64 * KiB } },
    vms: [{ name: 'v', start: 0, size: MiB }],
    steps: [
      map('a', 0, 64 * KiB),
      job([fill(0, 64 * KiB, 1)]),
      map('b', 0, 64 * KiB),
      job([expects(0, 64 * KiB, 0)]),
      unmap(0, 4 * KiB),
      faultingJob([expects(0, 4 * KiB, 0)]),
    ],
  }
  const run = (scenario: Scenario = two): RunResult => runScenario(arm64LpaeS1, ARM64, scenario)

  test('nothing in what is right', () => {
    expect(faultsOf(run())).toEqual([])
  })

  test('a TLB that is not flushed: the job reads the old buffer', () => {
    vi.spyOn(Mmu.prototype, 'invalidate').mockImplementation(() => {})
    expect(faultsOf(run())).toEqual(['step 4: wrong 0x0 holds 0x1, not 0x0', 'step 6: wrong 0x0 holds 0x1, not 0x0'])
  })

  test('an unmap that the model does not make', () => {
    vi.spyOn(VmModel.prototype, 'unmap').mockImplementation(() => {})
    const faults = faultsOf(run())
    expect(faults[0]).toMatch(/^after step 5, v: 0x0 translates to nothing, not to 0x9/)
    for (const fault of faults) expect(fault).toMatch(/^after step [56], v: /)
  })

  test('steps that go otherwise than the scenario says', () => {
    const steps = two.steps.map((step) => ({ ...step, refused: 'EBUSY' }))
    expect(faultsOf(run({ ...two, steps }))).toHaveLength(6)
  })
})

test('a request for which table memory ends is refused, and changes nothing', () => {
  const { map, job } = stepsOn('v')
  const result = runScenario(arm64LpaeS1, ARM64, {
    slots: 2,
    tables: 20 * KiB,
    buffers: { a: { size: 4 * MiB, pieces: 4 * KiB } },
    vms: [{ name: 'v', start: 0, size: 16 * MiB }],
    steps: [
      map('a', 0, MiB),
      map('a', 512 * KiB, 4 * MiB, { refused: 'ENOMEM' }),
      job([fill(0, MiB, 7), expects(0, MiB, 7)]),
      map('a', 512 * KiB, MiB, { prot: Prot.READ }),
    ],
  })
  expect(faultsOf(result)).toEqual([])
  expect(result.peakBytes).toBe(20 * KiB)
})

test('a VA space that the format does not translate is ERANGE', () => {
  const scenario = { slots: 2, buffers: {}, vms: [{ name: 'v', start: 0, size: 8 * 1024 * MiB }], steps: [] }
  expect(() => runScenario(armV7s, V7S, scenario)).toThrow(/^ERANGE: /)
})
