// Checks that `npm run new-format` makes a package that is green at once: runs it in a copy of the workspace, which has no other format, and
// there the new package's build, tests, types and lint. The packages that it needs are built already. The name has another length than the
// template's, since that moves lines.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { FORMATS, ROOT } from './workspace.mjs'

const NAME = 'a-quite-long-name-for-an-mmu'
const FOLDER = `${FORMATS}/${NAME}`
/** What generate.mjs reads or writes of the apps. */
const LISTED = 'apps/(?:demo/src/policies/|cli/src/formats\\.ts)'
/** What a format is made from. */
const PACKAGES = ['pt-allocator', 'core', 'conformance']
const NEEDED = new RegExp(`^(?:[^/]+$|(?:scripts|docs|\\.changeset)/|packages/(?:${PACKAGES.join('|')})/|${LISTED})`)

const TESTS = { extends: './tsconfig.json', include: [`${FOLDER}/test`] }
const COMMANDS = [
  ['node', 'scripts/run.mjs', 'new-format', NAME, '--title', 'An MMU (made by a check)'],
  ['pnpm', '--filter', `./${FOLDER}`, 'build'],
  ['vitest', 'run', '--project', NAME],
  ['tsc', '-p', FOLDER],
  ['tsc', '-p', 'tests.json'],
  ['biome', 'check', '--error-on-warnings', FOLDER],
  ['knip', '--no-progress', '--no-config-hints', '--workspace', FOLDER],
  ['node', 'scripts/generate.mjs', '--check'],
  ['node', 'scripts/docs.mjs', `${FOLDER}/README.md`],
]

const copy = mkdtempSync(join(tmpdir(), 'io-pgtable-scaffold-'))
const PATH = [join(copy, 'node_modules/.bin'), process.env.PATH].join(delimiter)

/** @param {string} cwd @param {string[]} command */
function run(cwd, [file = '', ...args]) {
  const env = { ...process.env, PATH, NO_COLOR: '1' }
  return spawnSync(file, args, { cwd, env, encoding: 'utf8', shell: process.platform === 'win32', maxBuffer: 1 << 28 })
}

const { stdout } = run(ROOT, ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'])
for (const file of stdout.split('\0').filter((name) => NEEDED.test(name) && existsSync(ROOT + name))) cpSync(ROOT + file, join(copy, file))
for (const name of PACKAGES) cpSync(`${ROOT}packages/${name}/dist`, join(copy, 'packages', name, 'dist'), { recursive: true })
writeFileSync(join(copy, 'tests.json'), JSON.stringify(TESTS))
for (const command of COMMANDS) {
  const { status, stdout, stderr, error } = run(copy, command)
  if (status === 0) continue
  process.stderr.write(`${command.join(' ')}, in a copy of the workspace, fails: ${error?.message ?? ''}\n${stdout}${stderr}`)
  process.exitCode = 1
  break
}
rmSync(copy, { recursive: true })
