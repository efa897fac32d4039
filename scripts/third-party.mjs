// A format of somebody else: the kit, what it needs, and a package that holds the toy format are packed to tarballs, installed in an empty
// folder, without the network, and run there: by the command, and by a test file of node:test.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { transform } from 'esbuild'
import { inFolder, installed, pack, run } from './tarballs.mjs'
import { ROOT } from './workspace.mjs'

/** A copy of an installed package that can be packed again: without what its developers' package manager checks.
 * @param {string} out where it goes @param {string} folder */
function copyOf(out, folder) {
  const copy = join(out, basename(folder))
  cpSync(folder, copy, { recursive: true, filter: (source) => basename(source) !== 'node_modules' })
  const { name, version, type, main, module, types, exports, dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ name, version, type, main, module, types, exports, dependencies }))
  return copy
}

/** A package of somebody else, whose only source is the toy format. @param {string} out where it goes */
async function toyPackage(out) {
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

await inFolder('third-party', async (out) => {
  const tarballs = join(out, 'tarballs')
  const user = join(out, 'user')
  pack(tarballs, ['@io-pgtable/pt-allocator', '@io-pgtable/core', '@io-pgtable/conformance'])
  const fastCheck = installed('fast-check', `${ROOT}packages/conformance`)
  const others = [fastCheck, installed('pure-rand', join(dirname(fastCheck), '..'))].map((folder) => copyOf(out, folder))
  for (const folder of [...others, await toyPackage(out)]) run(folder, 'npm', 'pack', '--ignore-scripts', '--pack-destination', tarballs)

  mkdirSync(user)
  writeFileSync(join(user, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  const files = readdirSync(tarballs).map((name) => join(tarballs, name))
  run(user, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...files)
  writeFileSync(join(user, 'toy.test.js'), TEST)
  const command = run(user, 'npx', '--offline', 'iopt-conformance', 'check', 'node_modules/toy-format/dist/index.js')
  if (!/^toy: \d+ passed, 0 failed$/m.test(command)) return [`the command did not run the format:\n${command}`]
  if (/workers/.test(command)) return [`the workers did not run:\n${command}`]
  const tests = run(user, process.execPath, '--test', 'toy.test.js')
  return /^# fail 0$/m.test(tests) || /ℹ fail 0/.test(tests) ? [] : [`the test file did not run:\n${tests}`]
})
