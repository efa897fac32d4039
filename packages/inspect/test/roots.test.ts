/** From an IOMMU's registers to the tables of every device, over structures written by the manuals. */
import { amdV1 } from '@io-pgtable/amdv1'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm32LpaeS2 } from '@io-pgtable/arm32-lpae-s2'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { hex } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { sv32 } from '@io-pgtable/sv32'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, it } from 'vitest'
import {
  dumpLeaves,
  type FormatSet,
  MemoryImage,
  Smmuv3Scanner,
  type StreamScan,
  scanAmdVi,
  scanRiscvIommu,
  scanSmmuv3,
  scanVtd,
  streamTable,
} from '../src/index.ts'
import { Pages } from './support/memory.ts'

const FORMATS: FormatSet = {
  'arm64-stage1': arm64LpaeS1,
  'arm64-stage2': arm64LpaeS2,
  'arm32-stage1': arm32LpaeS1,
  'arm32-stage2': arm32LpaeS2,
  'x86-first-stage': x8664,
  'vtd-second-stage': vtdSs,
  'amd-host': amdV1,
  'riscv-stage1': riscv64,
  'riscv-stage2': riscv64G,
  'riscv32-stage1': sv32,
}

/** Each stream with its runs, stage by stage. */
function shown({ streams }: StreamScan): unknown[] {
  return streams.map(({ sid, pasid, config, tables }) => {
    const runs = tables.map((one) => {
      const list: string[] = []
      dumpLeaves(one, ({ iova, paddr, size }) => void list.push(`${hex(iova)} ${hex(paddr)} ${hex(size)}`))
      return [one.stage, one.name, ...list]
    })
    return [pasid === undefined ? sid : `${sid}/${pasid}`, config, ...runs]
  })
}

/** AArch64: a table of level 1 (39 bits) with a block of 1 GiB at index 1. */
const block = (pages: Pages, table: bigint, paddr: bigint): Pages => pages.words(table, [0n, paddr | 0x741n])
/** CD for 39 bits of TTB0 with 4K: words 0 to 3. T0SZ 25, EPD1, V, IPS 5, AA64. */
const cd = (ttb0: bigint): bigint[] => [25n | (1n << 30n) | (1n << 31n) | (5n << 32n) | (1n << 41n), ttb0, 0n, 0xff44n]
/** The stage 2 words of an STE: 39 bits, start level 1, 4K, 48 bits of output, AArch64. */
const s2 = (ttb: bigint): bigint[] => [(25n | (1n << 6n) | (5n << 16n) | (1n << 19n)) << 32n, ttb]

