/** `iopt translate`: the walk of addresses, level by level, and whether an access gets through. */
import { type Access, hex } from '@io-pgtable/core'
import { type Stream, type Tables, type Translation, tablesOf, translate, translationJson } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import { type AccessOptions, accessOf, accessOptions } from '../access.ts'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, TARGET, tableOptions } from '../options.ts'
import { tellPositions } from '../position.ts'
import { registerValues } from '../registers.ts'
import { formatOf, IOMMUS, openTargets, type Target, type TargetOptions, type Targets, targetName } from '../targets.ts'
import { translationLines } from '../text.ts'
import { tell } from '../told.ts'
import { integer, pair, UsageError } from '../usage.ts'

interface Options extends TargetOptions, AccessOptions {
  readonly json?: true
  readonly below?: string
  readonly belowReg?: Readonly<Record<string, string>>
}

export function addTranslate(program: Command, io: Io): void {
  const command = program
    .command('translate')
    .argument('<target>', TARGET)
    .argument('<iova...>', 'input addresses', (text, before: bigint[] | undefined) => [...(before ?? []), integer(text)])
    .description('the walk level by level: table, index, descriptor, rights; the result, or why it faults')
    .option('--below <format>', 'a second stage behind these tables, which are read through it')
    .option('--below-reg <name=value>', 'a register of the second stage; again for more', pair)
    .action((name: string, iovas: bigint[], options: Options) => run(io, name, iovas, options))
  jsonOption(
    tableOptions(imageOptions(accessOptions(command))),
    'one object an address: iova, paddr, rights, memory, bypass, fault, assumed, walk; without an image iova, walk, offset',
  )
  examples(
    command,
    'iopt translate arm64-lpae-s1 --image vmcore --ttbr0 0x440a5000 --tcr 0x74b5503510 --mair 0x40044ffff 0x400000',
    'iopt translate x86_64 --image vmcore --cr3 0x1067000 --cr4 0x3606e0 --access write --user 0x7ffe1000',
    'iopt translate smmuv3 --image vmcore --strtab-base 0x43217000 --strtab-base-cfg 0x10210 --sid 8 0xffebd000',
    'iopt translate riscv64 --satp 0x8000000000000000 0x3fffffe123',
  )
}

async function run(io: Io, name: string, iovas: readonly bigint[], options: Options): Promise<void> {
  const access = accessOf(options)
  if (options.image === undefined && !Object.hasOwn(IOMMUS, name)) {
    tellPositions(io, name, iovas, options)
    return
  }
  const found = await openTargets(name, options)
  tell(io, found.findings, options)
  const way = wayOf(found, options)
  const untranslated = streamWithoutTables(found)
  for (const iova of iovas) {
    const result =
      untranslated !== undefined
        ? outcomeOf(untranslated, iova)
        : await found.image.loading(() => translate(way.first, iova, { ...(access && { access }), ...(way.below && { below: way.below }) }))
    tellOne(io, result, found.targets, { ...options, ...(access && { asked: access }) })
  }
}

function tellOne(io: Io, result: Translation, targets: readonly Target[], { json, asked }: { json?: true; asked?: Access }): void {
  if (json) {
    io.out(`${JSON.stringify(translationJson(result))}\n`)
    return
  }
  const target = targets.find(({ tables }) => tables.name === result.tables?.name && tables.geometry === result.tables.geometry)
  const name = target === undefined ? '' : `${io.color.dim(targetName(target))} `
  io.out(`${name}${translationLines(result, io.color, asked).join('\n')}\n`)
}

/** The one stream of an IOMMU, where it has no tables: bypassed, blocked, or without an entry. */
function streamWithoutTables({ scan, targets }: Targets): Stream | undefined {
  if (scan === undefined || targets.length > 0) return undefined
  const { streams } = scan
  if (streams.length > 1) throw new UsageError(`${streams.length} streams have no tables: --sid N selects one`)
  if (streams.length === 0) throw new UsageError('no stream was found: --sid N selects one')
  return streams[0]
}

function outcomeOf({ sid, config, why = 'its tables cannot be followed' }: Stream, iova: bigint): Translation {
  const nothing = { iova, tables: undefined, walk: [] }
  if (config === 'bypass') return { ...nothing, paddr: iova, bypass: true }
  const type = config === 'blocked' || config === 'bad-stream' ? config : 'bad-config'
  return { ...nothing, fault: { type, level: undefined, stage: undefined, reason: `stream ${hex(sid)}: ${why}` } }
}

/** The tables that an address meets first, and those behind them. */
interface Way {
  readonly first: readonly Tables[]
  readonly below?: readonly Tables[]
}

function wayOf({ targets, scan, image }: Targets, options: Options): Way {
  if (options.below === undefined && options.belowReg !== undefined) throw new UsageError('--below-reg goes with --below FORMAT')
  const first = targets.map(({ tables }) => tables)
  if (options.below !== undefined) {
    if (scan !== undefined) throw new UsageError('--below is for a format; an IOMMU says itself what is behind a stage')
    const format = formatOf(options.below)
    return { first, below: tablesOf(format, registerValues(format, options.belowReg ?? {}, 'below-reg'), image.read) }
  }
  const streams = new Set(targets.map(({ stream }) => stream))
  if (scan !== undefined && streams.size > 1) throw new UsageError(`${streams.size} streams have tables: --sid N selects one`)
  const isNested = targets.some(({ tables }) => tables.stage === 1) && targets.some(({ tables }) => tables.stage === 2)
  if (!isNested) return { first }
  const ofStage = (stage: 1 | 2): readonly Tables[] => targets.filter(({ tables }) => tables.stage === stage).map(({ tables }) => tables)
  return { first: ofStage(1), below: ofStage(2) }
}
