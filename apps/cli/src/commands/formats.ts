/** `iopt formats [NAME]`: the formats; or one: its levels, kinds, fields, configurations and registers. */
import { type AnyFmt, agreedConfig, type Geometry, hex, type Kind, type LevelNode } from '@io-pgtable/core'
import type { Command } from 'commander'
import { configOf, geometryOf } from '../configs.ts'
import { FORMATS, GROUPS } from '../formats.ts'
import type { Io } from '../io.ts'
import { examples, jsonOption } from '../options.ts'
import { registersOf } from '../registers.ts'
import { formatOf, IOMMUS, optionName } from '../targets.ts'
import { columns, levelText, sizeText, table } from '../text.ts'

interface Options {
  readonly config?: string
  readonly json?: true
}

export function addFormats(program: Command, io: Io): void {
  const command = program
    .command('formats')
    .argument('[name]', 'one format, or an IOMMU: its registers')
    .description('the formats; or one: its levels, sizes, fields, configurations and registers')
    .option('--config <config>', 'the configuration whose levels are shown: a number, a name, or JSON')
    .action((name: string | undefined, options: Options) => run(io, name, options))
  jsonOption(command, 'one object a format')
  examples(command, 'iopt formats', 'iopt formats arm64-lpae-s1', `iopt formats arm64-lpae-s1 --config '{"ias":39}'`)
}

function run(io: Io, name: string | undefined, options: Options): void {
  if (name === undefined) all(io, options)
  else if (Object.hasOwn(IOMMUS, name)) iommu(io, name, options)
  else one(io, formatOf(name), options)
}

/** The registers by which an IOMMU's streams are found. */
function iommu(io: Io, name: string, { json }: Options): void {
  const { title, needs, optional } = IOMMUS[name] as (typeof IOMMUS)[string]
  const registers = [...needs.map((each) => ({ name: each, required: true })), ...optional.map((each) => ({ name: each, required: false }))]
  if (json) {
    io.out(`${JSON.stringify({ iommu: name, title, registers })}\n`)
    return
  }
  const rows = registers.map(({ name: each, required }) => [`  --${optionName(each)}`, 'number', required ? 'needed' : ''])
  io.out(`${io.color.bold(name)}  ${title}\n\n${io.color.bold('registers')}\n${columns(rows).join('\n')}\n`)
}

function all(io: Io, { json }: Options): void {
  if (json) {
    for (const format of FORMATS) io.out(`${JSON.stringify(describe(format, undefined))}\n`)
    return
  }
  for (const { title, formats } of GROUPS) {
    const rows = formats.map((format) => {
      const { geometry, config } = shapeOf(format, undefined)
      return [format.FORMAT, levelsOf(geometry), sizesOf(config.pgsizeBitmap), `${geometry.ias} → ${geometry.oas}`, format.title]
    })
    io.out(`${io.color.bold(title)}\n${table(io.color, ['format', 'levels', 'page sizes', 'bits', 'what it is'], rows).join('\n')}\n\n`)
  }
  const iommus = Object.entries(IOMMUS).map(([name, { title }]) => [name, title])
  io.out(`${table(io.color, ['IOMMU', 'what iopt streams finds'], iommus).join('\n')}\n`)
}

function shapeOf(format: AnyFmt, config: string | undefined): ReturnType<typeof geometryOf> {
  return geometryOf(format, agreedConfig(format, configOf(format, config)))
}

