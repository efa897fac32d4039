// Executes the documentation: every ```ts fence of the READMEs and of docs/ is type-checked and run, as it stands;
// one that begins ```ts no-run is type-checked alone. Each becomes a file in .docs/ of the package that its text belongs to,
// at the same line numbers as in the text, so that every message can name the place. With file=PATH it has that name there, and other
// fences of the text can import it. Arguments select texts: `node scripts/docs.mjs README.md`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'
import { fences } from './fences.mjs'
import { packagesIn, ROOT, SOURCE } from './workspace.mjs'

/** @typedef {{ text: string, line: number, owner: string, file: string, run: boolean, code: string }} Example */

const packages = packagesIn('packages')
const owners = ['.', ...[...packages, ...packagesIn('apps')].map(({ folder }) => folder)]

/** Any text may import any package, whatever the folder that it is in depends on. */
const paths = Object.fromEntries(
  packages.flatMap(({ folder, manifest }) =>
    Object.entries(manifest.exports ?? {}).map(([entry, target]) => {
      const file = typeof target === 'string' ? target : (target[SOURCE] ?? '')
      return [manifest.name + entry.slice(1), [`${ROOT}${folder}/${file.slice(2)}`]]
    }),
  ),
)

function texts() {
  const docs = existsSync(`${ROOT}docs`) ? readdirSync(`${ROOT}docs`).map((name) => `docs/${name}`) : []
  const readmes = owners.map((owner) => join(owner, 'README.md'))
  const wanted = process.argv.slice(2)
  return [...readmes, ...docs].filter(
    (file) => file.endsWith('.md') && existsSync(ROOT + file) && (wanted.length === 0 || wanted.includes(file)),
  )
}

/** @param {string} text @returns {Example[]} */
function examples(text) {
  const owner = owners.includes(dirname(text)) ? dirname(text) : '.'
  return fences(text).map(({ line, words, code }) => {
    const name = /\bfile=(\S+)/.exec(words)?.[1] ?? `${basename(text, '.md')}-${line}.ts`
    return { text, line, owner, file: join(owner, '.docs', name), run: !words.includes('no-run'), code }
  })
}

/** @param {readonly Example[]} all @returns {string} the compiler's complaints */
function typeErrors(all) {
  const config = join(ROOT, '.docs', 'tsconfig.json')
  const compilerOptions = {
    types: ['node'],
    isolatedDeclarations: false,
    declaration: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths,
  }
  mkdirSync(dirname(config), { recursive: true })
  writeFileSync(config, JSON.stringify({ extends: '../tsconfig.base.json', compilerOptions, files: all.map(({ file }) => ROOT + file) }))
  const { stdout } = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', config], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  return stdout
}

/** @param {Example} example @returns {Promise<string>} what went wrong; empty when nothing did */
async function execute({ file, owner }) {
  const outfile = ROOT + file.replace(/\.ts$/, '.mjs')
  const tsconfigRaw = { compilerOptions: { paths } }
  try {
    await build({
      entryPoints: [ROOT + file],
      outfile,
      tsconfigRaw,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      conditions: [SOURCE],
      external: ['vitest', 'fast-check'],
      sourcemap: 'inline',
      logLevel: 'silent',
    })
  } catch (error) {
    return String(error)
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--enable-source-maps', outfile], {
    cwd: join(ROOT, owner),
    encoding: 'utf8',
    timeout: 60_000,
  })
  return status === 0 ? '' : `${stdout}${stderr}` || `exit status ${status}`
}

const all = texts().flatMap(examples)
const clear = () => {
  for (const owner of owners) rmSync(join(ROOT, owner, '.docs'), { recursive: true, force: true })
}
clear()
for (const { file, code } of all) {
  mkdirSync(dirname(ROOT + file), { recursive: true })
  writeFileSync(ROOT + file, code)
}

/** Turns the names of the temporary files back into those of the texts. */
const named = (/** @type {string} */ message) => all.reduce((out, { file, text }) => out.replaceAll(file, text), message)
const failures = all.length > 0 ? [named(typeErrors(all))] : []
for (const example of all) {
  const problem = example.run ? await execute(example) : ''
  if (problem) failures.push(`${example.text}:${example.line}: the example fails\n${named(problem)}`)
}
const told = failures.filter((failure) => failure !== '')
for (const failure of told) process.stderr.write(`${failure}\n`)
process.stdout.write(`${all.length} examples in ${texts().length} texts, ${all.filter(({ run }) => run).length} run\n`)
if (told.length > 0) process.exit(1)
clear()
