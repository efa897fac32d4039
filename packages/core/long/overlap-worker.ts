/** A thread of worker-pool.test.ts: it maps and unmaps the same ranges as all others, and notes who is in one of them at the same time. */
import { parentPort, workerData } from 'node:worker_threads'
import { IoPageTable, IoPgtableError, type TableToken } from '@io-pgtable/core'
import { toy } from '../test/toy-format.ts'

export interface OverlapData {
  readonly token: TableToken
  readonly me: number
  readonly threads: number
  readonly calls: number
  /** Threads that are at the start together; then, for each range, the threads that are inside of a call on it. */
  readonly shared: SharedArrayBuffer
}

export interface OverlapReport {
  readonly calls: number
  /** Calls that were refused since another thread held a part of the range. */
  readonly refused: number
  /** Times that two threads were in calls on one range. */
  readonly together: number
  /** What else was thrown: nothing, when overlaps are refused. */
  readonly broken: readonly string[]
}

const RANGES = 4
const PAGE = 0x1000
/** Bytes that one table of the last level translates. */
const TABLE = 512 * PAGE
const { token, me, threads, calls, shared } = workerData as OverlapData
const words = new Int32Array(shared)
const broken = new Set<string>()
let together = 0

/** What runs while a range is held: the invalidation before a table is freed, which takes a real device its time. */
function flushWalk(iova: bigint): void {
  const range = 1 + (Math.floor(Number(iova) / TABLE) % RANGES)
  if (Atomics.add(words, range, 1) > 0) together++
  for (let i = 0; i < 200; i++) if (Atomics.load(words, range) > 1) together++
  Atomics.sub(words, range, 1)
}

const table = IoPageTable.attach(toy({ indexBits: 9 }), token, { tlb: { flushAll() {}, flushWalk } })
let refused = 0

/** The code of an error of the call, if it has one. */
function attempt(call: () => { error?: IoPgtableError | undefined } | number): void {
  try {
    const result = call()
    if (typeof result === 'object' && result.error?.code === 'EBUSY') refused++
  } catch (error) {
    if (error instanceof IoPgtableError && error.code === 'EBUSY') refused++
    else broken.add(error instanceof IoPgtableError ? error.code : String(error))
  }
}

Atomics.add(words, 0, 1)
while (Atomics.load(words, 0) < threads) Atomics.wait(words, 0, Atomics.load(words, 0), 1)

for (let i = 0; i < calls; i += 2) {
  const iova = BigInt(((i * 7 + me) % RANGES) * TABLE)
  attempt(() => table.mapPages(iova, 0x4000_0000n, PAGE, 512, 3))
  attempt(() => table.unmapPages(iova, TABLE, 1))
}
parentPort?.postMessage({ calls, refused, together, broken: [...broken] } satisfies OverlapReport)
