/** `iopt explain FORMAT DESCRIPTOR`: every bit of one descriptor. */
import { type AnyFmt, agreedConfig, hex, type LevelNode } from '@io-pgtable/core'
import { type ExplainedField, type Explanation, explain, marks, ruler, summary } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import { configOf, geometryOf, type Shape } from '../configs.ts'
import type { Colors, Io } from '../io.ts'
import { examples, jsonOption } from '../options.ts'
import { formatOf } from '../targets.ts'
import { address, columns, levelText, sizeText } from '../text.ts'
import { integer, level as levelOf, UsageError } from '../usage.ts'

interface Options {
  readonly level?: number
  readonly config?: string
  readonly json?: true
}

export function addExplain(program: Command, io: Io): void {
  const command = program
    .command('explain')
    .argument('<format>', 'the format: see iopt formats')
    .argument('<descriptor...>', 'one or more raw descriptors', (text, before: bigint[] | undefined) => [...(before ?? []), integer(text)])
    .description('one descriptor: a bit ruler, every field with its meaning and section, reserved bits, what is wrong')
    .option('--level <n>', 'the level as the manual counts (default: the last one); --level=-1', levelOf)
    .option('--config <config>', 'the configuration: a number, a name, or JSON')
    .action((name: string, descriptors: bigint[], options: Options) => run(io, formatOf(name), descriptors, options))
  jsonOption(command, 'one object a descriptor')
  examples(command, 'iopt explain arm64-lpae-s1 0x44601f47', 'iopt explain arm64-lpae-s1 0x78000000004f51 --level 2')
}

function run(io: Io, format: AnyFmt, descriptors: readonly bigint[], { level, config, json }: Options): void {
  const { shape, node } = config === undefined ? anyLevel(format, level) : atLevel(format, shapeOf(format, config), level)
  for (const raw of descriptors) {
    const limit = 1n << BigInt(node.entryBytes * 8)
    if (raw >= limit) throw new UsageError(`${hex(raw)}: a descriptor of ${node.entryBytes * 8} bits expected`)
    const explanation = explain(format, shape.geometry, node, raw, shape.context)
    if (json) io.out(`${JSON.stringify(explanationJson(explanation))}\n`)
    else io.out(`${[...lines(explanation, io.color), ...otherLevels(format, shape, node, raw, io.color)].join('\n')}\n`)
  }
}

interface Place {
  readonly shape: Shape
  readonly node: LevelNode
}

function shapeOf(format: AnyFmt, config: string | undefined): Shape {
  return geometryOf(format, agreedConfig(format, configOf(format, config)))
}

/** A level of the first configuration that has it. */
function anyLevel(format: AnyFmt, level: number | undefined): Place {
  const shapes = format.configs.map((_, i) => shapeOf(format, `${i}`))
  const shape = shapes.find(({ geometry }) => level === undefined || geometry.nodes.some((node) => node.level === level))
  if (shape !== undefined) return atLevel(format, shape, level)
  const levels = new Set(shapes.flatMap(({ geometry }) => geometry.nodes.map((node) => node.level)))
  throw noLevel(format, level, [...levels])
}

/** The node of a level, by default the last one. */
function atLevel(format: AnyFmt, shape: Shape, level: number | undefined): Place {
  const { nodes } = shape.geometry
  const node = level === undefined ? nodes.at(-1) : nodes.find((each) => each.level === level)
  if (node === undefined)
    throw noLevel(
      format,
      level,
      nodes.map((each) => each.level),
    )
  return { shape, node }
}

function noLevel({ FORMAT }: AnyFmt, level: number | undefined, levels: readonly number[]): UsageError {
  return new UsageError(`${FORMAT} has no level ${level}: ${[...levels].sort((a, b) => a - b).join(', ')}`)
}

function lines(explanation: Explanation, color: Colors): string[] {
  const { format, node, raw, kind, type, manual } = explanation
  return [
    `${color.bold(address(raw, node.entryBytes * 8))}  ${format}, ${levelText(node)}: ${color.cyan(kind)}`,
    color.dim(manual),
    '',
    ...ruler(explanation).map((line, i) => (i % 3 === 0 ? color.dim(line) : i % 3 === 2 ? color.cyan(line) : line)),
    '',
    ...columns(fieldRows(explanation.fields)),
    ...outcome(explanation, color),
    ...problemLines(explanation, type, color),
  ]
}

function fieldRows(fields: readonly ExplainedField[]): string[][] {
  const letters = marks(fields)
  return fields.map(({ name, bits, value, meaning, doc, section }, i) => [
    letters[i] ?? '',
    bits.join(','),
    name,
    hex(value),
    meaning ?? doc,
    section === undefined ? '' : `§ ${section}`,
  ])
}

function outcome({ next, nextLevel, paddr, size, slots, prot }: Explanation, color: Colors): string[] {
  if (next !== undefined) return ['', `→ the level ${nextLevel} table at ${color.green(hex(next))}`]
  if (paddr === undefined || size === undefined) return []
  const entries = slots === undefined || slots === 1 ? '' : `, ${slots} entries`
  return ['', `→ ${color.green(hex(paddr))}, ${sizeText(size)}${entries}: ${color.green(prot?.join(' ') || 'nothing granted')}`]
}

function problemLines({ problems }: Explanation, type: Explanation['type'], color: Colors): string[] {
  if (problems.length === 0) return type === 'empty' ? ['', 'translates nothing'] : []
  return [
    '',
    ...problems.map(
      ({ severity, code, message }) =>
        `${severity === 'error' ? color.red(severity) : color.yellow(severity)} ${color.bold(code)}: ${message}`,
    ),
  ]
}

/** What the same bits say at the other levels. */
function otherLevels(format: AnyFmt, { geometry, context }: Shape, node: LevelNode, raw: bigint, color: Colors): string[] {
  const others = geometry.nodes.filter((other) => other !== node && other.entryBytes === node.entryBytes)
  const rows = others.map((other) => [`  level ${other.level}`, summary(explain(format, geometry, other, raw, context))])
  return rows.length === 0 ? [] : ['', color.dim('elsewhere'), ...columns(rows).map((line) => color.dim(line))]
}

function explanationJson(explanation: Explanation): object {
  const { format, level, raw, type, kind, fields, next, nextLevel, paddr, size, slots, prot, reserved, problems } = explanation
  return {
    format,
    level,
    descriptor: hex(raw),
    type,
    kind,
    ...(next !== undefined && { next: hex(next), nextLevel }),
    ...(paddr !== undefined && { paddr: hex(paddr), size, slots, prot }),
    fields: fields.map(({ pieces: _, value, ...field }) => ({ ...field, value: hex(value) })),
    reserved: hex(reserved),
    problems,
  }
}
