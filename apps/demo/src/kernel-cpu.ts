/** Part (b), CPUs: the tables of a process and of the kernel, from the registers on, compared with what is expected. Any CPU's format. */
import { type AnyFmt, type FoundRoot, slotBytes } from '@io-pgtable/core'
import { tablesAt } from '@io-pgtable/inspect'
import { agreement, compareRows, type Row } from './compare.ts'
import type { Dump } from './dumps.ts'
import { asObject, asRegister, asRows, imageOf, type JsonObject, parseObject } from './expected.ts'
import type { AttributeGroup, Check, CpuReport, Finding, RootReport } from './report.ts'
import { attributeBits, type Mapping, rangeOf, type Walked, walkRoot } from './tables.ts'

/** What is particular to one kind of CPU: `R` names its registers, `X` is a root that it finds in them. */
export interface Cpu<R extends string, X extends FoundRoot<unknown, unknown>> {
  readonly format: AnyFmt
  /** The registers by the names that the file gives them. */
  readonly registers: Readonly<Record<R, string>>
  /** The columns that the file must have. */
  readonly columns: readonly string[]
  /** @throws `EINVAL` for registers that no CPU accepts */
  roots(registers: Readonly<Record<R, bigint>>): readonly X[]
  /** The expected rows, one for each mapping, where the file has fewer. @throws `EBADMSG` */
  unfold?(rows: readonly Row[]): readonly Row[]
  /** A mapping in the file's columns. */
  row(mapping: Mapping): Row
  /** What a group of mappings is shown as. */
  words(mapping: Mapping, found: X): Pick<AttributeGroup, 'kind' | 'domain' | 'access' | 'memory'>
  notes?(found: X, registers: Readonly<Record<R, bigint>>): readonly string[]
}

/**
 * Reads the roots of an image. The file gives the registers; everything else of it is only compared with.
 * @throws `EBADMSG` for a bad file, `EINVAL` for registers that no CPU accepts
 */
export function readCpu<R extends string, X extends FoundRoot<unknown, unknown>>(cpu: Cpu<R, X>, dump: Dump): CpuReport {
  const file = parseObject(dump.expected)
  const { image } = dump
  const values = asObject(file.registers, 'registers')
  const named = Object.entries<string>(cpu.registers).map(([ours, theirs]) => [ours, asRegister(values[theirs], theirs)])
  const registers = Object.fromEntries(named) as Record<R, bigint>
  const findings: Finding[] = []
  const roots = cpu.roots(registers).map((found): RootReport => {
    const walked = walkRoot(tablesAt(cpu.format, found, image.read))
    findings.push(...walked.findings.map((finding) => ({ ...finding, place: `${found.name}, ${finding.place}` })))
    const expected = asRows(file[`${found.name}Mappings`], cpu.columns, file)
    const notes = cpu.notes?.(found, registers) ?? []
    return rootReport(cpu, found, walked, cpu.unfold?.(expected) ?? expected, notes)
  })
  const report = { image: imageOf(dump.name, file, image), registers, roots, findings }
  return { ...report, checks: checksOf(report, file) }
}

function rootReport<X extends FoundRoot<unknown, unknown>>(
  cpu: Cpu<string, X>,
  found: X,
  walked: Walked,
  expected: readonly Row[],
  notes: readonly string[],
): RootReport {
  return {
    name: found.name,
    root: found.roots[0] ?? 0n,
    first: found.first,
    last: found.last,
    leaves: walked.mappings.length,
    tables: walked.tables.length,
    ranges: walked.runs.map(rangeOf),
    attributes: attributesOf(walked.mappings, (mapping) => cpu.words(mapping, found)),
    notes: [...walked.notes, ...notes],
    mappings: compareRows(cpu.columns, expected, walked.mappings.map(cpu.row)),
  }
}

/** Groups mappings that read the same, the most frequent first. */
function attributesOf(mappings: readonly Mapping[], wordsOf: (mapping: Mapping) => ReturnType<Cpu<string, never>['words']>) {
  const known = new Map<string, ReturnType<typeof wordsOf>>()
  const groups = new Map<string, AttributeGroup>()
  for (const mapping of mappings) {
    const { leaf, path } = mapping
    const bits = [leaf, ...path].map((entry) => `${entry.kind.name} ${attributeBits(entry)}`).join()
    const words = known.get(bits) ?? wordsOf(mapping)
    known.set(bits, words)
    const key = JSON.stringify(words)
    const { leaves, bytes } = groups.get(key) ?? { leaves: 0, bytes: 0 }
    groups.set(key, { ...words, leaves: leaves + 1, bytes: bytes + slotBytes(leaf.node) })
  }
  return [...groups.values()].sort((a, b) => b.leaves - a.leaves)
}

function checksOf({ roots, findings }: Omit<CpuReport, 'checks'>, file: JsonObject): Check[] {
  const wanted = Object.keys(file).filter((key) => key.endsWith('Mappings')).length
  return [
    { name: 'roots found in the registers', ok: roots.length === wanted, detail: `${roots.length} of ${wanted}` },
    ...roots.map(({ name, mappings }) => agreement(`mappings of ${name.toUpperCase()} as expected, in all columns`, [mappings])),
    { name: 'nothing unknown or invalid on the way', ok: findings.length === 0, detail: `${findings.length} findings` },
  ]
}
