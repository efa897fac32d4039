// `node scripts/run.mjs <task> [args]`: what every root script calls, on a machine that has nothing but Node and npm.
// It finds the pinned pnpm, installs when something has changed since the last time, and runs the task's commands.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const STAMP = `${ROOT}node_modules/.install-stamp`
const WINDOWS = process.platform === 'win32'
const QUIET_CHILDREN = {
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
  DO_NOT_TRACK: '1',
  npm_config_update_notifier: 'false',
}

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
    { quiet: turbo('build'), env: { IO_PGTABLE_DECLARATIONS: 'off' } },
    { say: ['pnpm', 'exec', 'vitest', 'run', ...args] },
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
  const { status, stdout, stderr, error } = say ? run(say, 'inherit', env) : run(quiet ?? [], ['ignore', 'pipe', 'pipe'], env)
  if (status === 0) return
  if (quiet) process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`)
  if (error) process.stderr.write(`${error.message}\n`)
  process.exit(status ?? 1)
}

/** Runs this script again with the pinned pnpm on its PATH, unless exactly that one is there already. @param {string} version */
function withPnpm(version) {
  if (process.env.IO_PGTABLE_PNPM === version) return
  if (run(['pnpm', '--version'], 'pipe').stdout?.trim() !== version) {
    process.env.IO_PGTABLE_PNPM = version
    const self = ['node', 'scripts/run.mjs', ...process.argv.slice(2)]
    process.exit(run(['npm', 'exec', '--yes', '--prefer-offline', `--package=pnpm@${version}`, '--', ...self], 'inherit').status ?? 1)
  }
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
const { packageManager } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'))
withPnpm(packageManager.replace(/^pnpm@/, '').replace(/\+.*/, ''))
install()
for (const command of TASKS[/** @type {keyof typeof TASKS} */ (task)](args)) step(command)
