/** `iopt explain`: what registers make of a descriptor, and what a value that is none may be. */
import { describe, expect, test } from 'vitest'
import { FORMATS } from '../src/formats.ts'
import { sparseImage } from './sparse.ts'
import { jsonLines, run } from './support.ts'

interface Answer {
  readonly present: boolean
  readonly paddr?: string
  readonly rights?: Record<string, string>
  readonly memory?: string
  readonly prot?: readonly string[]
  readonly problems: readonly { readonly severity: string; readonly code: string; readonly message: string }[]
  readonly hints: readonly string[]
  readonly wouldBe?: Answer & { readonly kind: string; readonly size?: number }
  readonly os?: string
}

async function explained(...args: readonly string[]): Promise<Answer> {
  const { code, out, err } = await run(['explain', ...args, '--json'])
  expect([code, err]).toEqual([0, ''])
  return jsonLines(out)[0] as unknown as Answer
}

describe('memory types', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['arm64, no MAIR', ['arm64-lpae-s1', '0x40000711', '--level', '1'], undefined],
    ['arm64, a MAIR', ['arm64-lpae-s1', '0x40000711', '--level', '1', '--mair', '0xff440c0400'], 'Normal Write-Back Read/Write-Allocate'],
    ['arm64, another', ['arm64-lpae-s1', '0x40000711', '--level', '1', '--reg', 'mair_el1=0x40044ffff'], 'Device-nGnRE'],
    ['arm64, a TCR alone', ['arm64-lpae-s1', '0x40000711', '--level', '1', '--tcr', '0x500803510'], undefined],
    ['x86, no PAT', ['x86_64', '0x40000183', '--level', '2'], undefined],
    ['x86, a PAT', ['x86_64', '0x40000183', '--level', '2', '--pat', '0x0407050600070106'], 'WB'],
    ['x86, the PAT bit of a huge page', ['x86_64', '0x4000108b', '--level', '2', '--pat', '0x0401050600070106'], 'WP'],
    ['ARMv7, nothing', ['arm-v7s', '0x40000c0e', '--level', '1'], undefined],
    [
      'ARMv7 with remap registers',
      ['arm-v7s', '0x40000c0e', '--level', '1', '--sctlr', '0x10c5387d', '--prrr', '0xff0a81a8', '--nmrr', '0x40e040e0'],
      'Normal, Write-Back, Non-shareable',
    ],
    ['ARMv7 without remapping', ['arm-v7s', '0x40000c0e', '--level', '1', '--sctlr', '0x1'], 'Normal, Write-Back, Non-shareable'],
    ['stage 2, no HCR', ['arm64-lpae-s2', '0x400007fd', '--level', '1'], undefined],
    ['stage 2', ['arm64-lpae-s2', '0x400007fd', '--level', '1', '--reg', 'fwb=false'], 'Normal Write-Back'],
    ['RISC-V: the entry says it', ['riscv64', '0x20000000200014cf'], 'NC'],
    ['RISC-V: none in the entry', ['riscv64', '0x200014cf'], 'PMA'],
  ])('%s', async (_, args, memory) => {
    const answer = await explained(...args)
    expect(answer.memory).toBe(memory)
    if (memory === undefined) expect(answer.prot).not.toEqual(expect.arrayContaining([expect.stringMatching(/CACHE|MMIO/)]))
  })

  test.each<[string, string, bigint, readonly string[]]>([
    ['riscv64', '0', 0x21fd_acdfn, ['--satp', '0x8000000000080000']],
    ['sv32', '0', 0x2000_00dfn, ['--satp', '0x80080000']],
    ['x86_64', '1', 0x8000_0000_1234_5067n, ['--cr3', '0x80000000', '--cr4', '0x20', '--pat', '0x0007040600070406']],
    ['arm64-lpae-s1', '3', 0x60_0001_7553_f793n, ['--ttbr0', '0x80000000', '--tcr', '0x500803519', '--mair', '0x40044ffff']],
  ])('%s: explain and dump of one leaf say the same', async (format, level, leaf, registers) => {
    const tables: Record<string, readonly (readonly [bigint, bigint, (4 | 8)?])[]> = {
      riscv64: [
        [0x8000_0000n, 0x2000_0401n],
        [0x8000_1000n, 0x2000_0801n],
        [0x8000_2000n, leaf],
      ],
      sv32: [
        [0x8000_0000n, 0x2000_0401n, 4],
        [0x8000_1000n, leaf, 4],
      ],
      x86_64: [
        [0x8000_0000n, 0x8000_1067n],
        [0x8000_1000n, 0x8000_2067n],
        [0x8000_2000n, 0x8000_3067n],
        [0x8000_3000n, leaf],
      ],
      'arm64-lpae-s1': [
        [0x8000_0000n, 0x8000_1003n],
        [0x8000_1000n, 0x8000_2003n],
        [0x8000_2000n, leaf],
      ],
    }
    const { out } = await run(['dump', format, ...sparseImage(tables[format] ?? []), ...registers, '--iova', '0+4K', '--json'])
    const [dumped] = jsonLines(out) as unknown as [Answer]
    const { rights, memory, prot, paddr } = await explained(format, `0x${leaf.toString(16)}`, '--level', level, ...registers)
    expect({ rights, memory, prot, paddr }).toEqual({
      rights: dumped.rights,
      memory: dumped.memory,
      prot: dumped.prot,
      paddr: dumped.paddr,
    })
  })
})

