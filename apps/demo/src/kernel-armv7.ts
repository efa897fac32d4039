/** Part (b), ARMv7: the short-descriptor tables of a process and of the kernel, as the CPU walks them. */
import { armV7s, explainLeaf } from '@io-pgtable/arm-v7s'
import { fieldValue, hex, slotBytes } from '@io-pgtable/core'
import type { Row } from './compare.ts'
import type { Dump } from './dumps.ts'
import { type Cpu, readCpu } from './kernel-cpu.ts'
import type { CpuReport } from './report.ts'
import type { Mapping } from './tables.ts'

/** The expected columns; those after the descriptor are fields: a page's domain is that of the table descriptor above it. */
const COLUMNS = ['va', 'pa', 'size', 'kind', 'descriptor', 'domain', 'apx(AP2)', 'ap(AP1:0)', 'xn', 'tex', 'c', 'b', 's', 'ng']
const FIELDS = ['Domain', 'AP[2]', 'AP[1:0]', 'XN', 'TEX', 'C', 'B', 'S', 'nG']
/** The file's words for the manual's. */
const KINDS: Readonly<Record<string, string>> = {
  'Small page': 'small',
  'Large page': 'large',
  Section: 'section',
  Supersection: 'supersection',
}

type Root = ReturnType<typeof armV7s.rootsFromRegs>[number]
type Register = 'ttbr0' | 'ttbr1' | 'ttbcr' | 'sctlr' | 'dacr' | 'prrr' | 'nmrr'

const ARMV7: Cpu<Register, Root> = {
  format: armV7s,
  // With TEX remap MAIR0 and MAIR1 are PRRR and NMRR (DDI 0406C, B4.1)
  registers: { ttbr0: 'TTBR0', ttbr1: 'TTBR1', ttbcr: 'TTBCR', sctlr: 'SCTLR', dacr: 'DACR', prrr: 'MAIR0', nmrr: 'MAIR1' },
  columns: COLUMNS,
  roots: (registers) => armV7s.rootsFromRegs(registers),
  row,
  words(mapping, { context }) {
    const { leaf } = mapping
    const domain = fieldOf(mapping, 'Domain')
    return { kind: leaf.kind.name, domain, ...explainLeaf(leaf.raw, leaf.kind, context, domain) }
  },
  // With TTBCR.N = 0 no address is translated by TTBR1 (DDI 0406C, B3.5.4): an operating system may keep its own root in it
  notes: ({ name }, { ttbcr }) => (name === 'ttbr1' && (ttbcr & 7n) === 0n ? ['TTBCR.N is 0: the CPU walks TTBR0 for every address'] : []),
}

/** Reads both roots of an ARMv7 image. @throws as `readCpu` */
export function readArmv7(dump: Dump): CpuReport {
  return readCpu(ARMV7, dump)
}

function row(mapping: Mapping): Row {
  const { leaf } = mapping
  const fields = FIELDS.map((name) => fieldOf(mapping, name) ?? 'none')
  return [hex(leaf.iova), hex(leaf.paddr), slotBytes(leaf.node), KINDS[leaf.kind.name] ?? leaf.kind.name, hex(leaf.raw), ...fields]
}

/** A field of the leaf, or of the tables above it. */
function fieldOf({ leaf, path }: Mapping, name: string): number | undefined {
  return [leaf, ...path].map((entry) => fieldValue(entry.kind, entry.raw, name)).find((value) => value !== undefined)
}
