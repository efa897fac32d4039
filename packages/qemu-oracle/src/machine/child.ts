/**
 * A child process that never outlives its parent. QEMU does not notice that its parent died, so each child is killed when this process
 * exits, by itself, by a signal or by an exception; and a shell that waits for the end of a pipe from this process kills it where no code of
 * ours runs any more (SIGKILL, a worker that is torn down).
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'

export type PipedChild = ChildProcessByStdio<Writable, Readable, Readable>

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const alive = new Map<ChildProcess, ChildProcess>()

function killAll(): void {
  for (const [child, watchdog] of alive) {
    child.kill('SIGKILL')
    watchdog.kill('SIGKILL')
  }
}

/** Signals end this process as they would without us, after its children. */
function onSignal(signal: NodeJS.Signals): void {
  killAll()
  for (const name of SIGNALS) process.off(name, onSignal)
  // other listeners have their own idea of what follows
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
}

function listen(): void {
  process.on('exit', killAll)
  for (const name of SIGNALS) process.on(name, onSignal)
}

function unlisten(): void {
  process.off('exit', killAll)
  for (const name of SIGNALS) process.off(name, onSignal)
}

/** `read` is of the shell itself, so there is no third process. Detached: Ctrl-C reaches a whole process group. */
function watchdogOf(pid: number): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', 'while read -r _; do :; done; kill -9 "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watchdog.on('error', () => {})
  watchdog.unref()
  // a pipe to a child is a socket, whatever its type says
  ;(watchdog.stdin as Socket | null)?.unref()
  return watchdog
}

/** Starts a program with pipes, and makes sure that it ends with this process. Its `error` event tells when it cannot be started. */
export function spawnKilled(file: string, args: readonly string[]): PipedChild {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  if (child.pid === undefined) return child
  if (alive.size === 0) listen()
  const watchdog = watchdogOf(child.pid)
  alive.set(child, watchdog)
  child.once('exit', () => {
    watchdog.kill('SIGKILL')
    alive.delete(child)
    if (alive.size === 0) unlisten()
  })
  return child
}
