/** The worked examples of flush policies, on a device that remembers everything; and twins of them, each with one mistake, which it finds. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type CachedEntry, checkFlushPolicy, LawError, type MakePolicy, type PolicySetup } from '@io-pgtable/conformance'
import type { AnyFmt } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { flushQueue } from '../src/policies/flush-queue.ts'
import { lockedRange, regionOf } from '../src/policies/locked-range.ts'
import { perPage } from '../src/policies/per-page.ts'

/** One configuration of each format: the first that it lists. */
const FORMATS: readonly AnyFmt[] = [arm64LpaeS1, armV7s]

/** What is found wrong, by format. */
async function faultsOf(policy: MakePolicy): Promise<string[]> {
  const faults: string[] = []
  const runs: Promise<void>[] = []
  for (const format of FORMATS) {
    const configs = format.configs.slice(0, 1).map(({ name }) => name)
    const run = (_name: string, fn: () => void | Promise<void>): void => {
      const note = (error: unknown): void => void faults.push(error instanceof LawError ? error.message : `not a law: ${error}`)
      runs.push(Promise.resolve().then(fn).catch(note))
    }
    checkFlushPolicy({ test: run, format, policy, configs })
  }
  await Promise.all(runs)
  return faults
}

const POLICIES: [string, MakePolicy][] = [
  ['per page and per walk', perPage],
  ['a locked range, once a request', (setup) => lockedRange(setup)],
  ['a lazy queue', (setup) => flushQueue(setup)],
  ['a lazy queue of one', (setup) => flushQueue(setup, 1)],
]

test.each(POLICIES)('%s: nothing stale is ever used', async (_name, policy) => {
  expect(await faultsOf(policy)).toEqual([])
})

const leafOnly = ({ type }: CachedEntry): boolean => type === 'leaf'

/** The setup with other commands of the device. */
function withDevice(setup: PolicySetup, changes: (device: PolicySetup['device']) => Partial<PolicySetup['device']>): PolicySetup {
  return { ...setup, device: { ...setup.device, ...changes(setup.device) } }
}

const TWINS: [string, MakePolicy, RegExp][] = [
  [
    'per page: walks are invalidated like pages, at the last level alone',
    (setup) => perPage(withDevice(setup, (d) => ({ removeAt: (iova, step, count) => d.removeAt(iova, step, count, leafOnly) }))),
    /the walk cache still leads to it/,
  ],
  [
    'per page: one command for a run of pages',
    (setup) => perPage(withDevice(setup, (d) => ({ removeAt: (iova, step, _count, which) => d.removeAt(iova, step, 1, which) }))),
    /the TLB still answers with a translation that is gone, and the address may be given out again/,
  ],
  [
    "locked range: the region's size is that of the range, wherever it starts",
    (setup) =>
      lockedRange(setup, (first, last) => {
        const { first: base, last: end } = regionOf(0n, last - first)
        const size = end - base + 1n
        return { first: first - (first % size), last: first - (first % size) + size - 1n }
      }),
    /the TLB still answers|the walk cache still leads/,
  ],
  [
    'locked range: invalidated when it is locked, not when it is unlocked',
    (setup) =>
      lockedRange(
        withDevice(setup, (d) => ({
          lock(first, last) {
            d.lock(first, last)
            d.removeAll()
          },
          removeAt() {},
        })),
      ),
    /the TLB still answers|the walk cache still leads/,
  ],
  [
    'lazy queue: addresses may be used again before the flush',
    (setup) => {
      const driver = flushQueue({ ...setup, release() {} })
      return {
        ...driver,
        unmap(iova, size) {
          driver.unmap(iova, size)
          setup.release(iova, size)
        },
      }
    },
    /the TLB still answers with a translation that is gone, and the address may be given out again/,
  ],
  [
    'lazy queue: tables do not wait',
    (setup) => {
      const createTable: PolicySetup['createTable'] = (tlb) => {
        const table = setup.createTable(tlb)
        const unmap = table.unmap.bind(table)
        return Object.assign(table, { unmap: (iova: bigint, size: number) => unmap(iova, size) })
      }
      return flushQueue({ ...setup, createTable })
    },
    /the table at 0x[0-9a-f]+ (is free|was freed and is used again), and the walk cache still leads to it/,
  ],
]

describe('a twin with one mistake', () => {
  test.each(TWINS)('%s', async (_name, twin, says) => {
    const faults = await faultsOf(twin)
    expect(faults).toHaveLength(FORMATS.length)
    for (const fault of faults) expect(fault).toMatch(says)
    expect(faults[0]).toMatch(/law tlb\/flush-policy is broken: .*\n(.*\n)* {2}seed \d+, \d+ calls, the last ones:\n(.*\n)* {2}> \w+\(/)
  })
})

test('a region is a power of two, aligned to its size', () => {
  const text = (first: bigint, last: bigint): string => {
    const region = regionOf(first, last)
    return `${region.first.toString(16)}..${region.last.toString(16)}`
  }
  expect(text(0x1000n, 0x1fffn)).toBe('0..7fff')
  expect(text(0x7000n, 0x8fffn)).toBe('0..ffff')
  expect(text(0x3f_f000n, 0x40_0fffn)).toBe('0..7fffff')
  expect(text(0x8000_0000n, 0x801f_ffffn)).toBe('80000000..801fffff')
})