function one(io: Io, format: AnyFmt, { config, json }: Options): void {
  if (json) {
    io.out(`${JSON.stringify(describe(format, config))}\n`)
    return
  }
  const { color } = io
  const { geometry } = shapeOf(format, config)
  io.out(`${color.bold(format.FORMAT)}  ${format.title}\n${color.dim(format.manual)}\n`)
  for (const node of geometry.nodes) io.out(nodeText(node, io))
  io.out(`\n${color.bold('configurations')}\n`)
  io.out(`${columns(format.configs.map(({ name }, i) => [`  ${i}`, name])).join('\n')}\n`)
  io.out(`\n${color.bold('registers')}\n`)
  const registers = registersOf(format).map(({ name, isRequired, sample }) => [`  --${name}`, typeText(sample), isRequired ? 'needed' : ''])
  io.out(`${columns(registers).join('\n')}\n`)
  const regimes = Object.entries(format.regimes ?? {}).map(([regime, { registers: names }]) => [
    `  ${regime}`,
    Object.keys(names).join(', '),
  ])
  if (regimes.length > 1) io.out(`\n${color.bold('regimes')}\n${columns(regimes).join('\n')}\n`)
}

function nodeText(node: LevelNode, { color }: Io): string {
  const { shift, bits, entryBytes, kinds } = node
  const head = `\n${levelText(node)}: ${2 ** bits} entries of ${entryBytes} bytes, iova[${shift + bits - 1}:${shift}]`
  return `${[color.bold(head), ...kinds.flatMap((kind) => kindLines(kind, color))].join('\n')}\n`
}

function kindLines(kind: Kind, color: Io['color']): string[] {
  const { mask, value } = kind.match
  const sizes = kind.type === 'leaf' ? kind.sizes.map(({ pgsize }) => sizeText(pgsize)).join(', ') : ''
  const match = mask === 0n ? 'anything else' : `& ${hex(mask)} = ${hex(value)}`
  const fields = kind.fields.map(({ name, pieces, doc, section = '' }) => [`    ${bits(pieces)}`, name, doc, section])
  return [`  ${color.cyan(kind.name)} ${sizes} ${color.dim(`(${kind.type}: ${match})`)}`, ...columns(fields)]
}

function bits(pieces: readonly (readonly [number, number, number])[]): string {
  return pieces.map(([hi, lo]) => (hi === lo ? `${hi}` : `${hi}:${lo}`)).join(',')
}

function typeText(sample: unknown): string {
  if (Array.isArray(sample)) return 'values, separated by commas'
  if (typeof sample === 'boolean') return 'true or false'
  return typeof sample === 'object' && sample !== null ? `parts: ${Object.keys(sample).join(', ')}` : 'number'
}

function levelsOf({ nodes }: Geometry): string {
  const levels = nodes.map(({ level }) => level)
  const [first, last] = [levels[0] ?? 0, levels.at(-1) ?? 0]
  return first === last ? `${first}` : `${first} to ${last}`
}

function sizesOf(bitmap: bigint): string {
  const sizes = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit)).filter((size) => (bitmap & size) !== 0n)
  return sizes.length > 6 ? `${sizeText(sizes[0] ?? 0n)} to ${sizeText(sizes.at(-1) ?? 0n)}` : sizes.map(sizeText).join(' ')
}

/** The documented object: everything that the declaration says, in numbers. */
function describe(format: AnyFmt, config: string | undefined): object {
  const { geometry, config: agreed } = shapeOf(format, config)
  return {
    format: format.FORMAT,
    title: format.title,
    manual: format.manual,
    ias: geometry.ias,
    oas: geometry.oas,
    pgsizeBitmap: hex(agreed.pgsizeBitmap),
    levels: geometry.nodes.map(({ level, name, shift, bits: index, entryBytes, kinds }) => ({
      level,
      name,
      shift,
      bits: index,
      entryBytes,
      kinds: kinds.map(describeKind),
    })),
    configs: format.configs.map(({ name }) => name),
    registers: registersOf(format).map(({ name, isRequired }) => ({ name, required: isRequired })),
  }
}

function describeKind(kind: Kind): object {
  const { name, type, match, fields } = kind
  return {
    name,
    type,
    mask: hex(match.mask),
    value: hex(match.value),
    ...(kind.type === 'leaf' && { sizes: kind.sizes.map(({ pgsize }) => pgsize) }),
    fields: fields.map(({ name: field, pieces, doc, section }) => ({ name: field, bits: bits(pieces), doc, ...(section && { section }) })),
  }
}
