/** `iopt translate`: the walk of addresses, level by level. */
import { translate, translationJson } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, TARGET, tableOptions } from '../options.ts'
import { openTargets, type TargetOptions, targetFor, targetName } from '../targets.ts'
import { translationLines } from '../text.ts'
import { tell } from '../told.ts'
import { integer, UsageError } from '../usage.ts'

export function addTranslate(program: Command, io: Io): void {
  const command = program
    .command('translate')
    .argument('<target>', TARGET)
    .argument('<iova...>', 'input addresses', (text, before: bigint[] | undefined) => [...(before ?? []), integer(text)])
    .description('the walk level by level: table, index, descriptor, meaning; the result, or why it faults')
    .action((name: string, iovas: bigint[], options: TargetOptions & { json?: true }) => run(io, name, iovas, options))
  jsonOption(tableOptions(imageOptions(command)), 'one object an address: iova, paddr, fault, walk')
  examples(
    command,
    'iopt translate arm64-lpae-s1 --image vmcore --ttbr0 0x440a5000 --tcr 0x74b5503510 --mair 0x40044ffff 0x400000',
    'iopt translate smmuv3 --image vmcore --strtab-base 0x43217000 --strtab-base-cfg 0x10210 --sid 8 0xffebd000',
  )
}

async function run(io: Io, name: string, iovas: readonly bigint[], options: TargetOptions & { json?: true }): Promise<void> {
  const { targets, image, scan, findings } = await openTargets(name, options)
  tell(io, findings, options)
  const streams = new Set(targets.map(({ stream }) => stream))
  if (scan !== undefined && streams.size > 1) throw new UsageError(`${streams.size} streams have tables: --sid N selects one`)
  for (const iova of iovas) {
    const target = targetFor(targets, iova)
    const result = await image.loading(() => translate(target.tables, iova))
    if (options.json) io.out(`${JSON.stringify(translationJson(result))}\n`)
    else io.out(`${io.color.dim(targetName(target))} ${translationLines(result, io.color).join('\n')}\n`)
  }
}
