/**
 * AMD-Vi host page tables (v1): AMD I/O Virtualization Technology (IOMMU) Specification, publication 48882, revision 3: 2.2.3 I/O page
 * tables for host translations, 2.2.2.1 device table entry. Levels are the manual's, counted up from the page table: 1 (21 address bits)
 * to 6 (all 64); the mode of a device table entry is the level of its root. An entry's NextLevel field says what it is: 0 a page of the
 * level's default size, 7 a page whose size the low address bits code, else the level of the next table, which may skip levels.
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  deposit,
  extract,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Match,
  type Meaning,
  type MemoryType,
  meaning,
  type Policy,
  Prot,
  Right,
  type Rights,
  SZ_4K,
  type TableKind,
  when,
} from '@io-pgtable/core'

/** FORCE_COHERENCE: FC in every leaf, so that accesses snoop whatever the device says. */
export type AmdV1Quirk = 'FORCE_COHERENCE' | 'NO_WARN'

const QUIRKS: readonly AmdV1Quirk[] = ['FORCE_COHERENCE', 'NO_WARN']

export interface AmdV1Config extends FormatConfig<AmdV1Quirk> {
  /** Level of the first root, 1 to 6; it grows where `ias` is more than it reaches. Default: 3, or fewer where those suffice. */
  readonly topLevel?: number
}

/** What the device table entry gets. */
export interface AmdV1Regs {
  /** Host page table root pointer: the physical address of the root. */
  readonly root: bigint
  /** Paging mode: the level of the root. */
  readonly mode: number
  /** Bits 63:0 of the entry, with V, TV, IR and IW set. The domain's number (bits 79:64), HAD and all else is the driver's. */
  readonly dte: bigint
}

/** Bits 63:0 of a device table entry. */
export interface AmdV1Hardware {
  readonly dte: bigint
}

export interface AmdV1Params {
  /** Level of the root. */
  readonly topLevel: number
  readonly ias: number
  readonly oas: number
}

/** What a device may do at all, by its device table entry: a table entry can only take from it. */
export interface AmdV1Context {
  readonly ir: boolean
  readonly iw: boolean
}

const PR = 1n << 0n
const DIRTY = 1n << 6n
const FC = 1n << 60n
const IR = 1n << 61n
const IW = 1n << 62n
const NEXT_LEVEL = 7n << 9n
const TV = 1n << 1n

const MAX_LEVEL = 6
const SECTION = { section: '2.2.3' }
const DTE = { mode: [[11, 9, 0]], root: [[51, 12, 12]] } as const

const RESERVED = { section: '2.2.3', reserved: 'faults' } as const
const ACCESS = [
  field('IR', 61, 61, 'reads are allowed, where every entry on the way and the device table entry allow them', SECTION),
  field('IW', 62, 62, 'writes are allowed, in the same way', SECTION),
  field('IgnoredTop', 63, 63, 'ignored by hardware', SECTION),
]
const TABLE_FIELDS = [
  field('Ignored', 4, 1, 'ignored by hardware', SECTION),
  field('A', 5, 5, 'accessed', SECTION),
  field('IgnoredLow', 8, 6, 'ignored by hardware', SECTION),
  field('Reserved', 60, 52, 'reserved', RESERVED),
  ...ACCESS,
]
const NEXT_LEVEL_FIELD = field('NextLevel', 11, 9, 'the level of the table that the entry points to', SECTION)
const LEAF_FIELDS = [
  field('Ignored', 4, 1, 'ignored by hardware', SECTION),
  field('A', 5, 5, 'accessed', SECTION),
  field('D', 6, 6, 'dirty', SECTION),
  field('IgnoredLow', 8, 7, 'ignored by hardware', SECTION),
  field('Reserved', 58, 52, 'reserved', RESERVED),
  field('U', 59, 59, 'ATS: the device must send these accesses untranslated', SECTION),
  field('FC', 60, 60, 'accesses are coherent, whatever the device says', SECTION),
  ...ACCESS,
]

const GRANTS: Meaning<Rights> = meaning(['IR', 'IW'], ({ IR: read, IW: write }) => (read ? Right.READ : 0) | (write ? Right.WRITE : 0))
const LIMITS: Meaning<Rights> = meaning(GRANTS.fields, (values, context) => GRANTS.of(values, context) | Right.EXECUTE)
/** Without FC the request's own attributes hold. */
const MEMORY: Meaning<MemoryType> = meaning(['FC'], ({ FC: coherent }) =>
  coherent ? { name: 'coherent', caching: 'cached' } : { name: 'as the request says', caching: 'unknown' },
)

/** What the device table entry lets the device do at all. */
function regime({ ir, iw }: AmdV1Context): (path: Rights) => Rights {
  return (path) => path & ~(ir ? 0 : Right.READ) & ~(iw ? 0 : Right.WRITE)
}

