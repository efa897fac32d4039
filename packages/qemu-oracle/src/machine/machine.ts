/** A QEMU that runs: its qtest connection, and on request its monitor and gdb stub. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IoPgtableError } from '@io-pgtable/core'
import { type PipedChild, spawnKilled } from './child.ts'
import { GdbClient } from './gdb.ts'
import { installed, type Target } from './installation.ts'
import { MonitorClient } from './monitor.ts'
import { QtestClient } from './qtest.ts'

export interface MachineOptions {
  readonly target: Target
  /** QEMU's arguments: machine, CPU, devices. `file(name)` is the path of one of `files`. */
  readonly args: (file: (name: string) => string) => readonly string[]
  /** Written to a temporary folder for the time of the start, by name: guest code, firmware. */
  readonly files?: Readonly<Record<string, Uint8Array>>
  readonly monitor?: boolean
  readonly gdb?: boolean
  /** After so long QEMU is killed, whatever it does. Default 10 minutes. */
  readonly lifetimeMs?: number
  /** QEMU is killed, too, when it answers nothing for so long. Default 1 minute. */
  readonly stallMs?: number
}

/**
 * Debian builds QEMU without the qtest accelerator; the protocol works under TCG too. With `sleep=off` timers of devices fire at once
 * while the CPU is parked.
 */
const COMMON = '-accel tcg -icount shift=0,sleep=off -qtest stdio -qtest-log none -display none -nodefaults -serial none'

export class Machine {
  readonly qtest: QtestClient
  /** QEMU's version. */
  readonly version: string
  /** From the start to the first answer. */
  readonly startMs: number
  readonly pid: number
  readonly #child: PipedChild
  #monitor: MonitorClient | undefined
  #gdb: GdbClient | undefined

  private constructor(child: PipedChild, qtest: QtestClient, version: string, startMs: number) {
    this.#child = child
    this.qtest = qtest
    this.version = version
    this.startMs = startMs
    this.pid = child.pid ?? 0
  }

  /** @throws (rejects) `ENODEV` when QEMU is missing, too old, or does not start */
  static async start(options: MachineOptions): Promise<Machine> {
    const { binary, version } = installed(options.target)
    const folder = mkdtempSync(join(tmpdir(), 'io-pgtable-qemu-'))
    const file = (name: string): string => join(folder, name)
    for (const [name, bytes] of Object.entries(options.files ?? {})) writeFileSync(file(name), bytes)
    const sockets = [
      ...(options.monitor ? ['-qmp', `unix:${file('monitor')},server=on,wait=off`] : ['-monitor', 'none']),
      ...(options.gdb ? ['-gdb', `unix:${file('gdb')},server=on,wait=off`] : []),
    ]
    const started = performance.now()
    const child = spawnKilled(binary, [...COMMON.split(' '), ...sockets, ...options.args(file)])
    const lifetime = setTimeout(() => child.kill('SIGKILL'), options.lifetimeMs ?? 600_000).unref()
    child.once('close', () => clearTimeout(lifetime))
    const qtest = new QtestClient(child, options.stallMs)
    try {
      await qtest.settle()
      const machine = new Machine(child, qtest, version, performance.now() - started)
      if (options.monitor) machine.#monitor = await MonitorClient.connect(file('monitor'))
      if (options.gdb) machine.#gdb = await GdbClient.connect(file('gdb'))
      return machine
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    } finally {
      // QEMU has read its files, and the sockets are connected
      rmSync(folder, { recursive: true, force: true })
    }
  }

  /** @throws `EINVAL` when the machine was started without it */
  get monitor(): MonitorClient {
    return this.#monitor ?? notAsked('monitor')
  }
  /** @throws `EINVAL` when the machine was started without it */
  get gdb(): GdbClient {
    return this.#gdb ?? notAsked('gdb')
  }

  /** Kills QEMU and waits for its end; it has no state worth saving. */
  async stop(): Promise<void> {
    this.#monitor?.close()
    this.#gdb?.close()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.kill('SIGKILL')
    await closed
  }
}

function notAsked(what: string): never {
  throw new IoPgtableError('EINVAL', 'machine', `started without { ${what}: true }`, { value: what })
}
