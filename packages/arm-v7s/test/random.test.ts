/**
 * Random operations against the model: conflicts that leave a prefix, holes, unmaps that span mappings and tables, parts of large pages
 * and supersections. A failure names its seed; `FC_SEED=<seed>` replays it.
 */
import { IoPageTable, IotlbGather, Prot, SZ_1M, SZ_4K, SZ_16M, SZ_64K, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { afterEach, expect, test } from 'vitest'
import { type ArmV7sConfig, armV7s } from '../src/index.ts'
import { type ModelSize, PageTableModel, seeded } from './model.ts'

const OPS = 24_000
const SIZES: readonly ModelSize[] = [
  { pgsize: SZ_4K, slot: SZ_4K },
  { pgsize: SZ_64K, slot: SZ_4K },
  { pgsize: SZ_1M, slot: SZ_1M },
  { pgsize: SZ_16M, slot: SZ_1M },
]
/** Six supersections: small enough that operations meet each other. */
const SPAN = 6 * SZ_16M
const SEED = Number(process.env.FC_SEED ?? 0x7515)

class Run {
  readonly random: (below: number) => number
  readonly pool: PtPool
  readonly table: IoPageTable<typeof armV7s>
  readonly model = new PageTableModel({ granule: SZ_4K, sizes: SIZES, tables: [SZ_1M], conflict: 'entry' })
  readonly base: number
  readonly paddrLimit: number
  /** Bytes that the TLB callbacks told about since it was last read. */
  flushed = 0
  readonly seen = { prefixes: 0, conflicts: 0, holes: 0, refusals: 0, spans: 0, walks: 0 }

  constructor(config: ArmV7sConfig, seed: number) {
    this.random = seeded(seed)
    this.pool = new PtPool({ base: config.quirks?.includes('ARM_MTK_TTBR_EXT') ? 0x5_8000_0000n : 0x8000_0000n, size: 4 * SZ_1M })
    const told = (_gather: unknown, _iova: bigint, granule: number, count: number): void => void (this.flushed += granule * count)
    const walk = (_iova: bigint, size: number): void => {
      this.flushed += size
      this.seen.walks++
    }
    this.table = IoPageTable.createRaw(armV7s, { ...config, allocator: this.pool, tlb: { flushAll() {}, flushWalk: walk, addPages: told } })
    this.base = 2 ** config.ias - SPAN
    this.paddrLimit = 2 ** config.oas
  }

  pick(): { iova: number; size: ModelSize; count: number } {
    const size = SIZES[this.random(8) < 6 ? this.random(3) : this.random(4)] as ModelSize
    const slots = SPAN / size.pgsize
    // most starts lie in one of a few places, so that calls meet what others mapped
    const near =
      size.pgsize < SZ_1M && this.random(4) > 0
        ? this.random(3) * (SZ_16M / size.pgsize) + this.random(SZ_1M / size.pgsize)
        : this.random(slots)
    const count = 1 + this.random(size.pgsize < SZ_1M ? (this.random(8) === 0 ? 600 : 24) : 4)
    return { iova: this.base + near * size.pgsize, size, count: Math.min(count, slots - near) }
  }

  map(): void {
    const { iova, size, count } = this.pick()
    const prot = 1 + this.random(63)
    const paddr = this.random((this.paddrLimit - count * size.pgsize) / size.pgsize) * size.pgsize
    this.flushed = 0
    const { mapped, error } = this.table.mapPages(BigInt(iova), BigInt(paddr), size.pgsize, count, prot)
    if ((prot & (Prot.READ | Prot.WRITE)) === 0) {
      expect([mapped, error?.code]).toEqual([0, 'EINVAL'])
      return
    }
    const tables = this.model.tables.size
    const wanted = this.model.map(iova, paddr, size.pgsize, count, prot)
    const whole = wanted === size.pgsize * count
    expect([mapped, error?.code]).toEqual([wanted, whole ? undefined : 'EEXIST'])
    if (size.slot === SZ_1M) expect(this.flushed).toBe((tables - this.model.tables.size) * SZ_1M)
    if (!whole) this.seen[wanted > 0 ? 'prefixes' : 'conflicts']++
  }

  unmap(): void {
    const mappings = this.random(2) ? [...this.model.pages.values()] : []
    const some = mappings[this.random(Math.max(mappings.length, 1))]
    let { iova, size, count } = this.pick()
    if (some !== undefined) {
      iova = some.iova - (some.iova % size.pgsize)
      count = Math.min(count, (this.base + SPAN - iova) / size.pgsize)
    }
    const gather = this.random(3) ? new IotlbGather() : undefined
    this.flushed = 0
    const there = this.model.pages.get(Math.floor(iova / SZ_4K))
    const wanted = this.model.unmap(iova, size.pgsize, count)
    expect(this.table.unmapPages(BigInt(iova), size.pgsize, count, gather)).toBe(wanted)
    expect(this.flushed).toBe(wanted)
    gather?.sync()
    if (wanted > size.pgsize) this.seen.spans++
    if (wanted === 0) this.seen[there !== undefined && there.size.pgsize > size.pgsize ? 'refusals' : 'holes']++
  }

  translate(): void {
    const iova = this.base + this.random(SPAN)
    const paddr = this.model.translate(iova)
    expect(this.table.iovaToPhys(BigInt(iova))).toBe(paddr === undefined ? undefined : BigInt(paddr))
  }

  /** Every leaf that the memory holds is one that the model has, and the other way round; no table is unaccounted. */
  compare(): void {
    const { table, model } = this
    const root = 4 * 2 ** (table.config.ias - 20)
    expect(table.tableBytes).toBe(root + 1024 * model.tables.size)
    const entries: string[] = []
    walkTables(table.geometry, table.roots, table.readMemory, {
      leaf: ({ iova, paddr, size, raw, kind, reserved }) => {
        entries.push(`${iova.toString(16)} ${paddr.toString(16)} ${size.pgsize} ${armV7s.prot(raw, kind, table.context)} ${reserved}`)
      },
    })
    const wanted = model.mappings().flatMap(({ iova, paddr, size, prot }) => {
      const slots = Array.from({ length: size.pgsize / size.slot }, (_, i) => (iova + i * size.slot).toString(16))
      return slots.map((at) => `${at} ${paddr.toString(16)} ${size.pgsize} ${this.kept(prot)} 0`)
    })
    expect(entries).toEqual(wanted)
  }

  kept(prot: Prot): Prot {
    const memory = prot & Prot.MMIO ? Prot.MMIO : prot & Prot.CACHE
    if (!this.table.context.permissions) return memory | Prot.READ | Prot.WRITE
    return memory | (prot & (Prot.NOEXEC | Prot.PRIV | Prot.WRITE)) | Prot.READ
  }
}

let current = ''
afterEach(({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(`replay with FC_SEED=${SEED}: ${current}\n`)
})

test.each(armV7s.configs.map(({ name, config }) => [name, config] as const))('%s: as the model does', (name, config) => {
  const run = new Run(config, SEED)
  for (let op = 0; op < OPS / armV7s.configs.length; op++) {
    current = `${name}, operation ${op}`
    const choice = run.random(16)
    if (choice < 6) run.map()
    else if (choice < 12) run.unmap()
    else run.translate()
    if (op % 250 === 0) run.compare()
  }
  run.compare()
  for (const [what, times] of Object.entries(run.seen)) expect(times, what).toBeGreaterThan(10)
  run.table.free()
  expect(run.pool.stats().live).toBe(0)
})
