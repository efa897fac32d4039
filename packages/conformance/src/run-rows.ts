/** Runs the rows of facts (one leaf mapped alone) and of configurations. */
import type { VectorBinding } from '@io-pgtable/core'
import type { ConfigDocument, ConfigRow, Fact, FactsDocument } from './document.ts'
import { canonical, entryText } from './notation.ts'
import { codeOf, compareMembers, ourError, type Place, type Report } from './report.ts'
import { driverRefuses, ROW_MEMORY, Subject } from './subject.ts'

export function runFacts(document: FactsDocument, binding: VectorBinding, report: Report): void {
  for (const [index, row] of document.rows.entries()) {
    const place = { at: `rows[${index}]`, index }
    report.guard(place, () => runFact(new Subject(binding, document.config, ROW_MEMORY), row, report, place))
  }
}

export function runConfigs(document: ConfigDocument, binding: VectorBinding, report: Report): void {
  for (const [index, row] of document.rows.entries()) {
    const place = { at: `rows[${index}]`, index }
    report.guard(place, () => runConfig(binding, row, report, place))
  }
}

function runFact(subject: Subject, row: Fact, report: Report, place: Place): void {
  const { binding, table, firstIova: iova } = subject
  const { pgsize, paddr, prot } = row
  const got = binding.family === 'io-pgtable' ? table.mapPages(iova, paddr, pgsize, 1, prot) : table.mapRange(iova, paddr, pgsize, prot)
  const expected = { mapped: row.raw === null ? 0 : pgsize, error: ourError(row.error, binding.errors) }
  const gotError = got.error === undefined ? null : codeOf(got.error)
  report.check(place, 'result', canonical(expected), canonical({ mapped: got.mapped, error: gotError }))
  const { leaves, broken } = subject.snapshot()
  report.check(place, 'slots', JSON.stringify(slotsOf(subject, row)), JSON.stringify(leaves.map(entryText)))
  report.check(place, 'broken entries', '[]', canonical(broken))
}

/** Every slot that the leaf takes, all of one raw value. */
function slotsOf(subject: Subject, { level, pgsize, raw }: Fact): string[] {
  if (raw === null || level === null) return []
  const bytes = subject.slotBytes(level)
  if (bytes === undefined) return [`the table has no level ${level}`]
  return Array.from({ length: pgsize / bytes }, (_, i) => entryText({ iova: subject.firstIova + BigInt(i * bytes), level, raw }))
}

function runConfig(binding: VectorBinding, { config, result, error }: ConfigRow, report: Report, place: Place): void {
  const refused = result === null ? { error: ourError(error ?? 'EINVAL', binding.errors) } : undefined
  const got = configure(binding, config)
  if (refused !== undefined || typeof got === 'string') {
    const gotText = typeof got === 'string' ? { error: got } : { registers: got.registers() }
    report.check(place, 'result', canonical(refused ?? { registers: result }), canonical(gotText))
  } else compareMembers(report, place, result ?? {}, got.registers())
}

/** A table of the configuration, or the code with which it is refused. */
function configure(binding: VectorBinding, config: ConfigRow['config']): Subject | string {
  const byDriver = driverRefuses(binding, config)
  if (byDriver !== undefined) return ourError(byDriver, binding.errors) ?? byDriver
  try {
    return new Subject(binding, config, ROW_MEMORY)
  } catch (error) {
    return codeOf(error)
  }
}
