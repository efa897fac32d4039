// Rewrites the generated block of the README, the tables of packages and formats, from the package.json files.
// With --check it changes nothing and fails when the block is out of date.
import { readFileSync, writeFileSync } from 'node:fs'
import { packagesIn, ROOT } from './workspace.mjs'

const BEGIN = '<!-- packages:begin -->'
const END = '<!-- packages:end -->'
const README = `${ROOT}README.md`

/** @param {string[]} head @param {string[][]} rows */
function table(head, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n')
}

function block() {
  const link = (/** @type {import('./workspace.mjs').Package} */ { folder, manifest }) => `[\`${manifest.name}\`](${folder})`
  const published = packagesIn('packages').filter(({ manifest }) => !manifest.private)
  const formats = published.filter(({ manifest }) => manifest.ioPgtable)
  const others = published.filter(({ manifest }) => !manifest.ioPgtable)
  return [
    BEGIN,
    '<!-- made by scripts/generate.mjs from the package.json files -->',
    table(
      ['package', 'what it is'],
      others.map((p) => [link(p), p.manifest.description]),
    ),
    '',
    table(
      ['format', 'package'],
      formats.map((p) => [p.manifest.ioPgtable?.title ?? '', link(p)]),
    ),
    END,
  ].join('\n')
}

const before = readFileSync(README, 'utf8')
const begin = before.indexOf(BEGIN)
const end = before.indexOf(END)
if (begin < 0 || end < begin) throw new Error(`README.md has no block from ${BEGIN} to ${END}`)
const after = before.slice(0, begin) + block() + before.slice(end + END.length)

if (after !== before && process.argv.includes('--check')) {
  process.stderr.write('README.md: the tables of packages are out of date: run `node scripts/generate.mjs`\n')
  process.exit(1)
}
if (after !== before) writeFileSync(README, after)
