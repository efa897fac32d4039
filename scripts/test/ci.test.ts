// What `.ci/run` does to a machine: run in a copy, on a PATH where QEMU, Chromium and a compiler are missing and every other program writes
// down that it was called.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../workspace.mjs'

const REAL = ['bash', 'dirname', 'env', 'find', 'head', 'id', 'sed', 'sort', 'tail', 'rm']
const RECORDED = ['node', 'npm', 'apt-get', 'apt-cache', 'sudo']
/** Programs that .ci/run asks for; a machine that has all of them needs nothing. */
const WANTED = [
  'qemu-system-aarch64',
  'qemu-system-arm',
  'qemu-system-x86_64',
  'qemu-system-riscv32',
  'qemu-system-riscv64',
  'chromium',
  'gcc',
  'readelf',
]

const folder = mkdtempSync(join(tmpdir(), 'io-pgtable-ci-'))
const bin = join(folder, 'bin')
const log = join(folder, 'log')

function program(name: string, body: string) {
  writeFileSync(join(bin, name), `#!/usr/bin/env bash\n${body}\n`, { mode: 0o755 })
}

/** @returns the commands that were run, with the programs that they were told to require */
function run(environment: Record<string, string>) {
  writeFileSync(log, '')
  const { status, stderr } = spawnSync('bash', ['.ci/run'], {
    cwd: folder,
    env: { PATH: bin, APT_FOLDER: folder, ...environment },
    encoding: 'utf8',
  })
  return { status, stderr, commands: readFileSync(log, 'utf8').trim().split('\n') }
}

describe.skipIf(process.platform === 'win32')('.ci/run', () => {
  beforeAll(() => {
    mkdirSync(bin)
    for (const file of ['.ci/run', 'scripts/install-qemu.sh', 'scripts/install-packages.sh']) cpSync(ROOT + file, join(folder, file))
    for (const name of REAL) {
      const found = (process.env.PATH ?? '').split(delimiter).map((path) => join(path, name))
      symlinkSync(spawnSync('ls', found, { encoding: 'utf8' }).stdout.split('\n')[0] ?? '', join(bin, name))
    }
    for (const name of RECORDED) {
      program(name, `echo "${name} $* QEMU=$REQUIRE_QEMU BROWSER=$REQUIRE_BROWSER GCC=$REQUIRE_GCC" >> ${log}`)
    }
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('installs nothing on a machine that is not CI, says what is missing, and runs the rest', () => {
    const { status, stderr, commands } = run({})
    expect(
      stderr,
    ).toBe(`not installed: QEMU 10.0 or later for aarch64 arm x86_64 riscv32 riscv64; scripts/install-qemu.sh installs it on Debian
not installed: chromium gcc libc6-dev binutils; scripts/install-packages.sh installs them on Debian
`)
    expect(status).toBe(0)
    expect(commands[0]).toBe('npm test QEMU= BROWSER= GCC=')
    expect(commands.filter((line) => !/^(?:npm|node) /.test(line))).toEqual([])
  })

  it('installs what is missing where CI is set, and stops if that fails', () => {
    const { status, commands } = run({ CI: 'true' })
    expect(commands[0]).toMatch(/^(?:apt-get update|sudo apt-get update)/)
    expect(commands.filter((line) => line.startsWith('npm'))).toEqual([])
    expect(status).not.toBe(0) // these programs install nothing
  })

  it('skips no test for a program that is there', () => {
    for (const name of WANTED) program(name, 'echo version 10.0.2')
    const { status, stderr, commands } = run({})
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(commands[0]).toBe('npm test QEMU=1 BROWSER=1 GCC=1')
    expect(run({ CI: 'true' })).toEqual({ status, stderr, commands })
  })
})
