/** Runs a command line: what it throws becomes a message on stderr and an exit code. */
import { IoPgtableError } from '@io-pgtable/core'
import { CommanderError } from 'commander'
import { type Io, PipeClosed } from './io.ts'
import { printable } from './printable.ts'
import { createProgram } from './program.ts'
import { UsageError } from './usage.ts'

/** Exit codes; `iopt --help` tells them. */
export const EXIT = { ok: 0, findings: 1, failed: 2 } as const

/** @returns the exit code */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const result = { code: EXIT.ok as number }
  let code: number
  try {
    await createProgram(io, result).parseAsync(args, { from: 'user' })
    code = result.code
  } catch (error) {
    code = failed(error, io)
  }
  return ended(code, io)
}

function ended(code: number, io: Io): number {
  try {
    io.flush()
  } catch (error) {
    if (!(error instanceof PipeClosed)) throw error
  }
  return code
}

function failed(error: unknown, io: Io): number {
  if (error instanceof PipeClosed) return EXIT.ok
  // commander has told it, or it was --help
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.failed
  io.err(`iopt: ${io.errColor.red(printable(messageOf(error)))}\n`)
  if (error instanceof UsageError) io.err('Try --help.\n')
  return EXIT.failed
}

/** What was expected to go wrong is told in a line; anything else is a fault of ours, and its trace is wanted. */
function messageOf(error: unknown): string {
  if (error instanceof IoPgtableError || error instanceof UsageError) return error.message
  if (error instanceof Error && 'syscall' in error) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
