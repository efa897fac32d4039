/** `iopt explain FORMAT DESCRIPTOR`: every bit of one descriptor. */
import { type AnyFmt, hex, type LevelNode } from '@io-pgtable/core'
import {
  type ExplainedField,
  type ExplainOptions,
  type Explanation,
  explain,
  explainStructure,
  marks,
  ruler,
  STRUCTURES,
  summary,
} from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Colors, Io } from '../io.ts'
import { type Meanings, meaningsOf } from '../meanings.ts'
import { examples, jsonOption, registerOptions } from '../options.ts'
import { formatNameIn } from '../regimes.ts'
import { formatOf, type RegisterOptions, registerTextsOf } from '../targets.ts'
import { address, columns, levelText, rightsText, sizeText } from '../text.ts'
import { integer, level as levelOf, UsageError } from '../usage.ts'

interface Options extends RegisterOptions {
  readonly level?: number
  readonly config?: string
  readonly os?: string
  readonly json?: true
}

export function addExplain(program: Command, io: Io): void {
  const command = program
    .command('explain')
    .argument('<format>', `the format: see iopt formats; or a structure of an IOMMU: ${Object.keys(STRUCTURES).join(', ')}`)
    .argument('<descriptor...>', 'one or more raw descriptors; the 64-bit words of a structure', (text, before: bigint[] | undefined) => [
      ...(before ?? []),
      integer(text),
    ])
    .description('one descriptor: a bit ruler, every field with its meaning and section, reserved bits, what is wrong')
    .option('--level <n>', 'the level as the manual counts (default: the last one); --level=-1', levelOf)
    .option('--config <config>', 'the configuration: a number, a name, or JSON')
    .option('--os <name>', 'what an operating system means by an entry that is not valid: linux')
    .action((name: string, descriptors: bigint[], options: Options) => run(io, name, descriptors, options))
  jsonOption(registerOptions(command), 'one object a descriptor: present, problems, hints, wouldBe, os, fields and more')
  examples(
    command,
    'iopt explain arm64-lpae-s1 0x44601f47',
    'iopt explain arm64-lpae-s1 0x78000000004f51 --level 2 --mair 0x40044ffff',
    'iopt explain arm64-lpae-s1 0xe0000123456fc2 --os linux',
  )
}

function run(io: Io, name: string, descriptors: readonly bigint[], options: Options): void {
  if (Object.hasOwn(STRUCTURES, name)) {
    tellStructure(io, name, descriptors, options)
    return
  }
  const format = formatOf(formatNameIn(formatOf(name), options.regime))
  const { os } = options
  if (os !== undefined && format.os?.[os] === undefined)
    throw new UsageError(
      `what ${os} means by entries of ${format.FORMAT} is not known: ${Object.keys(format.os ?? {}).join(', ') || 'of no system'}`,
    )
  const { shape, node } = placeOf(format, options)
  const how: ExplainOptions = {
    unknown: shape.unknown,
    ...(os !== undefined && { os }),
    ...(shape.width !== undefined && { widthRegister: shape.width }),
  }
  for (const raw of descriptors) {
    const limit = 1n << BigInt(node.entryBytes * 8)
    if (raw >= limit) throw new UsageError(`${hex(raw)}: a descriptor of ${node.entryBytes * 8} bits expected`)
    const explanation = explain(format, shape.geometry, node, raw, shape.context, how)
    if (options.json) io.out(`${JSON.stringify(explanationJson(explanation))}\n`)
    else io.out(`${[...lines(explanation, io.color), ...otherLevels(format, shape, node, raw, io.color)].join('\n')}\n`)
  }
}

/** A structure of an IOMMU, as descriptors are. */
function tellStructure(io: Io, name: string, words: readonly bigint[], { json }: Options): void {
  const fields = explainStructure(name, words)
  const title = STRUCTURES[name]?.title ?? name
  if (json) {
    const list = fields.map(({ pieces: _, value, ...each }) => ({ ...each, value: hex(value) }))
    io.out(`${JSON.stringify({ structure: name, title, words: words.map(hex), fields: list })}\n`)
    return
  }
  const rows = fields.map(({ bits, name: each, value, meaning, doc }) => [`  ${bits.join(',')}`, each, hex(value), meaning ?? doc])
  io.out(`${io.color.bold(title)}  ${words.map(hex).join(' ')}\n${columns(rows).join('\n')}\n`)
}

