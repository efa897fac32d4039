/**
 * The second check: whether our callbacks suffice. A mapping is used, so that the IOMMU caches it, then unmapped or replaced; nothing may
 * translate as before. The same with a callback dropped must show what was cached, or the check would prove nothing.
 */
import { type Geometry, IoPageTable, type Policy, Prot, type TlbFlushOps } from '@io-pgtable/core'
import { Random } from '../machine/index.ts'
import type { TlbStyle } from './invalidate.ts'
import type { Fault, Iommu } from './iommu.ts'
import type { Mapping } from './plan.ts'
import { type Expected, PROBE_BYTES } from './probe.ts'
import { type Case, mapAll, type Setup, setUp } from './setup.ts'

/** What goes: one page, one block, a table with its pages, pages and a block in one call, or all of the tables. */
export type Level = 'page' | 'block' | 'table' | 'range' | 'everything'
export const LEVELS: readonly Level[] = ['page', 'block', 'table', 'range', 'everything']

export type Callback = keyof Required<TlbFlushOps>

export interface StaleRun {
  /** Levels at which bytes moved by a translation that is gone. */
  readonly stale: readonly Level[]
  /** Other things that are wrong. */
  readonly wrong: readonly string[]
  /** Changes that were made and looked at. */
  readonly changes: number
}

/** One access, so one record: QEMU splits larger accesses that go nowhere, and records each part. */
const WRITTEN = 4

const RW = Prot.READ | Prot.WRITE

/** Runs all levels, each with tables of its own; without `dropped` all callbacks arrive. */
export async function staleRun<I extends Iommu>(iommu: I, given: Case<I>, seed: bigint, dropped?: Callback): Promise<StaleRun> {
  const stale = new Set<Level>()
  const wrong: string[] = []
  let changes = 0
  for (const level of LEVELS) {
    const wrap = (tlb: TlbFlushOps): TlbFlushOps => (dropped === undefined ? tlb : { ...tlb, [dropped]: () => {} })
    const setup = setUp(iommu, { ...given, cold: false }, new Random(seed), { wrap })
    const run = new StaleCheck(setup, level)
    wrong.push(...(level === 'everything' ? await run.free() : await run.change()))
    if (run.stale) stale.add(level)
    changes += run.changes
  }
  return { stale: [...stale], wrong, changes }
}

/** The callbacks whose absence must show, and at which levels, for a format's order of flushes and a driver's style. */
export function responsible(order: Policy['flushOrder'], style: TlbStyle): ReadonlyMap<Callback, readonly Level[]> {
  if (order === 'range') return new Map([['sync', LEVELS]])
  const pages = style === 'each-page' ? 'addPages' : 'sync'
  return new Map<Callback, readonly Level[]>([
    [pages, ['page', 'block', 'range']],
    ['flushWalk', ['table']],
    ['flushAll', ['everything']],
  ])
}

class StaleCheck {
  stale = false
  changes = 0
  readonly #setup: Setup
  readonly #level: Level

  constructor(setup: Setup, level: Level) {
    this.#setup = setup
    this.#level = level
  }