describe('SMMUv3', () => {
  const LINEAR = 3n

  it('a linear table: abort, bypass, stage 1, stage 2, and what is not valid', () => {
    const pages = new Pages().zero(0x10_0000n, 4096)
    const ste = (sid: number, words: bigint[]): Pages => pages.words(0x10_0000n + BigInt(64 * sid), words)
    ste(0, [1n])
    ste(1, [1n | (4n << 1n)])
    ste(2, [1n | (5n << 1n) | 0x20_0000n])
    ste(3, [1n | (6n << 1n), 0n, ...s2(0x40_0000n)])
    ste(4, [5n << 1n])
    block(pages.words(0x20_0000n, cd(0x30_0000n)), 0x30_0000n, 0x8000_0000n)
    pages.words(0x40_0000n, [0n, 0x4000_07fdn])
    const scan = scanSmmuv3({ strtabBase: (1n << 62n) | 0x10_0000n, strtabBaseCfg: LINEAR }, pages.read, FORMATS)
    expect(shown(scan)).toEqual([
      [1, 'bypass'],
      [2, 'stage 1', [1, 'ttbr0', '0x40000000 0x80000000 0x40000000']],
      [3, 'stage 2', [2, 'vttbr', '0x40000000 0x40000000 0x40000000']],
    ])
    expect(scan.findings).toEqual([])
    expect(scan.streams[1]?.structures.map(({ name, address }) => [name, address])).toEqual([
      ['STE', 0x10_0080n],
      ['CD', 0x20_0000n],
    ])
  })

  it('two levels: spans of several sizes, one that is too large', () => {
    const pages = new Pages().words(0x10_0000n, [0x20_0000n | 1n, 0n, 0x21_0000n | 7n, 0x22_0000n | 8n])
    pages
      .words(0x20_0000n, [1n | (4n << 1n)])
      .zero(0x21_0000n, 4096)
      .words(0x21_0fc0n, [1n | (4n << 1n)])
    const cfg = (1n << 16n) | (6n << 6n) | 8n
    const scan = scanSmmuv3({ strtabBase: 0x10_0000n, strtabBaseCfg: cfg }, pages.read, FORMATS)
    expect(shown(scan)).toEqual([
      [0, 'bypass'],
      [2 * 64 + 63, 'bypass'],
    ])
    expect(scan.findings).toMatchObject([{ code: 'bad-span', place: 'level 1 stream table descriptor 3' }])
  })

  it.each([
    ['linear', 0n, 2n],
    ['4K leaves', 1n, 8n],
    ['64K leaves', 2n, 11n],
  ])('context descriptors by SubstreamID: %s', (_, fmt, max) => {
    const pages = new Pages().zero(0x10_0000n, 4096)
    pages.words(0x10_0000n, [1n | (5n << 1n) | (fmt << 4n) | 0x20_0000n | (max << 59n)])
    if (fmt === 0n) pages.zero(0x20_0000n, 4096).words(0x20_00c0n, cd(0x60_0000n))
    else {
      const leaf = fmt === 1n ? 0x1000 : 0x1_0000
      pages.words(0x20_0000n, [0n, 0x40_0001n, ...Array<bigint>(2 ** Number(max - (fmt === 1n ? 6n : 10n)) - 2).fill(0n)])
      pages.zero(0x40_0000n, leaf).words(0x40_00c0n, cd(0x60_0000n))
    }
    block(pages, 0x60_0000n, 0x8000_0000n)
    const scan = scanSmmuv3({ strtabBase: 0x10_0000n, strtabBaseCfg: 0n }, pages.read, FORMATS)
    const ssid = { 0: 3, 1: 64 + 3, 2: 1024 + 3 }[Number(fmt)]
    expect(shown(scan)).toEqual([[`0/${ssid}`, 'stage 1', [1, 'ttbr0', '0x40000000 0x80000000 0x40000000']]])
    expect(scan.findings).toEqual([])
  })

  it('nested: descriptors and tables of stage 1 are at addresses that stage 2 translates', () => {
    const pages = new Pages().words(0x10_0000n, [1n | (7n << 1n) | 0x4020_0000n, 0n, ...s2(0x50_0000n)])
    // IPA 1 GiB to 2 GiB is PA 0x8_0000_0000 and up
    pages.words(0x50_0000n, [0n, 0x8_0000_07fdn])
    block(pages.words(0x8_0020_0000n, cd(0x4030_0000n)), 0x8_0030_0000n, 0x4000_0000n)
    const scan = scanSmmuv3({ strtabBase: 0x10_0000n, strtabBaseCfg: 0n }, pages.read, FORMATS)
    expect(scan.findings).toEqual([])
    expect(shown(scan)).toEqual([
      [0, 'nested', [1, 'ttbr0', '0x40000000 0x40000000 0x40000000'], [2, 'vttbr', '0x40000000 0x800000000 0x40000000']],
    ])
  })

  it('AArch32 tables in both stages', () => {
    const pages = new Pages()
      .words(0x10_0000n, [1n | (5n << 1n) | 0x20_0000n])
      .words(0x10_0040n, [1n | (6n << 1n), 0n, 1n << 38n, 0x40_0000n])
    pages.words(0x20_0000n, [(1n << 30n) | (1n << 31n), 0x30_0000n, 0n, 0xff44n]).words(0x30_0000n, [0n, 0x4000_0741n, 0n, 0n])
    pages.words(0x40_0000n, [0n, 0x4000_07fdn, 0n, 0n])
    const scan = scanSmmuv3({ strtabBase: 0x10_0000n, strtabBaseCfg: 1n }, pages.read, FORMATS)
    expect(scan.findings).toEqual([])
    expect(shown(scan)).toEqual([
      [0, 'stage 1', [1, 'ttbr0', '0x40000000 0x40000000 0x40000000']],
      [1, 'stage 2', [2, 'vttbr', '0x40000000 0x40000000 0x40000000']],
    ])
  })

  it('says what it cannot follow', () => {
    const pages = new Pages().zero(0x10_0000n, 4096)
    const ste = (sid: number, words: bigint[]): Pages => pages.words(0x10_0000n + BigInt(64 * sid), words)
    ste(0, [1n | (5n << 1n) | 0x77_0000n])
    ste(1, [1n | (5n << 1n) | 0x10_0000n])
    ste(2, [1n | (5n << 1n) | (31n << 59n)])
    ste(3, [1n | (6n << 1n), 0n, (1n << 51n) | (3n << 46n), 0n])
    const scan = scanSmmuv3({ strtabBase: 0x10_0000n, strtabBaseCfg: 2n }, pages.read, FORMATS)
    expect(scan.findings.map(({ place, code }) => [place, code]).sort()).toEqual([
      ['stream 0', 'unknown-memory'],
      ['stream 1', 'bad-cd'],
      ['stream 2', 'bad-ste'],
      ['stream 3', 'bad-registers'],
    ])
    const without = scanSmmuv3({ strtabBase: 0x10_0000n, strtabBaseCfg: 2n }, pages.read, {})
    expect(without.findings).toContainEqual(expect.objectContaining({ code: 'no-format', place: 'stream 3' }))
    expect(scanSmmuv3({ strtabBase: 0x66_0000n, strtabBaseCfg: 2n }, pages.read, FORMATS).findings).toMatchObject([
      { code: 'unknown-memory' },
    ])
  })

  it.each([
    ['FMT', 2n << 16n],
    ['SPLIT', (1n << 16n) | (7n << 6n)],
    ['LOG2SIZE', 33n],
  ])('refuses a reserved %s', (name, strtabBaseCfg) => {
    expect(() => streamTable({ strtabBase: 0n, strtabBaseCfg })).toThrow(new RegExp(`EINVAL.*${name}`))
  })

  it('IDR1.SIDSIZE limits the StreamIDs', () => {
    expect(streamTable({ strtabBase: 0xfff_ffffn, strtabBaseCfg: 20n, idr1: 4n })).toEqual({
      base: 0xfff_fc00n,
      format: 'linear',
      split: 0,
      sidBits: 4,
    })
  })

  it('goes on after each page that was missing', async () => {
    const pages = new Pages().zero(0x10_0000n, 4096)
    for (const sid of [0, 9, 40]) {
      const at = 0x20_0000n + BigInt(sid) * 0x10_0000n
      pages.words(0x10_0000n + BigInt(64 * sid), [1n | (5n << 1n) | at])
      block(pages.words(at, cd(at + 0x1000n)), at + 0x1000n, 0x4000_0000n)
    }
    const segments = pages.list.map(([paddr, bytes]) => {
      const source = { name: 'page', size: 4096, read: async () => bytes }
      return { paddr, size: 4096n, source, offset: 0, fileSize: 4096 }
    })
    const image = new MemoryImage(segments)
    const registers = { strtabBase: 0x10_0000n, strtabBaseCfg: 6n }
    const scanner = new Smmuv3Scanner(registers, image.read, FORMATS)
    const scan = await image.loading(() => scanner.run())
    const strip = ({ streams }: StreamScan) => streams.map(({ sid, structures }) => ({ sid, structures }))
    expect(strip(scan)).toEqual(strip(scanSmmuv3(registers, pages.read, FORMATS)))
    expect(scan.streams.length).toBe(3)
  })
})

