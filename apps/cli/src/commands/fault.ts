/** `iopt fault`: a fault record, decoded; with an image, the walk of its address, and whether tables and record agree. */
import { FAULT_KINDS } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, tableOptions } from '../options.ts'
import type { FaultOptions } from './fault-run.ts'

const KINDS = FAULT_KINDS.map(({ kind, aliases, words }) => `  ${[kind, ...aliases].join(', ').padEnd(20)} ${words}`).join('\n')
const LAYOUTS = FAULT_KINDS.filter(({ layouts }) => layouts.length > 0)
  .map(({ kind, layouts }) => `${kind}: ${layouts.join(', ')}`)
  .join('; ')

export function addFault(program: Command, io: Io): void {
  const command = program
    .command('fault')
    .argument('<kind>', 'what wrote the record, see below')
    .argument('<words...>', 'the record, the first word first')
    .description('decodes a fault record; with an image and registers, walks its address, and says whether tables and record agree')
    .option('--layout <name>', `the register layout (${LAYOUTS})`)
    .option('--format <format>', 'the tables, where the record does not tell their format')
    .action(async (kind: string, words: readonly string[], options: FaultOptions) => {
      const { runFault } = await import('./fault-run.ts')
      await runFault(io, kind, words, options)
    })
  jsonOption(tableOptions(imageOptions(command)), 'one object: the record, and with an image the walks and whether they agree')
  command.addHelpText('after', `\nKinds:\n${KINDS}`)
  examples(
    command,
    'iopt fault smmuv3 0x0000000800000010 0x0000020800000000 0xffeba000 0',
    'iopt fault vtd 0xffebc000 0x8000000500000008 --image vmcore --rtaddr 0x564d000',
    'iopt fault arm64 0x9600004f 0xffff0000f5c3fff8',
    'iopt fault x86 0x3',
  )
}
