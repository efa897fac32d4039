/** The command line: all commands, and what `--help` says. */
import { Command } from 'commander'
import { addBuild } from './commands/build.ts'
import { addCheck } from './commands/check.ts'
import { addDiff } from './commands/diff.ts'
import { addDump } from './commands/dump.ts'
import { addExplain } from './commands/explain.ts'
import { addFault } from './commands/fault.ts'
import { addFind } from './commands/find.ts'
import { addFormats } from './commands/formats.ts'
import { addLog } from './commands/log.ts'
import { addReplay } from './commands/replay.ts'
import { addRoots } from './commands/roots.ts'
import { addStreams } from './commands/streams.ts'
import { addTranslate } from './commands/translate.ts'
import type { Io } from './io.ts'
import { printable } from './printable.ts'

/** What a command leaves behind. */
export interface Result {
  code: number
}

/** What a command needs to be added. */
export type AddCommand = (program: Command, io: Io, result: Result) => void

const COMMANDS: readonly AddCommand[] = [
  addFormats,
  addExplain,
  addTranslate,
  addDump,
  addCheck,
  addDiff,
  addFind,
  addStreams,
  addFault,
  addLog,
  addRoots,
  addBuild,
  addReplay,
]

const AFTER = `
Numbers are decimal, or hex with 0x, and may end in K, M, G or T. Registers are given raw, as the hardware holds them.
With --json, stdout holds only the documented objects, one a line; notes go to stderr.

Exit codes:
  0    the command ran; what it found is in its output
  1    check alone: findings of the severity error (or as the policy's failOn says)
  2    a bad command line, or a file or register that cannot be read
  130  interrupted: what the shell says of a command that the signal ended`

export function createProgram(io: Io, result: Result): Command {
  const program = new Command('iopt')
  program
    .description('See into any I/O page table, from any memory image; explain, check and build tables.')
    .helpCommand(false)
    .addHelpText('after', AFTER)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(printable(text)),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('Try --help.')
  for (const add of COMMANDS) add(program, io, result)
  return program
}