interface Place {
  readonly shape: Meanings
  readonly node: LevelNode
}

/** The level: of the registers' tables, of a configuration's, or of the first configuration that has it. */
function placeOf(format: AnyFmt, { level, config, ...options }: Options): Place {
  const shapes = meaningsOf(format, config, registerTextsOf(options))
  const shape = shapes.find(({ geometry }) => level === undefined || geometry.nodes.some((node) => node.level === level))
  if (shape !== undefined) return atLevel(format, shape, level)
  const levels = new Set(shapes.flatMap(({ geometry }) => geometry.nodes.map((node) => node.level)))
  throw noLevel(format, level, [...levels])
}

/** The node of a level, by default the last one. */
function atLevel(format: AnyFmt, shape: Meanings, level: number | undefined): Place {
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

function outcome({ next, nextLevel, paddr, size, slots, rights, memory }: Explanation, color: Colors): string[] {
  if (next !== undefined) return ['', `→ the level ${nextLevel} table at ${color.green(hex(next))}`]
  if (paddr === undefined || size === undefined) return []
  const entries = slots === undefined || slots === 1 ? '' : `, ${slots} entries`
  const who = Object.entries(rights ?? {}).map(([party, letters]) => (party === 'all' ? letters : `${party} ${letters}`))
  return [
    '',
    `→ ${color.green(hex(paddr))}, ${sizeText(size)}${entries}: ${color.green(who.join(', '))}${memory === undefined ? '' : `, ${memory}`}`,
  ]
}

function problemLines({ problems, hints, wouldBe, os }: Explanation, type: Explanation['type'], color: Colors): string[] {
  const paint = { error: color.red, warning: color.yellow, note: color.cyan }
  const told = [
    ...problems.map(({ severity, code, message }) => `${paint[severity](severity)} ${color.bold(code)}: ${message}`),
    ...(problems.length === 0 && type !== 'leaf' && type !== 'table' ? ['translates nothing'] : []),
    ...(wouldBe === undefined ? [] : [`with its valid bit set (${hex(wouldBe.raw)}): ${summary(wouldBe)}${rightsOf(wouldBe)}`]),
    ...(os === undefined ? [] : [`to the operating system: ${os}`]),
    ...hints.map((hint) => `${color.cyan('hint')} ${hint}`),
  ]
  return told.length === 0 ? [] : ['', ...told]
}

function rightsOf({ rights, memory }: Explanation): string {
  return rights === undefined ? '' : `: ${rightsText(rights)}${memory === undefined ? '' : `, ${memory}`}`
}

/** What the same bits say at the other levels. */
function otherLevels(format: AnyFmt, { geometry, context }: Meanings, node: LevelNode, raw: bigint, color: Colors): string[] {
  const others = geometry.nodes.filter((other) => other !== node && other.entryBytes === node.entryBytes)
  const rows = others.map((other) => [`  level ${other.level}`, summary(explain(format, geometry, other, raw, context))])
  return rows.length === 0 ? [] : ['', color.dim('elsewhere'), ...columns(rows).map((line) => color.dim(line))]
}

function explanationJson(explanation: Explanation): object {
  const { format, level, raw, type, kind, present, fields, next, nextLevel, paddr, size, slots } = explanation
  const { rights, memory, prot, reserved, problems, hints, wouldBe, os } = explanation
  return {
    ...{ format, level, descriptor: hex(raw), type, kind, present },
    ...(next !== undefined && { next: hex(next), nextLevel }),
    ...(paddr !== undefined && { paddr: hex(paddr), size, slots, rights, ...(memory !== undefined && { memory }), prot }),
    fields: fields.map(({ pieces: _, value, ...field }) => ({ ...field, value: hex(value) })),
    reserved: hex(reserved),
    ...{ problems, hints },
    ...(wouldBe !== undefined && { wouldBe: explanationJson(wouldBe) }),
    ...(os !== undefined && { os }),
  }
}