/** Flags of an IO_PAGE_FAULT event (2.5.3): PR, RW, PE, RZ. */
function fault({ type, access }: AccessFault): ArchFault {
  const RZ = type === 'reserved' ? 1 : 0
  const PR = type === 'permission' || RZ ? 1 : 0
  return { name: 'IO_PAGE_FAULT', codes: { PR, RW: access === 'write' ? 1 : 0, PE: type === 'permission' ? 1 : 0, RZ } }
}

function shiftOf(level: number): number {
  return 12 + 9 * (level - 1)
}

/** Levels that reach `ias` address bits. */
function levelsFor(ias: number): number {
  return Math.max(1, Math.ceil((ias - 12) / 9))
}

function nextLevel(level: number): Match {
  return when(PR | NEXT_LEVEL, PR | (BigInt(level) << 9n))
}

function nodeAt(level: number): LevelNode {
  const shift = shiftOf(level)
  const bits = Math.min(9, 64 - shift)
  const name = `Level ${level} page table`
  return { id: `L${level}`, level, name, shift, bits, entryBytes: 8, tableBytes: SZ_4K, empty: 0n, kinds: kindsAt(level) }
}

/** A page of the level's default size. Those of 2^39 bytes are not written: some IOMMUs get them wrong. */
function defaultPage(level: number): LeafKind {
  const lg = shiftOf(level)
  const match = nextLevel(0)
  const sizes = [{ pgsize: 2 ** lg, slots: 1, encode: lg !== 39 }]
  return {
    type: 'leaf',
    name: 'PTE',
    match,
    set: match.value,
    address: [[51, lg, lg]],
    sizes,
    fields: LEAF_FIELDS,
    grants: GRANTS,
    memory: MEMORY,
  }
}

/** A page of 2^lg bytes, coded by the lowest zero of its address field, bit lg - 1. All entries that it takes are equal. */
function codedPage(level: number, lg: number): LeafKind {
  const code = deposit((1n << BigInt(lg - 1)) - 1n, [[lg - 1, 12, 12]])
  const match = when(nextLevel(7).mask | (1n << BigInt(lg - 1)) | code, nextLevel(7).value | code)
  const fields = [field('PageSize', lg - 1, 12, 'page size: the position of the lowest zero', SECTION), ...LEAF_FIELDS]
  const sizes = [{ pgsize: 2 ** lg, slots: 2 ** (lg - shiftOf(level)) }]
  return {
    type: 'leaf',
    name: 'PTE, coded size',
    match,
    set: match.value,
    address: lg < 52 ? [[51, lg, lg]] : [],
    sizes,
    fields,
    grants: GRANTS,
    memory: MEMORY,
  }
}

function kindsAt(level: number): readonly Kind[] {
  const shift = shiftOf(level)
  const empty: Kind = { type: 'empty', name: 'not present', match: when(PR, 0n), fields: [] }
  const pages = shift > 51 ? [] : [defaultPage(level)]
  for (let lg = shift + 1; lg < Math.min(shift + 9, 53); lg++) pages.push(codedPage(level, lg))
  if (level === 1)
    return [empty, ...pages, { type: 'invalid', name: 'illegal NextLevel or size', match: ALWAYS, fields: [], fault: 'reserved' }]
  return [empty, ...pages, pointer(level), skipping(level)]
}

function pointer(level: number): TableKind {
  const match = nextLevel(level - 1)
  const set = match.value | IR | IW
  return { type: 'table', name: 'PDE', match, set, address: [[51, 12, 12]], child: `L${level - 1}`, fields: TABLE_FIELDS, limits: LIMITS }
}

/** A table more than one level down: the address bits between must be zero. Any other value of NextLevel is illegal. */
function skipping(level: number): TableKind {
  const nodes = Object.fromEntries(Array.from({ length: level - 2 }, (_, i) => [i + 1, `L${i + 1}`]))
  const fields = [NEXT_LEVEL_FIELD, ...TABLE_FIELDS]
  const child = { field: 'NextLevel', nodes }
  return {
    type: 'table',
    name: 'PDE, levels skipped',
    match: ALWAYS,
    set: PR,
    address: [[51, 12, 12]],
    child,
    fields,
    limits: LIMITS,
    encode: false,
  }
}

function configure(request: AmdV1Config): Agreed<AmdV1Config> {
  const quirks = checkConfig('amdv1', request, QUIRKS)
  const { ias, oas, coherentWalk = true, cpuPageSize = SZ_4K, topLevel = Math.min(3, levelsFor(ias)) } = request
  if (ias < 14) throw configError('amdv1', 'ias', ias, '14 to 64 expected')
  if (oas < 13 || oas > 52) throw configError('amdv1', 'oas', oas, '13 to 52 expected')
  if (!Number.isInteger(topLevel) || topLevel < 1 || topLevel > MAX_LEVEL)
    throw configError('amdv1', 'topLevel', topLevel, `1 to ${MAX_LEVEL} expected`)
  const bitmap = request.pgsizeBitmap & pageSizes(ias, oas)
  if ((bitmap & BigInt(SZ_4K)) === 0n) throw configError('amdv1', 'pgsizeBitmap', request.pgsizeBitmap, '4K must be among the sizes')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize, topLevel }
}

