/** What the threads of workers.test.ts do, each with its own addresses of one table; a single thread does the same one after the other. */
import { type IoPageTable, IotlbGather } from '@io-pgtable/core'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import type { Shape, Toy } from './toy-format.ts'

export interface RaceShape {
  readonly toy: Partial<Shape>
  readonly threads: number
  /** Times that all threads make the same upper tables at once. */
  readonly rounds: number
  /** Operations of each thread after that. */
  readonly steps: number
}

const PAGE = 0x1000
/** Bytes that one table of the last level translates, and one of the level above, with 9 index bits. */
const TABLE = 512 * PAGE
const UPPER = 512 * TABLE
const RW = 3

/** Interleaved pages of the same tables: in each round everyone needs the same two missing tables at the same moment. Returns the calls made. */
export function runRaces(table: IoPageTable<Toy>, { rounds, threads }: RaceShape, me: number, meet: (round: number) => void): number {
  let calls = 0
  for (let round = 0; round < rounds; round++) {
    const start = BigInt(UPPER) * BigInt(round % 256) + BigInt(TABLE * (2 * Math.floor(round / 256)))
    meet(round)
    for (let i = 0; i < 8; i++, calls++) {
      const iova = start + BigInt((i * threads + me) * PAGE)
      const { mapped, error } = table.mapPages(iova, paddrOf(iova), PAGE, 1, RW)
      if (mapped !== PAGE || error !== undefined) throw new Error(`round ${round}: ${error}`)
    }
    if (round % 3 === 0) {
      const iova = start + BigInt(me * PAGE)
      if (table.iovaToPhys(iova) !== paddrOf(iova) || table.unmapPages(iova, PAGE, 1) !== PAGE) throw new Error(`round ${round}: lost`)
      calls += 2
    }
  }
  return calls
}

/** Random work in whole tables of the last level: they come and go, and their memory goes from thread to thread. */
export function runSteps(table: IoPageTable<Toy>, { steps, threads }: RaceShape, me: number): { checks: number; calls: number } {
  const random = seededIntegers(me + 1)
  const mapped = new Map<number, bigint>()
  const gather = new IotlbGather()
  let checks = 0
  let calls = 0
  for (let step = 0; step < steps; step++, calls++) {
    // upper tables that all threads use; every second table of the last level was left to the races
    const slot = random(64) * threads + me
    const iova = BigInt(UPPER) * BigInt(300 + (slot >> 5)) + BigInt((slot & 31) * TABLE)
    const known = mapped.get(slot)
    if (known === undefined) {
      const paddr = BigInt(random(1 << 20)) << 21n
      const whole = random(4) === 0
      table.map(iova, paddr, whole ? TABLE : PAGE * 512 - PAGE, RW)
      mapped.set(slot, paddr)
    } else if (random(2) === 0) {
      const at = BigInt(random(511) * PAGE + random(PAGE))
      if (table.iovaToPhys(iova + at) !== known + at) throw new Error(`step ${step}: a wrong translation`)
      checks++
    } else {
      if (table.unmapPages(iova, TABLE, 1, random(2) === 0 ? gather : undefined) !== TABLE) throw new Error(`step ${step}: lost`)
      if (table.iovaToPhys(iova) !== undefined) throw new Error(`step ${step}: stale`)
      calls++
      if (random(8) === 0) gather.sync()
      mapped.delete(slot)
    }
  }
  gather.sync()
  return { checks, calls }
}

function paddrOf(iova: bigint): bigint {
  return iova ^ 0x7_0000_0000n
}
