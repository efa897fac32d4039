/** `checkFlushPolicy` on the toy format: a driver that is right passes, and each mistake that it looks for is found and named. */
import { IotlbGather, Prot, type TlbFlushOps } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { checkFlushPolicy, LawError, type MakePolicy, type PolicyDriver, type PolicySetup } from '../src/index.ts'
import { toy } from '../src/toy.ts'

async function faultsOf(policy: MakePolicy, seed?: number): Promise<string[]> {
  const faults: string[] = []
  const runs: Promise<void>[] = []
  const run = (name: string, fn: () => void | Promise<void>): void => {
    const note = (error: unknown): void => void faults.push(`${name}: ${error instanceof LawError ? error.message : `not a law: ${error}`}`)
    runs.push(Promise.resolve().then(fn).catch(note))
  }
  checkFlushPolicy({ test: run, format: toy, policy, ...(seed !== undefined && { seed }) })
  await Promise.all(runs)
  return faults
}

/** A driver that invalidates everything whenever it is called. */
function anxious(setup: PolicySetup, ops: Partial<TlbFlushOps> = {}, changes: Partial<PolicyDriver> = {}): PolicyDriver {
  const all = (): void => setup.device.removeAll()
  const table = setup.createTable({ flushAll: all, flushWalk: all, addPages() {}, sync: all, ...ops })
  return {
    map: (iova, paddr, size) => table.map(iova, paddr, size, Prot.READ | Prot.WRITE),
    unmap(iova, size) {
      table.unmap(iova, size)
      setup.release(iova, size)
    },
    close: () => table.free(),
    ...changes,
  }
}

test('a driver that is right passes, in every configuration and from any seed', async () => {
  for (const seed of [undefined, 1, 2, 3]) expect(await faultsOf((setup) => anxious(setup), seed)).toEqual([])
})

const WRONG: [string, MakePolicy, RegExp][] = [
  ['nothing is flushed', (setup) => anxious(setup, { sync() {} }), /the TLB still answers with a translation that is gone/],
  ['tables are not flushed', (setup) => anxious(setup, { flushWalk() {} }), /the walk cache still leads to it/],
  [
    'nothing is flushed at the end',
    (setup) => anxious({ ...setup, release() {} }, { flushAll() {}, sync() {} }),
    /closed, and the TLB still holds/,
  ],
  [
    'addresses are released that are mapped',
    (setup) => anxious(setup, {}, { map: (iova, _paddr, size) => setup.release(iova, size) }),
    /is released that was not unmapped/,
  ],
  [
    'the device stays locked',
    (setup) => anxious(setup, {}, { begin: (first, last) => setup.device.lock(first, last) }),
    /the device is still locked/,
  ],
  ['the table is never freed', (setup) => anxious(setup, {}, { close() {} }), /a table leaked: /],
  ['nothing is mapped', (setup) => anxious(setup, {}, { map() {} }), /iovaToPhys: 0x[0-9a-f]+ expected, got undefined/],
  ['there is no table', () => ({ map() {}, unmap() {}, close() {} }), /the driver made no table/],
  [
    'what waits is never flushed',
    (setup) => {
      const table = setup.createTable()
      const gather = new IotlbGather()
      return {
        map: (iova, paddr, size) => table.map(iova, paddr, size, Prot.READ),
        unmap: (iova, size) => void table.unmap(iova, size, gather),
        close() {
          gather.sync()
          table.free()
        },
      }
    },
    /closed, and the TLB still holds what was unmapped|the walk cache still leads to it/,
  ],
]

test.each(WRONG)('%s', async (_what, policy, says) => {
  const faults = await faultsOf(policy)
  expect(faults).toHaveLength(toy.configs.length)
  for (const fault of faults) expect(fault).toMatch(says)
  expect(faults[0]).toMatch(/^toy · 28 bits · tlb\/flush-policy: law tlb\/flush-policy is broken/)
})
