// Rewrites what is generated in the texts: in the README the tables of packages and formats, from the package.json files and the formats'
// declarations; in docs/ the listings of files: of the template that `npm run new-format` copies, and of the demo's flush policies.
// In a format's README, by what it is verified. And the command's list of formats, apps/cli/src/formats.ts.
// With --check it changes nothing and fails when something is out of date.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { COLUMNS, formatRows, formatsModule, grouped, verifiedBy } from './formats.mjs'
import { packagesIn, ROOT } from './workspace.mjs'

const BEGIN = '<!-- packages:begin -->'
const END = '<!-- packages:end -->'
const VERIFIED = /<!-- verified:begin -->.*<!-- verified:end -->/s
/** What the table of formats means. */
const NOTE = `Levels, sizes and bits are those of the configurations that a format declares for its tests; address bits are the most, input → output.
All formats pass the conformance kit in each of these. Vector files were recorded from Linux; a dump is memory that a real kernel left, whose
tables are decoded; QEMU's IOMMUs and CPUs walk tables that we built. [VERIFICATION.md](docs/VERIFICATION.md) has the counts.`
/** The marker of a listing, the fence after it, and what the fence holds. */
const LISTING = /(<!-- listing: (\S+) -->\n+```[^\n]*\n)(?:.*?\n)??(?=```\n)/gs

/** @param {string[]} head @param {string[][]} rows */
function table(head, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n')
}

async function block() {
  const link = (/** @type {import('./workspace.mjs').Package} */ { folder, manifest }) => `[\`${manifest.name}\`](${folder})`
  const published = packagesIn('packages').filter(({ manifest }) => !manifest.private)
  const formats = published.filter(({ manifest }) => manifest.ioPgtable)
  const others = published.filter(({ manifest }) => !manifest.ioPgtable)
  return [
    BEGIN,
    "<!-- made by scripts/generate.mjs from the package.json files and the formats' declarations -->",
    table(
      ['package', 'what it is'],
      others.map((p) => [link(p), p.manifest.description]),
    ),
    '',
    ...(await Promise.all(
      grouped(formats).map(async (group) => `**${group.title}**\n\n${table(COLUMNS, await formatRows(group.packages))}\n`),
    )),
    NOTE,
    END,
  ].join('\n')
}

/** @param {string} text */
async function withTables(text) {
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`README.md has no block from ${BEGIN} to ${END}`)
  return text.slice(0, begin) + (await block()) + text.slice(end + END.length)
}

/** The README of a format: by what it is verified. @param {import('./workspace.mjs').Package} format */
function withVerified(format) {
  return async (/** @type {string} */ text) => {
    const [before, after] = text.split(VERIFIED)
    if (before === undefined || after === undefined) throw new Error(`${format.folder}/README.md has no block ${VERIFIED}`)
    return `${before}<!-- verified:begin -->\n${await verifiedBy(format)}\n<!-- verified:end -->${after}`
  }
}

/** @param {string} text */
function withListings(text) {
  return text.replace(LISTING, (_, opening, file) => opening + readFileSync(ROOT + file, 'utf8'))
}

const formats = packagesIn('packages').filter(({ manifest }) => !manifest.private && manifest.ioPgtable)

const check = process.argv.includes('--check')
const UPDATES = {
  'README.md': withTables,
  'docs/adding-a-format.md': withListings,
  'docs/flush-policies.md': withListings,
  'apps/cli/src/formats.ts': () => formatsModule(formats),
  ...Object.fromEntries(formats.map((format) => [`${format.folder}/README.md`, withVerified(format)])),
}
for (const [file, update] of Object.entries(UPDATES)) {
  const before = existsSync(ROOT + file) ? readFileSync(ROOT + file, 'utf8') : ''
  const after = await update(before)
  if (after === before) continue
  if (check) {
    process.stderr.write(`${file}: generated parts are out of date: run \`node scripts/generate.mjs\`\n`)
    process.exitCode = 1
  } else writeFileSync(ROOT + file, after)
}
