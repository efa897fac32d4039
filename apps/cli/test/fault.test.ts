/** `iopt fault` with tables: the walk, and whether tables and record agree. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sparseImage } from './sparse.ts'
import { DUMPS, jsonLines, run } from './support.ts'

const dump = (name: string): string[] => ['--image', join(DUMPS, name, 'memory.elf')]

interface Case {
  readonly name: string
  readonly args: readonly string[]
  readonly agrees?: boolean
  readonly explanation: RegExp
  readonly walks: number
}

const SMMU = [...dump('linux-smmuv3'), '--strtab-base', '0x4000000043217000', '--strtab-base-cfg', '0x10210']
const VTD = [...dump('linux-vtd'), '--rtaddr', '0x564d000']
const ARM64_LOG = sparseImage([
  [0x8149_8000n, 0x1_7f1f_8003n],
  [0x1_7f1f_8018n, 0x1_7ec0_6003n],
  [0x1_7ec0_6d70n, 0x1_7ea5_7003n],
  [0x1_7ea5_71f8n, 0x60_0001_7553_f793n],
])
const ARM64 = [...ARM64_LOG, '--ttbr1', '0x81498000', '--tcr', '0x74b5503510', '--mair', '0x40044ffff']
const ARMV7 = [
  ...sparseImage([
    [0x2bcb_0000n, 0x2bcc_8835n, 4],
    [0x2bcc_8800n, 0n, 4],
  ]),
  '--ttbr0',
  '0x2bcb006a',
  '--ttbcr',
  '0',
  '--sctlr',
  '0x10c5387d',
]

const X86 = [...sparseImage([[0x1000n, 0x2067n]], 4096), '--cr3', '0x1000', '--cr4', '0x20']

const EPT = [
  ...sparseImage(
    [
      [0x1000n, 0x2007n],
      [0x2000n, 0x3007n],
      [0x3000n, 0x4007n],
      [0x4008n, 0x5031n],
    ],
    4096,
  ),
  '--eptp',
  '0x101e',
]

const CASES: readonly Case[] = [
  {
    name: 'VT-d: not mapped',
    args: ['vtd', '0xffebc000', '0x8000000500000008', ...VTD],
    agrees: true,
    explanation: /entry 188 of the table at 0x3fe96000/,
    walks: 1,
  },
  {
    name: 'VT-d: mapped',
    args: ['vtd', '0xffebd000', '0x8000000500000008', ...VTD],
    agrees: false,
    explanation: /let this access through/,
    walks: 1,
  },
  {
    name: 'VT-d: no such device',
    args: ['vtd', '0xffebd000', '0x8000000200000300', ...VTD],
    agrees: true,
    explanation: /no entry in the tables/,
    walks: 0,
  },
  {
    name: 'SMMUv3: not mapped',
    args: ['smmuv3', '0x0000000800000010', '0x0000020800000000', '0xffeba000', '0', ...SMMU],
    agrees: true,
    explanation: /the tables say the same/,
    walks: 1,
  },
  {
    name: 'SMMUv3: another event',
    args: ['smmuv3', '0x0000000800000013', '0x0000020800000000', '0xffeba000', '0', ...SMMU],
    agrees: false,
    explanation: /otherwise, translation/,
    walks: 1,
  },
  {
    name: 'SMMUv3: no such stream',
    args: ['smmuv3', '0x0000c90000000002', '0', '0', '0', ...SMMU],
    agrees: true,
    explanation: /0xc900 has no entry/,
    walks: 0,
  },
  {
    name: 'arm64: a write to a read-only page',
    args: ['arm64', '0x9600004f', '0xffff0000f5c3fff8', ...ARM64],
    agrees: true,
    explanation: /AP 2/,
    walks: 1,
  },
  {
    name: 'arm64: a read of it',
    args: ['arm64', '0x9600000f', '0xffff0000f5c3fff8', ...ARM64],
    agrees: false,
    explanation: /let this access through/,
    walks: 1,
  },
  {
    name: 'ARMv7: a NULL pointer',
    args: ['armv7', '0x817', '0x20', ...ARMV7],
    agrees: true,
    explanation: /entry 0 of the table at 0x2bcc8800/,
    walks: 1,
  },
  {
    name: 'EPT: a write to a page that is read-only',
    args: ['ept', '0x18a', '0x1000', ...EPT],
    agrees: true,
    explanation: /W 0/,
    walks: 1,
  },
  {
    name: 'EPT: nothing there',
    args: ['ept', '0x181', '0x2000', ...EPT],
    agrees: true,
    explanation: /entry 2 of the table at 0x4000/,
    walks: 1,
  },
  {
    name: 'x86: an address that is not canonical, in the tables of a kernel',
    args: ['x86', '0', '0x6b6b6b6b6b6b711b', ...X86],
    agrees: false,
    explanation: /not-canonical/,
    walks: 1,
  },
]

describe('with tables', () => {
  test.each(CASES.map((each) => [each.name, each] as const))('%s', async (_, { args, agrees, explanation, walks }) => {
    const { code, out, err } = await run(['fault', ...args, '--json'])
    expect([code, err]).toEqual([0, ''])
    const [object = {}] = jsonLines(out)
    expect(object).toMatchObject({ agrees, explanation: expect.stringMatching(explanation) as string })
    expect(object.walks).toHaveLength(walks)
    expect(Object.keys(object)).toEqual(['kind', 'record', 'access', 'fault', 'walks', 'agrees', 'explanation'])
    const text = await run(['fault', ...args])
    expect(text.out).toMatch(/^ {2}so: /m)
  })
})

test('without tables: the record alone', async () => {
  const { out } = await run(['fault', 'riscv', '0x00002a0b0000500d', '0', '0x40001000', '0', '--json'])
  const [object] = jsonLines(out)
  expect(object).toMatchObject({ kind: 'riscv-iommu', access: { iova: '0x40001000', type: 'read', privileged: true } })
  expect(object).not.toHaveProperty('walks')
})

test('the format of the tables can be said', async () => {
  const args = ['fault', 'amdgpu', '0x301031', '0x1000', '--format', 'x86_64', ...X86]
  const { code, out, err } = await run([...args, '--json'])
  expect([code, err]).toEqual([0, ''])
  expect(jsonLines(out)[0]).toHaveProperty('agrees')
})
