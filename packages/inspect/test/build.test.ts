/** What is built reads back as it was asked for, and building what was read gives the same bytes. */
import { amdV1 } from '@io-pgtable/amdv1'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { type AnyFmt, Prot } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { sv32 } from '@io-pgtable/sv32'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8664 } from '@io-pgtable/x86-64'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Built, buildTables } from '../src/build/build.ts'
import { toElf } from '../src/build/elf-file.ts'
import { toJson } from '../src/build/json-file.ts'
import { type Layout, parseLayout, type Region } from '../src/build/layout.ts'
import { toAssembly, toC } from '../src/build/source-code.ts'
import { openImage } from '../src/image/open.ts'
import { bytesSource } from '../src/image/source.ts'
import { dumpLeaves } from '../src/leaves/dump.ts'
import { tablesOf } from '../src/leaves/tables.ts'

const FORMATS: readonly AnyFmt[] = [amdV1, armV7s, arm32LpaeS1, arm64LpaeS1, arm64LpaeS2, riscv64, sv32, vtdSs, x8664]
const RW = Prot.READ | Prot.WRITE
const RO = Prot.READ

function region(first: bigint, paddr: bigint, size: bigint, prot: Prot = RW): Region {
  return { first, last: first + size - 1n, paddr, prot }
}

const layout = (regions: readonly Region[], more: Partial<Layout> = {}): Layout => ({ format: '', base: 0x8020_0000n, regions, ...more })

/** The image of what was built, decoded by its registers: runs as regions. */
async function decoded({ format, base, bytes, registers }: Built): Promise<Region[]> {
  const image = await openImage(bytesSource(bytes), { format: 'raw', base })
  const regions: Region[] = []
  for (const tables of tablesOf(format, registers, image.read)) {
    const { findings } = dumpLeaves(tables, ({ iova, paddr, size, prot }) => {
      const last = regions.at(-1)
      if (last !== undefined && last.last + 1n === iova && last.paddr + (iova - last.first) === paddr && last.prot === prot)
        regions[regions.length - 1] = { ...last, last: iova + BigInt(size) - 1n }
      else regions.push(region(iova, paddr, BigInt(size), prot))
    })
    expect(findings).toEqual([])
  }
  return regions
}