describe('VT-d', () => {
  /** Second stage of 39 bits with a page of 1 GiB at index 1. */
  const second = (pages: Pages, table: bigint, paddr: bigint): Pages => pages.words(table, [0n, paddr | 0x83n])

  it('legacy: root and context tables', () => {
    const pages = new Pages().zero(0x1000n, 4096).words(0x1000n + 16n * 5n, [0x2001n])
    pages
      .zero(0x2000n, 4096)
      .words(0x2000n + 16n * 8n, [0x3001n, 1n | (7n << 8n)])
      .words(0x2000n + 16n * 9n, [1n | (2n << 2n)])
    pages.words(0x2000n + 16n * 10n, [1n | (3n << 2n)])
    second(pages, 0x3000n, 0x8000_0000n)
    const scan = scanVtd({ rtaddr: 0x1000n }, pages.read, FORMATS)
    expect(shown(scan)).toEqual([
      [0x508, 'stage 2', [2, 'ssptptr', '0x40000000 0x80000000 0x40000000']],
      [0x509, 'bypass'],
    ])
    expect(scan.findings).toMatchObject([{ code: 'bad-context', place: `stream ${0x50a}` }])
    expect(scanVtd({ rtaddr: 0x1000n, cap: 4n << 8n, gsts: 0n }, pages.read, FORMATS).findings.map(({ code }) => code)).toEqual([
      'translation-off',
      'bad-context',
      'bad-context',
    ])
  })

  it('scalable: PASIDs with first stage, second stage, both, and pass-through', () => {
    const pages = new Pages().zero(0x1000n, 4096).words(0x1000n, [0x2001n, 0x2_1001n])
    pages.zero(0x2000n, 4096).zero(0x2_1000n, 4096)
    // Device 0 and device 31 function 7
    pages.words(0x2000n, [0x3001n]).words(0x2_1000n + 32n * 127n, [0x3001n])
    pages.zero(0x3000n, 4096).words(0x3008n, [0x4001n]).zero(0x4000n, 4096)
    const pasid = (n: number, words: bigint[]): Pages => pages.words(0x4000n + BigInt(64 * n), words)
    pasid(0, [1n | (1n << 6n), 0n, 0x5000n])
    pasid(1, [1n | (2n << 6n) | (1n << 2n) | 0x6000n])
    pasid(2, [1n | (3n << 6n) | (1n << 2n) | 0x6000n, 0n, 0x4000_5000n])
    pasid(3, [1n | (4n << 6n)])
    pasid(4, [1n | (7n << 6n)])
    pages.words(0x5000n, [0x7003n]).words(0x7000n, [0n, 0xc000_0083n])
    pages.words(0x6000n, [0n, 0x8000_0083n]).words(0x8000_5000n, [0x4000_8003n]).words(0x8000_8000n, [0n, 0x4000_0083n])
    const scan = scanVtd({ rtaddr: 0x1000n | (1n << 10n) }, pages.read, FORMATS)
    const all = (sid: number): unknown[] => [
      [`${sid}/64`, 'stage 1', [1, 'cr3', '0x40000000 0xc0000000 0x40000000']],
      [`${sid}/65`, 'stage 2', [2, 'ssptptr', '0x40000000 0x80000000 0x40000000']],
      [`${sid}/66`, 'nested', [1, 'cr3', '0x40000000 0x40000000 0x40000000'], [2, 'ssptptr', '0x40000000 0x80000000 0x40000000']],
      [`${sid}/67`, 'bypass'],
    ]
    expect(shown(scan)).toEqual([...all(0), ...all(255)])
    expect(scan.findings.map(({ code, place }) => [code, place])).toEqual([
      ['bad-pasid', 'stream 0, pasid 68'],
      ['bad-pasid', 'stream 255, pasid 68'],
    ])
  })

  it('refuses the mode that aborts', () => {
    expect(() => scanVtd({ rtaddr: 3n << 10n }, () => undefined, FORMATS)).toThrow(/EINVAL.*TTM 3/)
  })
})

