/** Part (b), AArch64: the tables of a process and of the kernel, as the CPU walks them, with the contiguous hint at both levels. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { fieldValue, hex, IoPgtableError, slotBytes } from '@io-pgtable/core'
import type { Row } from './compare.ts'
import type { Dump } from './dumps.ts'
import { type Cpu, readCpu } from './kernel-cpu.ts'
import type { CpuReport } from './report.ts'
import type { Mapping } from './tables.ts'

/** The expected columns. One row stands for `count` leaves. */
const COLUMNS = ['va', 'pa', 'size', 'level', 'descriptor', 'count: this many consecutive leaves, each +size in va, pa and descriptor']
/** More leaves than any image here has: a row may not ask for more. */
const MOST_LEAVES = 2 ** 16

type Root = ReturnType<typeof arm64LpaeS1.rootsFromRegs>[number]

const AARCH64: Cpu<'ttbr0' | 'ttbr1' | 'tcr' | 'mair', Root> = {
  format: arm64LpaeS1,
  registers: { ttbr0: 'TTBR0_EL1', ttbr1: 'TTBR1_EL1', tcr: 'TCR_EL1', mair: 'MAIR_EL1' },
  columns: COLUMNS,
  roots: (registers) => arm64LpaeS1.rootsFromRegs(registers),
  unfold: (rows) => rows.flatMap(unfold),
  row: ({ leaf }) => [hex(leaf.iova), hex(leaf.paddr), slotBytes(leaf.node), leaf.node.level, hex(leaf.raw), 1],
  words: (mapping, { context }) => ({
    kind: kindOf(mapping),
    domain: undefined,
    access: accessOf(mapping),
    memory: memoryOf(mapping, context.mair),
  }),
}

/** Reads both roots of an AArch64 image. @throws as `readCpu` */
export function readAarch64(dump: Dump): CpuReport {
  return readCpu(AARCH64, dump)
}

function unfold([va, pa, size, level, descriptor, count]: Row): Row[] {
  const numbers = typeof size === 'number' && typeof level === 'number' && typeof count === 'number'
  if (!numbers || !Number.isInteger(count) || count < 1 || count > MOST_LEAVES || !Number.isInteger(size))
    throw new IoPgtableError('EBADMSG', 'expected.json', `a mapping from ${va} is not of ${COLUMNS.join()}`, {})
  const starts = [va, pa, descriptor].map(address)
  return Array.from({ length: count }, (_, i): Row => {
    const [first = '', second = '', third = ''] = starts.map((start) => hex(start + BigInt(i * size)))
    return [first, second, size, level, third, 1]
  })
}

function address(value: Row[number] | undefined): bigint {
  if (typeof value === 'string' && /^0x[0-9a-f]{1,16}$/.test(value)) return BigInt(value)
  throw new IoPgtableError('EBADMSG', 'expected.json', `${value} is not an address such as "0x1f"`, {})
}

function kindOf({ leaf }: Mapping): string {
  return leaf.size.slots === 1 ? leaf.kind.name : `${leaf.kind.name}, ${leaf.size.slots} contiguous`
}

/** AP[2:1], PXN and UXN (Arm ARM, D8.4) as the leaf has them. */
function accessOf({ leaf }: Mapping): string {
  const [ap = 0, pxn, uxn] = ['AP', 'PXN', 'UXN'].map((name) => fieldValue(leaf.kind, leaf.raw, name))
  const rights = (ap & 2) === 0 ? 'read/write' : 'read'
  return [`EL1: ${rights}`, `EL0: ${(ap & 1) === 0 ? 'none' : rights}`, ...(pxn ? ['PXN'] : []), ...(uxn ? ['UXN'] : [])].join(', ')
}

const DEVICES = ['nGnRnE', 'nGnRE', 'nGRE', 'GRE']
const MEMORY: Readonly<Record<number, string>> = { 68: 'Normal, Non-cacheable', 255: 'Normal, Write-Back' }

/** The attribute that AttrIndx selects in MAIR_EL1 (Arm ARM, D24.2). */
function memoryOf({ leaf }: Mapping, mair: bigint): string {
  const attribute = Number((mair >> BigInt(8 * (fieldValue(leaf.kind, leaf.raw, 'AttrIndx') ?? 0))) & 0xffn)
  if ((attribute & 0xf3) === 0) return `Device-${DEVICES[attribute >> 2]}`
  return MEMORY[attribute] ?? `attribute ${hex(BigInt(attribute))}`
}
