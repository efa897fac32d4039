/**
 * Intel VT-d second stage: the tables of second-stage, and legacy mode, DMA remapping.
 * Intel Virtualization Technology for Directed I/O, Architecture Specification (revision 4.1): 3.7 second-stage translation, 9.8
 * second-stage paging entries, 9.3 context entry. Levels are the manual's, counted up from the page table (SS-PTE): 1 to 5.
 * There is no present bit: an entry without R and W is not present.
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  type Policy,
  Prot,
  pgsizeBitmap,
  Right,
  type Rights,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** FORCE_COHERENCE: SNP in every leaf, so that accesses snoop whatever the device says. FORCE_WRITEABLE: the unit cannot do read-only. */
export type VtdSsQuirk = 'FORCE_COHERENCE' | 'FORCE_WRITEABLE' | 'NO_WARN'

const QUIRKS: readonly VtdSsQuirk[] = ['FORCE_COHERENCE', 'FORCE_WRITEABLE', 'NO_WARN']

export type VtdSsConfig = FormatConfig<VtdSsQuirk>

/** What a context entry, or a scalable-mode PASID entry, gets. */
export interface VtdSsRegs {
  /** SSPTPTR: the physical address of the root. */
  readonly ssptptr: bigint
  /** AW: 1 three, 2 four, 3 five levels. */
  readonly aw: number
}

export interface VtdSsParams {
  readonly levels: 3 | 4 | 5
  readonly ias: number
  readonly oas: number
}

const R = 1n << 0n
const W = 1n << 1n
const PS = 1n << 7n
const DIRTY = 1n << 9n
const SNP = 1n << 11n
/** Ignored by hardware: marks a table that was synced for a walker that does not snoop. */
const SW_SYNC = 1n << 10n

/** One party, a device; whether execution is checked at all is the PASID entry's (ERE), and no bit of these entries grants it alone. */
const GRANTS: Meaning<Rights> = meaning(['R', 'W'], ({ R: read, W: write }) => (read ? Right.READ : 0) | (write ? Right.WRITE : 0))
const LIMITS: Meaning<Rights> = meaning(GRANTS.fields, (values, context) => GRANTS.of(values, context) | Right.EXECUTE)
/** Without SNP the request's own attributes hold. */
const MEMORY: Meaning<MemoryType> = meaning(['SNP'], ({ SNP: snoop }) =>
  snoop ? { name: 'snooped', caching: 'cached' } : { name: 'as the request says', caching: 'unknown' },
)

const NAMES = ['', 'SS-PTE', 'SS-PDE', 'SS-PDPE', 'SS-PML4E', 'SS-PML5E']
const SECTION = '9.8'

const ACCESS = [
  field('R', 0, 0, 'reads are allowed', { section: SECTION }),
  field('W', 1, 1, 'writes are allowed', { section: SECTION }),
  field('X', 2, 2, 'execute requests are allowed, where the PASID entry enables the check', { section: SECTION }),
]
const TABLE_FIELDS = [
  ...ACCESS,
  field('Ignored', 6, 3, 'ignored by hardware', { section: SECTION }),
  field('A', 8, 8, 'accessed', { section: '3.7.3' }),
  field('Software', 11, 9, 'ignored by hardware; bit 10 marks a table that was synced', { section: SECTION }),
  field('IgnoredHigh', 63, 52, 'ignored by hardware', { section: SECTION }),
]
const LEAF_FIELDS = [
  ...ACCESS,
  field('EMT', 5, 3, 'memory type, where extended memory type is enabled', {
    section: SECTION,
    values: { 0: 'uncacheable', 1: 'write combining', 4: 'write-through', 5: 'write-protected', 6: 'write-back' },
  }),
  field('IPAT', 6, 6, 'ignore the PAT', { section: SECTION }),
  field('PS', 7, 7, 'page size: a leaf above level 1 (ignored at level 1)', { section: SECTION }),
  field('A', 8, 8, 'accessed', { section: '3.7.3' }),
  field('D', 9, 9, 'dirty', { section: '3.7.3' }),
  field('Software', 10, 10, 'ignored by hardware', { section: SECTION }),
  field('SNP', 11, 11, 'accesses snoop processor caches', { section: '3.7.4' }),
  field('IgnoredHigh', 61, 52, 'ignored by hardware', { section: SECTION }),
  field('TM', 62, 62, 'transient mapping (Device-TLB hint of earlier revisions)', { section: SECTION }),
  field('IgnoredTop', 63, 63, 'ignored by hardware', { section: SECTION }),
]

function nodeAt(level: number): LevelNode {
  const shift = 12 + 9 * (level - 1)
  const name = NAMES[level] ?? ''
  return { id: `L${level}`, level, name, shift, bits: 9, entryBytes: 8, tableBytes: SZ_4K, empty: 0n, kinds: kindsAt(level, shift) }
}

