/** An outcome in words, for terminals and for the messages of tests. */
import type { VectorOutcome } from './report.ts'

/**
 * What failed or was skipped, over several lines, or what was not compared; empty for a file that passed whole.
 * @param file how to call the file
 */
export function describeOutcome(outcome: VectorOutcome, file: string): string {
  const { status, reason, mismatches } = outcome
  if (status === 'passed' && reason === undefined) return ''
  const lines = [`${status}: ${file}${reason === undefined ? '' : `: ${reason}`}`]
  for (const { at, what, expected, got } of mismatches) {
    lines.push(`  ${file}: ${at}: ${what}`, `    expected ${expected}`, `    got      ${got}`)
  }
  return lines.join('\n')
}
