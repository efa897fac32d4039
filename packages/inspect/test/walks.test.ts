/** One address, one physical address, two tables, numbers, and the tree. */
import { amdV1 } from '@io-pgtable/amdv1'
import { appleDart } from '@io-pgtable/apple-dart'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { hex, IoPageTable, nodeOf, Prot, pgsizeBitmap, type ReadMemory, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { riscv64 } from '@io-pgtable/riscv64'
import { describe, expect, it } from 'vitest'
import {
  type Change,
  diffTables,
  findPaddr,
  type LeafRun,
  type Tables,
  type TreeEntry,
  tableStats,
  tablesOf,
  translate,
  translationJson,
  walkTree,
} from '../src/index.ts'
import { Subject } from './subject.ts'
import { Pages } from './support/memory.ts'

const RW = Prot.READ | Prot.WRITE

/** A table of our own, and the same as somebody who has registers and memory sees it. */
function own(): { table: IoPageTable<typeof arm64LpaeS1>; tables: () => Tables } {
  const allocator = new PtPool({ base: 0x1_0000_0000n, size: 2 ** 24 })
  const sizes = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
  const table = IoPageTable.createRaw(arm64LpaeS1, { allocator, pgsizeBitmap: sizes, ias: 48, oas: 48 })
  const { ttbr, tcrValue, mair } = table.regs
  return { table, tables: () => tablesOf(arm64LpaeS1, { ttbr0: ttbr, tcr: tcrValue, mair }, table.readMemory)[0] as Tables }
}

describe('translate', () => {
  const { table, tables } = own()
  table.map(0x20_0000n, 0x4000_0000n, SZ_2M, RW)
  table.map(0x1000n, 0x9000n, SZ_4K, RW)

  const ALL = { user: 'rwx', privileged: 'rwx' }

  it('says every step, and the result', () => {
    expect(translationJson(translate(tables(), 0x1234n))).toEqual({
      iova: '0x1234',
      paddr: '0x9234',
      rights: { user: 'rwx', privileged: 'rw-' },
      memory: 'Normal Non-cacheable',
      assumed: ['SCTLR.WXN 0'],
      walk: [
        { level: 0, table: '0x100000000', index: 0, descriptor: '0x100001003', kind: 'table', rights: ALL },
        { level: 1, table: '0x100001000', index: 0, descriptor: expect.any(String), kind: 'table', rights: ALL },
        { level: 2, table: expect.any(String), index: 0, descriptor: expect.any(String), kind: 'table', rights: ALL },
        { level: 3, table: expect.any(String), index: 1, descriptor: expect.stringMatching(/^0x.*9.*/), kind: 'page', rights: ALL },
      ],
    })
    expect(translate(tables(), 0x3f_ffffn).paddr).toBe(0x401f_ffffn)
  })

  it('says exactly why there is none', () => {
    const { paddr, fault, walk } = translationJson(translate(tables(), 0x5000n))
    expect([paddr, walk.length, fault?.level]).toEqual([null, 4, 3])
    expect(fault?.reason).toMatch(/^nothing is mapped: entry 5 of the table at 0x[0-9a-f]+ is 0x0 \(invalid\)$/)
    expect(translate(tables(), 0x8000_0000n).fault).toMatchObject({
      level: 1,
      reason: expect.stringContaining('entry 2 of the table at 0x100001000'),
    })
    expect(translate(tables(), 2n ** 48n).fault?.reason).toBe('0x1000000000000 is translated by no root: ttbr0 0x0 to 0xffffffffffff')
    expect(translate([], 0n).fault?.reason).toContain('none is in use')
  })

  it('chooses the root whose range has the address', () => {
    const pages = new Pages().words(0x1000n, [0x4000_0741n]).words(0x2000n, [0x8000_0741n])
    const tcr = 0x5_0000_0000n | 25n | (25n << 16n) | (2n << 30n)
    const both = tablesOf(arm64LpaeS1, { ttbr0: 0x1000n, ttbr1: 0x2000n, tcr, mair: 0n }, pages.read)
    expect([translate(both, 1n).paddr, translate(both, 0xffff_ff80_0000_0001n).paddr]).toEqual([0x4000_0001n, 0x8000_0001n])
    expect(translate(both, 1n << 60n).tables).toBeUndefined()
  })

  it('tells unknown memory, invalid descriptors and large pages', () => {
    const pages = new Pages().words(0x1000n, [0x77_0003n, 0x4000_0741n])
    const [tables] = tablesOf(arm64LpaeS1, { ttbr0: 0x1000n, tcr: 0x5_0080_0019n, mair: 0n }, pages.read) as [Tables]
    expect(translate(tables, 0n).fault).toEqual({
      type: 'unknown-memory',
      level: 2,
      stage: 1,
      reason: 'the level 2 table at 0x770000 is not in the image: 0x770000 is unknown memory',
    })
    const nowhere: ReadMemory = () => undefined
    expect(translate({ ...tables, read: nowhere }, 0n)).toMatchObject({ walk: [], fault: { level: 1 } })
    const large = new Pages().zero(0x4000n, 0x4000).words32(0x4000n, [0x9001]).zero(0x9000n, 4096)
    large.words32(0x9000n, Array(16).fill(0x5000_0011))
    const [short] = tablesOf(armV7s, { ttbr0: 0x4000n }, large.read) as [Tables]
    expect(translate(short, 0xf123n).paddr).toBe(0x5000_f123n)
    expect(translate(short, 0x1_0000n).fault?.level).toBe(2)
  })

  it('knows which of several roots it is, and levels that are skipped', () => {
    const ttbrs = [0x10_0000n, 0x20_0000n, 0x30_0000n, 0x40_0000n]
    const [dart] = tablesOf(appleDart, { ttbrs, nLevels: 3, pgsize: 16384 }, () => undefined) as [Tables]
    expect(dart.roots.length).toBe(4)
    const quarter = (dart.last + 1n) / 4n
    const { level } = nodeOf(dart.geometry, dart.geometry.top)
    for (const [i, root] of dart.roots.entries())
      expect(translate(dart, BigInt(i) * quarter).fault?.reason).toBe(
        `the level ${level} table at ${hex(root)} is not in the image: ${hex(root)} is unknown memory`,
      )
    // Level 4 points to a table of level 1: bits 38:21 must be zero
    const pages = new Pages().words(0x1000n, [0x2000n | 1n | (1n << 9n) | (3n << 61n)]).zero(0x2000n, 4096)
    const [amd] = tablesOf(amdV1, { dte: 0x1003n | (4n << 9n) | (3n << 61n) }, pages.read) as [Tables]
    expect(translate(amd, 0x20_0000n).fault).toEqual({
      type: 'translation',
      level: 1,
      stage: 2,
      reason: 'the level 1 table at 0x2000 does not reach 0x200000: address bits that are skipped are not zero',
    })
  })

  it('reads the pages on the way, and no other', () => {
    const reads: number[] = []
    const { read } = tables()
    const counted: ReadMemory = (paddr, byteLength) => {
      reads.push(byteLength)
      return read(paddr, byteLength)
    }
    translate({ ...tables(), read: counted }, 0x1000n)
    expect(reads).toEqual([8, 8, 8, 8])
  })
})

describe('find', () => {
  it('every input address that reaches a physical one', () => {
    const { table, tables } = own()
    table.map(0x1000n, 0x4000_0000n, SZ_4K, RW)
    table.map(0x4000_0000n, 0x4000_0000n, SZ_1G, Prot.READ)
    table.map(0x20_0000n, 0x3fe0_0000n, 2 * SZ_2M, RW)
    const hits: string[] = []
    const result = findPaddr(tables(), 0x4000_0123n, ({ iova, run }) => void hits.push(`${hex(iova)} ${run.leafSize}`))
    expect(hits).toEqual(['0x1123 4096', `0x400123 ${SZ_2M}`, `0x40000123 ${SZ_1G}`])
    expect(result).toMatchObject({ runs: 3, complete: true })
    expect(findPaddr(tables(), 0x9000_0000n, () => undefined).runs).toBe(0)
  })
})

describe('diff', () => {
  const changes = (before: Tables, after: Tables): string[] => {
    const list: string[] = []
    const line = ({ change, iova, size, before: a, after: b }: Change): string =>
      `${change} ${hex(iova)} ${hex(size)} ${a === undefined ? '-' : hex(a.paddr)} ${b === undefined ? '-' : hex(b.paddr)}`
    diffTables(before, after, (change) => void list.push(line(change)))
    return list
  }

  it('knows mappings, not how they are made', () => {
    const [a, b] = [own(), own()]
    a.table.map(0x20_0000n, 0x4000_0000n, SZ_2M, RW)
    for (let i = 0n; i < 512n; i++) b.table.map(0x20_0000n + i * 4096n, 0x4000_0000n + i * 4096n, SZ_4K, RW)
    expect(changes(a.tables(), b.tables())).toEqual([])
    b.table.unmap(0x20_3000n, SZ_4K)
    b.table.map(0x20_3000n, 0x9000n, SZ_4K, RW)
    b.table.unmap(0x20_5000n, 3 * SZ_4K)
    b.table.map(0x7000n, 0x9000n, 2 * SZ_4K, RW)
    const want = ['added 0x7000 0x2000 - 0x9000', 'changed 0x203000 0x1000 0x40003000 0x9000', 'removed 0x205000 0x3000 0x40005000 -']
    expect(changes(a.tables(), b.tables())).toEqual(want)
    const back = changes(b.tables(), a.tables())
    expect(back.map((line) => line.split(' ')[0])).toEqual(['removed', 'changed', 'added'])
  })

  it('tells rights', () => {
    const [a, b] = [own(), own()]
    a.table.map(0x1000n, 0x1000n, 4 * SZ_4K, RW)
    b.table.map(0x1000n, 0x1000n, 2 * SZ_4K, RW)
    b.table.map(0x3000n, 0x3000n, 2 * SZ_4K, Prot.READ)
    const list: Change[] = []
    const result = diffTables(a.tables(), b.tables(), (change) => void list.push(change))
    expect(list).toMatchObject([{ change: 'changed', iova: 0x3000n, size: 0x2000n, before: { prot: RW }, after: { prot: Prot.READ } }])
    expect(result).toEqual({ changes: 1, complete: true, findings: [] })
  })

  it('gives, for random tables, what a page-by-page comparison gives', () => {
    const [a, b] = [own(), own()]
    for (let i = 0n; i < 60n; i++) {
      const paddr = 0x4000_0000n + ((i * 7n) % 13n) * 4096n
      if (i % 3n !== 0n) a.table.map(i * 4096n, paddr, SZ_4K, RW)
      if (i % 4n !== 0n) b.table.map(i * 4096n, i % 5n === 0n ? paddr + 4096n : paddr, SZ_4K, RW)
    }
    const pages = new Map<bigint, string>()
    diffTables(a.tables(), b.tables(), ({ change, iova, size }) => {
      for (let at = 0n; at < size; at += 4096n) pages.set(iova + at, change)
    })
    for (let i = 0n; i < 64n; i++) {
      const [x, y] = [a.table.iovaToPhys(i * 4096n), b.table.iovaToPhys(i * 4096n)]
      const want = x === y ? undefined : x === undefined ? 'added' : y === undefined ? 'removed' : 'changed'
      expect(pages.get(i * 4096n), `page ${i}`).toBe(want)
    }
  })
})

describe('diff has bounds', () => {
  // of one geometry, as all tables are that registers of one shape lead to
  let geometry: Tables['geometry'] | undefined
  const table = (change: bigint) => {
    const subject = new Subject(riscv64, { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] })
    for (let i = 0n; i < 8n; i++) subject.map(i * 0x2000n, i * 0x4000n + change, SZ_4K, Prot.READ)
    geometry ??= subject.tables().geometry
    return subject.tables({ geometry })
  }

  it.each([
    ['changes', table(0x1000n), { limit: 3 }, 3, 'limit'],
    ['pieces that are equal', table(0n), { pieces: 7 }, 0, 'work-limit'],
    ['pieces that differ, each for four', table(0x1000n), { pieces: 28 }, 7, 'work-limit'],
  ])('of %s', (_, after, options, changes, code) => {
    const given: Change[] = []
    const result = diffTables(table(0n), after, (change) => void given.push(change), options)
    expect([result.changes, given.length, result.complete]).toEqual([changes, changes, false])
    expect(result.findings.map((finding) => finding.code)).toEqual([code])
  })

  it('and ends as before within them', () => {
    expect(diffTables(table(0n), table(0n), () => {}, { limit: 0, pieces: 8 })).toEqual({ changes: 0, complete: true, findings: [] })
    expect(diffTables(table(0n), table(0x1000n), () => {}, { limit: 8, pieces: 32 })).toEqual({ changes: 8, complete: true, findings: [] })
  })
})

