/** `iopt log`: the fault records in a log, decoded; their walks by the entries that the log printed, or by an image. */
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, tableOptions } from '../options.ts'
import type { LogOptions } from './log-run.ts'

export function addLog(program: Command, io: Io): void {
  const command = program
    .command('log')
    .argument('[file]', 'the log; by default standard input')
    .description('finds the fault records in a kernel log, decodes them, and walks the table entries that were printed')
    .option('--format <format>', 'with an image: the tables, where the records do not tell their format')
    .action(async (file: string | undefined, options: LogOptions) => {
      const { runLog } = await import('./log-run.ts')
      await runLog(io, file, options)
    })
  jsonOption(tableOptions(imageOptions(command)), 'one object a record: that of fault, with its line')
  examples(command, 'iopt log oops.txt', 'iopt log --json < dmesg.txt')
}
