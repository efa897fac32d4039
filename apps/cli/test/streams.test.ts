/** Streams of IOMMUs in images that hold a few words of a log: one of them alone, those without tables, holes. */
import { describe, expect, test } from 'vitest'
import { sparseImage, type Word } from './sparse.ts'
import { jsonLines, run } from './support.ts'

interface Answer {
  readonly paddr: string | null
  readonly bypass?: true
  readonly fault?: { readonly type: string; readonly level: number | null; readonly stage: number | null; readonly reason: string }
}

async function answer(...args: readonly string[]): Promise<Answer> {
  const { code, out } = await run(['translate', ...args, '--json'])
  expect(code).toBe(0)
  return jsonLines(out)[0] as unknown as Answer
}

const SMMU: Word[] = [
  [0x4000_0200n, 0x9n],
  [0x4000_0240n, 0x1n],
  [0x4000_0280n, 0x0n],
]
const smmu = (sid: string) => [
  'smmuv3',
  ...sparseImage(SMMU, 4096),
  '--strtab-base',
  '0x40000000',
  '--strtab-base-cfg',
  '0x6',
  '--sid',
  sid,
  '0x1234',
]
/** Two levels of 2^8 and 2^8 entries: descriptor 1 has 2. */
const smmu2 = (sid: string) => [
  ...[
    'smmuv3',
    ...sparseImage(
      [
        [0x5000_0008n, 0x4000_0002n],
        [0x4000_0000n, 0x9n],
        [0x4000_0040n, 0x9n],
      ],
      4096,
    ),
  ],
  ...['--strtab-base', '0x50000000', '--strtab-base-cfg', '0x10210', '--sid', sid, '0x1234'],
]
const vtd = (sid: string) => [
  'vtd',
  ...sparseImage(
    [
      [0x1000n, 0x2001n],
      [0x2100n, 0x9n],
      [0x2108n, 0x102n],
    ],
    4096,
  ),
  '--rtaddr',
  '0x1000',
  '--sid',
  sid,
  '0x1234',
]
const DTE = (words: readonly bigint[], at = 0x2_0000_0200n): Word[] => words.map((word, i) => [at + BigInt(8 * i), word])
const amd = (sid: string, dte: readonly bigint[]) => [
  'amdvi',
  ...sparseImage(DTE(dte), 4096),
  '--devtab',
  '0x200000000',
  '--sid',
  sid,
  '0x1234',
]
const riscv = (sid: string, ddtp: string) => [
  ...[
    'riscv',
    ...sparseImage(
      [
        [0x1000n, 1n],
        [0x1018n, 0n],
        [0x1040n, 0n],
      ],
      4096,
    ),
    '--ddtp',
    ddtp,
    '--capabilities',
    '0x10',
    '--sid',
    sid,
    '0x1234',
  ],
]

