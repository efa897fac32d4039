/** A runner for where there is none: the laws one after the other. */
import { type CheckFormatOptions, checkFormat } from './check-format.ts'

export interface FormatRun {
  readonly passed: number
  readonly failed: number
}

/** Runs `checkFormat` without a test runner. @param told is called after each test, with what it threw */
export async function runFormat(
  options: Omit<CheckFormatOptions, 'test'>,
  told: (name: string, error: unknown) => void = () => {},
): Promise<FormatRun> {
  const tests: { name: string; fn: () => void | Promise<void> }[] = []
  checkFormat({ ...options, test: (name, fn) => void tests.push({ name, fn }) })
  let failed = 0
  for (const { name, fn } of tests) {
    let error: unknown
    try {
      await fn()
    } catch (thrown) {
      error = thrown
      failed++
    }
    told(name, error)
  }
  return { passed: tests.length - failed, failed }
}
