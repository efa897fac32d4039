/** Which QEMU is installed, and what tests do without one. */
import { spawnSync } from 'node:child_process'
import { IoPgtableError } from '@io-pgtable/core'

/** QEMU's names of the machines that the oracles use. */
export type Target = 'aarch64' | 'arm' | 'x86_64' | 'riscv32' | 'riscv64'

export interface Installation {
  readonly binary: string
  /** As QEMU says it: `10.0.2`. */
  readonly version: string
}

/** VT-d's first stage is modelled from 10.0 on. */
export const MINIMUM: readonly [major: number, minor: number] = [10, 0]

const HOW = 'scripts/install-qemu.sh installs it on Debian'

const found = new Map<Target, Installation | IoPgtableError>()

function missing(message: string, value: string): IoPgtableError {
  return new IoPgtableError('ENODEV', 'qemu', `${message}: QEMU ${MINIMUM.join('.')} or later is needed; ${HOW}`, { value })
}

function look(target: Target): Installation | IoPgtableError {
  const binary = `qemu-system-${target}`
  const { status, stdout, error } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  if (error !== undefined || status !== 0) return missing(`${binary} is not on the PATH`, binary)
  const [, version = '', major = '0', minor = '0'] = /version ((\d+)\.(\d+)[\d.]*)/.exec(stdout) ?? []
  const old = Number(major) < MINIMUM[0] || (Number(major) === MINIMUM[0] && Number(minor) < MINIMUM[1])
  return old ? missing(`${binary} is version ${version || 'unknown'}`, version) : { binary, version }
}

/** The QEMU of a target, or why it cannot be used. */
export function installation(target: Target): Installation | IoPgtableError {
  const known = found.get(target) ?? look(target)
  found.set(target, known)
  return known
}

/** @throws `ENODEV` that says what is missing and how to install it */
export function installed(target: Target): Installation {
  const known = installation(target)
  if (known instanceof IoPgtableError) throw known
  return known
}

/** For titles of tests: whether they are skipped, and the title with the reason. */
export interface Requirement {
  readonly skip: boolean
  title(text: string): string
}

/**
 * What tests that need these targets do here: run, or be skipped with the reason in their title.
 * @throws `ENODEV` instead of skipping, where the environment has `REQUIRE_QEMU=1`
 */
export function requirement(...targets: readonly Target[]): Requirement {
  const reason = targets.map(installation).find((known) => known instanceof IoPgtableError)
  if (reason instanceof IoPgtableError && process.env.REQUIRE_QEMU === '1') throw reason
  if (reason instanceof IoPgtableError) return { skip: true, title: (text) => `${text} (skipped: ${reason.message})` }
  return { skip: false, title: (text) => text }
}
