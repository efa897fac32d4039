/** What a dump says of particular tables: clipping, splits, groups of entries, filters, limits, and tables that nobody should trust. */
import { amdV1 } from '@io-pgtable/amdv1'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { hex, Prot, type ReadMemory } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, it } from 'vitest'
import {
  bytesSource,
  type DumpOptions,
  dumpLeaves,
  LeafDump,
  MemoryImage,
  type RunJson,
  runJson,
  type Tables,
  tablesOf,
} from '../src/index.ts'
import { Pages } from './support/memory.ts'

const KB = 1024
const MB = 2 ** 20
const GB = 2 ** 30

function dump(tables: Tables | undefined, options: DumpOptions = {}): RunJson[] {
  const runs: RunJson[] = []
  dumpLeaves(tables as Tables, (run) => void runs.push(runJson(run)), options)
  return runs
}
const brief = (runs: readonly RunJson[]): unknown[] => runs.map(({ iova, paddr, leafSize, count }) => [iova, paddr, leafSize, count])
const count = (length: number): bigint[] => Array.from({ length }, (_, i) => BigInt(i))

/** T0SZ 16, 4K, EPD1; 48 bits of output. */
const TCR = 0x5_0080_0010n
const MAIR = 0xff44n
const PAGE = 0x743n
const at = (paddr: bigint): bigint => paddr | 3n

/** Level 0 to 3 of AArch64 at 1, 2, 3, 4 MiB: one chain of tables, with these entries in the last. */
function chain(entries: readonly bigint[], pages = new Pages()): Pages {
  return pages
    .words(0x10_0000n, [at(0x20_0000n)])
    .words(0x20_0000n, [at(0x30_0000n)])
    .words(0x30_0000n, [at(0x40_0000n)])
    .zero(0x40_0000n, 4096)
    .words(0x40_0000n, entries)
}
const aarch64 = (read: ReadMemory): Tables => tablesOf(arm64LpaeS1, { ttbr0: 0x10_0000n, tcr: TCR, mair: MAIR }, read)[0] as Tables

