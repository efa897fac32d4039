/** The parts of the IOMMU harness that need no QEMU: what is planned, and what commands the callbacks become. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable, Prot, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, it } from 'vitest'
import { type TlbStyle, tlbOf } from '../src/iommu/invalidate.ts'
import { bytesOf, Planner } from '../src/iommu/plan.ts'
import { CommandRing } from '../src/iommu/ring.ts'
import { LEVELS, responsible } from '../src/iommu/stale.ts'
import { type QtestClient, Random } from '../src/machine/index.ts'

const config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 39, oas: 40 }

describe('a plan', () => {
  const geometry = arm64LpaeS1.geometry(arm64LpaeS1.params(arm64LpaeS1.configure(config)))
  const targets = { first: 0x1_0000_0000n, last: 0x4_ffff_ffffn }
  const reserved = [{ first: 0xfee0_0000n, last: 0xfeef_ffffn }]
  const planOf = (seed: bigint) =>
    new Planner(new Random(seed), { geometry, pgsizeBitmap: config.pgsizeBitmap, targets, reserved, writeOnly: false })

  it('has both ends, every size, and nothing that overlaps or lies outside of memory', () => {
    const mappings = planOf(1n).mappings(200)
    expect(mappings.map(({ iova }) => iova)).toEqual(expect.arrayContaining([0n, (1n << 39n) - 0x1000n]))
    expect(new Set(mappings.map(({ pgsize }) => pgsize))).toEqual(new Set([SZ_4K, SZ_2M, SZ_1G]))
    const sorted = [...mappings].sort((a, b) => (a.iova < b.iova ? -1 : 1))
    for (const [i, mapping] of sorted.entries()) {
      const end = mapping.iova + bytesOf(mapping)
      expect(end).toBeLessThanOrEqual(sorted[i + 1]?.iova ?? 1n << 39n)
      expect(mapping.iova > reserved[0]!.last || end <= reserved[0]!.first).toBe(true)
      expect(mapping.paddr).toBeGreaterThanOrEqual(targets.first)
      expect(mapping.paddr + bytesOf(mapping) - 1n).toBeLessThanOrEqual(targets.last)
      expect(mapping.paddr % BigInt(mapping.pgsize)).toBe(0n)
    }
  })

  it('has holes that nothing maps, and is the same for the same seed', () => {
    const [one, two] = [planOf(7n), planOf(7n)]
    const mappings = one.mappings(100)
    expect(two.mappings(100)).toEqual(mappings)
    const holes = one.holes(50)
    expect(holes).toHaveLength(50)
    for (const hole of holes) expect(mappings.some((m) => hole >= m.iova && hole < m.iova + bytesOf(m))).toBe(false)
  })
})

describe('callbacks as commands', () => {
  function commandsOf(style: TlbStyle, change: (table: IoPageTable) => void): string[] {
    const commands: string[] = []
    const page = (iova: bigint, granule: number, walk: boolean): void =>
      void commands.push(`${iova.toString(16)} ${granule}${walk ? ' walk' : ''}`)
    const tlb = tlbOf({ all: () => void commands.push('all'), page }, style)
    const allocator = new PtPool({ base: 0x20_0000n, size: SZ_2M })
    const table = IoPageTable.createRaw(arm64LpaeS1, { allocator, tlb, ...config })
    table.map(0x3fe000n, 0x1_003f_e000n, SZ_2M + 0x2000, Prot.READ)
    change(table as unknown as IoPageTable)
    return commands
  }

  it.each(['each-page', 'gather'] as const)('unmapped pages and blocks, %s', (style) => {
    const commands = commandsOf(style, (table) => table.unmap(0x3fe000n, SZ_2M + 0x2000))
    // a range that was gathered is invalidated in steps of its smallest page
    if (style === 'each-page') expect(commands).toEqual(['3fe000 4096', '3ff000 4096', '400000 2097152'])
    else expect(commands).toHaveLength(514)
  })

  it('tables, and everything', () => {
    const commands = commandsOf('each-page', (table) => {
      table.unmap(0x3fe000n, 0x2000)
      table.map(0x200000n, 0x1_0020_0000n, SZ_2M, Prot.READ)
      table.free()
    })
    expect(commands.slice(0, 3)).toEqual(['3fe000 4096', '3ff000 4096', '200000 4096 walk'])
    expect(commands).toHaveLength(2 + 512 + 1)
    expect(commands.at(-1)).toBe('all')
  })

  it('each callback of an order of flushes is responsible for levels, and together for all', () => {
    for (const style of ['each-page', 'gather'] as const) {
      for (const order of ['walks-first', 'range'] as const) {
        expect([...responsible(order, style).values()].flat().sort()).toEqual([...LEVELS].sort())
      }
    }
  })
})

it('a ring of commands wraps, and tells of commands that are left', async () => {
  const writes: bigint[] = []
  const rung: number[] = []
  const qtest = { write: (address: bigint) => Promise.resolve(writes.push(address)) } as unknown as QtestClient
  let consumed = 1
  const shape = { base: 0x1000n, entries: 2, entryBytes: 16, indices: 4, ring: (index: number) => void rung.push(index) }
  const ring = new CommandRing(qtest, { ...shape, consumed: () => Promise.resolve(consumed) })
  for (let i = 0; i < 5; i++) ring.push(1n)
  expect(writes).toEqual([0x1000n, 0x1010n, 0x1000n, 0x1010n, 0x1000n])
  expect(rung).toEqual([1, 2, 3, 0, 1])
  await ring.settled()
  consumed = 0
  await expect(ring.settled()).rejects.toThrow('EBUSY: commands: consumed up to 0x0 of 0x1')
})
