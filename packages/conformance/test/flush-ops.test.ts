/** A driver's own TLB maintenance under test: a command queue as an SMMU has it, and wrong drivers of the same device. */
import type { IotlbGather, TlbFlushOps } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { checkFlushOps, type DeviceTlb, LawError } from '../src/index.ts'
import { toy } from '../src/toy.ts'

/** What the device's commands remove, as its architecture says. */
class CommandQueue {
  readonly #tlb: DeviceTlb
  readonly #queue: (() => void)[] = []

  constructor(tlb: DeviceTlb) {
    this.#tlb = tlb
  }

  /** Invalidate by address; `leaf`: entries of the last level alone. */
  address(iova: bigint, { leaf }: { leaf: boolean }): void {
    this.#queue.push(() => this.#tlb.removeAt(iova, 1, 1, (entry) => !leaf || entry.type === 'leaf'))
  }

  all(): void {
    this.#queue.push(() => this.#tlb.removeAll())
  }

  /** Nothing is done for sure before it. */
  sync(): void {
    for (const command of this.#queue.splice(0)) command()
  }
}

/** A driver that knows nothing but the commands. */
function driver(tlb: DeviceTlb, changes: (queue: CommandQueue) => Partial<TlbFlushOps> = () => ({})): TlbFlushOps {
  const queue = new CommandQueue(tlb)
  return {
    flushAll() {
      queue.all()
      queue.sync()
    },
    flushWalk(iova, size, granule) {
      for (let at = 0; at < size; at += granule) queue.address(iova + BigInt(at), { leaf: false })
      queue.sync()
    },
    addPages(_gather, iova, granule, count) {
      for (let i = 0; i < count; i++) queue.address(iova + BigInt(i * granule), { leaf: true })
    },
    sync() {
      queue.sync()
    },
    ...changes(queue),
  }
}

function brokenBy(flushOps: (tlb: DeviceTlb) => TlbFlushOps): string[] {
  const failures: string[] = []
  const run = (name: string, fn: () => void | Promise<void>): void => {
    pending.push(
      Promise.resolve(fn()).catch((error: unknown) => void failures.push(`${name}: ${error instanceof LawError ? error.message : error}`)),
    )
  }
  const pending: Promise<void>[] = []
  checkFlushOps({ test: run, format: toy, flushOps })
  waiting = Promise.all(pending)
  return failures
}
let waiting: Promise<unknown> = Promise.resolve()

test('a driver that is right passes in every configuration', async () => {
  const failures = brokenBy((tlb) => driver(tlb))
  await waiting
  expect(failures).toEqual([])
})

const WRONG: readonly (readonly [what: string, changes: (queue: CommandQueue) => Partial<TlbFlushOps>, message: RegExp])[] = [
  [
    'flushWalk invalidates leaves alone',
    (queue) => ({
      flushWalk(iova, size, granule) {
        for (let at = 0; at < size; at += granule) queue.address(iova + BigInt(at), { leaf: true })
        queue.sync()
      },
    }),
    /the walk cache still leads to/,
  ],
  ['flushWalk does not wait', (queue) => ({ flushWalk: (iova) => queue.address(iova, { leaf: false }) }), /the TLB still answers/],
  ['sync does not wait', () => ({ sync() {} }), /the TLB still answers with a translation that is gone/],
  [
    'addPages invalidates the first page alone',
    (queue) => ({ addPages: (_gather: IotlbGather | undefined, iova: bigint) => queue.address(iova, { leaf: true }) }),
    /the TLB still answers/,
  ],
]

test.each(WRONG)('%s', async (_what, changes, message) => {
  const failures = brokenBy((tlb) => driver(tlb, changes))
  await waiting
  expect(failures).toHaveLength(toy.configs.length)
  expect(failures[0]).toMatch(message)
  expect(failures[0]).toMatch(/^toy · 28 bits · tlb\/flush-ops: law tlb\/flush-ops is broken/)
})