describe('a run', () => {
  it('is one JSON object, as documented', () => {
    const pages = chain([0x8000_0000n | PAGE, 0x8000_1000n | PAGE, 0n, 0x8000_3000n | PAGE | 0x80n])
    expect(dump(aarch64(pages.read))).toEqual([
      {
        iova: '0x0',
        paddr: '0x80000000',
        size: 8192,
        leafSize: 4096,
        level: 3,
        count: 2,
        descriptor: '0x80000743',
        rights: { user: 'rwx', privileged: 'rw-' },
        memory: 'Normal Non-cacheable',
        assumed: ['SCTLR.WXN 0'],
        prot: ['READ', 'WRITE'],
        fields: expect.objectContaining({ AttrIndx: 0, SH: 3, AF: 1, AP: 1, Contiguous: 0, APTable: 0 }),
      },
      expect.objectContaining({ iova: '0x3000', paddr: '0x80003000', count: 1, descriptor: '0x800037c3' }),
    ])
  })

  it('goes on over tables, and ends where attributes, sizes, or either address does', () => {
    const pages = chain(count(512).map((i) => (0x8000_0000n + (i << 12n)) | PAGE))
    pages.words(0x30_0008n, [at(0x41_0000n), 0x8040_0000n | 0x741n, 0x8060_0000n | 0x741n])
    pages.words(
      0x41_0000n,
      count(512).map((i) => (0x8020_0000n + (i << 12n)) | PAGE),
    )
    expect(brief(dump(aarch64(pages.read)))).toEqual([
      ['0x0', '0x80000000', 4096, 1024],
      ['0x400000', '0x80400000', 2 * MB, 2],
    ])
  })

  it('splits where tables above take rights of their own, and shows them', () => {
    const pages = chain(count(512).map((i) => (i << 12n) | PAGE))
    pages.words(0x30_0008n, [at(0x41_0000n) | (1n << 59n)])
    pages.words(
      0x41_0000n,
      count(512).map((i) => (0x20_0000n + (i << 12n)) | PAGE),
    )
    const runs = dump(aarch64(pages.read))
    expect(runs.map(({ fields }) => fields.PXNTable)).toEqual([0, 1])
  })

  it('has the rights that tables above leave: equal leaves below others are another run', () => {
    const entries = count(512).map((i) => (i << 12n) | 0x67n)
    const pages = new Pages().words(0x1000n, [0x2067n]).words(0x2000n, [0x3067n]).words(0x3000n, [0x4067n, 0x5065n])
    pages.words(0x4000n, entries).words(
      0x5000n,
      entries.map((raw) => raw + 0x20_0000n),
    )
    const [tables] = tablesOf(x8664, { cr3: 0x1000n, cr4: 0x20n }, pages.read)
    expect(dump(tables).map(({ iova, rights, prot }) => [iova, rights, prot])).toEqual([
      ['0x0', { user: 'rwx', privileged: 'rwx' }, ['READ', 'WRITE', 'CACHE']],
      ['0x200000', { user: 'r-x', privileged: 'r-x' }, ['READ', 'CACHE']],
    ])
    const writable: unknown[] = []
    dumpLeaves(tables as Tables, ({ iova }) => void writable.push(iova), { filter: { prot: Prot.WRITE } })
    expect(writable).toEqual([0n])
    dumpLeaves(tables as Tables, (run) => void writable.push([run.iova, run.leaf.prot]), { filter: { prot: Prot.WRITE, leaf: true } })
    expect(writable.slice(1)).toEqual([
      [0n, Prot.READ | Prot.WRITE | Prot.CACHE],
      [0x20_0000n, Prot.READ | Prot.WRITE | Prot.CACHE],
    ])
  })

  it('ends where output addresses become too large, and where a flag of the walk does', () => {
    const pages = chain([0xf_ffff_f000n | PAGE, 0x10_0000_0000n | PAGE, 0x10_0000_1000n | (PAGE & ~0x400n)])
    const [tables] = tablesOf(arm64LpaeS1, { ttbr0: 0x10_0000n, tcr: 0x1_0080_0010n, mair: MAIR }, pages.read)
    expect(dump(tables).map(({ iova, rights, fault }) => [iova, rights.privileged, fault?.type, fault?.level])).toEqual([
      ['0x0', 'rw-', undefined, undefined],
      ['0x1000', '---', 'address-size', 3],
      ['0x2000', '---', 'address-size', 3],
    ])
    const flagged = dump(aarch64(chain([0x8000_0000n | PAGE, 0x8000_1000n | (PAGE & ~0x400n)]).read))
    expect(flagged.map(({ iova, fault }) => [iova, fault?.type, fault?.level])).toEqual([
      ['0x0', undefined, undefined],
      ['0x1000', 'access-flag', 3],
    ])
  })

  it('has the entry as leaf of a contiguous group, the group as leaf where entries repeat', () => {
    const contiguous = count(16).map((i) => (0x1_0000n + (i << 12n)) | PAGE | (1n << 52n))
    expect(brief(dump(aarch64(chain(contiguous).read)))).toEqual([['0x0', '0x10000', 4096, 16]])
    const pages = new Pages().zero(0x4000n, 16 * KB).words32(0x4000n, [0x9001])
    const large = 0x5000_0032 - 0x31
    pages.zero(0x9000n, 4096).words32(0x9000n, [...Array(16).fill(large), ...Array(16).fill(large + 0x1_0000), ...Array(15).fill(large)])
    const [tables] = tablesOf(armV7s, { ttbr0: 0x4000n }, pages.read)
    expect(brief(dump(tables))).toEqual([
      ['0x0', '0x50000000', 64 * KB, 2],
      // The third group lacks an entry: hardware looks at each by itself
      ['0x20000', '0x50000000', 4096, 15],
    ])
  })

  it('knows sizes that address bits code', () => {
    const pages = new Pages().words(0x1000n, [])
    const leaf = (paddr: bigint): bigint => paddr | 1n | (7n << 9n) | (3n << 61n)
    // 32K in 8 entries: address bits 13:12 are ones, bit 14 is zero
    pages.words(0x1000n, [...Array(8).fill(leaf(0x10_3000n)), ...Array(8).fill(leaf(0x10_b000n)), ...Array(4).fill(leaf(0x11_3000n))])
    const dte = 3n | (1n << 9n) | 0x1000n | (3n << 61n)
    expect(brief(dump(tablesOf(amdV1, { dte }, pages.read)[0]))).toEqual([
      ['0x0', '0x100000', 32 * KB, 2],
      ['0x10000', '0x110000', 4096, 4],
    ])
    const napot = (paddr: bigint): bigint => (1n << 63n) | (((paddr >> 12n) | 8n) << 10n) | 0xcfn
    const sv39 = new Pages().words(0x1000n, [(2n << 10n) | 1n]).words(0x2000n, [(3n << 10n) | 1n])
    sv39.words(0x3000n, [...Array(16).fill(napot(0x8000_0000n)), ...Array(16).fill(napot(0x8001_0000n)), (0x80020n << 10n) | 0xcfn])
    expect(brief(dump(tablesOf(riscv64, { satp: (8n << 60n) | 1n }, sv39.read)[0]))).toEqual([
      ['0x0', '0x80000000', 64 * KB, 2],
      ['0x20000', '0x80020000', 4096, 1],
    ])
  })
})