describe('stats', () => {
  it('counts tables, entries and leaves', () => {
    const { table, tables } = own()
    table.map(0x20_0000n, 0x4000_0000n, SZ_2M, RW)
    table.map(0x1000n, 0x9000n, 3 * SZ_4K, RW)
    const { levels, leaves, complete } = tableStats(tables())
    expect(levels.map(({ level, tables: n, bytes, empty }) => [level, n, bytes, empty])).toEqual([
      [0, 1, 4096, 511],
      [1, 1, 4096, 511],
      [2, 1, 4096, 510],
      [3, 1, 4096, 509],
    ])
    expect(leaves).toEqual([
      { level: 2, kind: 'block', leafSize: SZ_2M, count: 1, bytes: SZ_2M },
      { level: 3, kind: 'page', leafSize: SZ_4K, count: 3, bytes: 3 * SZ_4K },
    ])
    expect(complete).toBe(true)
  })
})

describe('tree', () => {
  const { table, tables } = own()
  table.map(0x20_0000n, 0x4000_0000n, SZ_2M, RW)
  table.map(0x1000n, 0x9000n, 2 * SZ_4K, RW)
  const lines = (from: Tables, options = {}): string[] => {
    const list: string[] = []
    const line = ({ depth, entry, seen }: TreeEntry): string =>
      `${depth} ${entry.type} ${hex(entry.iova)} ${entry.index}${seen ? ' seen' : ''}`
    walkTree(from, (entry) => void list.push(line(entry)), options)
    return list
  }
  it('gives a table before what is in it', () => {
    expect(lines(tables())).toEqual([
      '0 table 0x0 0',
      '1 table 0x0 0',
      '2 table 0x0 0',
      '3 leaf 0x1000 1',
      '3 leaf 0x2000 2',
      '2 leaf 0x200000 1',
    ])
    expect(lines(tables(), { first: 0x2000n, last: 0x2fffn })).toEqual([
      '0 table 0x0 0',
      '1 table 0x0 0',
      '2 table 0x0 0',
      '3 leaf 0x2000 2',
    ])
    expect(walkTree(tables(), () => undefined, { empty: true }).entries).toBe(4 * 512)
  })
  it('enters a table once, and ends with its limit', () => {
    const pages = new Pages().words(0x1000n, Array<bigint>(512).fill(0x1003n))
    const [cyclic] = tablesOf(arm64LpaeS1, { ttbr0: 0x1000n, tcr: 0x5_0080_0010n, mair: 0n }, pages.read) as [Tables]
    const { entries, complete, findings } = walkTree(cyclic, () => undefined)
    // Four levels of one table; at level 3 its entries are pages
    expect([entries, complete, findings]).toEqual([4 * 512, true, []])
    expect(walkTree(cyclic, () => undefined, { limit: 5 })).toMatchObject({ entries: 5, complete: false, findings: [{ code: 'limit' }] })
    expect(walkTree(cyclic, () => false)).toMatchObject({ entries: 1, complete: false })
  })
  it('says what is unknown', () => {
    const pages = new Pages().words(0x1000n, [0x5003n])
    const [one] = tablesOf(arm64LpaeS1, { ttbr0: 0x1000n, tcr: 0x5_0080_0010n, mair: 0n }, pages.read) as [Tables]
    expect(walkTree(one, () => undefined)).toMatchObject({ entries: 1, findings: [{ code: 'unknown-memory', table: 0x5000n }] })
  })
})

describe('a run that is kept', () => {
  it('stays, when the one of the sink goes on', () => {
    const { table, tables } = own()
    table.map(0x1000n, 0x9000n, SZ_4K, RW)
    table.map(0x5000n, 0x9000n, SZ_4K, RW)
    const kept: LeafRun[] = []
    findPaddr(tables(), 0x9000n, ({ run }) => void kept.push(run.keep()))
    expect(kept.map(({ iova }) => iova)).toEqual([0x1000n, 0x5000n])
  })
})
