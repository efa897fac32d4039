/** Commands that run while this process waits, and that end with it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'

const WINDOWS = process.platform === 'win32'
/** Milliseconds that a command has for its end when this process is interrupted. */
const PATIENCE = 2000

const running = new Set<ChildProcess>()
let stopping = false

/**
 * Runs a command in a group of its own, so that all that it started can be stopped.
 * @returns what it wrote to stdout
 * @throws Error with all that it wrote, when it fails
 */
export async function run(command: readonly string[], cwd: string): Promise<string> {
  const [file = '', ...args] = command
  const child = spawn(file, args, { cwd, detached: !WINDOWS, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('error', ({ message }) => resolve(message))
    child.once('close', (status, signal) => resolve(status === 0 ? undefined : signal === null ? `exit status ${status}` : signal))
  })
  running.delete(child)
  if (stopping) await new Promise(() => {}) // the process ends as soon as all commands have
  if (failure !== undefined) throw new Error(`${command.slice(0, 6).join(' ')}: ${failure}\n${out}${err}`.trimEnd())
  return out
}

/** Does what `clean` does when the process ends, however it ends: interrupted it stops its commands first. */
export function atEnd(clean: () => void): void {
  process.once('exit', () => {
    stopAll('SIGKILL')
    clean()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void interrupted(signal))
}

async function interrupted(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): Promise<void> {
  if (stopping) return
  stopping = true
  stopAll('SIGTERM')
  const end = performance.now() + PATIENCE
  while (running.size > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20))
  process.exit(128 + constants.signals[signal])
}

function stopAll(signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const { pid } of running) {
    if (pid === undefined) continue
    try {
      process.kill(WINDOWS ? pid : -pid, signal)
    } catch {
      // it has ended by itself
    }
  }
}
