// A package of our own stands for pnpm, so that no network is needed: npm packs a folder as it packs what a registry has.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { install, pinned } from '../package-manager.mjs'
import { ROOT } from '../workspace.mjs'

const WINDOWS = process.platform === 'win32'
const folder = mkdtempSync(join(tmpdir(), 'io-pgtable-package-manager-'))
const source = join(folder, 'source')
const into = join(folder, 'into')
const wrong = '0'.repeat(128)
let hash = ''

beforeAll(() => {
  mkdirSync(source)
  writeFileSync(join(source, 'package.json'), JSON.stringify({ name: 'pnpm', version: '10.0.1', bin: { pnpm: 'pnpm.js' } }))
  writeFileSync(join(source, 'pnpm.js'), "#!/usr/bin/env node\nconsole.log('10.0.1 of the test')\n")
  execFileSync('npm', ['pack', source, '--pack-destination', folder], { stdio: 'pipe', shell: WINDOWS })
  hash = createHash('sha512')
    .update(readFileSync(join(folder, 'pnpm-10.0.1.tgz')))
    .digest('hex')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('what package.json pins', () => {
  it('is a version and a hash', () => {
    expect(pinned(`pnpm@10.0.1+sha512.${wrong}`)).toEqual({ version: '10.0.1', hash: wrong })
    expect(pinned(JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).packageManager).hash).toMatch(/^[0-9a-f]{128}$/)
  })

  it.each([
    'pnpm@10.0.1',
    'pnpm@10.0.1+sha512.',
    'pnpm@10.0.1+sha512.123',
    `pnpm@10.0.1+sha1.${wrong}`,
    `pnpm@latest+sha512.${wrong}`,
    `pnpm@10.0.1+sha512.${wrong}0`,
    `yarn@10.0.1+sha512.${wrong}`,
  ])('is refused without: %s', (packageManager) => {
    expect(() => pinned(packageManager)).toThrow(`packageManager of package.json is '${packageManager}': 'pnpm@VERSION+sha512.HASH'`)
  })
})

describe('the tarball', () => {
  it('with another hash is refused, and nothing of it stays', () => {
    const message = `what npm gave as pnpm 10.0.1 is not what packageManager of package.json pins, and was not run:
  sha512 ${wrong} is pinned
  sha512 ${hash} was downloaded`
    expect(() => install({ version: '10.0.1', hash: wrong }, into, source)).toThrow(message)
    expect(readdirSync(into)).toEqual([])
  })

  it('that npm cannot get is said, and nothing stays', () => {
    expect(() => install({ version: '10.0.1', hash }, into, join(folder, 'nothing'))).toThrow(/^npm pack .*nothing .*fails/)
    expect(readdirSync(into)).toEqual([])
  })

  it('with the hash is installed, once', () => {
    const commands = install({ version: '10.0.1', hash }, into, source)
    expect(readdirSync(into)).toEqual([hash])
    expect(execFileSync(join(commands, 'pnpm'), { encoding: 'utf8', shell: WINDOWS })).toBe('10.0.1 of the test\n')
    expect(install({ version: '10.0.1', hash }, into, join(folder, 'nothing'))).toBe(commands)
  })
})

// the commands of a workspace whose npm gives that package
describe('run.mjs', () => {
  const workspace = join(folder, 'workspace')
  const npm = `#!/usr/bin/env node
const { execFileSync } = require('node:child_process')
const args = process.argv.slice(2).map((arg) => (arg === 'pnpm@10.0.1' ? ${JSON.stringify(source)} : arg))
execFileSync(process.env.REAL_NPM, args, { stdio: 'inherit' })
`

  function run(pinnedHash: string) {
    const bin = join(workspace, 'bin')
    mkdirSync(bin, { recursive: true })
    for (const name of ['run.mjs', 'package-manager.mjs']) cpSync(`${ROOT}scripts/${name}`, join(workspace, 'scripts', name))
    for (const name of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) writeFileSync(join(workspace, name), '')
    writeFileSync(join(workspace, 'package.json'), JSON.stringify({ packageManager: `pnpm@10.0.1+sha512.${pinnedHash}` }))
    writeFileSync(join(bin, 'npm'), npm, { mode: 0o755 })
    const REAL_NPM = execFileSync('which', ['npm'], { encoding: 'utf8' }).trim()
    const env = { ...process.env, REAL_NPM, PATH: `${bin}:${process.env.PATH}`, IO_PGTABLE_PNPM: '10.0.1' }
    return spawnSync(process.execPath, ['scripts/run.mjs', 'check'], { cwd: workspace, env, encoding: 'utf8' })
  }

  it.skipIf(WINDOWS)('stops before anything is installed when the hash is another', () => {
    const { status, stderr } = run(wrong)
    expect(stderr).toContain('is not what packageManager of package.json pins, and was not run')
    expect(status).toBe(1)
    expect(existsSync(join(workspace, 'node_modules/.install-stamp'))).toBe(false)
  })

  it.skipIf(WINDOWS)('runs the tasks with it otherwise', () => {
    const { status, stdout, stderr } = run(hash)
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '10.0.1 of the test\n', stderr: '' })
  })
})
