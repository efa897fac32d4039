/** Options that several commands share. */
import { type Command, Option } from 'commander'
import { IOMMUS, optionName, REGISTER_OPTIONS } from './targets.ts'
import { collect, flags, integer, pair, range, small } from './usage.ts'

/** How a target is described in usage texts. */
export const TARGET = `a format (see iopt formats), or ${Object.keys(IOMMUS).join(', ')}: the streams of an IOMMU`

/** The options that say which memory there is. */
export function imageOptions(command: Command): Command {
  return command
    .option('--image <file>', 'ELF core, LiME or raw file; again for more of the same memory', collect)
    .addOption(new Option('--image-format <format>', 'what the files are').choices(['auto', 'elf', 'lime', 'raw']))
    .option('--base <address>', 'physical address of the first byte of a raw file', integer)
    .option('--piece <paddr:offset:size>', 'a sparse raw file: which of its bytes are which memory; again for more', collect)
}

/** The options that are registers: every one of every format is one, hidden since they would fill the help. */
export function registerOptions(command: Command): Command {
  command
    .option('--reg <name=value>', 'a register, raw; again for more. Most can be written as --ttbr0 VALUE, too: see iopt formats NAME', pair)
    .option(
      '--regime <name>',
      'the translation regime whose registers these are: el1, el2, el2e2h, el3, stage2, hyp (see iopt formats NAME)',
    )
  for (const name of REGISTER_OPTIONS) hidden(command, name)
  return command
}

/** An option that is not in the help, where no other has its name. */
function hidden(command: Command, name: string): void {
  if (command.options.some(({ long }) => long === `--${name}`)) return
  command.addOption(new Option(`--${name} <value>`).hideHelp())
}

/** The options that say where tables are. */
export function tableOptions(command: Command): Command {
  command
    .option('--root <address>', 'instead of registers: a root table; again for formats with several', collect)
    .option('--config <config>', 'with --root: the configuration, by number or name (see iopt formats NAME), or JSON')
    .option('--sid <n>', 'of an IOMMU: one stream', integer)
    .option('--pasid <n>', 'one PASID, SubstreamID or process of it', integer)
    .option('--stage <n>', 'of nested translation: 1 or 2', integer)
  for (const { needs, optional } of Object.values(IOMMUS)) for (const name of [...needs, ...optional]) hidden(command, optionName(name))
  return registerOptions(command)
}

/** The options that select runs. */
export function filterOptions(command: Command): Command {
  return command
    .option('--iova <range>', 'input addresses: FIRST..LAST or FIRST+SIZE', range)
    .option('--paddr <range>', 'physical addresses', range)
    .option('--prot <flags>', 'runs that grant all of these: READ,WRITE,CACHE,NOEXEC,MMIO,PRIV', flags)
    .option('--not-prot <flags>', 'runs that grant none of these', flags)
    .option('--field <name=value>', 'runs with this field; again for more', pair)
    .option('--min-size <bytes>', 'runs of at least so many bytes', small)
    .option('--max-size <bytes>', 'runs of at most so many bytes', small)
    .option('--leaf-size <bytes>', 'runs of leaves of this size', small)
    .option('--limit <n>', 'runs that are told at most (default 1000000)', small)
}

export function jsonOption(command: Command, what: string): Command {
  return command.option('--json', what)
}

/** Examples, below the options. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`)
}