describe('a stream without tables is a result', () => {
  test.each<[string, readonly string[], string, RegExp]>([
    ['SMMUv3, bypass', smmu('8'), 'bypass', /^/],
    ['SMMUv3, abort', smmu('9'), 'blocked', /no event is recorded/],
    ['SMMUv3, not valid', smmu('10'), 'blocked', /C_BAD_STE/],
    ['SMMUv3, beyond the table', smmu('0xc900'), 'bad-stream', /C_BAD_STREAMID/],
    ['SMMUv3 of two levels', smmu2('0x101'), 'bypass', /^/],
    ['SMMUv3, beyond a level 1 descriptor', smmu2('0x102'), 'bad-stream', /C_BAD_STREAMID: level 1 descriptor 1 has 2 entries/],
    ['SMMUv3, a level 1 descriptor of none', smmu2('0x205'), 'bad-stream', /C_BAD_STREAMID/],
    ['VT-d, pass-through', vtd('0x10'), 'bypass', /^/],
    ['VT-d, no context entry', vtd('0x11'), 'bad-stream', /reason 0x2/],
    ['VT-d, no root entry', vtd('0x110'), 'bad-stream', /reason 0x1/],
    ['AMD, mode 0 with IR and IW', amd('0x10', [0x6000_0000_0000_0003n]), 'bypass', /^/],
    ['AMD, mode 0 without', amd('0x10', [0x3n, 0n, 0x2008_0001_0025_8013n]), 'blocked', /IR and IW clear/],
    ['AMD, TV clear', amd('0x10', [0x1n]), 'blocked', /TV is clear/],
    ['AMD, V clear', amd('0x10', [0x0n]), 'bypass', /^/],
    ['AMD, beyond the table', amd('0x1000', [0x0n]), 'bad-stream', /ILLEGAL_DEV_TABLE_ENTRY/],
    ['RISC-V, bare stages', riscv('0', '0x402'), 'bypass', /^/],
    ['RISC-V, not valid', riscv('2', '0x402'), 'bad-stream', /cause 258/],
    ['RISC-V, too wide', riscv('0x1000', '0x402'), 'bad-stream', /cause 260/],
    ['RISC-V, Off', riscv('0', '0x0'), 'bad-stream', /cause 256/],
    ['RISC-V, Bare', riscv('5', '0x1'), 'bypass', /^/],
  ])('%s', async (_, args, outcome, reason) => {
    const { paddr, bypass, fault } = await answer(...args)
    if (outcome === 'bypass') expect([paddr, bypass, fault]).toEqual(['0x1234', true, undefined])
    else expect([paddr, fault]).toEqual([null, { type: outcome, level: null, stage: null, reason: expect.stringMatching(reason) }])
  })
})

describe('--sid', () => {
  test('reads the entries of that stream alone', async () => {
    const vtdWords: Word[] = [
      [0x1_0000_0000n, 0x1_27f4_2001n],
      [0x1_0000_0008n, 0n],
      [0x1_27f4_2d00n, 0x1_2d8a_b001n],
      [0x1_27f4_2d08n, 0x1502n],
    ]
    const { code, out, err } = await run(['streams', 'vtd', ...sparseImage(vtdWords), '--rtaddr', '0x100000000', '--sid', '0xd0'])
    expect([code, err]).toEqual([0, '1 streams, 1 page tables\n'])
    expect(out).toMatch(/^sid 0xd0 \(00:1a\.0\): stage 2\n/)
    expect(out).toMatch(/ssptptr 0x12d8ab000, aw 0x2/)
    expect(out).toMatch(/DID 0x15/)
  })

  test('of a device table that is hardly there', async () => {
    const args = [
      'streams',
      'amdvi',
      ...sparseImage(DTE([0x6000_0007_e10a_8603n, 9n, 0n, 0n], 0x2_0005_6000n), 4096),
      '--devtab',
      '0x2000001ff',
    ]
    const one = await run([...args, '--sid', '0x2b00'])
    expect([one.err, one.out]).toEqual([
      '1 streams, 1 page tables\n',
      expect.stringMatching(/^sid 0x2b00 \(2b:00\.0\): stage 2\n[\s\S]*DomainID 0x9/),
    ])
    const all = await run(args)
    expect(all.out).toMatch(/^sid 0x2b00 /)
    expect(all.err).toMatch(/entries 0 to 11007 are not in the image, at 0x200000000[\s\S]*entries 11136 to 65535 are not/)
  })
})

test('a base that is not aligned is a finding, and the entry is read where hardware reads it', async () => {
  const args = [
    'streams',
    'smmuv3',
    ...sparseImage([[0x4300_0200n, 0x9n]], 4096),
    '--strtab-base',
    '0x43217000',
    '--strtab-base-cfg',
    '0x10',
    '--sid',
    '8',
  ]
  const { out, err } = await run(args)
  expect(out).toMatch(/STE at 0x43000200/)
  expect(err).toMatch(/warning misaligned-base STRTAB_BASE: 0x43217000 is not aligned to the table: it is read at 0x43000000/)
})

