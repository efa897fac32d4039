// Prints what the last test run counted, as one line: `N passed, N failed, N skipped`. Fails if no test was run.
import { readFileSync } from 'node:fs'
import { ROOT } from './workspace.mjs'

const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(`${ROOT}reports/vitest.json`, 'utf8'))
process.stdout.write(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped\n`)
process.exit(numPassedTests > 0 ? 0 : 1)
