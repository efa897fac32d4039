/** `iopt translate`: verdicts on accesses, two stages, and the way of an address without memory. */
import { describe, expect, test } from 'vitest'
import { sparseImage, type Word } from './sparse.ts'
import { jsonLines, run } from './support.ts'

interface Answer {
  readonly paddr: string | null
  readonly rights?: Record<string, string>
  readonly memory?: string
  readonly fault?: {
    readonly type: string
    readonly level: number | null
    readonly stage: number | null
    readonly bits?: string
    readonly reason: string
  }
  readonly walk: readonly { readonly level: number; readonly index: number; readonly rights?: object; readonly stage?: number }[]
}

async function answers(...args: readonly string[]): Promise<Answer[]> {
  const { code, out, err } = await run(['translate', ...args, '--json'])
  expect([code, err]).toEqual([0, ''])
  return jsonLines(out) as unknown as Answer[]
}

/** A user page below a user table, writable; its NX bit set. */
const X86 = (leaf: bigint): Word[] => [
  [0x1000n, 0x2067n],
  [0x2000n, 0x3067n],
  [0x3000n, 0x4067n],
  [0x4008n, leaf],
]
const SMEP_SMAP = '0x3000a0'
const X86_REGISTERS = ['--cr3', '0x1000', '--cr4', SMEP_SMAP, '--reg', 'cr0=0x80010001', '--reg', 'efer=0xd01']
const x86 = (leaf: bigint) => ['x86_64', ...sparseImage(X86(leaf)), ...X86_REGISTERS, '0x1234']
const arm = (leaf: bigint, tcr = '0x500003519') => [
  'arm64-lpae-s1',
  ...sparseImage([[0x2000n, leaf]]),
  '--ttbr0',
  '0x2000',
  '--tcr',
  tcr,
  '--mair',
  '0xff',
  '--reg',
  'sctlr=0',
]
const riscv = (leaf: bigint, ...registers: string[]) => [
  'riscv64',
  ...sparseImage([[0x8000_0000n, leaf]]),
  '--satp',
  '0x8000000000080000',
  ...registers,
  '0x0',
]

describe('an access', () => {
  test.each<[string, readonly string[], readonly string[], string | undefined, RegExp]>([
    ['x86: a user reads', x86(0x8000_0000_0000_9067n), ['--access', 'read', '--user'], undefined, /^/],
    [
      'x86: a user executes what is XD',
      x86(0x8000_0000_0000_9067n),
      ['--access', 'execute', '--user'],
      'permission',
      /level 1 allows no execute/,
    ],
    ['x86: the kernel reads a user page, SMAP', x86(0x9067n), ['--access', 'read'], 'permission', /CR4\.SMAP/],
    ['x86: the same by its error code', x86(0x9067n), ['--error-code', '0x1'], 'permission', /CR4\.SMAP/],
    ['x86: the kernel executes a user page, SMEP', x86(0x9067n), ['--error-code', '0x11'], 'permission', /CR4\.SMEP/],
    ['x86: a user writes, by the error code', x86(0x9065n), ['--error-code', '0x7'], 'permission', /level 1 allows no write/],
    ["x86: a user reads what is the kernel's", x86(0x9063n), ['--error-code', '0x5'], 'permission', /level 1 allows no read/],
    ['arm64: EL1 writes what is read-only', [...arm(0x4000_0781n), '0x0'], ['--access', 'write'], 'permission', /level 1 allows no write/],
    ['arm64: the same by ESR', [...arm(0x4000_0781n), '0x0'], ['--esr', '0x9600004d'], 'permission', /level 1 allows no write/],
    ['arm64: cache maintenance is no write', [...arm(0x4000_0781n), '0x0'], ['--esr', '0x9600014d'], undefined, /^/],
    ["arm64: EL0 reads what is EL1's, by ESR", [...arm(0x4000_0701n), '0x0'], ['--esr', '0x9200000d'], 'permission', /allows no read/],
    ['arm64: EL1 executes what EL0 may write', [...arm(0x4000_0741n), '0x0'], ['--esr', '0x8600000d'], 'permission', /EL0 may write/],
    ['riscv: S-mode reads a user page, SUM clear', riscv(0x1000_00dfn), ['--access', 'read'], 'permission', /SUM/],
    ['riscv: a user writes where D is clear', riscv(0x1000_005fn), ['--access', 'write', '--user'], 'access-flag', /lets no write through/],
    ['riscv: a user reads there', riscv(0x1000_005fn), ['--access', 'read', '--user'], undefined, /^/],
  ])('%s', async (_, args, access, type, reason) => {
    const [answer] = await answers(...args, ...access)
    expect([answer?.fault?.type, answer?.paddr === null]).toEqual([type, type !== undefined])
    expect(answer?.fault?.reason ?? '').toMatch(reason)
    if (type !== undefined) expect(answer?.fault?.stage).toBe(1)
  })

  test.each([
    ['two ways', ['--access', 'read', '--esr', '0x96000045']],
    ['a user who is privileged', ['--access', 'read', '--user', '--privileged']],
    ['a user of nothing', ['--user']],
    ['an exception that is no abort', ['--esr', '0x56000000']],
  ])('%s is refused', async (_, args) => {
    expect((await run(['translate', ...x86(0x9067n), ...args])).code).toBe(2)
  })

  test('the verdict is the last line', async () => {
    const { out } = await run(['translate', ...x86(0x9065n), '--access', 'write', '--user'])
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^ {2}write by a user: fault permission at level 1, stage 1: /)
    expect((await run(['translate', ...x86(0x9065n)])).out.trimEnd().split('\n').at(-1)).toMatch(/→ 0x9234 {2}r-x r-- {2}WB$/)
  })
})

