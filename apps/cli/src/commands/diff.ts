/** `iopt diff A B`: what changed between two tables, as mappings. */
import { hex, protNames, rightsByParty } from '@io-pgtable/core'
import { type Change, DEFAULT_LIMIT, type DiffResult, type DiffSide, diffTables, faultJson } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, jsonOption, TARGET, tableOptions } from '../options.ts'
import { openTargets, type Target, type TargetOptions, type Targets, targetKey, targetName, within } from '../targets.ts'
import { rightsText, sizeText } from '../text.ts'
import { tell } from '../told.ts'
import { integer, pair, type Range, range, small, UsageError } from '../usage.ts'

interface Options extends TargetOptions {
  readonly json?: true
  readonly iova?: Range
  readonly limit?: number
  readonly toReg?: Readonly<Record<string, string>>
}

export function addDiff(program: Command, io: Io): void {
  const command = program
    .command('diff')
    .argument('<target>', TARGET)
    .argument('<a>', 'the memory image before')
    .argument('<b>', 'the one after')
    .description('what changed between two memory images, as mappings')
    .option('--base <address>', 'physical address of the first byte of raw files', integer)
    .option('--iova <range>', 'input addresses: FIRST..LAST or FIRST+SIZE', range)
    .option('--limit <n>', 'changes that are told at most (default 1000000)', small)
    .option('--to-reg <name=value>', 'a register that is another one in B; again for more', pair)
    .action((name: string, a: string, b: string, options: Options) => run(io, name, [a, b], options))
  jsonOption(tableOptions(command), 'one object a change: change (added, removed, changed), iova, size, before, after')
  examples(command, 'iopt diff vtd before.elf after.elf --rtaddr 0x564d000', 'iopt diff riscv64 a.elf b.elf --satp 0x8000000000080300')
}

async function run(io: Io, name: string, [a = '', b = '']: readonly string[], options: Options): Promise<void> {
  const before = await openTargets(name, { ...options, image: [a] })
  const after = await openTargets(name, { ...options, image: [b], reg: { ...options.reg, ...options.toReg } })
  const pairs = pairsOf(before, after)
  if (pairs.length === 0) throw new UsageError('neither has tables')
  const limit = options.limit ?? DEFAULT_LIMIT
  let changes = 0
  for (const { a: old, b: now } of pairs) {
    const result = compare(io, old, now, { ...options, limit: limit - changes })
    changes += result.changes
    if (result.findings.some(({ code }) => code === 'limit')) break
  }
  tell(io, [...before.findings, ...after.findings], options)
  io.err(`${changes} changes\n`)
}

interface Pair {
  readonly a: Target
  readonly b: Target
}

/** The same tables of both. Those that only one has are told, and left out. */
function pairsOf(before: Targets, after: Targets): readonly Pair[] {
  const key = (target: Target): string => JSON.stringify(targetKey(target)) + target.tables.name
  const found = before.targets.flatMap((a) => {
    const b = after.targets.find((other) => key(other) === key(a))
    return b === undefined ? [] : [{ a, b }]
  })
  const alone = [...before.targets, ...after.targets].filter((target) => !found.some(({ a, b }) => a === target || b === target))
  if (alone.length > 0) throw new UsageError(`only one of both has ${alone.map(targetName).join(', ')}`)
  return found
}

/** Two images are read: both at once, since neither can wait for the other's pages. */
function compare(io: Io, a: Target, b: Target, options: Options): DiffResult {
  const print = (change: Change): void => io.out(`${options.json ? changeJson(change, a) : changeLine(change, a, io)}\n`)
  const { limit = DEFAULT_LIMIT, iova } = options
  const result = diffTables(a.tables, b.tables, print, { ...within(iova), limit })
  tell(io, result.findings, options, targetKey(a))
  return result
}

function changeLine({ change, iova, size, before, after }: Change, target: Target, { color }: Io): string {
  const paint = { added: color.green, removed: color.red, changed: color.yellow }[change]
  const sign = { added: '+', removed: '-', changed: '~' }[change]
  const sides = [before, after].filter((side) => side !== undefined).map(sideText)
  return `${paint(sign)} ${targetName(target)} ${hex(iova)} ${sizeText(size)}: ${sides.join(color.dim(' now '))}`
}

function sideText({ paddr, rights, parties, fault }: DiffSide): string {
  return `${hex(paddr)} ${rightsText(rightsByParty(rights, parties))}${fault === undefined ? '' : ` ${fault.type}`}`
}

function sideJson({ paddr, leafSize, rights, parties, fault, prot, fields }: DiffSide): object {
  const stopped = fault && { fault: faultJson(fault) }
  return { paddr: hex(paddr), leafSize, rights: rightsByParty(rights, parties), ...stopped, prot: protNames(prot), fields }
}

function changeJson({ change, iova, size, before, after }: Change, target: Target): string {
  const side = (each: DiffSide | undefined): object | undefined => each && sideJson(each)
  return JSON.stringify({ change, iova: hex(iova), size: Number(size), before: side(before), after: side(after), ...targetKey(target) })
}