test('a dump goes on behind words that are missing', async () => {
  const leaf = (paddr: bigint): bigint => (paddr >> 2n) | 0xcfn
  const words: Word[] = [
    [0x8000_0000n, 0x2000_0401n],
    [0x8000_1000n, 0x2000_0801n],
    [0x8000_2008n, leaf(0x9000_1000n)],
    [0x8000_2010n, leaf(0x9000_2000n)],
    [0x8000_2ff8n, leaf(0x9000_9000n)],
  ]
  const { out, err } = await run(['dump', 'riscv64', ...sparseImage(words), '--satp', '0x8000000000080000', '--json'])
  expect(jsonLines(out).flatMap(({ iova, count }) => (iova === undefined ? [] : [[iova, count]]))).toEqual([
    ['0x1000', 2],
    ['0x1ff000', 1],
  ])
  expect(err).toMatch(/ 8 bytes of the level 0 table at 0x80002000 are not in the image/)
  expect(err).toMatch(/ 4064 bytes of the level 0 table at 0x80002000 are not in the image/)
})

describe('explain of device structures', () => {
  test.each<[string, readonly string[], Record<string, string>]>([
    ['ste', ['0xd', '0x8000000000', '0', '0'], { V: '0x1', Config: '0x6' }],
    ['cd', ['0x5ff0080803510', '0x43218000'], { T0SZ: '0x10', V: '0x1', IPS: '0x0' }],
    ['vtd-root', ['0x127f42001', '0'], { P: '0x1', CTP: '0x127f42000' }],
    ['vtd-context', ['0x12d8ab001', '0x1502'], { SSPTPTR: '0x12d8ab000', AW: '0x2', DID: '0x15', TT: '0x0' }],
    ['vtd-pasid', ['0x109', '0x1'], { PGTT: '0x4', AW: '0x2', DID: '0x1', P: '0x1' }],
    [
      'dte',
      ['0x7d90000000000003', '0x100103fc0009', '0x2000000117840013', '0'],
      { Mode: '0x0', GV: '0x1', GLX: '0x1', DomainID: '0x9', GCR3TableRootPtr: '0x101fe7000', PPR: '0x1' },
    ],
    ['gcr3', ['0x101fe8001'], { V: '0x1', Pointer: '0x101fe8000' }],
    ['dc', ['0x1', '0', '0', '0x8000000000087f6e'], { V: '0x1', 'iohgatp.MODE': '0x0', 'fsc.MODE': '0x8' }],
    ['pc', ['0x1', '0x8000000000087f6e'], { V: '0x1', 'fsc.MODE': '0x8' }],
  ])('%s', async (kind, words, expected) => {
    const { code, out } = await run(['explain', kind, ...words, '--json'])
    expect(code).toBe(0)
    const [{ fields }] = jsonLines(out) as unknown as [{ fields: { name: string; value: string }[] }]
    expect(Object.fromEntries(fields.map(({ name, value }) => [name, value]))).toMatchObject(expected)
    expect((await run(['explain', kind, ...words])).out).toContain(Object.keys(expected)[0])
  })

  test.each([
    ['too many words', ['explain', 'gcr3', '1', '2']],
    ['a word that is too wide', ['explain', 'ste', '0x10000000000000000']],
  ])('%s', async (_, args) => expect((await run(args)).code).toBe(2))
})

test.each([
  ['neither SRE nor ERE', 0x30n, { user: 'rw-', privileged: '---' }],
  ['SRE and ERE', 0x33n, { user: 'rwx', privileged: 'rwx' }],
])('rights of a VT-d first stage are those that its PASID entry allows: %s', async (_, flags, rights) => {
  const structures: Word[] = [
    [0x1000n, 0x2001n],
    [0x2200n, 0x3001n],
    [0x3000n, 0x4001n],
    [0x4000n, 0x41n],
    [0x4010n, 0x5000n | flags],
  ]
  const tables: Word[] = [
    [0x5000n, 0x6067n],
    [0x6000n, 0x7067n],
    [0x7000n, 0x8067n],
    [0x8000n, 0x9067n],
  ]
  const { out } = await run([
    'streams',
    'vtd',
    ...sparseImage([...structures, ...tables], 4096),
    '--rtaddr',
    '0x1400',
    '--sid',
    '0x10',
    '--json',
  ])
  expect(jsonLines(out).filter(({ iova }) => iova !== undefined)).toMatchObject([{ iova: '0x0', sid: 16, pasid: 0, rights }])
})
