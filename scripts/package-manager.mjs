// The package manager that `packageManager` of package.json pins, on a machine that has npm alone: npm gets its tarball, out of npm's cache if
// it is there, and it is installed when it has the hash that is written there, as corepack writes and checks it.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {{ version: string, hash: string }} Pinned */

/** @param {string} packageManager @returns {Pinned} */
export function pinned(packageManager) {
  const [, version, hash] = /^pnpm@(\d+\.\d+\.\d+)\+sha512\.([0-9a-f]{128})$/.exec(packageManager) ?? []
  if (version && hash) return { version, hash }
  throw new Error(
    `packageManager of package.json is '${packageManager}': 'pnpm@VERSION+sha512.HASH', with the hash of its tarball, expected`,
  )
}

/** @param {string} cwd @param {string[]} args */
function npm(cwd, ...args) {
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} fails\n${error?.message ?? ''}${stdout}${stderr}`)
}

/** @param {string} file @param {Pinned} pinned */
function verify(file, { version, hash }) {
  const found = createHash('sha512').update(readFileSync(file)).digest('hex')
  if (found === hash) return
  const hashes = `  sha512 ${hash} is pinned\n  sha512 ${found} was downloaded`
  throw new Error(`what npm gave as pnpm ${version} is not what packageManager of package.json pins, and was not run:\n${hashes}`)
}

/**
 * Installs it, unless it is there.
 *
 * @param {Pinned} pinned
 * @param {string} into a folder that holds nothing else
 * @param {string} source what npm packs: a version in the registry that the machine is set up for, or a folder
 * @returns {string} the folder of its commands
 * @throws when the tarball has another hash; nothing of it is left, and nothing was run
 */
export function install(pinned, into, source = `pnpm@${pinned.version}`) {
  const home = join(into, pinned.hash)
  const commands = join(home, 'node_modules', '.bin')
  if (existsSync(commands)) return commands
  mkdirSync(into, { recursive: true })
  const fresh = mkdtempSync(join(into, 'new-'))
  try {
    npm(fresh, 'pack', source, '--prefer-offline', '--ignore-scripts')
    const tarball = readdirSync(fresh).find((name) => name.endsWith('.tgz')) ?? ''
    verify(join(fresh, tarball), pinned)
    npm(
      fresh,
      'install',
      `./${tarball}`,
      '--prefix',
      fresh,
      '--offline',
      '--ignore-scripts',
      '--no-save',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
    )
    if (!existsSync(home)) renameSync(fresh, home) // another run may have been quicker
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return commands
}
