/** Tables themselves: --tree, --raw and --stats of `iopt dump`. */
import { hex } from '@io-pgtable/core'
import { DEFAULT_LIMIT, StatsWalk, type TableStats, type TreeEntry, TreeWalk } from '@io-pgtable/inspect'
import type { Io } from '../io.ts'
import { type Target, type Targets, targetKey, targetName, within } from '../targets.ts'
import { address, sizeText, table } from '../text.ts'
import { tell } from '../told.ts'
import type { DumpOptions } from './dump.ts'

/** Every descriptor, a line each: indented, or flat with its place. */
export async function treeOf(io: Io, found: Targets, options: DumpOptions): Promise<void> {
  let left = options.limit ?? DEFAULT_LIMIT
  for (const target of found.targets) {
    if (!options.json) io.out(io.color.bold(`${targetName(target)}\n`))
    const walk = new TreeWalk(target.tables, { ...within(options.iova), limit: left })
    const print = (entry: TreeEntry): void => io.out(`${options.json ? entryJson(entry, target) : entryLine(entry, options, io)}\n`)
    const { findings, entries } = await found.image.loading(() => walk.run(print))
    left -= entries
    tell(io, findings, options, targetKey(target))
    if (findings.some(({ code }) => code === 'limit')) return
  }
}

function entryLine({ depth, entry, seen }: TreeEntry, { raw }: DumpOptions, { color }: Io): string {
  const indent = raw ? '' : '  '.repeat(depth)
  const at = `${hex(entry.table)}[${entry.index}]`
  const bits = address(entry.raw, entry.node.entryBytes * 8)
  const again = seen ? color.yellow(' (seen before)') : ''
  if (entry.type === 'table') return `${indent}${hex(entry.iova)} ${at} ${bits} ${entry.kind.name} → ${hex(entry.next)}${again}`
  if (entry.type === 'leaf')
    return `${indent}${hex(entry.iova)} ${at} ${bits} ${entry.kind.name} → ${color.green(hex(entry.paddr))} ${sizeText(entry.size.pgsize)}`
  return `${indent}${hex(entry.iova)} ${at} ${bits} ${color.red(entry.kind.name)}`
}

function entryJson({ depth, entry, seen }: TreeEntry, target: Target): string {
  const { iova, table: at, index, raw, kind, type, node } = entry
  const to =
    entry.type === 'table'
      ? { next: hex(entry.next), seen }
      : entry.type === 'leaf'
        ? { paddr: hex(entry.paddr), size: entry.size.pgsize }
        : {}
  const place = { depth, level: node.level, iova: hex(iova), table: hex(at), index, descriptor: hex(raw) }
  return JSON.stringify({ ...place, type, kind: kind.name, ...to, ...targetKey(target) })
}

/** How many tables and leaves there are. */
export async function statsOf(io: Io, found: Targets, options: DumpOptions): Promise<void> {
  for (const target of found.targets) {
    const walk = new StatsWalk(target.tables, within(options.iova))
    const stats = await found.image.loading(() => walk.run())
    const { levels, leaves, complete } = stats
    if (options.json) io.out(`${JSON.stringify({ ...targetKey(target), levels, leaves, complete })}\n`)
    else io.out(`${statsLines(stats, target, io).join('\n')}\n`)
    tell(io, stats.findings, options, targetKey(target))
  }
}

function statsLines({ levels, leaves }: TableStats, target: Target, { color }: Io): string[] {
  return [
    color.bold(targetName(target)),
    ...table(
      color,
      ['  level', 'tables', 'bytes', 'empty entries', 'invalid', ''],
      levels.map(({ level, tables, bytes, empty, invalid, name }) => [
        `  ${level}`,
        `${tables}`,
        sizeText(bytes),
        `${empty}`,
        `${invalid}`,
        name,
      ]),
    ),
    ...table(
      color,
      ['  level', 'leaf size', 'leaves', 'mapped', ''],
      leaves.map(({ level, leafSize, count, bytes, kind }) => [
        `  ${level}`,
        sizeText(leafSize),
        `${count}`,
        sizeText(BigInt(bytes)),
        kind,
      ]),
    ),
  ]
}
