/** Registers by the names of their translation regime, and what a regime makes of the same bits; names that are nearly right. */
import { describe, expect, test } from 'vitest'
import { FORMATS } from '../src/formats.ts'
import { inRegime } from '../src/regimes.ts'
import { registersOf } from '../src/registers.ts'
import { sparseImage } from './sparse.ts'
import { jsonLines, run } from './support.ts'

interface Answer {
  readonly paddr: string | null
  readonly rights?: Record<string, string>
  readonly fault?: { readonly type: string; readonly level: number | null; readonly reason: string }
  readonly assumed?: readonly string[]
}

async function answer(...args: readonly string[]): Promise<Answer> {
  const { code, out, err } = await run(['translate', ...args, '--json'])
  expect([code, err]).toEqual([0, ''])
  return jsonLines(out)[0] as unknown as Answer
}

/** A gigapage at level 1: read/write, bit 54 set. */
const BLOCK = 0x40_0000_4000_0741n
const image = sparseImage([[0x2000n, BLOCK]])
const TCR = '0x500803519'
/** T0SZ 25, PS 40 bits, TG0 4K. */
const TCR_SINGLE = '0x80823519'

describe('a regime', () => {
  test.each<[string, readonly string[], Record<string, string>]>([
    ['EL1&0: bit 54 is UXN', ['--ttbr0', '0x2000', '--tcr', TCR, '--mair', '0xff', '--reg', 'sctlr=0'], { user: 'rw-', privileged: 'rw-' }],
    [
      'EL1&0 by full names',
      ['--reg', 'ttbr0_el1=0x2000', '--reg', `tcr_el1=${TCR}`, '--reg', 'mair_el1=0xff'],
      { user: 'rw-', privileged: 'rw-' },
    ],
    ['EL2: bit 54 is XN', ['--regime', 'el2', '--ttbr0', '0x2000', '--tcr', TCR_SINGLE, '--mair', '0xff'], { all: 'rw-' }],
    ['EL2 by full names', ['--reg', 'TTBR0_EL2=0x2000', '--reg', `tcr_el2=${TCR_SINGLE}`, '--reg', 'mair_el2=0xff'], { all: 'rw-' }],
    ['EL2 by options', ['--ttbr0_el2', '0x2000', '--tcr_el2', TCR_SINGLE, '--mair_el2', '0xff'], { all: 'rw-' }],
    ['EL3', ['--regime', 'EL3', '--ttbr0', '0x2000', '--tcr', TCR_SINGLE, '--mair', '0xff'], { all: 'rw-' }],
    [
      'EL2&0',
      ['--regime', 'el2e2h', '--reg', 'ttbr0_el2=0x2000', '--reg', `tcr_el2=${TCR}`, '--reg', 'mair_el2=0xff'],
      { user: 'rw-', privileged: 'rw-' },
    ],
    [
      'EL2&0, told by TTBR1_EL2',
      ['--reg', 'ttbr0_el2=0x2000', '--reg', 'ttbr1_el2=0x2000', '--reg', `tcr_el2=${TCR}`, '--reg', 'mair_el2=0xff'],
      { user: 'rw-', privileged: 'rw-' },
    ],
  ])('%s', async (_, registers, rights) => {
    expect((await answer('arm64-lpae-s1', ...image, ...registers, '0x123')).rights).toEqual(rights)
  })

  test('a second stage is of the format that has it', async () => {
    const memory = sparseImage([[0x2000n, 0x4000_0000n | 0x7fdn]])
    const { paddr, rights } = await answer(
      'arm64-lpae-s1',
      ...memory,
      '--regime',
      'stage2',
      '--vttbr',
      '0x2000',
      '--vtcr',
      '0x80023559',
      '0x123',
    )
    expect([paddr, rights]).toEqual(['0x40000123', { all: 'rwx' }])
  })

  test('Hyp mode', async () => {
    const registers = ['--reg', 'httbr=0x2000', '--reg', 'htcr=0', '--reg', 'hmair0=0xff', '--reg', 'hmair1=0']
    expect((await answer('arm32-lpae-s1', ...image, ...registers, '0x123')).rights).toEqual({ all: 'rw-' })
  })

  test.each([
    ['a regime that there is not', ['--regime', 'el4'], /no regime el4: el1, el2, el2e2h, el3, stage2/],
    ['registers of two', ['--reg', 'ttbr0_el2=0', '--reg', 'tcr_el1=0'], /ttbr0_el2, tcr_el1 are of several regimes/],
    ['registers of another', ['--regime', 'el3', '--reg', 'ttbr0_el2=0'], /registers of the regime el3 expected/],
  ])('%s is refused', async (_, args, message) => {
    const { code, err } = await run(['translate', 'arm64-lpae-s1', ...image, ...args, '0x0'])
    expect([code, err]).toEqual([2, expect.stringMatching(message)])
  })

  test('every full name leads to a register of its format, or of the format that the regime is of', () => {
    const names = FORMATS.flatMap((format) =>
      Object.values(format.regimes ?? {}).flatMap(({ registers }) =>
        Object.entries(registers).map(([full, own]) => ({ format, full, own })),
      ),
    )
    expect(names.length).toBeGreaterThan(20)
    for (const { format, full, own } of names) {
      expect(
        registersOf(format).map(({ name }) => name),
        `${format.FORMAT} ${full}`,
      ).toContain(own)
      expect(inRegime(format, { [full]: '0' }, []).plain).toEqual({ [own]: '0' })
    }
  })
})

