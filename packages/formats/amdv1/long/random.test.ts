/**
 * Random ranges against a model: every page size, conflicts that leave a prefix, holes, whole large pages from their heads, a root that
 * grows. What the tables hold is read by a walker of its own (manual.ts). A failure names its seed; `FC_SEED=<seed>` replays it.
 */
import { seededIntegers } from '@io-pgtable/conformance'
import { IoPageTable, type IoPgtableError, IotlbGather, Prot, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { type AmdV1Config, amdV1 } from '../src/index.ts'
import { translate } from '../test/manual.ts'

const SEED = Number(process.env.FC_SEED ?? 0xa3d1)
const OPS = 1000

interface Mapping {
  readonly iova: bigint
  readonly paddr: bigint
  readonly size: bigint
  readonly prot: number
}

/** Mappings by their first address. */
class Model {
  readonly mappings = new Map<bigint, Mapping>()
  readonly sizes: bigint[] = []

  constructor(bitmap: bigint) {
    for (let lg = 63n; lg >= 12n; lg--) if ((bitmap >> lg) & 1n) this.sizes.push(1n << lg)
  }

  /** The mapping that translates an address: all of them are aligned to their size. */
  at(iova: bigint): Mapping | undefined {
    for (const size of this.sizes) {
      const found = this.mappings.get(iova - (iova % size))
      if (found?.size === size) return found
    }
    return undefined
  }

  isFree(iova: bigint, size: bigint): boolean {
    if (this.at(iova) !== undefined) return false
    if (size / 4096n <= 512n) {
      for (let at = iova; at < iova + size; at += 4096n) if (this.mappings.has(at)) return false
      return true
    }
    for (const at of this.mappings.keys()) if (at >= iova && at < iova + size) return false
    return true
  }

  map(iova: bigint, paddr: bigint, bytes: bigint, prot: number): { mapped: bigint; conflict: boolean } {
    let done = 0n
    while (done < bytes) {
      const from = iova + done
      const to = paddr + done
      const size = this.sizes.find((s) => s <= bytes - done && (from | to) % s === 0n) ?? 0n
      if (!this.isFree(from, size)) return { mapped: done, conflict: true }
      this.mappings.set(from, { iova: from, paddr: to, size, prot })
      done += size
    }
    return { mapped: done, conflict: false }
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    let done = 0n
    for (let gone = this.mappings.get(iova); done < bytes && gone !== undefined; gone = this.mappings.get(iova + done)) {
      this.mappings.delete(iova + done)
      done += gone.size
    }
    return done
  }

  /** Entries of all mappings: a page of 2^lg bytes takes 2^((lg - 12) mod 9) of them. */
  get slots(): number {
    return [...this.mappings.values()].reduce((sum, { size }) => sum + 2 ** ((Math.log2(Number(size)) - 12) % 9), 0)
  }
}

class Run {
  readonly random: (n: number) => number
  readonly pool = new PtPool({ base: 0x3a_5a40_0000n, size: 64 * 2 ** 20 })
  readonly table: IoPageTable<typeof amdV1>
  readonly model: Model
  readonly bases: bigint[]
  readonly ias: bigint
  readonly oas: bigint
  readonly seen = { prefixes: 0, conflicts: 0, holes: 0, more: 0, grown: 0, sizes: new Set<bigint>() }

  constructor(config: AmdV1Config, seed: number) {
    this.random = seededIntegers(seed)
    this.table = IoPageTable.createRaw(amdV1, { ...config, allocator: this.pool, onRoot: () => this.seen.grown++ })
    this.model = new Model(this.table.config.pgsizeBitmap)
    this.ias = BigInt(this.table.config.ias)
    this.oas = BigInt(this.table.config.oas)
    const end = 1n << this.ias
    this.bases = [0n, 1n << 21n, 1n << 30n, (1n << 39n) - (1n << 21n), 1n << 48n, end - (1n << 22n), end / 2n].filter((b) => b < end)
  }

  /** Some places, some alignments, some lengths, so that calls meet what others mapped; at most some hundred units. */
  range(): { iova: bigint; size: bigint; unit: bigint } {
    const lgs = this.model.sizes.length < 10 ? 12 : Number(this.ias) - 14
    const unit = 1n << BigInt(12 + (this.random(4) > 0 ? this.random(12) : this.random(lgs)))
    const near = this.bases[Math.min(this.random(this.bases.length), this.random(this.bases.length))] ?? 0n
    const iova = ((near + BigInt(this.random(6)) * unit) / unit) * unit
    const size = unit * BigInt(1 + (this.random(3) > 0 ? this.random(8) : this.random(unit > 1n << 14n ? 20 : 600)))
    const end = 1n << this.ias
    const first = iova > end - unit ? end - unit : iova
    const most = [size, end - first, 1n << 52n, 1n << (this.oas - 1n)].reduce((a, b) => (a < b ? a : b))
    return { iova: first, size: most, unit }
  }

  map(): void {
    const { iova, size, unit } = this.range()
    const room = (1n << this.oas) - size
    const any = (BigInt(this.random(0x7fff_ffff)) * BigInt(this.random(0x7fff_ffff))) % (room / unit + 1n)
    const at = any * unit
    // half of them aligned as the input address is, so that larger pages are possible
    const period = unit * 1024n
    const same = at - (at % period) + (iova % period)
    const paddr = this.random(2) === 0 && same <= room ? same : at
    const prot = 1 + this.random(3)
    const got = this.table.mapRange(iova, paddr, Number(size), prot)
    const want = this.model.map(iova, paddr, size, prot)
    expect([BigInt(got.mapped), (got.error as IoPgtableError | undefined)?.code]).toEqual([
      want.mapped,
      want.conflict ? 'EEXIST' : undefined,
    ])
    if (want.conflict) this.seen.conflicts++
    if (want.conflict && want.mapped > 0n) this.seen.prefixes++
  }

  unmap(): void {
    const { iova, size } = this.range()
    const gather = this.random(2) === 0 ? new IotlbGather() : undefined
    const want = this.model.unmap(iova, size)
    expect(BigInt(this.table.unmapRange(iova, Number(size), gather))).toBe(want)
    if (gather !== undefined && want > 0n) expect([gather.first, gather.last]).toEqual([iova, iova + want - 1n])
    gather?.sync()
    if (want < size) this.seen.holes++
    if (want > size) this.seen.more++
  }

  probe(): void {
    const heads = [...this.model.mappings.values()]
    const m = heads[this.random(heads.length || 1)]
    const { iova: near } = this.range()
    const inside = m === undefined ? near : m.iova + ((BigInt(this.random(0x7fff_ffff)) * BigInt(this.random(0x7fff_ffff))) % m.size)
    for (const iova of [near, inside]) {
      const want = this.model.at(iova)
      const paddr = want && want.paddr + (iova - want.iova)
      expect(this.table.iovaToPhys(iova)).toBe(paddr)
      const many = BigUint64Array.of(iova, near)
      this.table.iovaToPhysMany(many, many)
      expect(many[0]).toBe(paddr ?? 2n ** 64n - 1n)
      const found = translate(this.table.regs.dte, this.table.readMemory, iova)
      expect(found).toEqual(want && { paddr, pgsize: want.size, ir: (want.prot & Prot.READ) !== 0, iw: (want.prot & Prot.WRITE) !== 0 })
      const leaf = this.table.walk(iova).at(-1)
      expect(leaf?.type === 'leaf' ? leaf.paddr : undefined).toBe(want?.paddr)
    }
  }

  /** Every slot, and every table's memory. */
  compare(): void {
    let slots = 0
    let tables = 1
    walkTables(this.table.geometry, this.table.roots, this.table.readMemory, {
      leaf: ({ iova, paddr, size, reserved }) => {
        const m = this.model.at(iova)
        const same = m?.paddr === paddr && m.size === BigInt(size.pgsize) && reserved === 0n
        if (!same) expect([m, reserved]).toEqual([{ paddr, size: size.pgsize }, 0n])
        slots++
      },
      table: () => void tables++,
      invalid: ({ iova, raw }) => expect.fail(`0x${raw.toString(16)} at 0x${iova.toString(16)}`),
    })
    expect(slots).toBe(this.model.slots)
    expect(this.table.tableBytes).toBe(tables * 4096)
    expect(this.pool.stats().live).toBe(tables * 4096)
    for (const { size } of this.model.mappings.values()) this.seen.sizes.add(size)
  }
}

test.each(amdV1.configs.map(({ name, config }, i) => [name, config, SEED + i] as const))('%s', (_name, config, seed) => {
  const run = new Run(config, seed)
  for (let i = 0; i < OPS; i++) {
    const op = run.random(5)
    try {
      if (op < 2) run.map()
      else if (op < 3) run.unmap()
      else run.probe()
      if (i % 50 === 0) run.compare()
    } catch (error) {
      throw new Error(`FC_SEED=${SEED}, operation ${i}`, { cause: error })
    }
  }
  run.compare()
  const { prefixes, conflicts, holes, more, grown, sizes } = run.seen
  expect(grown > 0).toBe(run.table.config.topLevel < Math.ceil((run.table.config.ias - 12) / 9))
  if (run.model.sizes.length > 3) expect(Math.min(prefixes, conflicts, holes, more, sizes.size - 8)).toBeGreaterThan(0)
  run.table.free()
  expect(run.pool.stats().live).toBe(0)
})