describe('roots and their regions', () => {
  it('TTBR1 addresses are sign-extended, and each half has its own size and granule', () => {
    // T0SZ 25 (39 bits, 4K), T1SZ 16 with TG1 2 (4K)
    const tcr = 0x5_0000_0000n | 25n | (16n << 16n) | (2n << 30n)
    const pages = new Pages().words(0x1000n, [at(0x3000n)]).words(0x2000n, [at(0x3000n)])
    pages.words(0x3000n, [0x4000_0000n | 0x741n]).words(0x2ff8n, [at(0x3000n)])
    const [low, high] = tablesOf(arm64LpaeS1, { ttbr0: 0x1000n | (7n << 48n) | 1n, ttbr1: 0x2000n, tcr, mair: MAIR }, pages.read)
    expect([low?.name, low?.last, high?.name, hex(high?.first ?? 0n)]).toEqual(['ttbr0', 2n ** 39n - 1n, 'ttbr1', '0xffff000000000000'])
    expect(brief(dump(low))).toEqual([['0x0', '0x40000000', 2 * MB, 1]])
    expect(brief(dump(high))).toEqual([
      ['0xffff000000000000', '0x40000000', GB, 1],
      ['0xffffff8000000000', '0x40000000', GB, 1],
    ])
  })

  it('LPA2: TTBR bits 5:2 are PA[51:48]', () => {
    const root = 0x5_0000_1000_0000n
    const pages = new Pages().words(root, [0n, at(0x20_0000n)]).words(0x20_0000n, [at(0x30_0000n)])
    pages.words(0x30_0000n, [at(0x31_0000n)]).words(0x31_0000n, [at(0x32_0000n)])
    // SH's place has PA[51:50]
    pages.words(0x32_0000n, [0x2_0000_5000_0000n | 0x643n])
    const tcr = (1n << 59n) | (6n << 32n) | (1n << 23n) | 12n
    const [tables] = tablesOf(arm64LpaeS1, { ttbr0: 0x1000_0000n | (5n << 2n) | (9n << 48n), tcr, mair: MAIR }, pages.read)
    expect(tables?.roots).toEqual([root])
    expect(brief(dump(tables))).toEqual([['0x1000000000000', '0xa000050000000', 4096, 1]])
  })

  it('AArch32: with T0SZ 0 TTBR0 ends where TTBR1 begins, in the middle of a block', () => {
    const pages = new Pages().words(
      0x1000n,
      count(4).map((i) => (i << 30n) | 0x741n),
    )
    const registers = { ttbr0: 0x1000n, ttbr1: 0x1000n, ttbcr: (1n << 31n) | (2n << 16n), mair0: 0xff44n, mair1: 0n }
    const [low, high] = tablesOf(arm32LpaeS1, registers, pages.read)
    expect(brief(dump(low))).toEqual([['0x0', '0x0', GB, 3]])
    expect(high?.first).toBe(0xc000_0000n)
    const small = tablesOf(arm32LpaeS1, { ...registers, ttbcr: (1n << 31n) | (7n << 16n) }, pages.read)[0]
    // 2^32 - 2^25: 31 pieces of 32 MiB of the last block
    expect(brief(dump(small))).toEqual([
      ['0x0', '0x0', GB, 3],
      ['0xc0000000', '0xc0000000', 32 * MB, 31],
    ])
    const runs = dump(small)
    expect(runs[1]).toMatchObject({ size: 31 * 32 * MB, descriptor: '0xc0000741', level: 1 })
  })

  it('short descriptors: N splits; with N = 0 TTBR0 and TTBR1 are both dumped whole', () => {
    const pages = new Pages().zero(0x4000n, 32 * KB)
    pages
      .words32(
        0x4000n,
        count(4096).map((i) => (i << 20n) | 0x402n),
      )
      .words32(
        0x8000n,
        count(4096).map((i) => (i << 20n) | 0xc02n),
      )
    const all = { ttbr0: 0x4000n | 0x6an, ttbr1: 0x8000n | 0x6an }
    const both = (ttbcr: bigint): unknown[] => tablesOf(armV7s, { ...all, ttbcr }, pages.read).flatMap((one) => brief(dump(one)))
    expect(both(0n)).toEqual([
      ['0x0', '0x0', MB, 4096],
      ['0x0', '0x0', MB, 4096],
    ])
    expect(both(2n)).toEqual([
      ['0x0', '0x0', MB, 1024],
      ['0x40000000', '0x40000000', MB, 3072],
    ])
  })

  it('both halves of a sign-extended window, in order', () => {
    const pages = new Pages().words(0x1000n, [0x3003n]).words(0x17f8n, [0x3003n, 0x3003n]).words(0x3000n, [0x83n])
    const [tables] = tablesOf(x8664, { cr3: 0x1018n, cr4: 0x20n }, pages.read)
    expect(dump(tables).map(({ iova }) => iova)).toEqual(['0x0', '0x7f8000000000', '0xffff800000000000'])
  })
})