describe('AMD-Vi', () => {
  const IRW = 3n << 61n

  it('host tables; what of DEVTAB is size, and attributes of an entry', () => {
    const pages = new Pages().zero(0x1000n, 8192)
    const dte = (sid: number, words: bigint[]): Pages => pages.words(0x1000n + BigInt(32 * sid), words)
    dte(0, [3n | (1n << 9n) | 0x5000n | IRW, 0x77n])
    dte(1, [3n | IRW])
    dte(2, [1n])
    dte(255, [3n | (7n << 9n)])
    pages.words(0x5000n, [0n, 0x9000n | 1n | IRW])
    const scan = scanAmdVi({ devtab: 0x1001n }, pages.read, FORMATS)
    expect(shown(scan)).toEqual([
      [0, 'stage 2', [2, 'root', '0x1000 0x9000 0x1000']],
      [1, 'bypass'],
    ])
    expect(scan.findings).toMatchObject([{ code: 'bad-dte', place: 'stream 255' }])
    expect(scan.visited).toBe(256)
  })

  it('guest tables of one, two and three levels, behind host tables or not', () => {
    const pages = new Pages().zero(0x1000n, 4096)
    const GV = 1n << 55n
    const GIOV = 1n << 54n
    const gcr3 = (at: bigint): bigint[] => [((at >> 12n) & 7n) << 58n, (((at >> 15n) & 0xffffn) << 16n) | ((at >> 31n) << 43n)]
    const dte = (sid: number, mode: bigint, glx: bigint, at: bigint, more = 0n): void => {
      const [first = 0n, second = 0n] = gcr3(at)
      pages.words(0x1000n + BigInt(32 * sid), [
        3n | (mode << 9n) | (mode === 0n ? 0n : 0x5000n) | GV | (glx << 56n) | IRW | first | more,
        second,
      ])
    }
    dte(0, 0n, 0n, 0x4_0000_a000n, GIOV)
    dte(1, 0n, 1n, 0x2_8000n)
    dte(2, 1n, 0n, 0x3000n, GIOV)
    pages.zero(0x4_0000_a000n, 4096).words(0x4_0000_a018n, [0x2_0001n])
    pages.zero(0x2_8000n, 4096).words(0x2_8008n, [0x4_0000_a001n])
    pages.words(0x2_0000n, [0x2_1003n]).words(0x2_1000n, [0n, 0xc000_0083n])
    // Guest page n is page 0x80000 + n
    pages.words(
      0x5000n,
      Array.from({ length: 8 }, (_, i) => (0x8000_0000n + BigInt(i << 12)) | 1n | IRW),
    )
    pages.zero(0x8000_3000n, 4096).words(0x8000_3000n, [0x4001n]).words(0x8000_4000n, [0x6003n]).words(0x8000_6000n, [0n, 0x4000_0083n])
    const scan = scanAmdVi({ devtab: 0x1000n }, pages.read, FORMATS)
    expect(scan.findings).toEqual([])
    expect(shown(scan)).toEqual([
      ['0/3', 'stage 1', [1, 'cr3', '0x40000000 0xc0000000 0x40000000']],
      [1, 'bypass'],
      [`1/${512 + 3}`, 'stage 1', [1, 'cr3', '0x40000000 0xc0000000 0x40000000']],
      ['2/0', 'nested', [1, 'cr3', '0x40000000 0x40000000 0x40000000'], [2, 'root', '0x0 0x80000000 0x8000']],
    ])
  })
})