describe('walks fault where hardware faults', () => {
  test.each<[string, readonly string[], [string, number | null, string?]]>([
    ['an access flag that is clear', [...arm(0x4000_0301n), '0x0'], ['access-flag', 1]],
    ['an output beyond IPS', [...arm(0x8_4000_0701n, '0x3519'), '0x0'], ['address-size', 1]],
    [
      'a root beyond IPS',
      ['arm64-lpae-s1', ...sparseImage([[0x1_0000_0000n, 0x701n]]), '--ttbr0', '0x100000000', '--tcr', '0x3519', '--mair', '0', '0x0'],
      ['address-size', 0],
    ],
    [
      'bits from MAXPHYADDR on',
      ['x86_64', ...sparseImage(X86(0xf_0000_0000_9067n)), ...X86_REGISTERS, '--reg', 'maxPhyAddr=36', '0x1234'],
      ['reserved', 1, '0xf000000000000'],
    ],
    [
      'XD with NXE clear',
      ['x86_64', ...sparseImage(X86(0x8000_0000_0000_9067n)), '--cr3', '0x1000', '--cr4', '0x20', '--reg', 'efer=0x500', '0x1234'],
      ['reserved', 1, '0x8000000000000000'],
    ],
    ['an address that is not canonical', [...x86(0x9067n).slice(0, -1), '0x800000000000'], ['not-canonical', null]],
    [
      'a misaligned megapage',
      [
        'riscv64',
        ...sparseImage([
          [0x8000_0000n, 0x20_00401n],
          [0x800_1000n, 0x4dfn],
        ]),
        '--satp',
        '0x8000000000080000',
        '0x0',
      ],
      ['misaligned', 1],
    ],
    ['reserved bits of a pointer', riscv(0x4000_0000_2000_0401n), ['reserved', 2, '0x4000000000000000']],
    ['a reserved memory type', riscv(0x6000_0000_1000_00dfn), ['reserved', 2]],
    [
      'a page size that VT-d reserves',
      ['vtdss', ...sparseImage([[0x1000n, 0x2083n]]), '--reg', 'ssptptr=0x1000', '--reg', 'aw=2', '0x0'],
      ['reserved', 4],
    ],
    [
      'an AMD entry of reserved bits',
      ['amdv1', ...sparseImage([[0x1000n, 0x6010_0000_0000_2001n]]), '--dte', '0x6000000000001203', '0x0'],
      ['reserved', 1],
    ],
    [
      'a shut domain',
      [
        'arm-v7s',
        ...sparseImage([[0x4000n, 0xc02n, 4]]),
        '--ttbr0',
        '0x4000',
        '--ttbcr',
        '0',
        '--sctlr',
        '0x1',
        '--reg',
        'dacr=0',
        '0x123',
      ],
      ['domain', 1],
    ],
  ])('%s', async (_, args, [type, level, bits]) => {
    const [answer] = await answers(...args)
    expect(answer).toMatchObject({ paddr: null, fault: { type, level } })
    if (bits !== undefined) expect(answer?.fault?.bits).toBe(bits)
  })
})

