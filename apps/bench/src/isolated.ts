/** Each row in a fresh process, with the references beside it: the compiler has then seen nothing but that row. */
import { spawnSync } from 'node:child_process'
import type { Report } from './report.ts'

/** Runs the command again for one row. @throws Error with what it wrote, when it fails */
export function measureIsolated(id: string, flags: readonly string[]): Report {
  const script = process.argv[1] ?? ''
  const child = spawnSync(process.execPath, [script, ...flags, '--json', '--row', id], { encoding: 'utf8', maxBuffer: 1 << 24 })
  if (child.status !== 0) throw new Error(`${id}: ${child.error?.message ?? child.stderr.trim()}`)
  return JSON.parse(child.stdout) as Report
}