/** Every power of two from 4K on that is less than half of either address space, but 2^39. */
function pageSizes(ias: number, oas: number): bigint {
  return (1n << BigInt(Math.min(ias - 1, oas))) - BigInt(SZ_4K) - (Math.min(ias - 1, oas) > 39 ? 1n << 39n : 0n)
}

function geometry({ topLevel, ias, oas }: AmdV1Params): Geometry {
  const highest = Math.max(topLevel, levelsFor(ias))
  const nodes = Array.from({ length: highest }, (_, i) => nodeAt(highest - i))
  const grows = highest > topLevel ? { growsTo: `L${highest}` } : {}
  return { nodes, top: `L${topLevel}`, ...grows, ias, oas, window: 'low', tablesBelow: 1n << BigInt(oas) }
}

const POLICY: Policy = {
  conflict: 'entry',
  freeTables: 'covered',
  flushOrder: 'range',
  addPagesWithoutGather: false,
  dirty: { dirty: when(DIRTY, DIRTY), clear: DIRTY, set: 0n },
}

function encodeLeaf(config: Agreed<AmdV1Config>, _node: LevelNode, _kind: LeafKind, prot: Prot): bigint {
  return (prot & Prot.READ ? IR : 0n) | (prot & Prot.WRITE ? IW : 0n) | (config.quirks.includes('FORCE_COHERENCE') ? FC : 0n)
}

function prot(raw: bigint, _kind: LeafKind, { ir, iw }: AmdV1Context): Prot {
  return (raw & IR && ir ? Prot.READ : 0) | (raw & IW && iw ? Prot.WRITE : 0) | (raw & FC ? Prot.CACHE : 0)
}

function regs(_config: Agreed<AmdV1Config>, [root = 0n]: readonly bigint[], top: string): AmdV1Regs {
  const mode = Number(top.slice(1))
  return { root, mode, dte: PR | TV | deposit(BigInt(mode), DTE.mode) | deposit(root, DTE.root) | IR | IW }
}

/** Nothing for an entry without V and TV, or with mode 0: the device's addresses are then not translated by host tables. */
function rootsFromRegs({ dte }: AmdV1Hardware): readonly FoundRoot<AmdV1Params, AmdV1Context>[] {
  const mode = Number(extract(dte, DTE.mode))
  if ((dte & PR) === 0n || (dte & TV) === 0n || mode === 0) return []
  if (mode > MAX_LEVEL) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `Mode ${mode}: 0 to ${MAX_LEVEL} expected`, { value: mode })
  const ias = Math.min(64, shiftOf(mode + 1))
  const context = { ir: (dte & IR) !== 0n, iw: (dte & IW) !== 0n }
  const params = { topLevel: mode, ias, oas: 52 }
  return [{ name: 'root', params, roots: [extract(dte, DTE.root)], first: 0n, last: (1n << BigInt(ias)) - 1n, context }]
}

const ALL_SIZES = (1n << 52n) - BigInt(SZ_4K)
const BASE: AmdV1Config = { pgsizeBitmap: ALL_SIZES, ias: 64, oas: 52 }

/** AMD-Vi host page tables. */
export const amdV1: IoPageTableFmt<AmdV1Config, AmdV1Regs, AmdV1Params, AmdV1Context, AmdV1Hardware> = {
  FORMAT: 'amdv1',
  title: 'AMD-Vi host page tables',
  manual: 'AMD I/O Virtualization Technology (IOMMU) Specification, publication 48882, revision 3, 2.2.3',
  configure,
  params: ({ topLevel, ias, oas }) => ({ topLevel, ias, oas }),
  geometry,
  policy: () => POLICY,
  encodeLeaf,
  encodeTable: () => 0n,
  prot,
  context: () => ({ ir: true, iw: true }),
  use: () => 'guest',
  parties: () => ['all'],
  regime,
  fault,
  regs,
  rootsFromRegs,
  hardware: (_config, { dte }) => ({ dte }),
  configs: [
    { name: '64 bits, from 3 levels on', config: BASE },
    { name: '64 bits, 6 levels, forced coherence', config: { ...BASE, topLevel: 6, quirks: ['FORCE_COHERENCE'] } },
    { name: '48 bits, 4 levels', config: { ...BASE, ias: 48, topLevel: 4 } },
    { name: '57 bits, from 1 level on, oas 48', config: { ...BASE, ias: 57, oas: 48, topLevel: 1 } },
    { name: '32 bits, not coherent', config: { ...BASE, ias: 32, coherentWalk: false } },
    { name: '4K, 2M and 1G alone', config: { ...BASE, pgsizeBitmap: 0x4020_1000n, ias: 48 } },
  ],
}
