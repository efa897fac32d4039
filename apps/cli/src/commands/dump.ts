/** `iopt dump`: all mappings as merged runs; or the tables themselves: --tree, --raw, --stats. */
import { protNames, rightsByParty } from '@io-pgtable/core'
import { DEFAULT_LIMIT, LeafDump, type LeafRun, parseInteger, type RunFilter, rulesOf, runJson } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, filterOptions, imageOptions, jsonOption, TARGET, tableOptions } from '../options.ts'
import { Progress } from '../progress.ts'
import { openTargets, type Target, type TargetOptions, type Targets, targetKey, targetName, within } from '../targets.ts'
import { partiesText, runLine } from '../text.ts'
import { tell } from '../told.ts'
import { type Range, UsageError } from '../usage.ts'
import { statsOf, treeOf } from './tables.ts'

export interface FilterOptions {
  readonly iova?: Range
  readonly paddr?: Range
  readonly prot?: number
  readonly notProt?: number
  readonly field?: Readonly<Record<string, string>>
  readonly minSize?: number
  readonly maxSize?: number
  readonly leafSize?: number
  readonly limit?: number
}

export interface DumpOptions extends TargetOptions, FilterOptions {
  readonly json?: true
  readonly tree?: true
  readonly raw?: true
  readonly stats?: true
  readonly leaf?: true
}

export function addDump(program: Command, io: Io): void {
  const command = program
    .command('dump')
    .argument('<target>', TARGET)
    .description('all mappings, merged: contiguous in both spaces, equal attributes')
    .option('--tree', 'the tables and what is in them, indented by level')
    .option('--raw', 'every descriptor that is not empty, as it stands')
    .option('--stats', 'how many tables and leaves of which size')
    .option('--leaf', 'what each leaf gives by itself, in place of the rights over the path')
    .action(async (name: string, options: DumpOptions) => run(io, await openTargets(name, options), options))
  jsonOption(
    filterOptions(tableOptions(imageOptions(command))),
    'one object a run: iova, paddr, size, leafSize, level, count, descriptor, rights, memory, fault, traps, assumed, prot, fields, root',
  )
  examples(
    command,
    'iopt dump arm64-lpae-s1 --image vmcore --ttbr0 0x440a5000 --ttbr1 0x41853000 --tcr 0x74b5503510 --mair 0x40044ffff',
    'iopt dump riscv64 --image memory.bin --base 0x80000000 --reg satp=0x8000000000080300 --json',
    'iopt dump vtdss --image memory.elf --root 0x560f000 --stats',
  )
}

async function run(io: Io, found: Targets, options: DumpOptions): Promise<void> {
  if (options.stats) await statsOf(io, found, options)
  else if (options.tree || options.raw) await treeOf(io, found, options)
  else await dumpRuns(io, found, options)
  tell(io, found.findings, options)
  noteNothing(io, found)
}

export function noteNothing(io: Io, { targets, scan }: Targets): void {
  if (targets.length === 0)
    io.err(scan === undefined ? 'no tables: no root was given, or its walks are disabled\n' : 'no stream has tables\n')
}

/** Runs of all targets; findings go to stderr. @returns how many more the limit allows; undefined where it has ended the dump */
export async function dumpRuns(io: Io, found: Targets, options: DumpOptions): Promise<number | undefined> {
  const { targets, image } = found
  const filter = filterOf(options, targets)
  let left = options.limit ?? DEFAULT_LIMIT
  for (const target of targets) {
    if (!options.json) io.out(`${headLine(target, io)}\n`)
    const progress = new Progress(io, 'pages read', Number(image.known / 4096n))
    const dump = new LeafDump(target.tables, {
      ...within(options.iova),
      ...filter,
      limit: left,
      onTable: () => progress.at(image.pagesRead),
    })
    const print = options.json ? jsonPrinter(io, target, options) : (run: LeafRun) => io.out(`${runLine(run, io.color, options.leaf)}\n`)
    try {
      const result = await found.image.loading(() => dump.run(print))
      left -= result.runs
    } finally {
      progress.end()
    }
    tell(io, dump.findings, options, targetKey(target))
    if (dump.findings.some(({ code }) => code === 'limit')) return undefined
  }
  return left
}

/** The name of tables, and of whom the columns of rights are. */
function headLine(target: Target, { color }: Io): string {
  const parties = partiesText(rulesOf(target.tables).parties)
  return `${color.bold(targetName(target))}${parties === '' ? '' : color.dim(`  ${parties}`)}`
}

function jsonPrinter(io: Io, target: Target, { leaf }: DumpOptions): (run: LeafRun) => void {
  const key = targetKey(target)
  return (run) => io.out(`${JSON.stringify({ ...runJson(run), ...(leaf && { leaf: leafJson(run) }), ...key })}\n`)
}

function leafJson(run: LeafRun): object {
  const { rights, prot } = run.leaf
  return { rights: rightsByParty(rights, run.parties), prot: protNames(prot) }
}

/** The filter of the options; none when nothing is asked for. */
export function filterOf(options: FilterOptions & { readonly leaf?: true }, targets: readonly Target[]): { filter?: RunFilter } {
  const { paddr, prot, notProt, field, minSize, maxSize, leafSize } = options
  const filter: RunFilter = {
    ...(prot !== undefined && { prot }),
    ...(notProt !== undefined && { notProt }),
    ...(options.leaf && (prot !== undefined || notProt !== undefined) && { leaf: true }),
    ...(field !== undefined && { fields: fieldsOf(field, targets) }),
    ...(minSize !== undefined && { minSize }),
    ...(maxSize !== undefined && { maxSize }),
    ...(leafSize !== undefined && { leafSize }),
    ...(paddr !== undefined && { paddrFirst: paddr.first, paddrLast: paddr.last }),
  }
  return Object.keys(filter).length === 0 ? {} : { filter }
}

/** Fields by name, with their values. @throws UsageError for one that no descriptor of these tables has */
function fieldsOf(field: Readonly<Record<string, string>>, targets: readonly Target[]): Record<string, number> {
  const kinds = targets.flatMap(({ tables }) => tables.geometry.nodes.flatMap((node) => node.kinds))
  const known = new Set(kinds.flatMap(({ fields }) => fields.filter(({ reserved }) => !reserved).map(({ name }) => name)))
  return Object.fromEntries(
    Object.entries(field).map(([name, text]) => {
      if (!known.has(name)) throw new UsageError(`there is no field ${name}: ${[...known].join(', ')}`)
      const value = parseInteger(text)
      if (value === undefined) throw new UsageError(`${name} ${JSON.stringify(text)}: an integer expected`)
      return [name, Number(value)]
    }),
  )
}