describe('what is wanted', () => {
  const pages = chain(count(512).map((i) => (i << 12n) | PAGE | (i >= 256n ? 0x80n : 0n)))
  pages.words(0x30_0008n, [0x4000_0000n | 0x741n])
  const tables = aarch64(pages.read)

  it.each<[string, DumpOptions, unknown[]]>([
    ['a range', { first: 0x3008n, last: 0x5000n }, [['0x3000', '0x3000', 4096, 3]]],
    ['a range in a block', { first: 0x2f_0000n, last: 0x2f_0000n }, [['0x200000', '0x40000000', 2 * MB, 1]]],
    ['a range of nothing', { first: 0x4000_0000n }, []],
    ['rights', { filter: { notProt: 2 } }, [['0x100000', '0x100000', 4096, 256]]],
    ['a field', { filter: { fields: { AP: 3 } } }, [['0x100000', '0x100000', 4096, 256]]],
    ['a field that no leaf has', { filter: { fields: { Nothing: 0 } } }, []],
    ['a size', { filter: { minSize: 2 * MB } }, [['0x200000', '0x40000000', 2 * MB, 1]]],
    [
      'a leaf size',
      { filter: { leafSize: 4096, maxSize: MB } },
      [
        ['0x0', '0x0', 4096, 256],
        ['0x100000', '0x100000', 4096, 256],
      ],
    ],
    ['output addresses', { filter: { paddrFirst: 0x4010_0000n, paddrLast: 0x4010_0000n } }, [['0x200000', '0x40000000', 2 * MB, 1]]],
  ])('%s', (_, options, want) => {
    expect(brief(dump(tables, options))).toEqual(want)
  })

  it('reads only what the range needs', () => {
    const reads: bigint[] = []
    const read: ReadMemory = (paddr, byteLength) => {
      reads.push(BigInt(byteLength))
      return pages.read(paddr, byteLength)
    }
    dump({ ...tables, read }, { first: 0x3000n, last: 0x3fffn })
    expect(reads).toEqual([8n, 8n, 8n, 8n])
  })

  it('a sink ends it with false; a limit ends it with a finding', () => {
    expect(dumpLeaves(tables, () => false)).toEqual({ runs: 1, complete: false, findings: [] })
    const limited = dumpLeaves(tables, () => undefined, { limit: 2 })
    expect(limited).toMatchObject({ runs: 2, complete: false, findings: [{ code: 'limit' }] })
    expect(dumpLeaves(tables, () => undefined, { limit: 3 })).toEqual({ runs: 3, complete: true, findings: [] })
  })

  it('gives runs one by one as well', () => {
    const pulled: RunJson[] = []
    const source = new LeafDump(tables)
    for (let run = source.next(); run !== undefined; run = source.next()) pulled.push(runJson(run))
    expect(pulled).toEqual(dump(tables))
    expect(source.next()).toBeUndefined()
  })

  it('tells its progress, and can be interrupted', () => {
    const seen: number[] = []
    dumpLeaves(tables, () => undefined, { onTable: (n) => void seen.push(n) })
    expect(seen).toEqual([1, 2, 3, 4])
    expect(dumpLeaves(tables, () => undefined, { onTable: (n) => n < 3 })).toMatchObject({ runs: 0, complete: false })
  })
})

