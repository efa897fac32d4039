/** What a command works on: tables of a format, found by registers or roots; or the streams of an IOMMU. */
import { type AnyFmt, agreedConfig, type FoundRoot, hex, type ReadMemory } from '@io-pgtable/core'
import {
  AmdViScanner,
  type Finding,
  type FormatSet,
  type MemoryImage,
  openImage,
  RiscvIommuScanner,
  Smmuv3Scanner,
  type Stream,
  type StreamScan,
  type Tables,
  tablesAt,
  VtdScanner,
} from '@io-pgtable/inspect'
import { configOf, geometryOf } from './configs.ts'
import type { ImageRoot } from './core-targets.ts'
import { FORMATS } from './formats.ts'
import { didYouMean, knownName } from './names.ts'
import { formatNameIn, fullNames, REGIME } from './regimes.ts'
import { registersOf, registerValues } from './registers.ts'
import { fileSource } from './source.ts'
import { integer, type Range, UsageError } from './usage.ts'

/** What a format is called, too. */
const ALIASES: Readonly<Record<string, string>> = Object.fromEntries(
  FORMATS.flatMap(({ FORMAT, aliases = [] }) => aliases.map((alias) => [alias, FORMAT])),
)

/** The format of that id, or of another name for it. @throws UsageError */
export function formatOf(id: string): AnyFmt {
  const known = FORMATS.map(({ FORMAT }) => FORMAT)
  const wanted = knownName(id, [...known, ...Object.keys(ALIASES)]) ?? id
  const format = FORMATS.find(({ FORMAT }) => FORMAT === (ALIASES[wanted] ?? wanted))
  if (format === undefined) throw new UsageError(`there is no format ${id}: ${known.join(', ')}${didYouMean(id, known)}`)
  return format
}

/** Which format a decoder of streams means. */
const ROLES: FormatSet = {
  'arm64-stage1': formatOf('arm64-lpae-s1'),
  'arm64-stage2': formatOf('arm64-lpae-s2'),
  'arm32-stage1': formatOf('arm32-lpae-s1'),
  'arm32-stage2': formatOf('arm32-lpae-s2'),
  'x86-first-stage': formatOf('x86_64'),
  'vtd-second-stage': formatOf('vtdss'),
  'amd-host': formatOf('amdv1'),
  'riscv-stage1': formatOf('riscv64'),
  'riscv-stage2': formatOf('riscv64-g'),
  'riscv32-stage1': formatOf('sv32'),
}

/** The options that are registers. */
export interface RegisterOptions {
  readonly reg?: Readonly<Record<string, string>>
  readonly regime?: string
  /** Registers that have an option of their own. */
  readonly [register: string]: unknown
}

/** The options that say where tables are. */
export interface TargetOptions extends RegisterOptions {
  readonly image?: readonly string[]
  readonly imageFormat?: 'auto' | 'elf' | 'lime' | 'raw'
  readonly base?: bigint
  readonly piece?: readonly string[]
  readonly root?: readonly string[]
  readonly config?: string
  readonly sid?: bigint
  readonly pasid?: bigint
  readonly stage?: bigint
}

/** Registers of an IOMMU: how an option is called, and whether it is needed. */
interface Iommu {
  readonly title: string
  readonly needs: readonly string[]
  readonly optional: readonly string[]
  /** @param only the one stream that is looked at */
  scan(registers: Readonly<Record<string, bigint>>, read: ReadMemory, only?: number): { run(): StreamScan }
}

const at = (registers: Readonly<Record<string, bigint>>, name: string): bigint => registers[name] as bigint
const given = <K extends string>(registers: Readonly<Record<string, bigint>>, ...names: K[]): { [name in K]?: bigint } =>
  Object.fromEntries(names.filter((name) => registers[name] !== undefined).map((name) => [name, registers[name]])) as {
    [name in K]?: bigint
  }

/** The IOMMUs whose devices can be found. */
export const IOMMUS: Readonly<Record<string, Iommu>> = {
  smmuv3: {
    title: 'Arm SMMUv3: stream table, context descriptors, both stages',
    needs: ['strtabBase', 'strtabBaseCfg'],
    optional: ['idr1'],
    scan: (r, read, only) =>
      new Smmuv3Scanner({ strtabBase: at(r, 'strtabBase'), strtabBaseCfg: at(r, 'strtabBaseCfg'), ...given(r, 'idr1') }, read, ROLES, only),
  },
  vtd: {
    title: 'Intel VT-d: root, context and PASID tables',
    needs: ['rtaddr'],
    optional: ['cap', 'gsts'],
    scan: (r, read, only) => new VtdScanner({ rtaddr: at(r, 'rtaddr'), ...given(r, 'cap', 'gsts') }, read, ROLES, only),
  },
  amdvi: {
    title: 'AMD-Vi: device table',
    needs: ['devtab'],
    optional: [],
    scan: (r, read, only) => new AmdViScanner({ devtab: at(r, 'devtab') }, read, ROLES, only),
  },
  riscv: {
    title: 'RISC-V IOMMU: device and process directories',
    needs: ['ddtp', 'capabilities'],
    optional: [],
    scan: (r, read, only) => new RiscvIommuScanner({ capabilities: at(r, 'capabilities'), ddtp: at(r, 'ddtp') }, read, ROLES, only),
  },
}

