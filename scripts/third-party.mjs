// A format of somebody else: the kit, what it needs, and a package that holds the toy format are packed to tarballs, installed in an empty
// folder, without the network, and run there: by the command, and by a test file of node:test.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { transform } from 'esbuild'
import { ROOT } from './workspace.mjs'

const out = mkdtempSync(join(tmpdir(), 'io-pgtable-third-party-'))
const tarballs = join(out, 'tarballs')
const user = join(out, 'user')

/** @param {string} cwd @param {string} command @param {string[]} args @returns {string} what it printed */
function run(cwd, command, ...args) {
  // the user's commands must not see this workspace's settings
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:NODE_OPTIONS|NODE_PATH|IOPT_)/.test(name)))
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8', shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} fails\n${stdout}${stderr}`)
  return stdout
}

/** The folder of an installed package, as the package in `from` finds it. @param {string} name @param {string} from */
const installed = (name, from) => realpathSync(join(from, 'node_modules', name))

/** A copy of an installed package that can be packed again: without what its developers' package manager checks. @param {string} folder */
function copyOf(folder) {
  const copy = join(out, basename(folder))
  cpSync(folder, copy, { recursive: true, filter: (source) => basename(source) !== 'node_modules' })
  const { name, version, type, main, module, types, exports, dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ name, version, type, main, module, types, exports, dependencies }))
  return copy
}

/** A package of somebody else, whose only source is the toy format. */
async function toyPackage() {
  const folder = join(out, 'toy-format')
  mkdirSync(join(folder, 'dist'), { recursive: true })
  const source = readFileSync(`${ROOT}packages/conformance/src/toy.ts`, 'utf8')
  const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'es2022' })
  const manifest = { name: 'toy-format', version: '1.0.0', type: 'module', exports: './dist/index.js', files: ['dist'] }
  writeFileSync(join(folder, 'dist/index.js'), code)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, dependencies: { '@io-pgtable/core': '^0.0.0' } }))
  return folder
}

const TEST = `import test from 'node:test'
import { checkFormat } from '@io-pgtable/conformance'
import { toy } from 'toy-format'

checkFormat({ test, format: toy, module: new URL(import.meta.resolve('toy-format')) })
`

try {
  mkdirSync(tarballs)
  mkdirSync(user)
  for (const name of ['pt-allocator', 'core', 'conformance']) run(`${ROOT}packages/${name}`, 'pnpm', 'pack', '--pack-destination', tarballs)
  const fastCheck = installed('fast-check', `${ROOT}packages/conformance`)
  const others = [fastCheck, installed('pure-rand', join(dirname(fastCheck), '..'))].map(copyOf)
  for (const folder of [...others, await toyPackage()]) run(folder, 'npm', 'pack', '--ignore-scripts', '--pack-destination', tarballs)

  writeFileSync(join(user, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  const files = readdirSync(tarballs).map((name) => join(tarballs, name))
  run(user, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...files)
  writeFileSync(join(user, 'toy.test.js'), TEST)
  const command = run(user, 'npx', '--offline', 'iopt-conformance', 'check', 'node_modules/toy-format/dist/index.js')
  if (!/^toy: \d+ passed, 0 failed$/m.test(command)) throw new Error(`the command did not run the format:\n${command}`)
  if (/workers/.test(command)) throw new Error(`the workers did not run:\n${command}`)
  const tests = run(user, process.execPath, '--test', 'toy.test.js')
  if (!/^# fail 0$/m.test(tests) && !/ℹ fail 0/.test(tests)) throw new Error(`the test file did not run:\n${tests}`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  rmSync(out, { recursive: true, force: true })
}
