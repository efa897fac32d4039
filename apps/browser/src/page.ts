/** What runs in the page: the kit's laws on one format, as the global function `check`. */
import { checkFormat } from '@io-pgtable/conformance'
import type { AnyFmt } from '@io-pgtable/core'

/** The page's global function. */
export type Check = (url: string) => Promise<PageReport>

export interface PageReport {
  readonly format: string
  readonly passed: number
  /** Messages of the laws that are broken. */
  readonly failures: readonly string[]
  /** What the kit says was skipped. */
  readonly summary: string
}

/** Runs every law on the format that the built module at `url` exports. */
async function check(url: string): ReturnType<Check> {
  const exports = Object.values((await import(url)) as Record<string, unknown>)
  const format = exports.find((value) => typeof value === 'object' && value !== null && 'FORMAT' in value) as AnyFmt | undefined
  if (format === undefined) throw new Error(`${url} exports no format`)
  const tests: (() => void | Promise<void>)[] = []
  const summary: string[] = []
  checkFormat({ format, module: new URL(url), test: (_name, run) => void tests.push(run), log: (text) => void summary.push(text) })
  const failures: string[] = []
  for (const run of tests) {
    try {
      await run()
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { format: format.FORMAT, passed: tests.length - failures.length, failures, summary: summary.join('\n') }
}

Object.assign(globalThis, { check })
