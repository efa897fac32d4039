/** Runs one vector file: reads it, finds its binding, and says what came of it. */
import type { VectorBinding } from '@io-pgtable/core'
import { parseVectorDocument, type VectorDocument } from './document.ts'
import { Report, type VectorOutcome } from './report.ts'
import { runDriverOperations } from './run-driver.ts'
import { runDriverFacts, runWalks } from './run-driver-rows.ts'
import { runOperations } from './run-operations.ts'
import { runConfigs, runFacts } from './run-rows.ts'

/**
 * Runs a vector file against the format that provides it. Every operation is compared: results and errors, TLB events in order, every leaf
 * slot and table descriptor of the dumps, `tableBytes`, registers. A file of a driver that does, by a feature that the file names, what the
 * library on purpose does not, is compared up to that operation: it passes with `N of M operations` in its reason. It never throws: what
 * goes wrong is the outcome.
 * @param json the parsed JSON of the file
 * @param bindings of all formats at hand, from their packages' `./vectors`
 */
export function runVectorFile(json: unknown, bindings: readonly VectorBinding[]): VectorOutcome {
  const binding = bindings.find((b) => b.format === vectorFormat(json))
  let document: VectorDocument
  try {
    document = parseVectorDocument(json, binding?.family)
  } catch (error) {
    return { name: '', format: vectorFormat(json) ?? '', status: 'failed', mismatches: [], reason: String(error) }
  }
  const { name, format } = document
  if (binding === undefined) return { name, format, status: 'failed', mismatches: [], reason: `no package provides the format ${format}` }
  const report = new Report()
  report.guard({ at: 'file', index: undefined }, () => run(document, binding, report))
  const { mismatches, skipped, leftOut } = report
  if (skipped !== undefined) return { name, format, status: 'skipped', mismatches, reason: skipped }
  if (mismatches.length > 0) return { name, format, status: 'failed', mismatches }
  return { name, format, status: 'passed', mismatches, ...(leftOut.length > 0 && { reason: leftOut.join('; ') }) }
}

/** The vector format id of a file's JSON, or undefined when it has none. */
export function vectorFormat(json: unknown): string | undefined {
  const format = typeof json === 'object' && json !== null && 'format' in json ? json.format : undefined
  return typeof format === 'string' ? format : undefined
}

function run(document: VectorDocument, binding: VectorBinding, report: Report): void {
  if (document.kind === 'driver operations') runDriverOperations(document, binding, report)
  else if (document.kind === 'driver facts') runDriverFacts(document, binding, report)
  else if (document.kind === 'walks') runWalks(document, binding, report)
  else if (document.kind === 'operations') runOperations(document, binding, report)
  else if (document.kind === 'facts') runFacts(document, binding, report)
  else runConfigs(document, binding, report)
}
