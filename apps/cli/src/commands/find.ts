/** `iopt find`: every input address that reaches a physical one. */
import { hex } from '@io-pgtable/core'
import { DEFAULT_LIMIT, type PaddrHit, PaddrSearch, runJson } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, TARGET, tableOptions } from '../options.ts'
import { openTargets, type Target, type TargetOptions, targetKey, targetName } from '../targets.ts'
import { runLine } from '../text.ts'
import { tell } from '../told.ts'
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
    .option('--limit <n>', 'hits that are told at most (default 1000000)', small)
    .action((name: string, options: Options) => run(io, name, options))
  jsonOption(tableOptions(imageOptions(command)), 'one object a hit: iova, paddr, run; what is incomplete: incomplete')
  examples(command, 'iopt find smmuv3 --image vmcore --strtab-base 0x43217000 --strtab-base-cfg 0x10210 --paddr 0x44601234')
}

async function run(io: Io, name: string, options: Options): Promise<void> {
  const found = await openTargets(name, options)
  let left = options.limit ?? DEFAULT_LIMIT
  for (const target of found.targets) {
    const search = new PaddrSearch(target.tables, options.paddr, { limit: left })
    const { findings, runs } = await found.image.loading(() => search.run((hit) => io.out(`${line(hit, options, target, io)}\n`)))
    left -= runs
    tell(io, findings, options, targetKey(target))
    if (findings.some(({ code }) => code === 'limit')) break
  }
  tell(io, found.findings, options)
  noteNothing(io, found)
}

function line({ iova, run: found }: PaddrHit, { json, paddr }: Options, target: Target, { color }: Io): string {
  if (json) return JSON.stringify({ iova: hex(iova), paddr: hex(paddr), run: runJson(found), ...targetKey(target) })
  return `${targetName(target)} ${color.bold(hex(iova))} in ${runLine(found, color).trim()}`
}
