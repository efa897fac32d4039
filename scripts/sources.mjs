// Checks that no linter has: no file names the host of a package registry, so that the tools use the one that the machine is set up for,
// no package depends on one above it: pt-allocator <- core <- formats and kits <- apps (only a format may name a format, a shared base), and
// the page for authors of formats names every member of the trait.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { packagesIn, ROOT } from './workspace.mjs'

const REGISTRY_HOST = /\b(?:registry|npm|packages)\.[a-z0-9-]+\.(?:org|com|dev|io|net)\b/i
/** Which of ours a package at the bottom may name, even for its tests. */
const BELOW = /** @type {Record<string, string[]>} */ ({
  '@io-pgtable/pt-allocator': [],
  '@io-pgtable/core': ['@io-pgtable/pt-allocator'],
})

/** @returns {string[]} */
function registryHosts() {
  const { stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  return stdout
    .split('\0')
    .filter((file) => file !== '')
    .filter((file) => existsSync(ROOT + file) && !/(?:\/test-data\/|\.(?:elf|bin|gz)$)/.test(file))
    .flatMap((file) => {
      const lines = readFileSync(ROOT + file, 'utf8').split('\n')
      return lines.flatMap((line, at) => (REGISTRY_HOST.test(line) ? [`${file}:${at + 1}: names the host of a package registry`] : []))
    })
}

/** @returns {string[]} */
function arrows() {
  const packages = packagesIn('packages')
  const formats = packages.filter(({ manifest }) => manifest.ioPgtable).map(({ manifest }) => manifest.name)
  const underFormats = packages.flatMap(({ manifest: { ioPgtable, ...own } }) =>
    ioPgtable ? Object.keys({ ...own.dependencies, ...own.devDependencies }) : [],
  )
  return packages.flatMap(({ folder, manifest }) => {
    const { name, dependencies, devDependencies, ioPgtable } = manifest
    if (manifest.private) return [] // harnesses: nothing stands on them
    // what no format needs may be tested on formats
    const named = underFormats.includes(name) || BELOW[name] ? { ...dependencies, ...devDependencies } : { ...dependencies }
    const ours = Object.keys(named).filter((other) => other.startsWith('@io-pgtable/'))
    const wrong = ours.filter((other) => (BELOW[name] ? !BELOW[name].includes(other) : !ioPgtable && formats.includes(other)))
    return wrong.map((other) => `${folder}/package.json: ${name} must not depend on ${other}`)
  })
}

/** @returns {string[]} */
function undocumented() {
  const page = 'docs/adding-a-format.md'
  const trait = 'packages/core/src/format/format.ts'
  const policy = 'packages/core/src/format/policy.ts'
  const text = readFileSync(ROOT + page, 'utf8')
  const [interfaces = ''] = readFileSync(ROOT + trait, 'utf8').split('export type AnyFmt')
  const members = [...(interfaces + readFileSync(ROOT + policy, 'utf8')).matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(
    ([, name]) => name,
  )
  return members
    .filter((name) => !text.includes(`| \`${name}`) && !text.includes(`, \`${name}\``))
    .map((name) => `${page}: ${name} of ${trait} is missing`)
}

const problems = [...registryHosts(), ...arrows(), ...undocumented()]
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exit(problems.length > 0 ? 1 : 0)