/** `strtabBase` as an option: `strtab-base`. */
export function optionName(register: string): string {
  return register.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** Tables, and of which stream they are. */
export interface Target {
  readonly tables: Tables & { readonly stage?: 1 | 2 }
  readonly stream?: Stream
}

export interface Targets {
  readonly image: MemoryImage
  readonly targets: readonly Target[]
  /** Of the scan of an IOMMU. */
  readonly scan?: StreamScan
  readonly findings: readonly Finding[]
}

/** Opens the image, and finds the tables. @throws UsageError for options that say too little */
export async function openTargets(name: string, options: TargetOptions): Promise<Targets> {
  if (!Object.hasOwn(IOMMUS, name)) formatOf(name)
  const image = await open(options)
  const iommu = IOMMUS[name]
  if (iommu !== undefined) {
    const scan = await openStreams(iommu, options, image)
    const targets = scan.streams.flatMap((stream) => tablesOfStream(stream, options))
    return { image, targets, scan, findings: scan.findings }
  }
  const format = formatOf(name)
  const own = saysNothing(options) ? await rootsOfImages(format, options) : []
  const given = own.length === 0 ? [undefined] : own
  const tables: Tables[] = []
  for (const root of given) tables.push(...(await image.loading(() => formatTables(format, options, image.read, root))))
  return { image, targets: tables.map((each) => ({ tables: each })), findings: own.map(({ finding }) => finding) }
}

/** Neither a root nor a register. */
function saysNothing(options: TargetOptions): boolean {
  return options.root === undefined && Object.keys(registerTextsOf(options)).length === 0
}

/** The roots of a format that the images say by themselves. */
async function rootsOfImages({ FORMAT }: AnyFmt, { image = [], imageFormat = 'auto' }: TargetOptions): Promise<readonly ImageRoot[]> {
  if (imageFormat !== 'auto' && imageFormat !== 'elf') return []
  const { imageRoots } = await import('./core-targets.ts')
  return (await imageRoots(image)).filter((root) => root.format === FORMAT)
}

async function open(options: TargetOptions): Promise<MemoryImage> {
  const { image = [], imageFormat, base, piece } = options
  if (image.length === 0) throw new UsageError('--image FILE is needed: the memory in which the tables are')
  const sources = image.map((path) => fileSource(path))
  return openImage(sources, {
    ...(imageFormat !== undefined && { format: imageFormat }),
    ...(base !== undefined && { base }),
    ...(piece !== undefined && { pieces: piece.map(pieceOf) }),
  })
}

/** `PADDR:OFFSET:SIZE`. */
function pieceOf(text: string): { paddr: bigint; offset: number; size: number } {
  const [paddr, offset, size, ...more] = text.split(':')
  if (paddr === undefined || offset === undefined || size === undefined || more.length > 0)
    throw new UsageError(`--piece ${text}: PADDR:OFFSET:SIZE expected`)
  return { paddr: integer(paddr), offset: Number(integer(offset)), size: Number(integer(size)) }
}

async function openStreams(iommu: Iommu, options: TargetOptions, image: MemoryImage): Promise<StreamScan> {
  const names = [...iommu.needs, ...iommu.optional]
  refuseOthers(options, names)
  const registers: Record<string, bigint> = {}
  for (const name of names) {
    const text = options.reg?.[name] ?? (options[name] as string | undefined)
    if (text !== undefined) registers[name] = integer(text)
  }
  const missing = iommu.needs.filter((name) => registers[name] === undefined)
  if (missing.length > 0)
    throw new UsageError(
      `${missing.map((name) => `--${optionName(name)} VALUE`).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} needed`,
    )
  const scanner = iommu.scan(registers, image.read, options.sid === undefined ? undefined : Number(options.sid))
  const { streams, ...scan } = await image.loading(() => scanner.run())
  return { ...scan, streams: streams.filter((stream) => isWanted(stream, options)) }
}

/** What an IOMMU does not have would be ignored otherwise: its registers are other ones than those of a format. */
function refuseOthers(options: TargetOptions, names: readonly string[]): void {
  const given = [
    ...Object.keys(options.reg ?? {}),
    ...REGISTER_OPTIONS.filter((name) => options[name] !== undefined),
    ...iommuOptions(options),
  ]
  const unknown = given.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new UsageError(`this IOMMU has no register ${unknown}: ${names.join(', ')}${didYouMean(unknown, names)}`)
  if (options.root !== undefined || options.config !== undefined)
    throw new UsageError('--root and --config are of a format; the tables of an IOMMU are found by its registers')
}

/** The registers of IOMMUs that were given by options of their own. */
function iommuOptions(options: RegisterOptions): readonly string[] {
  return Object.values(IOMMUS)
    .flatMap(({ needs, optional }) => [...needs, ...optional])
    .filter((name) => options[name] !== undefined)
}

function isWanted(stream: Stream, { sid, pasid }: TargetOptions): boolean {
  return (sid === undefined || BigInt(stream.sid) === sid) && (pasid === undefined || BigInt(stream.pasid ?? -1) === pasid)
}

function tablesOfStream(stream: Stream, { stage }: TargetOptions): readonly Target[] {
  return stream.tables.filter((tables) => stage === undefined || BigInt(tables.stage) === stage).map((tables) => ({ tables, stream }))
}

/** The tables of a format: by its registers, or by roots and a configuration. */
function formatTables(named: AnyFmt, options: TargetOptions, read: ReadMemory, own?: ImageRoot): readonly Tables[] {
  const { root, config, sid, pasid, stage, regime } = options
  const format = formatOf(formatNameIn(named, regime))
  if (sid !== undefined || pasid !== undefined || stage !== undefined)
    throw new UsageError('--sid, --pasid and --stage select streams of an IOMMU; a format has none')
  if (root === undefined && config !== undefined) throw new UsageError('--config goes with --root: registers say what their tables are')
  const texts = registerTextsOf(options)
  if (root !== undefined) return [tablesAt(format, rootGiven(format, options, texts), read)]
  const values = own?.registers ?? registerValues(format, texts)
  return format.rootsFromRegs(values, read).map((found) => tablesAt(format, found, read))
}

/** All registers of the options, as they were written. */
export function registerTextsOf(options: RegisterOptions): Readonly<Record<string, string>> {
  const regime = options.regime === undefined ? {} : { [REGIME]: options.regime }
  return { ...iommuTexts(options), ...ownRegisters(options), ...regime, ...options.reg }
}

/** Registers of IOMMUs among the options: a format that lacks them says so. */
function iommuTexts(options: RegisterOptions): Record<string, string> {
  return Object.fromEntries(iommuOptions(options).map((name) => [name, options[name] as string]))
}

/** The registers that were given by options of their own. */
function ownRegisters(options: RegisterOptions): Record<string, string> {
  return Object.fromEntries(
    REGISTER_OPTIONS.filter((name) => typeof options[name] === 'string').map((name) => [name, options[name] as string]),
  )
}

function rootGiven(format: AnyFmt, { root = [], config }: TargetOptions, texts: object): FoundRoot<unknown, unknown> {
  if (Object.keys(texts).length > 0) throw new UsageError('either --root or registers expected')
  const agreed = agreedConfig(format, configOf(format, config))
  const { params, context, ranges } = geometryOf(format, agreed)
  return { name: 'root', params, context, roots: root.map(integer), first: ranges.first, last: ranges.last }
}

/** Options of commands: a register of such a name is given with --reg alone. */
const TAKEN: readonly string[] = 'base config field format image iova layout level limit paddr piece prot reg root'.split(' ')

/** Every register of every format has an option of its own, where no other has its name. */
export const REGISTER_OPTIONS: readonly string[] = [
  ...new Set(FORMATS.flatMap((format) => [...registersOf(format).map(({ name }) => name), ...fullNames(format)])),
]
  .filter((name) => name !== REGIME && !TAKEN.includes(name))
  .sort()

/** `root`, `stream 8 ttbr0`, `0000:00:01.0` and its like: what a line of output begins with. */
export function targetName({ tables, stream }: Target): string {
  if (stream === undefined) return tables.name
  const pasid = stream.pasid === undefined ? '' : ` pasid ${stream.pasid}`
  return `sid ${hex(stream.sid)} (${busDeviceFunction(stream.sid)})${pasid} ${tables.name}`
}

/** A PCI requester id as bus:device.function. */
export function busDeviceFunction(sid: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0')
  return `${two((sid >> 8) & 0xff)}:${two((sid >> 3) & 31)}.${sid & 7}`
}

/** What tells targets apart in JSON. */
export function targetKey({ tables, stream }: Target): Readonly<Record<string, string | number>> {
  if (stream === undefined) return { root: tables.name }
  const stages = stream.stages.length > 1 && tables.stage !== undefined ? { stage: tables.stage } : {}
  return { sid: stream.sid, ...(stream.pasid !== undefined && { pasid: stream.pasid }), ...stages }
}

/** The part of a range that is inside of a target's. */
export function within(range: Range | undefined): { first?: bigint; last?: bigint } {
  return range === undefined ? {} : { first: range.first, last: range.last }
}
