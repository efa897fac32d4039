/** One configuration of a format under test, and what its declaration says of it. */
import {
  type AdoptRequest,
  type Agreed,
  type AnyFmt,
  agreedConfig,
  deposit,
  extract,
  type FormatConfig,
  type Geometry,
  IoPageTable,
  inputRanges,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  nodeOf,
  ones,
  type Policy,
  type Prot,
  pageSizes,
  protLimit,
  protNames,
  protWith,
  type TableKind,
  type TableOptions,
} from '@io-pgtable/core'
import { Fault } from './law.ts'

/** How a table is made: `IoPageTable.createRaw`, or something that stands for it. */
export type CreateTable = (format: AnyFmt, request: TableOptions & FormatConfig) => IoPageTable

/** How a table is adopted: `IoPageTable.adopt`, or something that stands for it. */
export type AdoptTable = (format: AnyFmt, request: AdoptRequest<AnyFmt>) => IoPageTable

/** `full` lengthens the sequences; it adds no law. */
export type Effort = 'quick' | 'full'

/** A page size that tables of the configuration map. */
export interface Size {
  readonly pgsize: number
  /** Its place in the chain of nodes. */
  readonly depth: number
  readonly node: LevelNode
  readonly kind: LeafKind
  readonly size: LeafSize
}

/** Where a random law starts, to see a failure again. */
export interface Replay {
  readonly seed: number
  /** fast-check's path to the shrunk counterexample. */
  readonly path: string
}

export interface Case {
  readonly format: AnyFmt
  /** The configuration's name. */
  readonly name: string
  readonly request: FormatConfig
  readonly config: Agreed<FormatConfig>
  readonly geometry: Geometry
  readonly policy: Policy
  /** The nodes that a table is built of, from the highest that its root can be down. */
  readonly chain: readonly LevelNode[]
  /** Place of a new table's root in the chain. */
  readonly top: number
  /** Smallest first. */
  readonly sizes: readonly Size[]
  readonly createTable: CreateTable
  readonly adoptTable: AdoptTable
  readonly effort: Effort
  /** Place of the configuration among those of its format, which have the work of a law between them. */
  readonly share: Share
  /** For the law that is being checked. */
  readonly replay: Replay | undefined
  readonly seed: number
}

/** One of so many. */
export interface Share {
  readonly index: number
  readonly of: number
}

/** What a case is made of. */
export interface CaseOptions extends Pick<Case, 'format' | 'createTable' | 'effort' | 'replay' | 'seed'> {
  readonly name: string
  readonly request: FormatConfig
  readonly adoptTable?: AdoptTable | undefined
  /** Default: the whole work. */
  readonly share?: Share
}

/** How many of so many random runs this configuration makes, at least one; at full effort each configuration has a double share. */
export function shareOf({ effort, share: { of } }: Case, runs: number): number {
  return Math.ceil(runs / Math.max(1, effort === 'full' ? of / 2 : of))
}

/** Those of a list that are this configuration's, at least one; another configuration has the others. At full effort each has all. */
export function shareIn<T>({ effort, share: { index, of } }: Case, all: readonly T[]): readonly T[] {
  return effort === 'full' ? all : all.filter((_, i) => (i + index) % Math.min(of, all.length) === 0)
}

/** @throws {@link Fault} for a declaration of which no table can be built, and what the format's own functions throw */
export function makeCase(options: CaseOptions): Case {
  const { format, request } = options
  const config = agreedConfig(format, request)
  const geometry = format.geometry(format.params(config))
  const chain = chainOf(format, config, geometry)
  const top = chain.findIndex((node) => node.id === geometry.top)
  if (top < 0) throw new Fault(`the geometry's top ${geometry.top} is not on the way down from ${geometry.growsTo ?? geometry.top}`)
  const adoptTable = options.adoptTable ?? ((fmt, given) => IoPageTable.adopt(fmt, given))
  const sizes = sizesOf(config, format.writes === false ? geometry.nodes : chain)
  const share = options.share ?? { index: 0, of: 1 }
  return { ...options, share, adoptTable, config, geometry, policy: format.policy(config), chain, top, sizes }
}

/** The nodes from the highest root down, by the table kinds that are written; of a format that only reads, one way of several. */
function chainOf(format: AnyFmt, config: Agreed<FormatConfig>, geometry: Geometry): LevelNode[] {
  const chain: LevelNode[] = []
  let node: LevelNode | undefined = nodeOf(geometry, geometry.growsTo ?? geometry.top)
  while (node !== undefined) {
    if (chain.includes(node)) throw new Fault(`node ${node.id} is below itself`)
    chain.push(node)
    const kind = tableKindOf(node)
    node = kind && (format.writes === false ? anyChild(geometry, kind) : nodeOf(geometry, childId(format, config, node, kind)))
  }
  return chain
}

/** The table kind of a node that is written; undefined at the last node. */
export function tableKindOf(node: LevelNode): TableKind | undefined {
  return node.kinds.find((kind): kind is TableKind => kind.type === 'table' && kind.encode !== false)
}

/** The child of which a field's least value is the code. */
function anyChild(geometry: Geometry, { child }: TableKind): LevelNode | undefined {
  const id = typeof child === 'string' ? child : Object.values(child.nodes)[0]
  return id === undefined ? undefined : nodeOf(geometry, id)
}

function childId(format: AnyFmt, config: Agreed<FormatConfig>, node: LevelNode, kind: TableKind): string {
  const { child } = kind
  if (typeof child === 'string') return child
  const field = kind.fields.find((f) => f.name === child.field)
  if (field === undefined) throw new Fault(`kind ${kind.name} chooses its child by a field ${child.field} that it lacks`, { node })
  const raw = kind.set | format.encodeTable(config, node, kind)
  const id = child.nodes[Number(extract(raw, field.pieces))]
  if (id === undefined) throw new Fault(`the bits that encodeTable gives choose no child by ${child.field}`, { node, raw })
  return id
}

