/**
 * The third check: descriptors made wrong on purpose. Every bit of a page's and of a block's descriptor is flipped in the guest's memory, in
 * turn; the device must notice each but those that the model is known to ignore, and of those none, so that what is known stays true.
 */
import { Prot } from '@io-pgtable/core'
import { Random } from '../machine/index.ts'
import type { Iommu } from './iommu.ts'
import { probesOf } from './random-run.ts'
import { type Case, mapAll, type Setup, setUp } from './setup.ts'
import { blockOf } from './stale.ts'

/** Bits of a descriptor, both ends included. */
export type BitRange = readonly [hi: number, lo: number]

/** The bits that a model ignores, of a page's descriptor and of that of a block one level above. */
export interface Ignored {
  readonly page: readonly BitRange[]
  readonly block: readonly BitRange[]
}

export interface WrongRun {
  /** Bits whose flip was noticed. */
  readonly caught: number
  /** What is not as it should be: bits that were missed though the model does not ignore them, or noticed though it does. */
  readonly wrong: readonly string[]
}

export async function wrongRun<I extends Iommu>(iommu: I, given: Case<I>, seed: bigint): Promise<WrongRun> {
  const setup = setUp(iommu, { ...given, cold: true }, new Random(seed))
  const wrong: string[] = []
  let caught = 0
  for (const kind of ['page', 'block'] as const) {
    const noticed = await noticedBits(setup, kind, wrong)
    caught += noticed.length
    wrong.push(...compare(kind, noticed, bitsOf(given.ignores[kind])))
  }
  setup.table.free()
  return { caught, wrong }
}

/** Flips the bits of a fresh mapping's descriptor. What is wrong without any flip goes to `wrong`. */
async function noticedBits(
  { table, planner, prober, stage, random, iommu }: Setup,
  kind: keyof Ignored,
  wrong: string[],
): Promise<number[]> {
  const { qtest } = iommu.machine
  const pgsize = kind === 'page' ? planner.smallest : blockOf(table.geometry)
  const mapping = { ...planner.claim(pgsize), prot: Prot.READ | Prot.WRITE }
  mapAll(table, [mapping])
  const [, probe] = probesOf(mapping, random)
  const leaf = table.walk(mapping.iova).at(-1)
  if (leaf?.type !== 'leaf' || probe === undefined) throw new Error(`no leaf at ${mapping.iova}`)
  const place = leaf.table + BigInt(leaf.index * leaf.node.entryBytes)
  wrong.push(...(await prober.translations([probe])))
  const noticed: number[] = []
  for (let bit = 0; bit < leaf.node.entryBytes * 8; bit++) {
    void qtest.writeq(place, leaf.raw ^ (1n << BigInt(bit)))
    stage.invalidateAll()
    if ((await prober.translations([probe])).length > 0) noticed.push(bit)
  }
  void qtest.writeq(place, leaf.raw)
  stage.invalidateAll()
  wrong.push(...(await prober.translations([probe])))
  return noticed
}

function bitsOf(ranges: readonly BitRange[]): readonly number[] {
  return ranges.flatMap(([hi, lo]) => Array.from({ length: hi - lo + 1 }, (_, i) => lo + i))
}

function compare(kind: string, noticed: readonly number[], ignored: readonly number[]): string[] {
  const all = Array.from({ length: 64 }, (_, bit) => bit)
  const missed = all.filter((bit) => !noticed.includes(bit) && !ignored.includes(bit))
  const surprising = noticed.filter((bit) => ignored.includes(bit))
  return [
    ...missed.map((bit) => `a flip of bit ${bit} of a ${kind}’s descriptor is not noticed`),
    ...surprising.map((bit) => `a flip of bit ${bit} of a ${kind}’s descriptor is noticed, though the model ignores it`),
  ]
}
