/** The command, built as it is published, in a workspace (and in an installation) made for it: its output, its counts, its exit status. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configs, emptyTableFreed, facts, operations, ranges } from './toy-vectors.ts'

const root = mkdtempSync(join(tmpdir(), 'iopt-conformance-'))
const WORKSPACE = 'workspace/packages/conformance/dist/cli'
const INSTALLED = 'user/node_modules/@io-pgtable/conformance/dist/cli'
const TOY = { name: 'toy', ioPgtable: { format: './dist/index.js', vectors: './dist/vectors.js' } }

beforeAll(async () => {
  await bundle(WORKSPACE, 'workspace/packages/toy/dist/vectors')
  await bundle(INSTALLED, 'user/node_modules/@someone/toy/dist/vectors')
  write('package.json', { type: 'module' })
  write('workspace/pnpm-workspace.yaml', "# members\npackages:\n  - 'packages/*' # all\n\ncatalog:\n  x: 1.0.0\n")
  write('workspace/packages/toy/package.json', { ...TOY, type: 'module' })
  write('workspace/packages/not-a-format/package.json', { name: 'x' })
  write('workspace/packages/unbuilt/package.json', { ...TOY, name: 'unbuilt' })
  write('user/node_modules/@someone/toy/package.json', { ...TOY, type: 'module' })
  write('user/node_modules/other/package.json', { name: 'other' })

  write('vectors/b/ranges.json', ranges())
  write('vectors/a/operations.json', operations())
  write('vectors/a/notes.txt', 'not a vector file')
  write('vectors/facts.json', facts())
  write('vectors/config.json', configs())
  write('skipped/one.json', emptyTableFreed())
  write('bad/leaf.json', withLeaf('0x80000007'))
  write('bad/not-json.json', '{"schema":1,')
  write('bad/not-vectors.json', { hello: 'world' })
  write('bad/no-format.json', { ...operations(), format: 'nothing' })
  mkdirSync(join(root, 'empty'))
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

test('a folder is searched for .json files; all pass: silence, the counts, status 0', () => {
  expect(vectors('vectors')).toEqual({ lines: ['4 passed, 0 failed, 0 skipped'], stderr: '', status: 0 })
})

test('files and folders, in the order of the arguments and sorted in each', () => {
  const { lines } = vectors('bad', 'vectors/facts.json')
  const order = lines.filter((line) => /^failed: /.test(line)).map((line) => line.split(/[ :]+/)[1])
  expect(order).toEqual(['bad/leaf.json', 'bad/no-format.json', 'bad/not-json.json', 'bad/not-vectors.json'])
  expect(lines.at(-1)).toBe('1 passed, 4 failed, 0 skipped')
})

test('a mismatch is told with the file, the index of the operation, what was expected and what came', () => {
  const { lines, status } = vectors('bad/leaf.json')
  expect(lines).toEqual([
    'failed: bad/leaf.json',
    '  bad/leaf.json: ops[4] dump: leaf slot 0 of 5',
    '    expected ["0x1000",2,"0x80000007"]',
    '    got      ["0x1000",2,"0x80000003"]',
    '0 passed, 1 failed, 0 skipped',
  ])
  expect(status).toBe(1)
})

test('a skipped file is told with the reason, and is no failure', () => {
  const { lines, status } = vectors('skipped', 'vectors')
  expect(lines[0]).toMatch(/^skipped: skipped\/one\.json: ops\[3\] map: the kernel freed an empty table/)
  expect(lines.at(-1)).toBe('4 passed, 0 failed, 1 skipped')
  expect(status).toBe(0)
})

test('--format counts the files of that format alone', () => {
  expect(vectors('vectors', '--format', 'toy')).toMatchObject({ lines: ['3 passed, 0 failed, 0 skipped'], status: 0 })
  expect(vectors('vectors', '--format=toy-ranges')).toMatchObject({ lines: ['1 passed, 0 failed, 0 skipped'], status: 0 })
})

test('a file of a format that no package provides fails, with the packages that could not be loaded', () => {
  const { lines, status } = vectors('bad/no-format.json')
  expect(lines[0]).toBe('failed: bad/no-format.json: no package provides the format nothing')
  expect(lines[1]).toMatch(/could not load .*unbuilt/)
  expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped')
  expect(status).toBe(1)
  expect(vectors('bad', '--format', 'toy').lines.at(-1)).toBe('0 passed, 3 failed, 0 skipped')
})

test('a path that does not exist, a file that is no JSON and one that is no vector file are failures, not crashes', () => {
  const { lines, stderr, status } = vectors('missing.json', 'bad/not-json.json', 'bad/not-vectors.json')
  expect(lines[0]).toMatch(/^failed: missing\.json: ENOENT/)
  expect(lines[1]).toMatch(/^failed: bad\/not-json\.json: .*JSON/)
  expect(lines[2]).toMatch(/^failed: bad\/not-vectors\.json: .*EBADMSG: vector file: schema: 1 expected/)
  expect(lines.at(-1)).toBe('0 passed, 3 failed, 0 skipped')
  expect({ stderr, status }).toEqual({ stderr: '', status: 1 })
})

test('nothing to run is said, and counted as nothing', () => {
  expect(vectors('empty')).toEqual({ lines: ['no vector files found', '0 passed, 0 failed, 0 skipped'], stderr: '', status: 0 })
})

test('installed somewhere, it finds the formats in the node_modules of the current folder', () => {
  expect(run(INSTALLED, join(root, 'user'), ['vectors', '../vectors'])).toMatchObject({
    lines: ['4 passed, 0 failed, 0 skipped'],
    status: 0,
  })
})

test('much output and the counts arrive whole and in order through one pipe', () => {
  const many = operations()
  many.ops = Array.from({ length: 5000 }, () => ({ op: 'translate', iova: '0x0', result: '0x123456000' }))
  write('many.json', many)
  const { lines } = vectors('many.json')
  expect(lines.length).toBe(1 + 5000 * 3 + 1)
  expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped')
})

test.each([[[]], [['vectors']], [['other', 'vectors']], [['vectors', 'vectors', '--nonsense']]])(
  '%j is a usage error: status 2',
  (args) => {
    const { stderr, status } = run(WORKSPACE, root, args)
    expect(stderr).toContain('iopt-conformance vectors PATH... [--format ID]')
    expect(status).toBe(2)
  },
)

/** Builds the command and the toy format, split as installed packages are: both use one and the same core. */
async function bundle(command: string, format: string): Promise<void> {
  const source = (file: string) => fileURLToPath(new URL(file, import.meta.url))
  const entryPoints = [
    { in: source('../src/cli.ts'), out: command },
    { in: source('toy.ts'), out: format },
  ]
  const conditions = ['@io-pgtable/source']
  await build({ entryPoints, outdir: root, bundle: true, splitting: true, platform: 'node', format: 'esm', target: 'node20', conditions })
}

function withLeaf(raw: string): object {
  const json = operations()
  const dump = json.ops[4] as { leaves: unknown[][] }
  dump.leaves[0]![2] = raw
  dump.leaves[0]![3] = 1
  dump.leaves.splice(1, 0, ['0x2000', 2, '0x80001003', 3, '0x1000'])
  return json
}

function write(file: string, content: unknown): void {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), typeof content === 'string' ? content : JSON.stringify(content))
}

function vectors(...args: string[]): { lines: string[]; stderr: string; status: number | null } {
  return run(WORKSPACE, root, ['vectors', ...args])
}

function run(command: string, cwd: string, args: string[]): { lines: string[]; stderr: string; status: number | null } {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(root, `${command}.js`), ...args], { cwd, encoding: 'utf8' })
  return { lines: stdout.split('\n').slice(0, -1), stderr, status }
}
