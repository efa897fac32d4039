// What is published, packed as it would be, in a folder that is removed again: what the checks of the tarballs share.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packagesIn, ROOT } from './workspace.mjs'

export const published = [...packagesIn('packages'), ...packagesIn('apps')].filter(({ manifest }) => !manifest.private)

/** Runs a command as a user's machine would: it does not see this workspace's settings. @param {string} cwd @param {string} command @param {string[]} args */
export function attempt(cwd, command, ...args) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:NODE_OPTIONS|NODE_PATH|IOPT_)/.test(name)))
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8', shell: process.platform === 'win32' })
  return { ok: status === 0, output: `${stdout}${stderr}` }
}

/** The same, for a command that must not fail. @param {string} cwd @param {string} command @param {string[]} args @returns {string} what it printed */
export function run(cwd, command, ...args) {
  const { ok, output } = attempt(cwd, command, ...args)
  if (!ok) throw new Error(`${command} ${args.join(' ')} fails\n${output}`)
  return output
}

/** Packs what is published, or some of it, into a folder. @param {string} into @param {string[]} names @returns {Map<string, string>} tarball by name */
export function pack(into, names = published.map(({ manifest }) => manifest.name)) {
  mkdirSync(into, { recursive: true })
  run(ROOT, 'pnpm', ...names.map((name) => `--filter=${name}`), '--recursive', 'pack', '--pack-destination', into)
  return new Map(
    published
      .filter(({ manifest: { name } }) => names.includes(name))
      .map(({ manifest: { name, version } }) => [name, join(into, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)]),
  )
}

/** The folder of an installed package, as the package in `from` finds it. @param {string} name @param {string} from */
export const installed = (name, from) => realpathSync(join(from, 'node_modules', name))

/** Calls `body` with a new folder and removes that; the problems it answers or throws are printed, and end the process with status 1.
 * @param {string} name @param {(folder: string) => Promise<string[]>} body */
export async function inFolder(name, body) {
  const folder = mkdtempSync(join(tmpdir(), `io-pgtable-${name}-`))
  try {
    for (const problem of await body(folder)) {
      process.stderr.write(`${problem}\n`)
      process.exitCode = 1
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
