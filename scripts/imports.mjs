// The graph of a workspace's files: who imports whom, which files go in circles, and on how many floors they stand.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import ts from 'typescript'
import { packagesIn, ROOT, SOURCE } from './workspace.mjs'

/**
 * @typedef {object} Import
 * @property {string} to a file, from the root on
 * @property {boolean} typeOnly nothing of it is left in JavaScript
 */
/** @typedef {{ file: string, source: ts.SourceFile, imports: Import[] }} Source */

/** The TypeScript files of packages and apps, their tests too. @returns {Map<string, Source>} by their names from the root on */
export function sourcesOf() {
  const packages = [...packagesIn('packages'), ...packagesIn('apps')]
  const entries = new Map(packages.flatMap(({ folder, manifest }) => entriesOf(folder, manifest)))
  const files = packages.flatMap(({ folder }) => ['src', 'test', 'long'].flatMap((part) => filesBelow(`${folder}/${part}`)))
  return new Map(files.map((file) => [file, sourceOf(file, entries)]))
}

/** What each name that a package can be imported by means. @param {string} folder @param {import('./workspace.mjs').Manifest} manifest @returns {[string, string][]} */
function entriesOf(folder, { name, exports = {} }) {
  return Object.entries(exports).flatMap(([entry, conditions]) => {
    const file = typeof conditions === 'string' ? undefined : conditions[SOURCE]
    return file === undefined ? [] : [/** @type {[string, string]} */ ([posix.join(name, entry), posix.join(folder, file)])]
  })
}

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  if (!existsSync(ROOT + folder)) return []
  const found = readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' }).sort()
  return found.filter((file) => /(?<!\.d)\.ts$/.test(file)).map((file) => posix.join(folder, file.replaceAll('\\', '/')))
}

/** @param {string} file @param {Map<string, string>} entries @returns {Source} */
function sourceOf(file, entries) {
  const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest)
  const imports = source.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return []
    const name = statement.moduleSpecifier
    if (name === undefined || !ts.isStringLiteral(name)) return []
    const to = name.text.startsWith('.') ? posix.join(dirname(file), name.text) : entries.get(name.text)
    return to === undefined ? [] : [{ to, typeOnly: isTypeOnly(statement) }]
  })
  return { file, source, imports }
}

/** Whether no value is named. @param {ts.ImportDeclaration | ts.ExportDeclaration} statement */
function isTypeOnly(statement) {
  if (ts.isExportDeclaration(statement)) {
    const { isTypeOnly: whole, exportClause: clause } = statement
    return whole || (clause !== undefined && ts.isNamedExports(clause) && clause.elements.every((element) => element.isTypeOnly))
  }
  const clause = statement.importClause
  if (clause === undefined) return false // for its effects
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const names = clause.namedBindings
  return (
    clause.name === undefined && names !== undefined && ts.isNamedImports(names) && names.elements.every((element) => element.isTypeOnly)
  )
}

/**
 * Groups of files that can reach one another, each group after all that it imports: Tarjan's algorithm.
 * @param {Map<string, Iterable<string>>} graph @returns {string[][]}
 */
export function groupsOf(graph) {
  const numbers = /** @type {Map<string, number>} */ (new Map())
  const waiting = /** @type {string[]} */ ([])
  const done = new Set()
  const groups = /** @type {string[][]} */ ([])
  /** @param {string} node @returns {number} the smallest number that it reaches among those that wait */
  function visit(node) {
    const number = numbers.size
    let least = number
    numbers.set(node, number)
    waiting.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next) || done.has(next)) continue
      least = Math.min(least, numbers.get(next) ?? visit(next))
    }
    if (least === number) {
      const group = waiting.splice(waiting.indexOf(node))
      for (const member of group) done.add(member)
      groups.push(group)
    }
    return least
  }
  for (const node of graph.keys()) if (!numbers.has(node)) visit(node)
  return groups
}

/** The longest chain of files in which each imports the next; a group of files that go in circles is one. @param {Map<string, Iterable<string>>} graph @returns {string[]} from the top down */
export function longestChain(graph) {
  const below = /** @type {Map<string, string[]>} */ (new Map())
  let longest = /** @type {string[]} */ ([])
  for (const group of groupsOf(graph)) {
    const members = new Set(group)
    const chains = group.flatMap((node) =>
      [...(graph.get(node) ?? [])].filter((next) => !members.has(next)).map((next) => below.get(next) ?? []),
    )
    const under = chains.reduce((best, chain) => (chain.length > best.length ? chain : best), [])
    const chain = [group.sort().join(' + '), ...under]
    for (const node of group) below.set(node, chain)
    if (chain.length > longest.length) longest = chain
  }
  return longest
}