/** Three levels of tables whose entries all are the same table: 2^27 ways to that at 4 MiB. */
function multiplied(): Pages {
  const pages = new Pages()
  for (const table of [0x10_0000n, 0x20_0000n, 0x30_0000n])
    pages.words(
      table,
      count(512).map(() => at(table + 0x10_0000n)),
    )
  return pages
}

describe('hostile tables', () => {
  it('unknown memory and reserved descriptors are findings, and the rest is dumped', () => {
    const pages = chain([0x5000n | PAGE, 1n, 0x6000n | PAGE])
    pages.words(0x30_0008n, [at(0x77_0000n), at(0x77_0000n)])
    const runs: string[] = []
    const { findings, complete } = dumpLeaves(aarch64(pages.read), (run) => void runs.push(hex(run.iova)))
    expect([runs, complete]).toEqual([['0x0', '0x2000'], true])
    expect(findings).toMatchObject([
      { code: 'invalid-descriptor', iova: 0x1000n, table: 0x40_0000n, index: 1, level: 3, value: 1n },
      { code: 'unknown-memory', iova: 0x20_0000n, table: 0x77_0000n, level: 3 },
      { code: 'unknown-memory', iova: 0x40_0000n, table: 0x77_0000n, level: 3 },
    ])
  })

  it('a table of which the end is unknown is read up to there', () => {
    const bytes = new Uint8Array(16)
    new DataView(bytes.buffer).setBigUint64(8, 0x4000_0741n, true)
    const image = new MemoryImage([{ paddr: 0x1000n, size: 16n, source: bytesSource(bytes), offset: 0, fileSize: 16 }])
    const tables = tablesOf(arm64LpaeS1, { ttbr0: 0x1000n, tcr: 0x5_0080_0019n, mair: MAIR }, image.read)[0] as Tables
    expect(brief(dump(tables))).toEqual([['0x40000000', '0x40000000', GB, 1]])
    expect(dumpLeaves(tables, () => undefined).findings).toMatchObject([{ code: 'unknown-memory', iova: 0x8000_0000n }])
  })

  it('a table that is its own child', () => {
    const pages = new Pages().words(
      0x10_0000n,
      count(512).map(() => at(0x10_0000n)),
    )
    const { runs, findings, complete } = dumpLeaves(aarch64(pages.read), () => undefined, { limit: 1000 })
    // At level 3 every entry is a page
    expect([runs, complete]).toEqual([1000, false])
    expect(findings.map(({ code }) => code)).toEqual(expect.arrayContaining(['cycle', 'limit']))
  })

  it('a billion ways to nothing end at once', () => {
    const pages = multiplied()
    pages.zero(0x40_0000n, 4096)
    let reads = 0
    const read: ReadMemory = (paddr, byteLength) => {
      reads++
      return pages.read(paddr, byteLength)
    }
    expect(dumpLeaves(aarch64(read), () => undefined)).toEqual({ runs: 0, complete: true, findings: [] })
    expect(reads).toBe(4)
  })

  it('a billion ways to something are read twice, and end at the limit', () => {
    const pages = multiplied()
    pages.words(0x40_0000n, [...count(256).map((i) => (i << 12n) | PAGE), 0n, 0x7000n | PAGE])
    let reads = 0
    const read: ReadMemory = (paddr, byteLength) => {
      reads++
      return pages.read(paddr, byteLength)
    }
    const runs: unknown[] = []
    const result = dumpLeaves(aarch64(read), (run) => void runs.push([run.iova, run.paddr, run.count]), { limit: 5000 })
    expect(result).toMatchObject({ runs: 5000, complete: false, findings: [{ code: 'limit' }] })
    expect(runs.slice(4996)).toEqual([
      [2498n << 21n, 0n, 256],
      [(2498n << 21n) + 0x10_1000n, 0x7000n, 1],
      [2499n << 21n, 0n, 256],
      [(2499n << 21n) + 0x10_1000n, 0x7000n, 1],
    ])
    expect(reads).toBeLessThan(12)
  })

  it('ways that a filter leaves nothing of end by work', () => {
    const pages = multiplied()
    pages.words(0x40_0000n, [0x7000n | PAGE])
    const options = { work: 100_000, filter: { minSize: MB } }
    expect(dumpLeaves(aarch64(pages.read), () => undefined, options)).toMatchObject({
      runs: 0,
      complete: false,
      findings: [{ code: 'work-limit' }],
    })
  })

  it('what is remembered of a shared table keeps what its ways add', () => {
    const pages = chain([0x5000n | PAGE])
    pages.words(0x30_0000n, [at(0x40_0000n), at(0x40_0000n), at(0x40_0000n), at(0x40_0000n) | (1n << 59n)])
    const runs = dump(aarch64(pages.read))
    expect(runs.map(({ iova, fields }) => [iova, fields.PXNTable])).toEqual([
      ['0x0', 0],
      ['0x200000', 0],
      ['0x400000', 0],
      ['0x600000', 1],
    ])
  })

  it('goes on after each page that was missing', async () => {
    const pages = chain(count(512).map((i) => (i << 12n) | PAGE))
    const tables = aarch64(pages.read)
    const whole = dump(tables)
    const segments = pages.list.map(([paddr, bytes]) => {
      const source = { name: 'page', size: 4096, read: async () => bytes }
      return { paddr, size: 4096n, source, offset: 0, fileSize: 4096 }
    })
    const image = new MemoryImage(segments)
    const source = new LeafDump({ ...tables, read: image.read })
    const runs: RunJson[] = []
    const result = await image.loading(() => source.run((run) => void runs.push(runJson(run))))
    expect(runs).toEqual(whole)
    expect(result).toMatchObject({ runs: 1, complete: true, findings: [] })
  })
})

describe('VT-d has no present bit', () => {
  it('dumps read-only and write-only pages', () => {
    const pages = new Pages().words(0x1000n, [0x2003n]).words(0x2000n, [0x3003n]).words(0x3000n, [0x9001n, 0xa002n, 0x4000n])
    const runs = dump(tablesOf(vtdSs, { ssptptr: 0x1000n, aw: 1 }, pages.read)[0])
    expect(runs.map(({ iova, prot }) => [iova, prot])).toEqual([
      ['0x0', ['READ', 'NOEXEC']],
      ['0x1000', ['WRITE', 'NOEXEC']],
    ])
  })
})
