/** Two versions of the benchmark as bundles beside each other: the one in this folder, and that of a commit. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { atEnd, run } from './processes.ts'

/** The names are of one length, so that the processes' arguments take the same room. */
export interface Versions {
  readonly here: string
  readonly ref: string
  /** The same bytes as `ref`. */
  readonly copy: string
}

const BENCH = resolve(dirname(process.argv[1] ?? ''), '..')
/** The clock, which is the same in both versions, and the face of a process. */
const CLOCK = 'pass.ts'

/** @returns the full name of a commit @throws Error when there is none of this name */
export function commitOf(ref: string): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`], {
    cwd: BENCH,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`--against ${ref}: git knows no such commit`)
  return stdout.trim()
}

/**
 * Bundles both from their sources, each by its own scripts: its folders and its dependencies may be others. The commit is checked out into a
 * temporary worktree that is gone when this returns; the bundles go when the process ends.
 */
export async function buildVersions(commit: string, progress: (text: string) => void): Promise<Versions> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'io-pgtable-bench-')))
  const tree = join(folder, 'tree')
  atEnd(() => {
    removeTree(tree)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  })
  const [here, ref, copy] = ['here.mjs', 'ref1.mjs', 'ref2.mjs'].map((name) => join(folder, name)) as [string, string, string]
  progress('bundle this version')
  await bundle(BENCH, here)
  progress(`check out ${commit.slice(0, 12)}, install what it needs and bundle it`)
  await run(['git', 'worktree', 'add', '--detach', '--quiet', tree, commit], BENCH)
  await run([process.execPath, 'scripts/run.mjs', 'bench', '--list'], tree)
  const bench = join(tree, 'apps/bench')
  copyFileSync(join(BENCH, 'src', CLOCK), join(bench, 'src', CLOCK))
  await bundle(bench, ref)
  copyFileSync(ref, copy)
  removeTree(tree)
  return { here, ref, copy }
}

async function bundle(bench: string, to: string): Promise<void> {
  await run([process.execPath, '../../scripts/bundle.mjs', 'src/pass.ts', to], bench)
}

/** Synchronously: at the process's end nothing else is possible. */
function removeTree(tree: string): void {
  spawnSync('git', ['worktree', 'remove', '--force', '--force', tree], { cwd: BENCH })
  rmSync(tree, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  // where git could not remove it, for example since it was not finished
  spawnSync('git', ['worktree', 'prune'], { cwd: BENCH })
}
