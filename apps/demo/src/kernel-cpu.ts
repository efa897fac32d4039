/** Part (b), ARMv7: the short-descriptor tables of a process and of the kernel, as the CPU walks them, compared with what is expected. */
import { armV7s, explainLeaf } from '@io-pgtable/arm-v7s'
import { fieldValue, hex, slotBytes } from '@io-pgtable/core'
import { agrees, compareRows, type Row } from './compare.ts'
import type { Dump } from './dumps.ts'
import { readElfCore } from './elf.ts'
import { asObject, asRegister, asRows, imageOf, type JsonObject, parseObject } from './expected.ts'
import type { AttributeGroup, Check, CpuReport, Finding, RootReport } from './report.ts'
import { attributeBits, type Mapping, rangeOf, type Walked, walkRoot } from './tables.ts'

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
/** The registers by the manual's names; with TEX remap MAIR0 and MAIR1 are PRRR and NMRR (DDI 0406C, B4.1). */
const REGISTERS = { ttbr0: 'TTBR0', ttbr1: 'TTBR1', ttbcr: 'TTBCR', sctlr: 'SCTLR', dacr: 'DACR', prrr: 'MAIR0', nmrr: 'MAIR1' } as const

/**
 * Reads both roots of an image.
 * @throws `EBADMSG` for a bad file, `EINVAL` for registers that no CPU accepts
 */
export function readCpu(dump: Dump): CpuReport {
  const file = parseObject(dump.expected)
  const image = readElfCore(dump.memory)
  const values = asObject(file.registers, 'registers')
  const named = Object.entries(REGISTERS).map(([ours, theirs]) => [ours, asRegister(values[theirs], theirs)])
  const registers = Object.fromEntries(named) as Record<keyof typeof REGISTERS, bigint>
  const findings: Finding[] = []
  const roots = armV7s.rootsFromRegs(registers).map((found): RootReport => {
    const walked = walkRoot(armV7s, found, image.read)
    findings.push(...walked.findings.map((finding) => ({ ...finding, place: `${found.name}, ${finding.place}` })))
    return rootReport(found, registers, walked, asRows(file[`${found.name}Mappings`], COLUMNS, file))
  })
  const report = { image: imageOf(dump.name, file, image), registers, roots, findings }
  return { ...report, checks: checksOf(report, file) }
}

type Root = ReturnType<typeof armV7s.rootsFromRegs>[number]

function rootReport(found: Root, registers: Readonly<Record<'ttbcr', bigint>>, walked: Walked, expected: readonly Row[]): RootReport {
  return {
    name: found.name,
    root: found.roots[0] ?? 0n,
    first: found.first,
    last: found.last,
    leaves: walked.mappings.length,
    tables: walked.tables.length,
    ranges: walked.runs.map(rangeOf),
    attributes: attributesOf(walked.mappings, found.context),
    notes: [...walked.notes, ...unusedRoot(found, registers)],
    mappings: compareRows(COLUMNS, expected, walked.mappings.map(rowOf)),
  }
}

function rowOf({ leaf, path }: Mapping): Row {
  const entries = [leaf, ...path]
  const fields = FIELDS.map(
    (name) => entries.map((entry) => fieldValue(entry.kind, entry.raw, name)).find((value) => value !== undefined) ?? 'none',
  )
  return [hex(leaf.iova), hex(leaf.paddr), slotBytes(leaf.node), KINDS[leaf.kind.name] ?? leaf.kind.name, hex(leaf.raw), ...fields]
}

/** With TTBCR.N = 0 no address is translated by TTBR1 (DDI 0406C, B3.5.4): an operating system may keep its own root in it. */
function unusedRoot({ name }: Root, { ttbcr }: Readonly<Record<'ttbcr', bigint>>): string[] {
  return name === 'ttbr1' && (ttbcr & 7n) === 0n ? ['TTBCR.N is 0: the CPU walks TTBR0 for every address'] : []
}

/** Groups mappings by their attributes, the most frequent first. */
function attributesOf(mappings: readonly Mapping[], context: Root['context']): AttributeGroup[] {
  const groups = new Map<string, AttributeGroup>()
  for (const { leaf, path } of mappings) {
    const domain = [leaf, ...path].map((entry) => fieldValue(entry.kind, entry.raw, 'Domain')).find((value) => value !== undefined)
    const key = `${leaf.kind.name} ${attributeBits(leaf)} ${domain}`
    const { leaves, bytes } = groups.get(key) ?? { leaves: 0, bytes: 0 }
    const words = explainLeaf(leaf.raw, leaf.kind, context, domain)
    groups.set(key, { kind: leaf.kind.name, domain, ...words, leaves: leaves + 1, bytes: bytes + slotBytes(leaf.node) })
  }
  return [...groups.values()].sort((a, b) => b.leaves - a.leaves)
}

function checksOf({ roots, findings }: Omit<CpuReport, 'checks'>, file: JsonObject): Check[] {
  const wanted = Object.keys(file).filter((key) => key.endsWith('Mappings')).length
  return [
    { name: 'roots found in the registers', ok: roots.length === wanted, detail: `${roots.length} of ${wanted}` },
    ...roots.map(({ name, mappings }) => ({
      name: `mappings of ${name.toUpperCase()} as expected, in all columns`,
      ok: agrees(mappings),
      detail: `${mappings.identical.toLocaleString('en-US')} of ${mappings.expected.toLocaleString('en-US')}`,
    })),
    { name: 'nothing unknown or invalid on the way', ok: findings.length === 0, detail: `${findings.length} findings` },
  ]
}
