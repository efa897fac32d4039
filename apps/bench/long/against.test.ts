/** `npm run bench -- --against HEAD`, in short: both versions are built and measured, and nothing is left behind. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Judgement } from '../src/judgement.ts'

const BENCH = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'bench-against-'))
const main = join(BENCH, 'dist/main.js')
/** Where the command puts what it builds: looked at by nobody else. */
const temporary = join(folder, 'temporary')

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, ['../../scripts/bundle.mjs'], { cwd: BENCH, encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  mkdirSync(temporary)
})
afterAll(() => rmSync(folder, { recursive: true }))

function start(...args: string[]): ChildProcess & { readonly text: () => string } {
  const child = spawn(process.execPath, [main, ...args], { cwd: BENCH, env: { ...process.env, TMPDIR: temporary } })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more: string) => (text += more))
  return Object.assign(child, { text: () => text })
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve))
}

/** Its worktrees, and its temporary files. */
function left(): string[] {
  const { stdout } = spawnSync('git', ['worktree', 'list', '--porcelain'], { cwd: BENCH, encoding: 'utf8' })
  return [...stdout.split('\n').filter((line) => line.includes(temporary)), ...readdirSync(temporary)]
}

test('rows of this version and of HEAD are measured in three processes of each', async () => {
  const file = join(folder, 'judgement.json')
  const child = start('--against', 'HEAD', '--runs', '3', '--rows', '^(fill|arm64-lpae-s1/map/(512|all)/present)$', '--json', file)
  const status = await ended(child)
  expect([0, 1], child.text()).toContain(status)
  const judgement = JSON.parse(readFileSync(file, 'utf8')) as Judgement
  expect(judgement.rows.map(({ id, column }) => `${column} ${id}`)).toEqual([
    'one arm64-lpae-s1/map/512/present',
    'one arm64-lpae-s1/map/all/present',
    'all fill',
    'all arm64-lpae-s1/map/512/present',
    'all arm64-lpae-s1/map/all/present',
  ])
  for (const { processes, ratio } of judgement.rows) {
    const times = [processes.here, processes.ref, processes.copy]
    expect(times.map(({ length }) => length)).toEqual([3, 3, 3])
    expect(times.flat().every((time) => time > 0 && time < 1e6)).toBe(true)
    expect(ratio).toBeGreaterThan(0)
  }
  // what it says of so few processes may be either, but it says it everywhere alike
  expect(status).toBe(judgement.rows.some(({ slower }) => slower) ? 1 : 0)
  expect(child.text()).toMatch(status === 0 ? /none of 5 figures is slower\n$/ : /slower, \d of 5 figures:\n( {2}.+\n)+$/)
  expect(left()).toEqual([])
})

test('interrupted while it builds, it leaves nothing behind', async () => {
  const child = start('--against', 'HEAD', '--rows', '^fill$')
  while (!left().some((line) => line.startsWith('worktree '))) await new Promise((resolve) => setTimeout(resolve, 50))
  await new Promise((resolve) => setTimeout(resolve, 500))
  child.kill('SIGINT')
  expect(await ended(child)).toBe(130)
  expect(left()).toEqual([])
})

test('a version that cannot be built says why, and leaves nothing behind', async () => {
  const author = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost']
  const withoutFiles = [...author, 'commit-tree', '-m', 'no files', '4b825dc642cb6eb9a060e54bf8d69288fbee4904']
  const { stdout } = spawnSync('git', withoutFiles, { cwd: BENCH, encoding: 'utf8' })
  const child = start('--against', stdout.trim(), '--rows', '^fill$')
  expect(await ended(child)).toBe(2)
  expect(child.text()).toContain('scripts/run.mjs')
  expect(left()).toEqual([])
})

test.each([
  [['no-such-commit'], 'git knows no such commit'],
  [['HEAD', '--runs', '0'], 'a number from 1 to 1000'],
  [['HEAD', '--rows', '('], 'Invalid regular expression'],
  [['HEAD', '--no-such-option'], '--no-such-option'],
  [['HEAD', '--rows', 'no such row'], 'no row that both versions have'],
])('--against %j says what is wrong', async (args, wrong) => {
  const child = start('--against', ...args)
  expect(await ended(child)).toBe(2)
  expect(child.text()).toContain(wrong)
  expect(left()).toEqual([])
})
