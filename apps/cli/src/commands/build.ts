/** `iopt build`: tables for a layout, as a file for firmware. */
import { writeFileSync } from 'node:fs'
import { hex } from '@io-pgtable/core'
import { type Built, buildTables, isIdentifier, MACHINES, parseLayout, toAssembly, toC, toElf, toJson } from '@io-pgtable/inspect'
import { type Command, Option } from 'commander'
import type { Io } from '../io.ts'
import { examples } from '../options.ts'
import { registerTexts } from '../registers.ts'
import { formatOf } from '../targets.ts'
import { columns } from '../text.ts'
import { readText } from '../text-file.ts'
import { UsageError } from '../usage.ts'

const EMIT: Readonly<Record<string, (built: Built, name: string, machine: number) => string | Uint8Array>> = {
  bin: ({ bytes }) => bytes,
  elf: toElf,
  c: toC,
  asm: toAssembly,
  json: (built) => `${JSON.stringify(toJson(built), undefined, 2)}\n`,
}

interface Options {
  readonly emit: string
  readonly output?: string
  readonly symbol: string
  readonly machine: string
  readonly json?: true
}

export function addBuild(program: Command, io: Io): void {
  const command = program
    .command('build')
    .argument('<layout>', 'a JSON file: format, base, regions; - reads stdin')
    .description('a layout as tables: the fewest tables, the largest blocks, and the registers')
    .addOption(new Option('--emit <kind>', 'what to write').choices(Object.keys(EMIT)).default('json'))
    .option('-o, --output <file>', 'where to write it (default: stdout, for text)')
    .option('--symbol <name>', 'the name of the tables in C, assembly and ELF', 'page_tables')
    .addOption(new Option('--machine <machine>', 'e_machine of an ELF file').choices(Object.keys(MACHINES)).default('none'))
    .option('--json', 'the registers, base and size as one object, when something else goes to a file')
    .action((layout: string, options: Options) => run(io, layout, options))
  examples(
    command,
    'iopt build layout.json',
    'iopt build layout.json --emit c -o tables.c',
    'iopt build layout.json --emit elf --machine aarch64 -o tables.elf',
  )
  command.addHelpText(
    'after',
    `
A layout:
  {"format": "arm64-lpae-s1", "base": "0x80000000", "size": "64K", "config": {"ias": 39},
   "regions": [{"name": "ram", "iova": 0, "paddr": "0x40000000", "size": "1G", "prot": ["READ", "WRITE"]}]}
size (of the tables), config and name may be left out. Without config.ias the tables have as few address bits and levels as the regions need.`,
  )
}

function run(io: Io, path: string, { emit, output, symbol, machine, json }: Options): void {
  if (!isIdentifier(symbol)) throw new UsageError(`--symbol ${symbol}: a name in C expected`)
  const layout = parseLayout(readText(path), path)
  const built = buildTables(formatOf(layout.format), layout)
  const made = EMIT[emit]?.(built, symbol, MACHINES[machine] ?? 0) ?? ''
  if (output !== undefined) {
    writeFileSync(output, made)
    const facts = factsOf(built)
    io.out(json ? `${JSON.stringify(Object.fromEntries(facts))}\n` : `${columns(facts.map(([name, value]) => [name, value])).join('\n')}\n`)
  } else if (typeof made === 'string') io.out(made)
  else throw new UsageError(`--emit ${emit} is binary: --output FILE is needed`)
}

function factsOf(built: Built): readonly (readonly [string, string])[] {
  const { base, bytes, tables } = built
  return [['base', hex(base)], ['size', hex(bytes.byteLength)], ['tables', `${tables.length}`], ...registerTexts(built.registers)]
}
