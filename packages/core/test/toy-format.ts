/**
 * Toy: the format that the engine's tests run on. No hardware has it; it is small, and `toy(shape)` varies whatever formats differ in.
 * It also serves as an example of how little a format has to say.
 *
 * An input address is a 12-bit offset below one index for each level. Level 1 is the root; pages are at the last level, and every level
 * may have leaves. As a `Shape` without changes has it: 3 levels of 4 index bits (tables of 128 bytes), leaves of 1 MiB, 64 KiB and 4 KiB,
 * 24 input address bits, 32 output address bits. A descriptor is 64 bits, little-endian, or the low 32 of them:
 *
 *   bit 0        V     valid; an entry without it is empty whatever else it holds. (With `inverted`: I, set in empty entries.)
 *   bit 1        T     a table of the next level; not at the last level, where it is invalid
 *   table        bit 2 RO: everything below is read-only · bits 6:4 NL, the level of the table, when it can be skipped to
 *                bits 51:7 the table's address, from the lowest bit on that a table's alignment leaves
 *   leaf         bit 2 R readable · 3 W writable · 4 C cached · 5 X not executable · 6 M device memory · 7 reserved
 *                bits 9:8 S: 0 one entry · 1 large, 4 equal entries · 2 contiguous, 8 entries that each have their own address
 *                bit 10 D written to by the device · bits 63:60 software · bits 51:12 address; what is not named here is unknown
 */
import {
  ALWAYS,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LeafSize,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  type Piece,
  type Policy,
  Prot,
  pageSizes,
  Right,
  type Rights,
  type Window,
  when,
} from '@io-pgtable/core'

/** What a test may vary. */
export interface Shape {
  readonly levels: number
  readonly indexBits: number
  readonly entryBytes: 4 | 8
  readonly window: Window
  /** Bits of the address space whose top a `top` window is. */
  readonly spaceBits: number | undefined
  /** Separate root tables in one block. */
  readonly roots: number
  /** Levels that a new table's root leaves out: it grows by them. */
  readonly grows: number
  /** Alignment of the root. */
  readonly rootAlign: number | undefined
  /** Bit 0 set means empty. */
  readonly inverted: boolean
  /** Highest descriptor bit of an address where it is less than the descriptor has. */
  readonly highest: number | undefined
  /** Address bits 15:12 stand in descriptor bits 55:52 instead; for tables of 4 KiB. */
  readonly scattered: boolean
  /** The last level has large pages (4 equal entries) and contiguous ones (8 entries); `decode`: the contiguous ones only if somebody else wrote them. */
  readonly large: boolean
  readonly contiguous: 'none' | 'decode' | 'encode'
  /** Table descriptors name the level of their table in NL. */
  readonly skips: boolean
  readonly dirty: boolean
  readonly tablesBelow: bigint | undefined
  readonly policy: Partial<Policy>
}

const SHAPE: Shape = {
  levels: 3,
  indexBits: 4,
  entryBytes: 8,
  window: 'low',
  spaceBits: undefined,
  roots: 1,
  grows: 0,
  rootAlign: undefined,
  inverted: false,
  highest: undefined,
  scattered: false,
  large: false,
  contiguous: 'none',
  skips: false,
  dirty: false,
  tablesBelow: undefined,
  policy: {},
}

export type ToyConfig = FormatConfig<'NO_WARN'>
export interface ToyRegs {
  readonly bases: readonly bigint[]
  readonly top: string
}
export type Toy = IoPageTableFmt<
  ToyConfig,
  ToyRegs,
  Pick<ToyConfig, 'ias' | 'oas'>,
  { readonly readOnly: boolean },
  { readonly base: bigint }
>

