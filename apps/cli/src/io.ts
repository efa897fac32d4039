/** Where a command writes: stdout holds results alone, stderr everything that is said about them. */
import { writeSync } from 'node:fs'
import pc from 'picocolors'
import { printable, printablePainted } from './printable.ts'

export type Colors = ReturnType<typeof pc.createColors>

export interface Io {
  /** Results: whole lines. Unprintable characters of what others wrote become escapes, here and in `err`. */
  out(text: string): void
  /** Notes, errors, progress. */
  err(text: string): void
  /** Colours of results; of what goes to stderr. */
  readonly color: Colors
  readonly errColor: Colors
  /** On a terminal: takes the line that is being written, in place of the one before; none. */
  status(text: string): void
  /** Whether a progress bar can be drawn on stderr. */
  readonly isInteractive: boolean
  /** Called when everything is written, or an error ends the command. */
  flush(): void
}

/** The reader of our output has gone: nothing more is to be said, and nothing is wrong. */
export class PipeClosed extends Error {}

const CHUNK = 1 << 16

/** Standard output and error. Writing is synchronous, so that nothing piles up and nothing is lost at an exit. */
export function nodeIo(env: Readonly<Record<string, string | undefined>> = process.env): Io {
  const color = pc.createColors(wantsColor(process.stdout.isTTY, env))
  const errColor = pc.createColors(wantsColor(process.stderr.isTTY, env))
  let pending = ''
  // people see each line when it is there; Ctrl-C, which ends the process on the spot, leaves them what was found
  const chunk = process.stdout.isTTY === true ? 0 : CHUNK
  const flush = (): void => {
    const text = pending
    pending = ''
    writeAll(1, shown(text, color))
  }
  return {
    out(text) {
      pending += text
      if (pending.length >= chunk) flush()
    },
    err(text) {
      flush()
      writeAll(2, shown(text, errColor))
    },
    status(text) {
      flush()
      writeAll(2, `\r\x1b[K${text}`)
    },
    color,
    errColor,
    isInteractive: process.stderr.isTTY === true && env.TERM !== 'dumb',
    flush,
  }
}

/** As a terminal gets it. Without colours no escape is ours. */
function shown(text: string, { isColorSupported }: Colors): string {
  return isColorSupported ? printablePainted(text) : printable(text)
}

/** Colours on a terminal only, and not where NO_COLOR (no-color.org) is set to anything. */
export function wantsColor(isTerminal: boolean | undefined, env: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return true
  return isTerminal === true && TERM !== 'dumb'
}

function writeAll(fd: number, text: string): void {
  let bytes = Buffer.from(text)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') throw new PipeClosed()
      if (code !== 'EAGAIN') throw error
      // a pipe that is full and does not block: wait for its reader
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    }
  }
}
