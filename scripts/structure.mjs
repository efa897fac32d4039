// The figures of the code's structure, and their limits. `node scripts/structure.mjs --list` also names what counts against each figure.
import ts from 'typescript'
import { groupsOf, longestChain, sourcesOf } from './imports.mjs'

const CORE = 'packages/core/src/'

/** A figure, and what counts in it, or the most of it. @typedef {{ value: number, list: string[] }} Figure */

/**
 * The most that each figure may be. Where a figure is not yet what it is to be, its limit is what it is, and the goal stands beside it: a change
 * that makes it smaller lowers the limit, and none raises it.
 * @type {{ name: string, figure: () => Figure, limit: number, goal?: number }[]}
 */
const LIMITS = [
  { name: 'functions of core with over six parameters, outside of hot/', figure: longCalls, limit: 0 },
  { name: 'floors of core: files in the longest chain of imports', figure: floors, limit: 13, goal: 9 },
  { name: 'circles of files by more than types, everywhere', figure: circles, limit: 0 },
  { name: 'lines of the longest file of core', figure: () => longest(core), limit: 330 },
  {
    name: 'lines of io-page-table.ts',
    figure: () => longest(core.filter(({ file }) => file.endsWith('/io-page-table.ts'))),
    limit: 260,
  },
  { name: 'files in core/src itself', figure: () => counted(filesIn('')), limit: 4 },
  { name: 'files in the largest folder of core', figure: largestFolder, limit: 9 },
  { name: 'folders of core with one file', figure: () => counted(folders().filter((folder) => filesIn(folder).length < 2)), limit: 0 },
  { name: 'imports of core that do not point down', figure: upwards, limit: 0 },
]

/** The folders of core from the bottom up, and which folders below each may import. All may import the files in core/src itself but the entries. */
const BELOW = /** @type {Record<string, string[]>} */ ({
  hot: [],
  format: [],
  read: ['format'],
  compile: ['format', 'hot', 'read'],
  tlb: ['hot'],
  memory: ['compile', 'format', 'hot', 'read', 'tlb'],
  tree: ['compile', 'format', 'hot', 'memory', 'read', 'tlb'],
  device: ['memory'],
  request: ['compile', 'format', 'hot', 'memory', 'read', 'tlb', 'tree'],
  change: ['compile', 'format', 'hot', 'memory', 'read', 'request', 'tlb', 'tree'],
  translate: ['compile', 'format', 'hot', 'memory', 'read', 'request', 'tree'],
  table: ['change', 'compile', 'device', 'format', 'hot', 'memory', 'read', 'request', 'tlb', 'translate', 'tree'],
})

const sources = sourcesOf()
const core = [...sources.values()].filter(({ file }) => file.startsWith(CORE))
/** @param {string} file */
const short = (file) => file.replaceAll(CORE, '')

/** @typedef {import('./imports.mjs').Source} Source */

/** @param {string[]} list @returns {Figure} */
const counted = (list) => ({ value: list.length, list })

/** The folder of a file of core; '' for those in core/src itself. @param {string} file */
function folderOf(file) {
  return short(file).includes('/') ? (short(file).split('/')[0] ?? '') : ''
}

/** @param {Iterable<Source>} files @param {(one: Source['imports'][number]) => boolean} wanted @returns {Map<string, Set<string>>} */
function graphOf(files, wanted) {
  return new Map([...files].map(({ file, imports }) => [file, new Set(imports.filter(wanted).map(({ to }) => to))]))
}

function longCalls() {
  const found = core.flatMap(({ file, source }) => {
    const inFile = /** @type {string[]} */ ([])
    /** @param {ts.Node} node */
    const visit = (node) => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined && node.parameters.length > 6) {
        const { line } = source.getLineAndCharacterOfPosition(node.parameters.pos)
        inFile.push(
          `${short(file)}:${line + 1}: ${node.name === undefined ? 'a function' : node.name.getText(source)}, ${node.parameters.length}`,
        )
      }
      ts.forEachChild(node, visit)
    }
    if (folderOf(file) !== 'hot') visit(source)
    return inFile
  })
  return counted(found)
}

function floors() {
  const chain = longestChain(graphOf(core, () => true)).map(short)
  return { value: chain.length, list: chain }
}

function circles() {
  const groups = groupsOf(graphOf(sources.values(), ({ typeOnly }) => !typeOnly))
  return counted(groups.filter(({ length }) => length > 1).map((group) => group.sort().join(', ')))
}

/** @param {Source[]} files */
function longest(files) {
  const lines = files
    .map(({ file, source }) => ({ file, lines: source.text.trimEnd().split('\n').length }))
    .sort((a, b) => b.lines - a.lines)
  return { value: lines[0]?.lines ?? 0, list: lines.slice(0, 3).map((one) => `${short(one.file)}: ${one.lines}`) }
}

/** @param {string} folder */
function filesIn(folder) {
  return core.filter(({ file }) => folderOf(file) === folder).map(({ file }) => short(file))
}

function folders() {
  return [...new Set(core.map(({ file }) => folderOf(file)))].filter((folder) => folder !== '')
}

function largestFolder() {
  const counts = folders().map((folder) => ({ folder, files: filesIn(folder).length }))
  const [most, ...more] = counts.sort((a, b) => b.files - a.files)
  return { value: most?.files ?? 0, list: [most, ...more].slice(0, 3).map((one) => `${one?.folder}/: ${one?.files}`) }
}

function upwards() {
  const wrong = core
    .filter(({ file }) => !ENTRIES.includes(file))
    .flatMap(({ file, imports }) =>
      imports
        .filter(({ to }) => to.startsWith(CORE) && !mayImport(folderOf(file), to))
        .map(({ to }) => `${short(file)} imports ${short(to)}`),
    )
  return counted(wrong)
}

const ENTRIES = ['index.ts', 'compiled.ts'].map((file) => CORE + file)

/** @param {string} folder @param {string} to */
function mayImport(folder, to) {
  const target = folderOf(to)
  if (target === '') return !ENTRIES.includes(to)
  return target === folder || (BELOW[folder] ?? []).includes(target)
}

const everything = process.argv.includes('--list')
let failed = false
for (const { name, figure, limit, goal = limit } of LIMITS) {
  const { value, list } = figure()
  const wrong = value > limit
  failed ||= wrong
  process.stdout.write(
    `${wrong ? 'FAILED ' : ''}${name}: ${value} (${wrong || goal === limit ? `at most ${limit}` : told(value, limit, goal)})\n`,
  )
  if (wrong || everything) process.stdout.write(list.map((one) => `  ${one}\n`).join(''))
}
process.exit(failed ? 1 : 0)

/** @param {number} value @param {number} limit @param {number} goal */
function told(value, limit, goal) {
  return value < limit ? `its limit is ${limit}: lower it; the goal is ${goal}` : `the goal is ${goal}`
}