describe('two stages', () => {
  /** A guest's Sv39 root at guest physical 0x1000, which is at 0x5000; its gigapage at guest physical 0 is 4K at 0x9000. */
  const GUEST: Word[] = [
    [0x5000n, 0xcfn | 0x10n],
    [0x4_0000n, (0x5_0000n >> 2n) | 1n],
    [0x5_0000n, (0x5_1000n >> 2n) | 1n],
    [0x5_1000n, (0x9000n >> 2n) | 0xd3n],
    [0x5_1008n, (0x5000n >> 2n) | 0xdfn],
  ]
  const args = (...more: string[]) => [
    'riscv64',
    ...sparseImage(GUEST, 4096),
    '--satp',
    '0x8000000000000001',
    '--below',
    'riscv64-g',
    '--below-reg',
    'hgatp=0x8000000000000040',
    ...more,
  ]

  test('both are walked, and the rights are those of both', async () => {
    const [answer] = await answers(...args('0x123'))
    expect(answer).toMatchObject({ paddr: '0x9123', rights: { user: 'r--', privileged: 'r--' } })
    expect(answer?.walk.map(({ level, stage }) => [stage, level])).toEqual([
      [1, 2],
      [2, 2],
      [2, 1],
      [2, 0],
    ])
  })

  test('faults say of which stage', async () => {
    const [beyond, write] = [await answers(...args('0x2000')), await answers(...args('0x123', '--access', 'write', '--user'))]
    expect(beyond[0]?.fault).toMatchObject({ type: 'translation', level: 0, stage: 2 })
    expect(write[0]?.fault).toMatchObject({ type: 'permission', level: 0, stage: 2 })
  })

  test('a table that the second stage does not map', async () => {
    const [answer] = await answers(
      'riscv64',
      ...sparseImage(GUEST, 4096),
      '--satp',
      '0x8000000000000007',
      ...args().slice(args().indexOf('--below')),
      '0x0',
    )
    expect(answer?.fault).toMatchObject({ type: 'translation', stage: 2 })
    expect(answer?.fault?.reason).toMatch(/^the read of a table of the first stage at 0x7000 faults/)
  })
})

describe('without an image', () => {
  test.each<[string, readonly string[], object]>([
    [
      'satp',
      ['riscv64', '--satp', '0x8000000000000000', '0x3fffffe123'],
      {
        walk: [
          [2, 255],
          [1, 511],
          [0, 510],
        ],
        offset: 0x123,
      },
    ],
    [
      'tcr, no root',
      ['arm64-lpae-s1', '--tcr', '0x74b5503510', '0xffff0000f5c3f123'],
      {
        walk: [
          [0, 0],
          [1, 3],
          [2, 430],
          [3, 63],
        ],
        offset: 0x123,
      },
    ],
    [
      'vtcr, a concatenated root',
      ['arm64-lpae-s2', '--vtcr', '0x80023558', '0x8040000123'],
      {
        walk: [
          [1, 513],
          [2, 0],
          [3, 0],
        ],
        offset: 0x123,
      },
    ],
    [
      'cr4 with LA57',
      ['x86_64', '--cr4', '0x1020', '0x1ff123456789'],
      {
        walk: [
          [5, 0],
          [4, 63],
          [3, 452],
          [2, 282],
          [1, 86],
        ],
        offset: 0x789,
      },
    ],
    [
      'a configuration',
      ['apple-dart', '--config', '1', '0x12345'],
      {
        walk: [
          [1, 0],
          [2, 18],
        ],
        offset: 0x345,
      },
    ],
  ])('%s', async (_, args, { walk, offset }: { walk?: unknown; offset?: unknown }) => {
    const [answer] = (await answers(...args)) as unknown as [
      { iova: string; paddr: null; walk: { level: number; index: number }[]; offset: number },
    ]
    expect([answer.iova, answer.paddr, answer.walk.map(({ level, index }) => [level, index]), answer.offset]).toEqual([
      args.at(-1),
      null,
      walk,
      offset,
    ])
  })

  test('an address that is not canonical, and nothing at all', async () => {
    expect((await answers('x86_64', '--cr4', '0x20', '0x800000000000'))[0]?.fault?.type).toBe('not-canonical')
    expect((await run(['translate', 'x86_64', '0x1000'])).err).toMatch(/--image FILE is needed; without it, registers/)
  })
})
