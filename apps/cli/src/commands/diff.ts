/** `iopt diff A B`: what changed between two tables, as mappings. */
import { hex, protNames } from '@io-pgtable/core'
import { type Change, type DiffSide, diffTables } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, jsonOption, TARGET, tableOptions } from '../options.ts'
import { openTargets, type Target, type TargetOptions, type Targets, targetKey, targetName } from '../targets.ts'
import { findingLine, sizeText } from '../text.ts'
import { integer, pair, UsageError } from '../usage.ts'

interface Options extends TargetOptions {
  readonly json?: true
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
  let changes = 0
  for (const { a: old, b: now } of pairs) changes += compare(io, old, now, options)
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
function compare(io: Io, a: Target, b: Target, options: Options): number {
  let changes = 0
  const { findings } = diffTables(a.tables, b.tables, (change) => {
    changes++
    io.out(`${options.json ? changeJson(change, a) : changeLine(change, a, io)}\n`)
  })
  for (const finding of findings) io.err(`${findingLine(finding, io.errColor)}\n`)
  return changes
}

function changeLine({ change, iova, size, before, after }: Change, target: Target, { color }: Io): string {
  const paint = { added: color.green, removed: color.red, changed: color.yellow }[change]
  const sign = { added: '+', removed: '-', changed: '~' }[change]
  const sides = [before, after].filter((side) => side !== undefined).map(sideText)
  return `${paint(sign)} ${targetName(target)} ${hex(iova)} ${sizeText(size)}: ${sides.join(color.dim(' now '))}`
}

function sideText({ paddr, prot }: DiffSide): string {
  return `${hex(paddr)} ${protNames(prot).join(' ')}`
}

function changeJson({ change, iova, size, before, after }: Change, target: Target): string {
  const side = (each: DiffSide | undefined): object | undefined =>
    each && { paddr: hex(each.paddr), leafSize: each.leafSize, prot: protNames(each.prot), fields: each.fields }
  return JSON.stringify({ change, iova: hex(iova), size: Number(size), before: side(before), after: side(after), ...targetKey(target) })
}
