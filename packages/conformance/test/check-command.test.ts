/** `iopt-conformance check`, built: a sound module, a broken one, and what is not a module. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'iopt-check-'))
const dist = new URL('../dist/', import.meta.url)
const toy = new URL('toy.js', dist).href

/** The toy with W inverted in what is written, beside the toy itself. */
const BROKEN = `
import { toy } from '${toy}'
const inverted = (...args) => (toy.encodeLeaf(...args) === undefined ? undefined : toy.encodeLeaf(...args) ^ 4n)
export const broken = { ...toy, FORMAT: 'broken', encodeLeaf: inverted }
export { toy }
`

beforeAll(() => {
  write('sound.mjs', `export { toy } from '${toy}'`)
  write('broken.mjs', BROKEN)
  write('nothing.mjs', 'export const answer = 42')
  write('vectors.json', '{"hello":"world"}')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a sound format: what was skipped and why, the counts, status 0', () => {
  const { lines, status } = check('sound.mjs')
  expect(lines[0]).toBe('toy: 3 configurations, self-consistent only')
  expect(lines).toContain('  skipped truth/vectors: self-consistent only: the format comes without golden vectors (all configurations)')
  expect(lines.at(-1)).toMatch(/^toy: \d+ passed, 0 failed$/)
  expect(status).toBe(0)
})

test('a broken one is told by law, configuration and descriptor, beside a sound one of the same module; status 1', () => {
  const { lines, status } = check('broken.mjs')
  const at = lines.findIndex((line) => line.startsWith('failed: broken · 28 bits · format/attributes'))
  expect(lines[at + 1]).toMatch(/law format\/attributes is broken: broken, configuration "28 bits": descriptor of what READ grants/)
  expect(lines.slice(at).find((line) => line.includes('31       23'))).toBeDefined()
  expect(lines.filter((line) => / passed, /.test(line)).map((line) => line.replace(/\d+/g, 'N'))).toEqual([
    'broken: N passed, N failed',
    'toy: N passed, N failed',
  ])
  expect(status).toBe(1)
  expect(check('broken.mjs', '--format', 'toy').status).toBe(0)
})

test('vectors that nobody can read are a failure, not a skip', () => {
  const { lines, status } = check('sound.mjs', '--vectors', join(folder, 'vectors.json'))
  expect(lines.some((line) => line.startsWith('failed: toy · truth/vectors'))).toBe(true)
  expect(status).toBe(1)
})

test.each([
  ['nothing.mjs'],
  ['missing.mjs'],
  ['sound.mjs', '--effort', 'some'],
  ['sound.mjs', '--seed', 'x'],
  ['sound.mjs', 'nothing.mjs'],
])('check %s %s %s is a usage error: status 2', (...args) => {
  const { stderr, status } = check(...args)
  expect(stderr).toContain('usage: iopt-conformance check MODULE.js')
  expect(status).toBe(2)
})

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text)
}

function check(...args: string[]): { lines: string[]; stderr: string; status: number | null } {
  const cli = fileURLToPath(new URL('cli.js', dist))
  const { stdout, stderr, status } = spawnSync(process.execPath, [cli, 'check', ...args], { cwd: folder, encoding: 'utf8' })
  return { lines: stdout.split('\n').slice(0, -1), stderr, status }
}
