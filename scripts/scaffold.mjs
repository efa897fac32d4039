// Checks that `npm run new-format` makes a package that is green at once: runs it in a copy of the workspace, and there the new package's
// tests, types and lint, and the checks that look at all packages. The name has another length than the template's, since that moves lines.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from './workspace.mjs'

const NAME = 'a-quite-long-name-for-an-mmu'
/** What a format is made from. The other formats would only take time. */
const NEEDED = /^(?:[^/]+$|(?:scripts|docs|\.changeset)\/|packages\/(?:pt-allocator|core|conformance)\/)/

const COMMANDS = [
  ['node', 'scripts/run.mjs', 'new-format', NAME, '--title', 'An MMU (made by a check)'],
  ['pnpm', 'exec', 'vitest', 'run', '--project', NAME],
  ['pnpm', 'exec', 'tsc', '-p', `packages/${NAME}`],
  ['pnpm', 'exec', 'tsc', '-p', '.'],
  ['pnpm', 'exec', 'biome', 'check', '--error-on-warnings', `packages/${NAME}`],
  ['pnpm', 'exec', 'knip', '--no-progress', '--no-config-hints', '--workspace', `packages/${NAME}`],
  ['node', 'scripts/generate.mjs', '--check'],
  ['node', 'scripts/docs.mjs', `packages/${NAME}/README.md`],
]

/** @param {string} cwd @param {string[]} command */
function run(cwd, [file = '', ...args]) {
  return spawnSync(file, args, { cwd, encoding: 'utf8', shell: process.platform === 'win32', maxBuffer: 1 << 28 })
}

const copy = mkdtempSync(join(tmpdir(), 'io-pgtable-scaffold-'))
const { stdout } = run(ROOT, ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'])
for (const file of stdout.split('\0').filter((name) => NEEDED.test(name) && existsSync(ROOT + name))) cpSync(ROOT + file, join(copy, file))
for (const command of COMMANDS) {
  const { status, stdout, stderr, error } = run(copy, command)
  if (status === 0) continue
  process.stderr.write(`${command.join(' ')}, in a copy of the workspace, fails: ${error?.message ?? ''}\n${stdout}${stderr}`)
  process.exitCode = 1
  break
}
rmSync(copy, { recursive: true })