describe('what registers make of an access', () => {
  test('a tag is no part of an address where TBI is set, and one of it elsewhere', async () => {
    const registers = (tbi: bigint): string[] => [
      '--ttbr0',
      '0x2000',
      '--tcr',
      `0x${(BigInt(TCR) | (tbi << 37n)).toString(16)}`,
      '--mair',
      '0xff',
    ]
    expect((await answer('arm64-lpae-s1', ...image, ...registers(1n), '0xab00000000000123')).paddr).toBe('0x40000123')
    expect((await answer('arm64-lpae-s1', ...image, ...registers(0n), '0xab00000000000123')).fault?.type).toBe('translation')
  })

  test('CR0.WP, by the name in any case', async () => {
    const memory = sparseImage([
      [0x1000n, 0x2067n],
      [0x2000n, 0x3067n],
      [0x3000n, 0x40_00e1n],
    ])
    const of = (cr0: string) =>
      answer('x86_64', ...memory, '--cr3', '0x1000', '--cr4', '0x20', '--reg', `CR0=${cr0}`, '--reg', 'EFER=0xd00', '0x0')
    expect([(await of('0x80010001')).rights, (await of('0x80000001')).rights]).toEqual([
      { user: '---', privileged: 'r-x' },
      { user: '---', privileged: 'rwx' },
    ])
    expect((await of('0x80010001')).assumed).toBeUndefined()
  })

  test.each<[string, readonly string[], string | undefined]>([
    ['nothing known of menvcfg: Svade, and that is said', [], 'access-flag'],
    ['menvcfg without ADUE', ['--reg', 'menvcfg=0'], 'access-flag'],
    ['menvcfg.ADUE: hardware sets A', ['--reg', 'menvcfg=0x2000000000000000'], undefined],
  ])('RISC-V, A clear, %s', async (_, registers, type) => {
    const memory = sparseImage([[0x8000_0000n, 0x1000_001fn]])
    const { fault, assumed } = await answer('riscv64', ...memory, '--satp', '0x8000000000080000', ...registers, '0x0')
    expect(fault?.type).toBe(type)
    expect([assumed !== undefined, /assumed: menvcfg.ADUE 0/.test(fault?.reason ?? '')]).toEqual([
      registers.length === 0,
      registers.length === 0,
    ])
  })

  test.each([
    ['SUM clear', '0x0', 'permission'],
    ['SUM set', '0x40000', undefined],
  ])('RISC-V, S-mode reads a user page, %s in mstatus', async (_, status, type) => {
    const memory = sparseImage([[0x8000_0000n, 0x1000_00dfn]])
    const args = ['--satp', '0x8000000000080000', '--reg', `mstatus=${status}`, '--access', 'read', '0x0']
    expect((await answer('riscv64', ...memory, ...args)).fault?.type).toBe(type)
  })
})

test.each([
  ['apple-dart2', 'VALID 0, address 31:2 by 16K', '0x97c9d5', '0x97c9d4000', '16384'],
  ['apple-dart', 'VALID 31, address 23:0 by 4K', '0x80812345', '0x812345000', '4096'],
])('the TTBR of %s as the hardware holds it: %s', async (format, _, ttbr, table, pgsize) => {
  const registers = ['--ttbrs', ttbr, '--nLevels', '3', '--reg', `pgsize=${pgsize}`, '--reg', 'oas=42']
  const { fault } = await answer(format, ...sparseImage([[BigInt(table), 0n]]), ...registers, '0x10')
  expect([fault?.type, fault?.reason]).toEqual(['translation', expect.stringContaining(`entry 0 of the table at ${table} is 0x0`)])
  const { code, err } = await run(['translate', format, ...sparseImage([[0n, 0n]]), '--ttbrs', '0x6', ...registers.slice(2), '0x10'])
  expect([code, err]).toEqual([2, expect.stringMatching(/a TTBR that is marked as valid/)])
})

describe('names', () => {
  test.each([
    ['x86-64', 'x86_64'],
    ['arm64_lpae_s1', 'arm64-lpae-s1'],
    ['AMDV1', 'amdv1'],
  ])('%s is %s', async (name, id) => {
    const { code, out } = await run(['formats', name])
    expect([code, out.split(' ')[0]]).toEqual([0, id])
  })

  test.each([
    [['dump', 'arm64-lape-s1'], /there is no format arm64-lape-s1: .*; did you mean arm64-lpae-s1\?/],
    [['dump', 'riscv64', ...image, '--reg', 'stap=0'], /no register stap: .*; did you mean satp\?/],
    [['dump', 'arm64-lpae-s1', ...image], /needs --reg tcr=VALUE and --reg mair=VALUE and --reg ttbr0=VALUE or --reg ttbr1=VALUE/],
    [['dump', 'x86_64', ...image], /needs .*cr3=VALUE.*/],
    [['streams', 'smmuv3', ...image], /--strtab-base VALUE and --strtab-base-cfg VALUE are needed/],
    [['streams', 'smmu3', ...image], /there is no IOMMU smmu3: .*; did you mean smmuv3\?/],
  ])('%j', async (args, message) => {
    const { code, err } = await run(args)
    expect([code, err]).toEqual([2, expect.stringMatching(message)])
  })

  test.each(['smmuv3', 'vtd', 'amdvi', 'riscv'])('formats %s tells its registers', async (name) => {
    const { code, out } = await run(['formats', name])
    expect([code, out]).toEqual([0, expect.stringMatching(/\nregisters\n {2}--/)])
    const [json] = jsonLines((await run(['formats', name, '--json'])).out)
    expect(json).toMatchObject({ iommu: name, registers: expect.arrayContaining([expect.objectContaining({ required: true })]) })
  })
})
