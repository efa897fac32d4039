// Releases: `node scripts/release.mjs version` raises versions and writes changelogs; `node scripts/release.mjs publish` publishes what is new.
// Both are those of changesets, with what they do not know: the command bundles other packages, so that it is released with them; and the
// packages' manifests say where the project is, which stands in one place, the root's package.json.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { packagesIn, ROOT } from './workspace.mjs'

/** Members of a manifest that tell where the project is. */
const PLACE = /** @type {const} */ (['repository', 'homepage', 'bugs'])

/**
 * The packages that bundle one of those that change, and that no changeset names: what a user installs is otherwise the old code.
 *
 * @param {readonly string[]} changing names of packages
 * @param {readonly { name: string, private?: boolean, bundles: readonly string[] }[]} packages
 */
export function releasedWith(changing, packages) {
  return packages.filter(
    ({ name, private: isPrivate, bundles }) =>
      !isPrivate && !changing.includes(name) && bundles.some((bundled) => changing.includes(bundled)),
  )
}

/** The packages that changesets name. @param {readonly string[]} texts */
export function changedBy(texts) {
  return [
    ...new Set(
      texts.flatMap((text) =>
        [...(/^---\n([\s\S]*?)\n---/.exec(text)?.[1] ?? '').matchAll(/^['"](.+)['"]:/gm)].map(([, name = '']) => name),
      ),
    ),
  ]
}

/** A manifest with the members that tell where the project is. @param {Record<string, any>} manifest @param {string} folder @param {Record<string, any>} root */
export function placed(manifest, folder, root) {
  const { repository, homepage, bugs } = root
  const url = typeof repository === 'string' ? repository : repository?.url
  return { ...manifest, repository: { type: 'git', url, directory: folder }, homepage, bugs }
}

/** What is missing of the place of the project. @param {Record<string, any>} root */
export function unplaced(root) {
  return PLACE.filter((member) => !root[member])
}

/** @param {string[]} args */
function changeset(...args) {
  const { status } = spawnSync('pnpm', ['exec', 'changeset', ...args], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

/** @param {string} path relative to the root */
function read(path) {
  return readFileSync(ROOT + path, 'utf8')
}

function version() {
  const texts = readdirSync(`${ROOT}.changeset`).filter((name) => name.endsWith('.md') && name !== 'README.md')
  const all = [...packagesIn('packages'), ...packagesIn('apps')].map(({ manifest }) => ({
    ...manifest,
    bundles: manifest.scripts?.build?.includes('bundle.mjs') ? bundledBy(manifest) : [],
  }))
  const more = releasedWith(changedBy(texts.map((name) => read(`.changeset/${name}`))), all)
  if (more.length > 0) {
    const head = more.map(({ name }) => `'${name}': patch`).join('\n')
    writeFileSync(`${ROOT}.changeset/bundled.md`, `---\n${head}\n---\n\nHas the changes of the packages that it bundles.\n`)
  }
  changeset('version')
}

/** What an application has in it: the packages that it is built of, and every format. @param {import('./workspace.mjs').Manifest} manifest */
function bundledBy({ dependencies = {}, devDependencies = {} }) {
  const formats = packagesIn('packages').flatMap(({ manifest }) => (manifest.ioPgtable ? [manifest.name] : []))
  const own = Object.keys(devDependencies).filter((name) => name.startsWith('@io-pgtable/') && !(name in dependencies))
  return [...own, ...formats]
}

function publish() {
  const root = JSON.parse(read('package.json'))
  const missing = unplaced(root)
  if (missing.length > 0) {
    process.stderr.write(
      `the root's package.json has no ${missing.join(', no ')}: nothing is published before it says where the project is\n`,
    )
    process.exit(1)
  }
  for (const { folder, manifest } of [...packagesIn('packages'), ...packagesIn('apps')]) {
    if (!manifest.private) writeFileSync(`${ROOT}${folder}/package.json`, `${JSON.stringify(placed(manifest, folder, root), null, 2)}\n`)
  }
  changeset('publish')
}

const [, script, command] = process.argv
if (script?.endsWith('release.mjs')) {
  if (command === 'version') version()
  else if (command === 'publish') publish()
  else {
    process.stderr.write('usage: node scripts/release.mjs version|publish\n')
    process.exit(2)
  }
}
