/** What a command says about its results: findings on stderr; with --json also, on stdout, that not all was looked at. */
import type { Finding } from '@io-pgtable/inspect'
import type { Io } from './io.ts'
import { findingLine } from './text.ts'

/** Findings after which there may be more than was told: ended by a limit, or by memory that is in no file. */
const INCOMPLETE: ReadonlySet<string> = new Set(['limit', 'work-limit', 'too-many', 'unknown-memory'])

/** Tells findings. @param key what tells the target apart, in JSON */
export function tell(io: Io, findings: readonly Finding[], { json }: { readonly json?: true }, key: object = {}): void {
  for (const finding of findings) io.err(`${findingLine(finding, io.errColor)}\n`)
  if (!json) return
  const reasons = new Set(findings.map(({ code }) => code).filter((code) => INCOMPLETE.has(code)))
  for (const incomplete of reasons) io.out(`${JSON.stringify({ incomplete, ...key })}\n`)
}