const LEAF_FIELDS: readonly Field[] = [
  field('R', 2, 2, 'readable'),
  field('W', 3, 3, 'writable'),
  field('C', 4, 4, 'cached'),
  field('X', 5, 5, 'not executable'),
  field('M', 6, 6, 'device memory', { values: { 0: 'memory', 1: 'device' } }),
  field('RES0', 7, 7, 'reserved', { reserved: 'zero' }),
  field('S', 9, 8, 'size', { values: { 0: 'one entry', 1: 'large', 2: 'contiguous' } }),
  field('D', 10, 10, 'written to by the device'),
]
/** One party: both halves are equal. */
const GRANTS: Meaning<Rights, { readonly readOnly: boolean }> = meaning(
  ['R', 'W', 'X'],
  ({ R, W, X }, { readOnly }) => (R ? Right.READ : 0) | (W && !readOnly ? Right.WRITE : 0) | (X ? 0 : Right.EXECUTE),
)
const LIMITS: Meaning<Rights> = meaning(['RO'], ({ RO }) => (RO ? Right.ALL & ~Right.WRITE : Right.ALL))
const MEMORY: Meaning<MemoryType> = meaning(['C', 'M'], ({ C, M }) =>
  M ? { name: 'device', caching: 'device' } : C ? { name: 'cached', caching: 'cached' } : { name: 'uncached', caching: 'uncached' },
)
const SOFTWARE = field('Software', 63, 60, 'for software')
const D = 1n << 10n
const S = 3n << 8n

/** A toy of another shape. Configurations: any page sizes of the shape, `ias` and `oas` up to what it has. */
export function toy(changes: Partial<Shape> = {}): Toy {
  const shape = { ...SHAPE, ...changes }
  const reach = 12 + shape.levels * shape.indexBits
  const fromTop = Math.log2(shape.roots)
  const most = { ias: reach + fromTop, oas: shape.entryBytes === 8 ? 52 : 32 }
  return {
    FORMAT: 'toy',
    title: 'Toy',
    manual: 'the first lines of this file',
    configure(request) {
      const quirks = checkConfig('toy', request, ['NO_WARN'])
      const ias = Math.min(request.ias, most.ias)
      if (ias < reach - shape.indexBits + 1) throw configError('toy', 'ias', ias, 'an index bit of the root at least')
      const sizes = pageSizes(request.pgsizeBitmap).filter((size) => nodesOf(shape, most.ias).some((node) => hasSize(node, size)))
      const pgsizeBitmap = sizes.reduce((bitmap, size) => bitmap | BigInt(size), 0n)
      const { coherentWalk = true, cpuPageSize = 4096 } = request
      return { pgsizeBitmap, ias, oas: Math.min(request.oas, most.oas), quirks, coherentWalk, cpuPageSize }
    },
    params: ({ ias, oas }) => ({ ias, oas }),
    geometry: ({ ias, oas }) => geometryOf(shape, ias, oas),
    policy: () => ({
      conflict: 'table',
      freeTables: 'slot',
      flushOrder: 'walks-first',
      addPagesWithoutGather: false,
      ...(shape.dirty && { dirty: { dirty: when(D, D), clear: D, set: 0n } }),
      ...shape.policy,
    }),
    // PRIV has no bit, and device memory is never cached
    encodeLeaf: (_config, _node, _kind, prot) =>
      prot & Prot.PRIV || (prot & (Prot.MMIO | Prot.CACHE)) === (Prot.MMIO | Prot.CACHE)
        ? undefined
        : BigInt(prot & (Prot.READ | Prot.WRITE | Prot.CACHE | Prot.NOEXEC | Prot.MMIO)) << 2n,
    encodeTable: (_config, node) => (shape.skips ? BigInt(node.level + 1) << 4n : 0n),
    prot: (raw, _kind, { readOnly }) => Number((raw >> 2n) & 31n) & (readOnly ? ~Prot.WRITE : -1),
    context: () => ({ readOnly: false }),
    parties: () => ['all'],
    regs: (_config, bases, top) => ({ bases, top }),
    rootsFromRegs: ({ base }) => [
      { name: 'base', params: most, roots: [base], first: 0n, last: (1n << BigInt(most.ias)) - 1n, context: { readOnly: false } },
    ],
    configs: [{ name: 'everything', config: { pgsizeBitmap: (1n << 60n) - 1n, ...most } }],
  }
}

function hasSize(node: LevelNode, pgsize: number): boolean {
  return node.kinds.some((kind) => kind.type === 'leaf' && kind.sizes.some((size) => size.pgsize === pgsize && size.encode !== false))
}