  /** Unmaps, and then replaces. @returns what is wrong beside what is stale */
  async change(): Promise<string[]> {
    const { table, planner, stage } = this.#setup
    const { whole, mappings, samples } = this.#place()
    const first = mappings[0]?.iova ?? 0n
    const size = mappings.reduce((all, { pgsize, pgcount }) => all + pgsize * pgcount, 0)
    const keeper = planner.claim(planner.smallest)
    mapAll(table, [keeper, ...mappings])
    const wrong = await this.#use([...samples, keeper])
    table.unmap(first, size)
    wrong.push(...(await this.#gone(samples)))
    stage.invalidateAll()
    mapAll(table, mappings)
    wrong.push(...(await this.#use([...samples, keeper])))
    table.unmap(first, size)
    const elsewhere = planner.target(BigInt(whole.pgsize)) - whole.paddr
    mapAll(
      table,
      mappings.map((mapping) => ({ ...mapping, paddr: mapping.paddr + elsewhere })),
    )
    wrong.push(...(await this.#moved(samples, elsewhere)))
    stage.invalidateAll()
    wrong.push(...(await this.#use([keeper])))
    table.free()
    return wrong
  }

  /** Frees the tables after the device was given others. */
  async free(): Promise<string[]> {
    const { table, stage, pool } = this.#setup
    const { mappings, samples } = this.#place()
    mapAll(table, mappings)
    const wrong = await this.#use(samples)
    const empty = IoPageTable.createRaw(table.format, { allocator: pool, ...table.config })
    await this.#keep(samples)
    stage.point(empty.regs)
    table.free()
    wrong.push(...(await this.#writes(samples, 0n)).wrong)
    empty.free()
    stage.invalidateAll()
    return wrong
  }

  /** Where the level's mappings are, and the addresses that are looked at. */
  #place(): { whole: Mapping; mappings: readonly Mapping[]; samples: readonly Expected[] } {
    const { planner, table, random } = this.#setup
    const page = planner.smallest
    const block = blockOf(table.geometry)
    const whole = planner.claim(this.#level === 'range' ? 2 * block : this.#level === 'page' ? page : block)
    const mappings = this.#mappings(whole, page, block)
    const samples = mappings.flatMap(({ iova, paddr, pgsize, pgcount }) => {
      const last = BigInt(pgsize * pgcount - page)
      const between = random.below(last / BigInt(page) + 1n) * BigInt(page)
      return [...new Set([0n, between, last])].map((offset) => ({ iova: iova + offset, paddr: paddr + offset, prot: RW }))
    })
    return { whole, mappings, samples }
  }

  #mappings(whole: Mapping, page: number, block: number): Mapping[] {
    if (this.#level === 'page' || this.#level === 'block') return [{ ...whole, prot: RW }]
    if (this.#level !== 'range') return [{ ...whole, pgsize: page, pgcount: block / page, prot: RW }]
    // three pages up to a block's start, and the block
    const [before, at] = [BigInt(block - 3 * page), BigInt(block)]
    return [
      { iova: whole.iova + before, paddr: whole.paddr + before, pgsize: page, pgcount: 3, prot: RW },
      { iova: whole.iova + at, paddr: whole.paddr + at, pgsize: block, pgcount: 1, prot: RW },
    ]
  }

  /** Moves bytes both ways: now the IOMMU has the translations. */
  #use(samples: readonly Expected[]): Promise<string[]> {
    return this.#setup.prober.translations(samples)
  }

  async #gone(samples: readonly Expected[]): Promise<string[]> {
    await this.#keep(samples)
    return (await this.#writes(samples, 0n)).wrong
  }

  async #moved(samples: readonly Expected[], elsewhere: bigint): Promise<string[]> {
    await this.#keep(samples, elsewhere)
    const { wrong, stale } = await this.#writes(samples, elsewhere)
    return stale ? [] : wrong
  }

  /** Zeroes the memory that the samples led to and lead to, and gives the device other bytes. */
  async #keep(samples: readonly Expected[], elsewhere = 0n): Promise<void> {
    const { iommu, prober, random } = this.#setup
    for (const { paddr } of samples) for (const place of [paddr, paddr + elsewhere]) void iommu.machine.qtest.fill(place, PROBE_BYTES, 0)
    await prober.load(Buffer.concat(samples.map(() => random.bytes(PROBE_BYTES).map((byte) => byte | 1))))
  }

  /** The device writes to each sample. `elsewhere`: where the bytes are to arrive instead; 0: they are to be refused, with a record each. */
  async #writes(samples: readonly Expected[], elsewhere: bigint): Promise<{ wrong: string[]; stale: boolean }> {
    this.changes++
    const faults = await this.#transfers(samples)
    const old = await this.#arrived(samples, 0n)
    const stale = old.filter(Boolean).length
    if (stale > 0) this.stale = true
    const code = this.#setup.stage.code('unmapped', true)
    const expected = elsewhere === 0n && code !== undefined ? samples.length - stale : 0
    const right = faults.length === expected && faults.every((fault) => fault.code === code)
    const wrong = right ? [] : [`${this.#level}: ${faults.length} records, ${expected} expected`]
    const there = elsewhere === 0n ? old : await this.#arrived(samples, elsewhere)
    if (elsewhere !== 0n && !there.every((is, i) => is || old[i]))
      wrong.push(`${this.#level}: bytes do not arrive where the new mapping leads`)
    return { wrong, stale: stale > 0 }
  }

  async #transfers(samples: readonly Expected[]): Promise<Fault[]> {
    const { iommu } = this.#setup
    const faults: Fault[] = []
    for (const [i, { iova }] of samples.entries()) {
      await iommu.edu.write(i * PROBE_BYTES, iova, WRITTEN)
      faults.push(...(await iommu.faults()))
    }
    return faults
  }

  /** Whether there are other bytes than the zeros that `#keep` wrote. */
  #arrived(samples: readonly Expected[], elsewhere: bigint): Promise<boolean[]> {
    const { qtest } = this.#setup.iommu.machine
    return Promise.all(samples.map(async ({ paddr }) => (await qtest.read(paddr + elsewhere, WRITTEN)).some((byte) => byte !== 0)))
  }
}

/** Bytes that an entry one level above the pages translates. */
export function blockOf({ nodes }: Geometry): number {
  const [, above = 0] = nodes.map(({ shift }) => shift).sort((a, b) => a - b)
  return 2 ** above
}
