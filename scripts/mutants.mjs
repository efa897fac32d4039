// Whether the tests of a package see single-line faults in its sources: `node scripts/mutants.mjs [--package core] [--count 200] [--seed 1]`.
// Each mutant is one change of one line, tried in a copy of the workspace with the package's tests that depend on the file, until one of them
// fails. What was tried stands in reports/mutants-PACKAGE-SEED.jsonl, so that a run that was ended goes on where it was. It takes hours, and
// no check runs it. Survivors are killed by a new test, or listed in packages/PACKAGE/EQUIVALENT-MUTANTS.md with the reason.
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from './workspace.mjs'

/** @typedef {{ file: string, line: number, from: string, to: string }} Mutant */

/** What is changed, and into what: the first match in a line. Types, imports and comments are left alone. */
const CHANGES = /** @type {readonly (readonly [RegExp, string])[]} */ ([
  [/ === /, ' !== '],
  [/ !== /, ' === '],
  [/ < /, ' <= '],
  [/ <= /, ' < '],
  [/ > /, ' >= '],
  [/ >= /, ' > '],
  [/ && /, ' || '],
  [/ \|\| /, ' && '],
  [/ \+ /, ' - '],
  [/ - /, ' + '],
  [/ & ~/, ' & '],
  [/ << /, ' >> '],
  [/\btrue\b/, 'false'],
  [/\bfalse\b/, 'true'],
  [/\?\? /, '&& '],
  [/(?<![\w.])1(?![\w.])/, '2'],
  [/(?<![\w.])0n(?!\w)/, '1n'],
  [
    /^(\s+)(?!return|const|let|if|for|while|throw|else|break|continue|export|import|type|readonly|case|\/\/|\*|\}|#?\w+:)([\w.#]+\([^=]*\))$/,
    '$1void 0',
  ],
])

const { values } = parseArgs({
  options: {
    package: { type: 'string', default: 'core' },
    count: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
})
const folder = `packages/${values.package}`
const log = `${ROOT}reports/mutants-${values.package}-${values.seed}.jsonl`

/** Every mutant of the package's sources, in the order of files and lines. @returns {Mutant[]} */
function allMutants() {
  const files = readdirSync(`${ROOT}${folder}/src`, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'))
    .sort()
  return files.flatMap((name) => {
    const file = `${folder}/src/${name}`
    let comment = false
    return readFileSync(ROOT + file, 'utf8')
      .split('\n')
      .flatMap((from, i) => {
        const starts = /^\s*\/\*/.test(from)
        const inside = comment || starts
        comment = inside && !from.includes('*/')
        if (inside || /^\s*(?:\/\/|\*|import|export (?:type|interface|\*)|type |interface |readonly |declare )/.test(from)) return []
        const [code = ''] = from.split(/\s\/\/ /)
        return CHANGES.flatMap(([what, into]) => (what.test(code) ? [{ file, line: i + 1, from, to: from.replace(what, into) }] : []))
      })
  })
}

/** A sample without repetition; the same for the same seed. @param {Mutant[]} all @param {number} count @param {number} seed */
function sample(all, count, seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const rest = [...all]
  return Array.from(
    { length: Math.min(count, all.length) },
    () => /** @type {Mutant} */ (rest.splice(Math.floor(next() * rest.length), 1)[0]),
  )
}

/** The workspace as git has it, in a folder of its own; tools and dependencies are those of this one. */
function copyOfWorkspace() {
  const copy = mkdtempSync(join(tmpdir(), 'io-pgtable-mutants-'))
  rmSync(copy, { recursive: true })
  const made = spawnSync('git', ['worktree', 'add', '--detach', '-q', copy, 'HEAD'], { cwd: ROOT, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(made.stderr)
  for (const at of ['', `${folder}/`, 'packages/pt-allocator/', 'packages/conformance/'])
    if (existsSync(`${ROOT}${at}node_modules`)) symlinkSync(`${ROOT}${at}node_modules`, `${copy}/${at}node_modules`)
  return copy
}

/** Whether the related tests pass with the mutant in place. @param {string} copy @param {Mutant} mutant */
function survives(copy, { file, line, to }) {
  const path = `${copy}/${file}`
  const source = readFileSync(path, 'utf8')
  const lines = source.split('\n')
  lines[line - 1] = to
  writeFileSync(path, lines.join('\n'))
  const args = ['related', '--run', '--bail', '1', '--project', String(values.package), '--reporter=dot', path]
  const { status, signal } = spawnSync(`${ROOT}node_modules/.bin/vitest`, args, { cwd: copy, timeout: 120_000, stdio: 'ignore' })
  writeFileSync(path, source)
  return status === 0 && signal === null
}

const mutants = sample(allMutants(), Number(values.count), Number(values.seed))
const key = (/** @type {Mutant} */ m) => `${m.file}:${m.line} ${m.to.trim()}`
const done = new Map(
  (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []).map((row) => /** @type {[string, boolean]} */ (JSON.parse(row))),
)
mkdirSync(`${ROOT}reports`, { recursive: true })
const copy = copyOfWorkspace()
const end = () => spawnSync('git', ['worktree', 'remove', '--force', copy], { cwd: ROOT })
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))
process.on('exit', end)
for (const mutant of mutants) {
  if (done.has(key(mutant))) continue
  const survived = survives(copy, mutant)
  done.set(key(mutant), survived)
  appendFileSync(log, `${JSON.stringify([key(mutant), survived])}\n`)
  process.stdout.write(`${survived ? 'SURVIVED' : 'killed  '} ${key(mutant)}\n`)
}
const survivors = mutants.filter((mutant) => done.get(key(mutant)))
process.stdout.write(`${mutants.length} mutants of ${values.package}, seed ${values.seed}: ${survivors.length} survived\n`)
for (const mutant of survivors) process.stdout.write(`${mutant.file}:${mutant.line}\n  - ${mutant.from.trim()}\n  + ${mutant.to.trim()}\n`)
