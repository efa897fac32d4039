// Makes a format package, packages/formats/NAME, that is green at once: `npm run new-format -- NAME [--title 'What it is']`.
// The package is scripts/template, a two-level format called acme-iommu, with the name filled in; docs/adding-a-format.md goes on from there.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Script } from 'node:vm'
import { FORMATS, ROOT } from './workspace.mjs'

const USAGE = "usage: npm run new-format -- NAME [--title 'What it is']   (NAME: lower case, digits and hyphens, as in arm-v7s)"
const TEMPLATE = join(ROOT, 'scripts/template')

/** @param {string} message @returns {never} */
function refuse(message) {
  process.stderr.write(`${message}\n${USAGE}\n`)
  process.exit(2)
}

/** The ways in which the template writes its name, and what takes their place. @param {string} name @param {string} title */
function substitutions(name, title) {
  const words = name.split('-')
  const pascal = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  const camel = pascal.charAt(0).toLowerCase() + pascal.slice(1)
  return { camel, pairs: Object.entries({ 'acme-iommu': name, acmeIommu: camel, AcmeIommu: pascal, 'Acme IOMMU': title }) }
}

/** Copies the template, with each word of the pairs replaced in all of its files. @param {string} folder @param {[string, string][]} pairs */
function fill(folder, pairs) {
  cpSync(TEMPLATE, folder, { recursive: true })
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const file of files.map((entry) => join(entry.parentPath, entry.name))) {
    const text = pairs.reduce((out, [from, to]) => out.replaceAll(from, to), readFileSync(file, 'utf8'))
    writeFileSync(file, text)
  }
}

/** Runs a tool, which is heard only when it fails. @param {string} command @param {string[]} args */
function run(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} fails: ${error?.message ?? ''}\n${stdout ?? ''}${stderr ?? ''}`)
}

/** Why code cannot have a constant of that name; undefined when it can. @param {string} constant */
function unusable(constant) {
  if (new RegExp(`\\b${constant}\\b`).test(readFileSync(join(TEMPLATE, 'src/index.ts'), 'utf8'))) return "is a word of the template's code"
  try {
    new Script(`'use strict'; const ${constant} = 0`)
  } catch {
    return 'is a word of the language'
  }
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { title: { type: 'string' }, help: { type: 'boolean' } } })
const [name = '', ...more] = positionals
if (values.help) {
  process.stdout.write(`${USAGE}\n`)
  process.exit(0)
}
if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || more.length > 0)
  refuse(name === '' ? 'no NAME given' : `${positionals.join(' ')}: not a name`)
const title = values.title ?? name
if (!/^[\w ,.:;()+/&-]+$/.test(title)) refuse(`title ${title}: letters, digits, spaces and ,.:;()+/&- expected`)
const folder = `${FORMATS}/${name}`
if (existsSync(ROOT + folder)) refuse(`${folder} is there already`)
const { camel, pairs } = substitutions(name, title)
const why = name === 'acme-iommu' ? undefined : unusable(camel)
if (why !== undefined) refuse(`${name}: ${camel} ${why}; another name is needed`)

const changeset = `.changeset/${name}.md`
try {
  fill(ROOT + folder, pairs)
  renameSync(join(ROOT + folder, 'changeset.md'), ROOT + changeset)
  run('pnpm', 'install', '--no-frozen-lockfile', '--prefer-offline')
  run('biome', 'check', '--write', folder) // a name of another length breaks other lines
  run('node', 'scripts/generate.mjs')
} catch (error) {
  for (const made of [folder, changeset]) rmSync(ROOT + made, { recursive: true, force: true })
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${folder} is not made\n`)
  process.exit(1)
}
process.stdout.write(`${folder}, ${changeset}, a line in README.md and one in the lock file are there. Next:
  npm test -- --project ${name}
  docs/adding-a-format.md: from the manual's page to ${folder}/src/index.ts
`)
