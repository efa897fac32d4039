/** `iopt find`: every input address that reaches a physical one. */
import { hex } from '@io-pgtable/core'
import { type PaddrHit, PaddrSearch, runJson } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, TARGET, tableOptions } from '../options.ts'
import { openTargets, runLong, type Target, type TargetOptions, targetKey, targetName } from '../targets.ts'
import { findingLine, runLine } from '../text.ts'
import { integer, small } from '../usage.ts'
import { noteNothing } from './dump.ts'

interface Options extends TargetOptions {
  readonly paddr: bigint
  readonly limit?: number
  readonly json?: true
}

export function addFind(program: Command, io: Io): void {
  const command = program
    .command('find')
    .argument('<target>', TARGET)
    .description('every iova that reaches a physical address')
    .requiredOption('--paddr <address>', 'the physical address', integer)
    .option('--limit <n>', 'hits that are told at most', small)
    .action((name: string, options: Options) => run(io, name, options))
  jsonOption(tableOptions(imageOptions(command)), 'one object a hit: iova, paddr, run')
  examples(command, 'iopt find smmuv3 --image vmcore --strtab-base 0x43217000 --strtab-base-cfg 0x10210 --paddr 0x44601234')
}

async function run(io: Io, name: string, options: Options): Promise<void> {
  const found = await openTargets(name, options)
  for (const target of found.targets) {
    const search = new PaddrSearch(target.tables, options.paddr, limitOf(options))
    const { findings } = await runLong(found, () => search.run((hit) => io.out(`${line(hit, options, target, io)}\n`)))
    for (const finding of findings) io.err(`${findingLine(finding, io.errColor)}\n`)
  }
  noteNothing(io, found)
}

function line({ iova, run: found }: PaddrHit, { json, paddr }: Options, target: Target, { color }: Io): string {
  if (json) return JSON.stringify({ iova: hex(iova), paddr: hex(paddr), run: runJson(found), ...targetKey(target) })
  return `${targetName(target)} ${color.bold(hex(iova))} in ${runLine(found, color).trim()}`
}

function limitOf({ limit }: Options): { limit?: number } {
  return limit === undefined ? {} : { limit }
}
