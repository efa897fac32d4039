// `node scripts/run.mjs <task> [args]`: what every root script calls, on a machine that has nothing but Node and npm.
// It finds the pinned pnpm, installs when something has changed since the last time, and runs the task's commands.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { install as installPnpm, pinned } from './package-manager.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const STAMP = `${ROOT}node_modules/.install-stamp`
/** Hidden, so that pnpm leaves it there when it clears node_modules. */
const PNPM = `${ROOT}node_modules/.package-manager`
const WINDOWS = process.platform === 'win32'
const QUIET_CHILDREN = {
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
  DO_NOT_TRACK: '1',
  npm_config_update_notifier: 'false',
  // another pnpm must not fetch the pinned version by itself, which it does without looking at the hash; by version 10's name, and by 11's
  npm_config_manage_package_manager_versions: 'false',
  pnpm_config_pm_on_fail: 'ignore',
}

// Ctrl-C is for the command that runs: this waits until that has ended, and tidied up.
process.on('SIGINT', () => {})

const turbo = (/** @type {string[]} */ ...args) => ['pnpm', 'exec', 'turbo', 'run', ...args, '--output-logs=errors-only']
const app = (/** @type {string} */ name, /** @type {string[]} */ args) => [
  { quiet: turbo('bundle', `--filter=@io-pgtable/${name}`) },
  { say: ['node', `apps/${name}/dist/main.js`, ...args] },
]

/** A task's commands, in order. A quiet one is heard only when it fails, and then on stderr. */
const TASKS = {
  demo: (/** @type {string[]} */ args) => app('demo', args),
  bench: (/** @type {string[]} */ args) => app('bench', args),
  build: (/** @type {string[]} */ args) => [{ say: turbo('build', ...args) }],
  test: (/** @type {string[]} */ args) => [
    { quiet: ['pnpm', 'exec', 'node', 'scripts/javascript.mjs'] },
    { say: ['pnpm', 'exec', 'vitest', 'run', ...args], env: { IO_PGTABLE_BUILT: '1' } },
  ],
  'new-format': (/** @type {string[]} */ args) => [{ say: ['pnpm', 'exec', 'node', 'scripts/new-format.mjs', ...args] }],
  check: (/** @type {string[]} */ args) => [{ quiet: turbo('build') }, { say: ['pnpm', 'exec', 'node', 'scripts/check.mjs', ...args] }],
}

/** @param {string[]} command @param {import('node:child_process').StdioOptions} stdio @param {Record<string, string>} more of the environment */
function run([file, ...args], stdio, more = {}) {
  const env = { ...process.env, ...QUIET_CHILDREN, ...more }
  const shell = WINDOWS && file !== 'node' // npm and pnpm are .cmd files there
  return spawnSync(file === 'node' ? process.execPath : String(file), args, {
    cwd: ROOT,
    env,
    stdio,
    shell,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
}

/** @param {{ say?: string[], quiet?: string[], env?: Record<string, string> }} step */
function step({ say, quiet, env }) {
  const { status, stdout, stderr, error } = say ? run(say, 'inherit', env) : run(quiet ?? [], ['ignore', 'pipe', 'pipe'])
  if (status === 0) return
  if (quiet) process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`)
  if (error) process.stderr.write(`${error.message}\n`)
  process.exit(status ?? 1)
}

/** Puts the pinned pnpm on the PATH, unless exactly that version is there: what the machine's owner installed is not asked for its hash. */
function usePnpm() {
  const pnpm = pinned(JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).packageManager)
  if (run(['pnpm', '--version'], 'pipe').stdout?.trim() === pnpm.version) return
  process.env.PATH = [installPnpm(pnpm, PNPM), process.env.PATH].join(delimiter)
}

function install() {
  const hash = createHash('sha256').update(process.version)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json']) hash.update(readFileSync(ROOT + file))
  const stamp = hash.digest('hex')
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) return
  step({ quiet: ['pnpm', 'install', '--frozen-lockfile', '--prefer-offline'] })
  writeFileSync(STAMP, stamp)
}

const [task = '', ...args] = process.argv.slice(2)
if (!Object.hasOwn(TASKS, task)) {
  process.stderr.write(`usage: node scripts/run.mjs ${Object.keys(TASKS).join(' | ')} [arguments]\n`)
  process.exit(2)
}
try {
  usePnpm()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exit(1)
}
install()
for (const command of TASKS[/** @type {keyof typeof TASKS} */ (task)](args)) step(command)