function kindsAt(level: number, shift: number): readonly Kind[] {
  const empty: Kind = { type: 'empty', name: 'not present', match: when(R | W, 0n), fields: [] }
  const leaf = {
    type: 'leaf',
    address: [[51, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: LEAF_FIELDS,
    grants: GRANTS,
    memory: MEMORY,
  } as const
  if (level === 1) return [empty, { ...leaf, name: 'page', match: ALWAYS, set: 0n }]
  const table: Kind = {
    type: 'table',
    name: 'table',
    match: when(PS, 0n),
    set: R | W,
    address: [[51, 12, 12]],
    child: `L${level - 1}`,
    fields: TABLE_FIELDS,
    limits: LIMITS,
  }
  if (level <= 3) return [empty, table, { ...leaf, name: 'superpage', match: ALWAYS, set: PS }]
  return [empty, table, { type: 'invalid', name: 'reserved page size', match: ALWAYS, fields: [], fault: 'reserved' }]
}

function paramsOf({ ias, oas }: { readonly ias: number; readonly oas: number }): VtdSsParams {
  return { levels: ias <= 39 ? 3 : ias <= 48 ? 4 : 5, ias, oas }
}

function configure(request: VtdSsConfig): Agreed<VtdSsConfig> {
  const quirks = checkConfig('vtdss', request, QUIRKS)
  const { ias, oas, coherentWalk = true, cpuPageSize = SZ_4K } = request
  if (ias < 13 || ias > 57) throw configError('vtdss', 'ias', ias, '13 to 57 expected')
  if (oas < 13 || oas > 52) throw configError('vtdss', 'oas', oas, '13 to 52 expected')
  // A leaf that is larger than the address space cannot be had.
  const bitmap = request.pgsizeBitmap & pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G) & ((1n << BigInt(ias)) - 1n)
  if ((bitmap & BigInt(SZ_4K)) === 0n) throw configError('vtdss', 'pgsizeBitmap', request.pgsizeBitmap, '4K must be among the sizes')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

function geometry({ levels, ias, oas }: VtdSsParams): Geometry {
  const nodes = Array.from({ length: levels }, (_, i) => nodeAt(levels - i))
  return { nodes, top: `L${levels}`, ias, oas, window: 'low', beyond: 'reserved', tablesBelow: 1n << BigInt(oas) }
}

const POLICY: Policy = {
  conflict: 'entry',
  freeTables: 'covered',
  flushOrder: 'range',
  addPagesWithoutGather: false,
  dirty: { dirty: when(DIRTY, DIRTY), clear: DIRTY, set: 0n },
}

function encodeLeaf(config: Agreed<VtdSsConfig>, _node: LevelNode, _kind: LeafKind, prot: Prot): bigint | undefined {
  if (config.quirks.includes('FORCE_WRITEABLE') && !(prot & Prot.WRITE)) return undefined
  return (prot & Prot.READ ? R : 0n) | (prot & Prot.WRITE ? W : 0n) | (config.quirks.includes('FORCE_COHERENCE') ? SNP : 0n)
}

function prot(raw: bigint): Prot {
  return (raw & R ? Prot.READ : 0) | (raw & W ? Prot.WRITE : 0) | (raw & SNP ? Prot.CACHE : 0)
}

function rootsFromRegs({ ssptptr, aw }: VtdSsRegs): readonly FoundRoot<VtdSsParams, undefined>[] {
  const levels = aw + 2
  if (levels !== 3 && levels !== 4 && levels !== 5)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `AW ${aw}: 1 (39 bits), 2 (48) or 3 (57) expected`, { value: aw })
  const ias = 12 + 9 * levels
  const root = ssptptr & ((1n << 52n) - 1n) & ~0xfffn
  return [
    { name: 'ssptptr', params: { levels, ias, oas: 52 }, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined },
  ]
}

/** Fault reasons of legacy mode (7.1.3): what is not present lacks the permission, too. */
function fault({ type, access }: AccessFault): ArchFault {
  if (type === 'reserved' || type === 'address-size')
    return { name: 'a reserved field of a paging entry is not zero', codes: { reason: 0xc } }
  if (type === 'walk-abort' || type === 'unknown-memory') return { name: 'a paging entry could not be read', codes: { reason: 0x7 } }
  const isWrite = access === 'write'
  return { name: isWrite ? 'a write without permission' : 'a read without permission', codes: { reason: isWrite ? 0x5 : 0x6 } }
}

const sizes = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

/** Intel VT-d second stage. */
export const vtdSs: IoPageTableFmt<VtdSsConfig, VtdSsRegs, VtdSsParams, undefined, VtdSsRegs> = {
  FORMAT: 'vtdss',
  title: 'Intel VT-d second stage',
  manual: 'Intel VT-d Architecture Specification, revision 4.1, chapters 3.7 and 9.8',
  configure,
  params: paramsOf,
  geometry,
  policy: () => POLICY,
  encodeLeaf,
  encodeTable: (config) => (config.coherentWalk ? 0n : SW_SYNC),
  prot,
  context: () => undefined,
  use: () => 'guest',
  parties: () => ['all'],
  fault,
  regs: (config, [root = 0n]) => ({ ssptptr: root, aw: paramsOf(config).levels - 2 }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '48 bits, 4 levels', config: { pgsizeBitmap: sizes, ias: 48, oas: 52 } },
    { name: '39 bits, 3 levels, not coherent', config: { pgsizeBitmap: sizes, ias: 39, oas: 46, coherentWalk: false } },
    { name: '57 bits, 5 levels, forced snooping', config: { pgsizeBitmap: sizes, ias: 57, oas: 52, quirks: ['FORCE_COHERENCE'] } },
    { name: '48 bits, no read-only', config: { pgsizeBitmap: sizes, ias: 48, oas: 48, quirks: ['FORCE_WRITEABLE'] } },
  ],
}