describe('RISC-V', () => {
  const ppn = (at: bigint): bigint => (at >> 12n) << 10n
  const sv39 = (at: bigint): bigint => (8n << 60n) | (at >> 12n)
  /** A root of Sv39 with a gigapage at index 1. */
  const giga = (pages: Pages, table: bigint, paddr: bigint): Pages => pages.words(table, [0n, ((paddr >> 12n) << 10n) | 0xdfn])

  it('a device directory of three levels', () => {
    const pages = new Pages().zero(0x1000n, 4096).zero(0x2000n, 4096).zero(0x3000n, 4096)
    pages.words(0x1010n, [ppn(0x2000n) | 1n]).words(0x2018n, [ppn(0x3000n) | 1n])
    pages.words(0x3000n + 32n * 4n, [1n, 0n, 0n, sv39(0x4000n)]).words(0x3000n + 32n * 5n, [1n])
    giga(pages, 0x4000n, 0x8000_0000n)
    const scan = scanRiscvIommu({ ddtp: ppn(0x1000n) | 4n, capabilities: 0n }, pages.read, FORMATS)
    const id = (2 << 16) | (3 << 7)
    expect(shown(scan)).toEqual([
      [id | 4, 'stage 1', [1, 'satp', '0x40000000 0x80000000 0x40000000']],
      [id | 5, 'bypass'],
    ])
    expect(scan.findings).toEqual([])
  })

  it('contexts of 64 bytes, the second stage, and processes behind it', () => {
    const pages = new Pages().zero(0x1000n, 4096)
    const dc = (id: number, words: bigint[]): Pages => pages.words(0x1000n + BigInt(64 * id), words)
    const PDTV = 1n << 5n
    dc(0, [1n, sv39(0x8000n)])
    dc(1, [1n | PDTV, sv39(0x8000n), 0n, (2n << 60n) | (0x4000n >> 12n)])
    dc(2, [1n | (1n << 11n), 0n, 0n, (8n << 60n) | 0x9n])
    dc(3, [1n, 0n, 0n, 5n << 60n])
    dc(4, [1n, sv39(0x9000n)])
    // Guest 0 to 1 GiB is at 0x1_0000_0000
    pages.zero(0x8000n, 16384).words(0x8000n, [((0x1_0000_0000n >> 12n) << 10n) | 0xdfn])
    pages.zero(0x1_0000_4000n, 4096).words(0x1_0000_4008n, [ppn(0x5000n) | 1n])
    pages.zero(0x1_0000_5000n, 4096).words(0x1_0000_5020n, [1n, sv39(0x6000n)])
    giga(pages, 0x1_0000_6000n, 0n)
    pages.zero(0x9000n, 4096).words32(0x9004n, [0x1000_00df])
    const scan = scanRiscvIommu({ ddtp: ppn(0x1000n) | 2n, capabilities: 1n << 22n }, pages.read, FORMATS)
    expect(shown(scan)).toEqual([
      [0, 'stage 2', [2, 'hgatp', '0x0 0x100000000 0x40000000']],
      [`1/${256 + 2}`, 'nested', [1, 'satp', '0x40000000 0x0 0x40000000'], [2, 'hgatp', '0x0 0x100000000 0x40000000']],
      [2, 'stage 1', [1, 'satp', '0x400000 0x40000000 0x400000']],
      [3, 'stage 1'],
      [4, 'stage 2'],
    ])
    expect(scan.findings.map(({ code, place }) => [code, place]).sort()).toEqual([
      ['bad-registers', 'stream 3'],
      ['bad-registers', 'stream 4'],
    ])
  })

  it('capabilities.MSI_FLAT says how far apart contexts are, and so which device each is', () => {
    const pages = new Pages().zero(0x1000n, 4096).words(0x1000n + 64n * 3n, [1n])
    const sids = (capabilities: bigint): number[] =>
      scanRiscvIommu({ ddtp: ppn(0x1000n) | 2n, capabilities }, pages.read, FORMATS).streams.map(({ sid }) => sid)
    expect([sids(1n << 22n), sids(0x10n), sids((1n << 21n) | (1n << 23n))]).toEqual([[3], [6], [6]])
  })

  it('off, bare, and modes that are none', () => {
    expect(scanRiscvIommu({ ddtp: 0n, capabilities: 0n }, () => undefined, FORMATS)).toEqual({ streams: [], findings: [], visited: 0 })
    expect(scanRiscvIommu({ ddtp: 1n, capabilities: 0n }, () => undefined, FORMATS).streams).toEqual([])
    expect(() => scanRiscvIommu({ ddtp: 5n, capabilities: 0n }, () => undefined, FORMATS)).toThrow(/EINVAL.*iommu_mode 5/)
  })
})
