/** The first check of a configuration: random mappings, moved through in both directions, and every kind of access that must be refused. */
import { Prot } from '@io-pgtable/core'
import { Random } from '../machine/index.ts'
import type { Iommu } from './iommu.ts'
import { bytesOf, type Mapping } from './plan.ts'
import { type Expected, PROBE_BYTES, type Refused } from './probe.ts'
import { type Case, mapAll, setUp } from './setup.ts'

export interface RandomRun {
  /** What is wrong; empty when QEMU and we agree. */
  readonly wrong: readonly string[]
  readonly translations: number
  readonly faults: number
  /** Bytes that are live in the pool after the table was freed. */
  readonly leaked: number
}

const MAPPINGS = 400
const HOLES = 100
const DENIED = 150

/** Runs a case with a seed. */
export async function randomRun<I extends Iommu>(iommu: I, given: Case<I>, seed: bigint): Promise<RandomRun> {
  const random = new Random(seed)
  const { table, planner, prober, pool } = setUp(iommu, given, random, { tableBytes: iommu.tables.size })
  const all = planner.mappings(MAPPINGS)
  mapAll(table, all)
  const gone = all.filter(() => random.int(8) === 0)
  for (const { iova, pgsize, pgcount } of gone) table.unmapPages(iova, pgsize, pgcount)
  const left = all.filter((mapping) => !gone.includes(mapping))
  const expected = left.flatMap((mapping) => probesOf(mapping, random))
  const refused = [
    ...gone.flatMap((mapping) =>
      probesOf(mapping, random).map((probe) => ({ ...probe, write: random.int(2) === 0, cause: 'unmapped' as const })),
    ),
    ...planner.holes(HOLES).map((iova) => ({ iova, write: random.int(2) === 0, cause: 'unmapped' as const })),
    ...(iommu.ignoresReach ? [] : planner.beyond()).map((iova) => ({ iova, write: random.int(2) === 0, cause: 'beyond' as const })),
    ...deniedOf(left, random),
  ]
  const wrong = [...(await prober.translations(expected)), ...(await prober.refusals(refused))]
  table.free()
  return { wrong, translations: expected.length, faults: refused.length, leaked: pool.stats().live }
}

/** The first bytes, the last, and some between. */
export function probesOf(mapping: Mapping, random: Random): Expected[] {
  const { iova, paddr, prot } = mapping
  const last = bytesOf(mapping) - BigInt(PROBE_BYTES)
  // a probe stays in one page
  const middle = random.below(last / 4096n + 1n) * 4096n + BigInt(random.int(4096 - PROBE_BYTES))
  return [0n, middle, last].map((offset) => ({ iova: iova + offset, paddr: paddr + offset, prot }))
}

/** Accesses that the mappings do not allow. */
function deniedOf(mappings: readonly Mapping[], random: Random): Refused[] {
  const denied = mappings.flatMap((mapping) =>
    probesOf(mapping, random).flatMap(({ iova, paddr, prot }): Refused[] => {
      if ((prot & Prot.WRITE) === 0) return [{ iova, paddr, write: true, cause: 'denied' }]
      return prot & Prot.READ ? [] : [{ iova, paddr, write: false, cause: 'denied' }]
    }),
  )
  return denied.slice(0, DENIED)
}