function geometryOf(shape: Shape, ias: number, oas: number): Geometry {
  const { grows, roots, window, spaceBits, entryBytes, tablesBelow = entryBytes === 4 ? 2n ** 32n : undefined } = shape
  return {
    nodes: nodesOf(shape, ias),
    top: `L${1 + grows}`,
    ...(grows > 0 && { growsTo: 'L1' }),
    ...(roots > 1 && { roots }),
    ...(spaceBits !== undefined && { spaceBits }),
    ...(tablesBelow !== undefined && { tablesBelow }),
    ias,
    oas,
    window,
  }
}

function nodesOf(shape: Shape, ias: number): LevelNode[] {
  return Array.from({ length: shape.levels }, (_, i) => nodeAt(shape, i + 1, ias))
}

function nodeAt(shape: Shape, level: number, ias: number): LevelNode {
  const { levels, indexBits, entryBytes, inverted, rootAlign } = shape
  const shift = 12 + indexBits * (levels - level)
  const bits = level === 1 ? ias - shift : indexBits
  return {
    id: `L${level}`,
    level,
    name: `level ${level}`,
    shift,
    bits,
    entryBytes,
    tableBytes: Math.max(64, entryBytes * 2 ** bits),
    ...(level === 1 && rootAlign !== undefined && { align: rootAlign }),
    empty: inverted ? 1n : 0n,
    kinds: kindsAt(shape, level, shift),
  }
}

function kindsAt(shape: Shape, level: number, shift: number): readonly Kind[] {
  const { levels, entryBytes, inverted } = shape
  const V = inverted ? 0n : 1n
  const empty: Kind = { type: 'empty', name: 'empty', match: when(1n, 1n - V), fields: [] }
  const fields = entryBytes === 8 ? [...LEAF_FIELDS, SOFTWARE] : LEAF_FIELDS
  const sizes = level === levels ? pageSizesOf(shape) : [{ pgsize: 2 ** shift, slots: 1 }]
  const leaf: Kind = {
    type: 'leaf',
    name: level === levels ? 'page' : 'block',
    match: when(2n, 0n),
    set: V,
    address: addressOf(shape, Math.max(shift, 12)),
    sizes,
    fields,
    grants: GRANTS,
    memory: MEMORY,
  }
  if (level === levels) return [empty, leaf, { type: 'invalid', name: 'invalid', match: ALWAYS, fields: [] }]
  return [empty, leaf, tableKind(shape, level, V)]
}

function tableKind(shape: Shape, level: number, V: bigint): Kind {
  const { levels, indexBits, entryBytes, skips } = shape
  const nodes = Object.fromEntries(Array.from({ length: levels - level }, (_, i) => [level + 1 + i, `L${level + 1 + i}`]))
  return {
    type: 'table',
    name: 'table',
    match: ALWAYS,
    set: 2n | V,
    address: addressOf(shape, Math.log2(Math.max(64, entryBytes * 2 ** indexBits))),
    child: skips ? { field: 'NL', nodes } : `L${level + 1}`,
    limits: LIMITS,
    fields: [field('RO', 2, 2, 'everything below is read-only'), ...(skips ? [field('NL', 6, 4, 'level of the table')] : [])],
  }
}

function pageSizesOf({ large, contiguous }: Shape): LeafSize[] {
  const sizes: LeafSize[] = [{ pgsize: 0x1000, slots: 1 }]
  if (contiguous !== 'none')
    sizes.unshift({ pgsize: 0x8000, slots: 8, or: 2n << 8n, match: when(S, 2n << 8n), stepsAddress: true, encode: contiguous === 'encode' })
  if (large) sizes.unshift({ pgsize: 0x4000, slots: 4, or: 1n << 8n, match: when(S, 1n << 8n) })
  return sizes
}

function addressOf({ entryBytes, scattered, highest }: Shape, low: number): readonly Piece[] {
  const high = highest ?? (entryBytes === 8 ? 51 : 31)
  if (!scattered || low > 12) return [[high, low, low]]
  return [
    [high, 16, 16],
    [55, 52, 12],
  ]
}