describe('an entry that is not valid', () => {
  test.each<[string, readonly string[], object]>([
    ['arm64 block', ['arm64-lpae-s1', '0xe8000199600704', '--level', '2'], { kind: 'block', paddr: '0x199600000', size: 0x20_0000 }],
    ['arm64 page', ['arm64-lpae-s1', '0xe0000123456fc2'], { kind: 'page', paddr: '0x123456000' }],
    ['x86 page', ['x86_64', '0x12345066', '--level', '1'], { paddr: '0x12345000' }],
    ['x86 table', ['x86_64', '0x12345066', '--level', '3'], { next: '0x12345000' }],
    ['RISC-V page', ['riscv64', '0x21fdacde'], { paddr: '0x87f6b000' }],
    ['AMD page', ['amdv1', '0x6000000012345000', '--level', '1'], { paddr: '0x12345000' }],
  ])('%s: what it would be', async (_, args, expected) => {
    const { present, wouldBe } = await explained(...args)
    expect([present, wouldBe]).toEqual([false, expect.objectContaining({ ...expected, present: true })])
  })

  test('every format says it of some value, and of nothing says nothing', async () => {
    for (const { FORMAT } of FORMATS) expect((await explained(FORMAT, '0')).hints, FORMAT).toEqual([])
  })

  test.each<[string, readonly string[], RegExp]>([
    ['arm64 PROT_NONE', ['arm64-lpae-s1', '0xe0000123456fc2'], /^PROT_NONE: .* still at 0x123456000$/],
    ['arm64, out of the linear map', ['arm64-lpae-s1', '0xe8000199600704', '--level', '2'], /taken out of the linear map.*0x199600000/],
    ['arm64 swap', ['arm64-lpae-s1', '0x123004'], /^a swap entry/],
    ['x86 PROT_NONE', ['x86_64', '0x800ffffedcba9160'], /^PROT_NONE: .* at 0x123456000 \(its address bits are inverted\)/],
    ['x86 swap', ['x86_64', '0x17fffffffffffe00'], /^a swap entry: type 2 /],
    ['RISC-V PROT_NONE', ['riscv64', '0x21fdacee'], /^PROT_NONE: .* still at 0x87f6b000$/],
  ])('--os linux: %s', async (_, args, words) => {
    expect((await explained(...args, '--os', 'linux')).os).toMatch(words)
  })

  test('a system that nobody knows', async () => {
    expect((await run(['explain', 'sv32', '0', '--os', 'plan9'])).err).toMatch(/what plan9 means by entries of sv32 is not known/)
  })
})

describe('problems and hints', () => {
  test.each<[string, readonly string[], string, string]>([
    ['a reserved MemAttr', ['arm64-lpae-s2', '0x40000711', '--level', '1'], 'error', 'reserved-value'],
    ['a reserved PBMT', ['riscv64', '0x60000000200014cf'], 'error', 'reserved-value'],
    ['reserved bits of a RISC-V page', ['riscv64', '0x400000200014cf'], 'error', 'reserved-bits'],
    ['bits from MAXPHYADDR on', ['x86_64', '0xf000012345067', '--reg', 'maxPhyAddr=36'], 'error', 'reserved-bits'],
    ['the same, of which no width is known', ['x86_64', '0xf000012345067'], 'note', 'address-width'],
  ])('%s', async (_, args, severity, code) => {
    expect((await explained(...args)).problems).toEqual([expect.objectContaining({ severity, code })])
  })

  test('the note says from which width on', async () => {
    expect((await explained('x86_64', '0x8000012345067')).problems[0]?.message).toMatch(/needs 52 bits: where MAXPHYADDR is less/)
    expect((await explained('x86_64', '0x12345067')).problems).toEqual([])
  })

  test.each([
    ['text', 'arm64-lpae-s1', '0x0a3e6d6574737973', /looks like text: "system>\\n"/],
    ['text of 32 bits', 'arm-v7s', '0x2f6d6f63', /looks like text: "com\/"/],
    ['freed memory', 'x86_64', '0x6b6b6b6b6b6b6b6b', /fill pattern, 0x6b: freed memory/],
    ['a deleted list entry', 'x86_64', '0xdead000000000122', /looks like poison/],
    ['a pointer', 'arm64-lpae-s1', '0xffff800054627000', /pointer of a kernel/],
  ])('%s', async (_, format, value, hint) => {
    expect((await explained(format, value)).hints).toEqual([expect.stringMatching(hint)])
  })

  test('entries of real tables look like nothing else', async () => {
    for (const value of ['0x4460_1f47', '0x60_0001_7553_f793', '0x8000_0000_1fcf_e025'])
      expect((await explained('x86_64', value)).hints).toEqual([])
  })
})
