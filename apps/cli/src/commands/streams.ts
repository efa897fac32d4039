/** `iopt streams`: an IOMMU's devices, and what their tables map. */
import { hex } from '@io-pgtable/core'
import { DEFAULT_LIMIT, explainStructure, STRUCTURE_OF, type Stream, type StreamStructure } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { didYouMean } from '../names.ts'
import { examples, filterOptions, imageOptions, jsonOption, tableOptions } from '../options.ts'
import { registerTexts } from '../registers.ts'
import { busDeviceFunction, IOMMUS, openTargets, type Targets } from '../targets.ts'
import { tell } from '../told.ts'
import { UsageError } from '../usage.ts'
import { type DumpOptions, dumpRuns } from './dump.ts'

interface Options extends DumpOptions {
  readonly maps?: true
}

export function addStreams(program: Command, io: Io): void {
  const command = program
    .command('streams')
    .argument('<iommu>', Object.keys(IOMMUS).join(', '))
    .description("the IOMMU's devices and their tables, from its registers")
    .option('--maps', 'what each maps, too; always with --json')
    .action((name: string, options: Options) => run(io, name, options))
  jsonOption(filterOptions(tableOptions(imageOptions(command))), 'one object a run, as dump has them, with sid')
  examples(
    command,
    'iopt streams smmuv3 --image vmcore --strtab-base 0x4000000043217000 --strtab-base-cfg 0x10210',
    'iopt streams vtd --image vmcore --rtaddr 0x564d000 --sid 8 --maps',
    'iopt streams amdvi --image vmcore --devtab 0x10000001ff --json',
    'iopt streams riscv --image vmcore --ddtp 0x20020c02',
  )
}

async function run(io: Io, name: string, options: Options): Promise<void> {
  if (!Object.hasOwn(IOMMUS, name))
    throw new UsageError(`there is no IOMMU ${name}: ${Object.keys(IOMMUS).join(', ')}${didYouMean(name, Object.keys(IOMMUS))}`)
  const found = await openTargets(name, options)
  if (options.json) await dumpRuns(io, found, options)
  else await describe(io, found, options)
  tell(io, found.findings, options)
}

async function describe(io: Io, found: Targets, options: Options): Promise<void> {
  const streams = found.scan?.streams ?? []
  let limit: number | undefined = options.limit ?? DEFAULT_LIMIT
  for (const stream of streams) {
    io.out(`${streamLines(stream, io).join('\n')}\n`)
    const targets = found.targets.filter((target) => target.stream === stream)
    if (options.maps && limit !== undefined) limit = await dumpRuns(io, { ...found, targets }, { ...options, limit })
  }
  io.err(`${streams.length} streams, ${found.targets.length} page tables\n`)
}

function streamLines({ sid, pasid, config, why, stages, structures }: Stream, { color }: Io): string[] {
  const name = `sid ${hex(sid)} (${busDeviceFunction(sid)})${pasid === undefined ? '' : ` pasid ${pasid}`}`
  return [
    `${color.bold(name)}: ${config}${why === undefined ? '' : `, ${why}`}`,
    ...structures.flatMap((structure) => structureLines(structure)),
    ...stages.map(({ stage, role, registers }) => `  stage ${stage}, ${role}: ${registersText(registers)}`),
  ]
}

/** The words, and what they say: the fields that are not 0. */
function structureLines({ name, address, words }: StreamStructure): string[] {
  const line = `  ${name} at ${hex(address)}: ${words.map(hex).join(' ')}`
  const kind = STRUCTURE_OF[name]
  if (kind === undefined) return [line]
  const set = explainStructure(kind, words).filter(({ value }) => value !== 0n)
  return [
    line,
    `    ${set.map(({ name: each, value, meaning }) => `${each} ${hex(value)}${meaning === undefined ? '' : ` (${meaning})`}`).join(', ')}`,
  ]
}

function registersText(registers: Readonly<Record<string, unknown>>): string {
  return registerTexts(registers)
    .map(([name, text]) => `${name} ${text}`)
    .join(', ')
}