function sizesOf(config: Agreed<FormatConfig>, chain: readonly LevelNode[]): Size[] {
  const all = chain.flatMap((node, depth) =>
    leafKinds(node).flatMap((kind) =>
      kind.sizes.filter((size) => size.encode !== false).map((size) => ({ pgsize: size.pgsize, depth, node, kind, size })),
    ),
  )
  return pageSizes(config.pgsizeBitmap).flatMap((pgsize) => all.filter((size) => size.pgsize === pgsize))
}

/** The leaf kinds of a node, those that are only decoded too. */
export function leafKinds(node: LevelNode): LeafKind[] {
  return node.kinds.filter((kind): kind is LeafKind => kind.type === 'leaf')
}

/** The descriptor of a leaf by the declaration; undefined when `prot` cannot be expressed. */
export function leafRaw({ format, config }: Case, { node, kind, size }: Size, prot: Prot, paddr: bigint): bigint | undefined {
  const bits = prot < protLimit(kind) ? format.encodeLeaf(config, node, kind, prot) : undefined
  return bits === undefined ? undefined : bits | kind.set | (size.or ?? 0n) | deposit(paddr, kind.address)
}

/** Output address bits, from the page size up, that no piece of the descriptor carries: a table refuses addresses that have them. */
export function uncarried({ geometry }: Case, { pgsize, kind }: Size): bigint {
  const carried = kind.address.reduce((bits, [hi, lo, at]) => bits | (ones(hi - lo) << BigInt(at)), 0n)
  return ((1n << BigInt(geometry.oas)) - 1n) & ~(BigInt(pgsize) - 1n) & ~carried
}

/** The first output address that any page can have. */
export function leastPaddr({ geometry, sizes }: Pick<Case, 'geometry' | 'sizes'>): bigint {
  const largest = BigInt(sizes.at(-1)?.pgsize ?? 1)
  return (((geometry.leastOutput ?? 0n) + largest - 1n) / largest) * largest
}

/** Bytes of output addresses, from zero on, that a run of pages of this size can have. */
export function outputBytes(c: Case, size: Size): bigint {
  const missing = uncarried(c, size)
  return missing === 0n ? 1n << BigInt(c.geometry.oas) : missing & -missing
}

/** Most pages of the size from an offset on: what the window, the output addresses and 2^53 leave. */
export function pagesFrom(c: Case, size: Size, offset: bigint): number {
  const span = BigInt(size.pgsize)
  const limits = [roomAt(c.geometry, offset) / span, (outputBytes(c, size) - leastPaddr(c)) / span, 2n ** 53n / span - 1n].map(Number)
  return Math.max(0, Math.min(...limits))
}

/** The descriptor of a table by the declaration. */
export function tableRaw({ format, config }: Case, node: LevelNode, kind: TableKind, next: bigint): bigint {
  return format.encodeTable(config, node, kind) | kind.set | deposit(next, kind.address)
}

/** Every prot that a caller may pass: an OR of flags with READ or WRITE in it. */
const FLAGS: readonly Prot[] = Array.from({ length: 64 }, (_, prot) => prot).filter((prot) => (prot & 3) !== 0)

/** The same, and each value of the attributes that are the format's own with some of them. */
export function protsOf({ geometry }: Case): readonly Prot[] {
  const kinds = geometry.nodes.flatMap(leafKinds)
  const values = Math.max(...kinds.map(({ attributeBits = 0 }) => 2 ** attributeBits)) - 1
  if (values < 1) return FLAGS
  return [...FLAGS, ...Array.from({ length: values }, (_, i) => [1, 3, 6].map((flags) => protWith(flags, i + 1))).flat()]
}

/** `READ|WRITE` */
export function protText(prot: Prot): string {
  const own = prot >>> 6 === 0 ? [] : [`attributes ${prot >>> 6}`]
  return [...protNames(prot), ...own].join('|') || '0'
}

/** The first address beyond those that tables may have. */
export function tableLimit({ geometry }: Case): bigint {
  return geometry.tablesBelow ?? 1n << BigInt(Math.min(geometry.oas, 52))
}

/** What a table of a node is aligned to, and takes of memory, bytes. Pools have no smaller blocks than 64 bytes. */
export function tableAlign(node: LevelNode): number {
  return Math.max(node.tableBytes, node.align ?? 0, LEAST_BLOCK)
}

/** What a table's own root counts: without what its block has beside it for its alignment. */
export function rootBytes(node: LevelNode): number {
  return Math.max(node.tableBytes, LEAST_BLOCK)
}

const LEAST_BLOCK = 64

/** The input address of an offset in the window: the low `ias` bits as they are, the bits above as the window has them. */
export function iovaOf(geometry: Geometry, offset: bigint): bigint {
  const ranges = inputRanges(geometry)
  const low = ranges[0]?.first ?? 0n
  const half = 1n << BigInt(geometry.ias - 1)
  return ranges[1] !== undefined && offset >= half ? ranges[1].first + offset - half : low + offset
}

/** The inverse of {@link iovaOf}. */
export function offsetOf({ ias, base = 0n }: Geometry, iova: bigint): bigint {
  return BigInt.asUintN(ias, iova - base)
}

/** Bytes from the offset on to the end of the addresses that one range may cover: the window's, or its half's. */
export function roomAt({ ias, window }: Geometry, offset: bigint): bigint {
  const end = 1n << BigInt(ias)
  return window === 'sign-extended' && offset < end / 2n ? end / 2n - offset : end - offset
}
