/** Rows in other processes, with the references beside them: the compiler has then seen nothing but those rows. */
import { spawnSync } from 'node:child_process'
import type { Column } from './report.ts'

/** Runs the command again with these flags. @throws Error with what it wrote, when it fails */
export function measureApart(flags: readonly string[]): Column {
  const script = process.argv[1] ?? ''
  const child = spawnSync(process.execPath, [script, ...flags, '--json'], {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.status !== 0) throw new Error(`${flags.join(' ')}: ${child.error?.message ?? `exit status ${child.status}`}`)
  return JSON.parse(child.stdout) as Column
}
