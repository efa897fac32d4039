/** A thread of workers.test.ts: maps, translates and unmaps what is its own of a table that several threads share. */
import { parentPort, workerData } from 'node:worker_threads'
import { IoPageTable, type TableToken } from '@io-pgtable/core'
import { type RaceShape, runRaces, runSteps } from './races.ts'
import { toy } from './toy-format.ts'

export interface RaceData {
  readonly token: TableToken
  readonly shape: RaceShape
  readonly me: number
  /** Where the threads wait for one another. */
  readonly barrier: SharedArrayBuffer
}

const { token, shape, me, barrier } = workerData as RaceData
const counter = new Int32Array(barrier)
const table = IoPageTable.attach(toy(shape.toy), token)

/** Spins, so that all threads leave it at the same moment; and naps, since there may be fewer processors than threads. */
function meet(round: number): void {
  Atomics.add(counter, 0, 1)
  for (let spins = 0; Atomics.load(counter, 0) < (round + 1) * shape.threads; spins++) if (spins > 5000) Atomics.wait(counter, 1, 0, 0.1)
}

const races = runRaces(table, shape, me, meet)
meet(shape.rounds)
const { checks, calls } = runSteps(table, shape, me)
parentPort?.postMessage({ checks, calls: races + calls, tableBytes: table.tableBytes })
