/** Runs the command: in this process, from source; or as users do, bundled. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pc from 'picocolors'
import type { Io } from '../src/io.ts'
import { main } from '../src/main.ts'

export const ROOT: string = fileURLToPath(new URL('../../..', import.meta.url))
/** The memory that real kernels left. */
export const DUMPS: string = join(ROOT, 'packages/inspect/test-data/dumps')

export interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

export async function run(args: readonly string[], { color = false, isInteractive = false } = {}): Promise<Run> {
  const result = { out: '', err: '' }
  const io: Io = {
    out: (text) => void (result.out += text),
    err: (text) => void (result.err += text),
    status: () => undefined,
    color: pc.createColors(color),
    errColor: pc.createColors(color),
    isInteractive,
    flush: () => undefined,
  }
  const code = await main(args, io)
  return { code, ...result }
}

let bundled: string | undefined

/** The bundle, made afresh. */
export function bundle(): string {
  if (bundled !== undefined) return bundled
  const file = join(mkdtempSync(join(tmpdir(), 'iopt-')), 'cli.js')
  execFileSync(process.execPath, [join(ROOT, 'scripts/bundle.mjs'), 'src/cli.ts', file], { cwd: join(ROOT, 'apps/cli') })
  bundled = file
  return file
}

/** `iopt` in a process of its own. */
export function iopt(args: readonly string[], input = ''): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundle(), ...args], { encoding: 'utf8', input, maxBuffer: 1 << 28 })
  return { code: status ?? -1, out: stdout, err: stderr }
}

/** One object a line. */
export function jsonLines(out: string): Record<string, unknown>[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