/** A comparison that does not take a second for a megabyte. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const bare = ({ first, last, paddr }: Region): bigint[] => [first, last, paddr]

describe('build', () => {
  test.each(FORMATS.map((format) => [format.FORMAT, format] as const))('%s boots through the decoder, bit for bit', async (_, format) => {
    const pages = fc.array(
      fc.record({
        gap: fc.integer({ min: 1, max: 700 }),
        pages: fc.integer({ min: 1, max: 1100 }),
        paddr: fc.nat({ max: 0x3ffff }),
        write: fc.boolean(),
      }),
      { minLength: 1, maxLength: 4 },
    )
    await fc.assert(
      fc.asyncProperty(pages, async (parts) => {
        let at = 0n
        const regions = parts.map(({ gap, pages: count, paddr, write }) => {
          const first = at + BigInt(gap) * 4096n
          at = first + BigInt(count) * 4096n
          return region(first, BigInt(paddr) * 4096n, BigInt(count) * 4096n, write ? RW : RO)
        })
        const built = buildTables(format, layout(regions))
        const read = await decoded(built)
        expect(read.map(bare)).toEqual(built.regions.map(bare))
        // what was read, with the same configuration, is what was built
        const prots = new Map(built.regions.map(({ first, prot }) => [first, prot]))
        const again = buildTables(
          format,
          layout(
            read.map((each) => ({ ...each, prot: prots.get(each.first) ?? 0 })),
            { config: built.config },
          ),
        )
        expect(same(again.bytes, built.bytes)).toBe(true)
        expect(again.registers).toEqual(built.registers)
      }),
      { numRuns: 5 },
    )
  })

  test('the largest blocks, and the fewest tables and levels', () => {
    const built = buildTables(arm64LpaeS1, layout([region(0n, 0x4000_0000n, 1n << 30n)]))
    expect(built.config.ias).toBeLessThanOrEqual(39)
    expect([built.tables.length, built.bytes.byteLength]).toEqual([
      1,
      built.geometry.nodes.find(({ id }) => id === built.geometry.top)?.tableBytes,
    ])
    const wide = buildTables(arm64LpaeS1, layout([region(0n, 0x4000_0000n, 1n << 30n)], { config: { ias: 48 } }))
    expect(wide.tables).toHaveLength(2)
  })

  test('regions that continue one another are one block', () => {
    const halves = [region(0x10_0000n, 0x4010_0000n, 0x10_0000n), region(0n, 0x4000_0000n, 0x10_0000n)]
    const built = buildTables(x8664, layout(halves))
    expect(built.regions).toHaveLength(1)
    expect(built.tables).toHaveLength(3)
  })

  test('more table memory than the first try has', () => {
    const scattered = Array.from({ length: 600 }, (_, i) => region(BigInt(i) << 30n, 0n, 0x1000n))
    expect(buildTables(x8664, layout(scattered)).tables).toHaveLength(2 + 2 * 600 + 1)
  })

  test('the top half, by its quirk', async () => {
    const first = 0xffff_ffff_c000_0000n
    const built = buildTables(arm64LpaeS1, layout([region(first, 0x4000_0000n, 0x20_0000n)], { config: { quirks: ['ARM_TTBR1'] } }))
    expect(Object.keys(built.registers)).toContain('ttbr1')
    expect((await decoded(built)).map(bare)).toEqual([[first, first + 0x1f_ffffn, 0x4000_0000n]])
  })

  test('a base in the middle of a pool', () => {
    const built = buildTables(vtdSs, layout([region(0n, 0n, 0x1000n)], { base: 0x8021_3000n }))
    expect(built.roots).toEqual([0x8021_3000n])
    expect(built.tables.map(({ paddr }) => paddr)).toEqual(built.tables.map((_, i) => 0x8021_3000n + BigInt(i) * 0x1000n))
  })

  test.each([
    ['a base that the root cannot have', { base: 0x8020_0800n }, /EINVAL: build: base 0x80200800 is no multiple of 0x1000/],
    ['too little room', { size: 8192 }, /ENOMEM/],
    ['no address bits for it', { config: { ias: 16 } }, /ERANGE.*0x0 to 0xffff expected/],
    ['an unknown quirk', { config: { quirks: ['NOPE'] } }, /quirk NOPE/],
  ])('%s', (_, more, message) => {
    expect(() => buildTables(vtdSs, layout([region(0x10_0000n, 0n, 0x1000n)], more))).toThrow(message)
  })

  test('regions that overlap, and one that is not aligned', () => {
    expect(() => buildTables(vtdSs, layout([region(0n, 0n, 0x2000n), region(0x1000n, 0n, 0x1000n)]))).toThrow(
      /EEXIST.*overlaps 0x0 to 0x1fff/,
    )
    expect(() => buildTables(vtdSs, layout([region(0n, 0x10n, 0x1000n)]))).toThrow(/region 0 \(0x0 to 0xfff\).*EINVAL/)
  })
})

describe('layout', () => {
  const TEXT = `{
    "format": "vtdss", "base": "0x80000000", "size": "64K", "config": { "ias": 39, "pgsizeBitmap": "0x201000" },
    "regions": [
      { "name": "ram", "iova": 0, "paddr": "1G", "size": "2M", "prot": ["READ", "WRITE"] },
      { "iova": "0x100000", "paddr": 0, "size": 4096, "prot": ["READ"] }
    ]
  }`

  test('a whole one', () => {
    const { complain: _, ...parsed } = parseLayout(TEXT)
    expect(parsed).toEqual({
      format: 'vtdss',
      base: 0x8000_0000n,
      size: 65536,
      config: { ias: 39, pgsizeBitmap: 0x20_1000n },
      regions: [
        { name: 'ram', first: 0n, last: 0x1f_ffffn, paddr: 0x4000_0000n, prot: RW },
        { first: 0x10_0000n, last: 0x10_0fffn, paddr: 0n, prot: RO },
      ],
    })
  })

  test('what is wrong with a region has its line and column', () => {
    expect(() => buildTables(vtdSs, parseLayout(TEXT, 'l.json'))).toThrow(
      /^EBADMSG: l\.json:5:7: regions\[1\]: EEXIST: build: 0x100000 to 0x100fff overlaps ram, 0x0 to 0x1fffff/,
    )
  })

  test.each([
    ['{"format": "x", "base": 0}', /l\.json:1:1: "format", "base" and "regions" expected/],
    ['{"format": "x", "base": 0, "regions": [{"iova": 0}]}', /l\.json:1:40: regions\[0\]: "iova", "paddr", "size" and "prot" expected/],
    ['{"format": "x", "base": 0, "size": "8G", "regions": []}', /l\.json:1:36: size: at most 4G/],
    ['{"format": "x", "base": 0, "regions": [{"iova":0,"paddr":0,"size":1,"prot":["RW"]}]}', /prot\[0\]: "RW": one of READ, WRITE/],
  ])('%s', (text, message) => {
    expect(() => parseLayout(text, 'l.json')).toThrow(message)
  })
})

describe('emit', () => {
  const built = buildTables(arm64LpaeS1, layout([region(0n, 0x4000_0000n, 0x20_1000n)]))

  test('ELF is an image again', async () => {
    const image = await openImage(bytesSource(toElf(built, 'tables', 183)))
    expect(image.segments.map(({ paddr, size }) => [paddr, size])).toEqual([[built.base, BigInt(built.bytes.byteLength)]])
    expect(same(image.read(built.base, built.bytes.byteLength) ?? new Uint8Array(), built.bytes)).toBe(true)
  })

  test('C and assembly have every word', () => {
    const c = toC(built, 'tables')
    const words = [...c.matchAll(/\[(\d+)\] = (0x[0-9a-f]+)ULL/g)].map(([, index, value]) => [Number(index), BigInt(value ?? 0)] as const)
    const bytes = new Uint8Array(built.bytes.byteLength)
    const view = new DataView(bytes.buffer)
    for (const [index, value] of words) view.setBigUint64(index * 8, value, true)
    expect(bytes).toEqual(built.bytes)
    expect(c).toContain(`#define TABLES_BASE 0x80200000ULL`)
    const quads = [...toAssembly(built, 'tables').matchAll(/\.(quad|zero) (\S+)/g)]
    const size = quads.reduce((sum, [, kind, value]) => sum + (kind === 'quad' ? 8 : Number(value)), 0)
    expect(size).toBe(built.bytes.byteLength)
  })

  test('JSON says what was chosen', () => {
    expect(toJson(built)).toMatchObject({
      format: 'arm64-lpae-s1',
      base: '0x80200000',
      size: built.bytes.byteLength,
      roots: ['0x80200000'],
    })
  })
})
