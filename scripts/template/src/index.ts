/**
 * Acme IOMMU. (Name the manual here, its revision and its sections, and how it names and numbers the levels.)
 *
 * What this file declares until the manual is in it: levels 1 and 2, tables of 256 32-bit entries, input addresses of up to 28 bits.
 *
 *   level-1 entry      bit 0 P: 0 not present · bit 1 S: 0 a level-2 table, address in 31:10 · 1 a section of 1 MiB, address in 31:20
 *   level-2 entry      bit 0 P: 0 not present · bit 1 must be 0 · a page of 4 KiB, address in 31:12
 *   section and page   bit 2 R readable · 3 W writable · 4 C cacheable; the other bits below the address are reserved
 *   BASE register      bits 31:10 address of the level-1 table · bit 0 EN
 */
import {
  type Agreed,
  ALWAYS,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type Meaning,
  type MemoryType,
  meaning,
  Prot,
  pgsizeBitmap,
  Right,
  type Rights,
  SZ_1M,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type AcmeIommuQuirk = 'NO_WARN'
export type AcmeIommuConfig = FormatConfig<AcmeIommuQuirk>

/** What fixes the geometry. */
export interface AcmeIommuParams {
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get, and what they are read from. */
export interface AcmeIommuRegs {
  /** BASE: the root's physical address, and EN. */
  readonly base: bigint
}

const P = 1n << 0n
const S = 1n << 1n
const R = 1n << 2n
const W = 1n << 3n
const C = 1n << 4n
const EN = 1n
const IAS = { least: 21, most: 28 }
const OAS = { least: 20, most: 32 }
const SIZES = pgsizeBitmap(SZ_4K, SZ_1M)

const ATTRIBUTES: readonly Field[] = [
  field('R', 2, 2, 'reads are allowed', { section: '1.1' }),
  field('W', 3, 3, 'writes are allowed', { section: '1.1' }),
  field('C', 4, 4, 'cacheable', { section: '1.1', values: { 0: 'uncached', 1: 'cached' } }),
]

/** One party: both halves of the rights are equal. */
const GRANTS: Meaning<Rights> = meaning(['R', 'W'], ({ R, W }) => (R ? Right.READ : 0) | (W ? Right.WRITE : 0))
const MEMORY: Meaning<MemoryType> = meaning(['C'], ({ C }) =>
  C ? { name: 'cached', caching: 'cached' } : { name: 'uncached', caching: 'uncached' },
)

// Kinds are tried in order: the first that matches wins, and the last one of a node must match everything.
const NOT_PRESENT: Kind = { type: 'empty', name: 'not present', match: when(P, 0n), fields: [] }
const TABLE: Kind = {
  type: 'table',
  name: 'table',
  match: when(S, 0n),
  set: P,
  address: [[31, 10, 10]],
  child: 'L2',
  fields: [field('Reserved', 9, 2, 'must be zero', { section: '1.1', reserved: 'zero' })],
}
const SECTION: Kind = {
  type: 'leaf',
  name: 'section',
  match: ALWAYS,
  set: P | S,
  address: [[31, 20, 20]],
  sizes: [{ pgsize: SZ_1M, slots: 1 }],
  fields: [...ATTRIBUTES, field('Reserved', 19, 5, 'must be zero', { section: '1.1', reserved: 'zero' })],
  grants: GRANTS,
  memory: MEMORY,
}
const PAGE: Kind = {
  type: 'leaf',
  name: 'page',
  match: when(S, 0n),
  set: P,
  address: [[31, 12, 12]],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [...ATTRIBUTES, field('Reserved', 11, 5, 'must be zero', { section: '1.1', reserved: 'zero' })],
  grants: GRANTS,
  memory: MEMORY,
}
const NO_PAGE: Kind = { type: 'invalid', name: 'reserved', match: ALWAYS, fields: [] }

function geometry({ ias, oas }: AcmeIommuParams): Geometry {
  const entries = { entryBytes: 4, tableBytes: 1024, empty: 0n } as const
  const level1 = { id: 'L1', level: 1, name: 'level-1 table', shift: 20, bits: ias - 20, ...entries, kinds: [NOT_PRESENT, TABLE, SECTION] }
  const level2 = { id: 'L2', level: 2, name: 'level-2 table', shift: 12, bits: 8, ...entries, kinds: [NOT_PRESENT, PAGE, NO_PAGE] }
  return { nodes: [level1, level2], top: 'L1', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}

/** Page sizes and address bits beyond the hardware's are narrowed; what leaves nothing is refused, and the message names the limit. */
function configure(request: AcmeIommuConfig): Agreed<AcmeIommuConfig> {
  const quirks = checkConfig('acme-iommu', request, ['NO_WARN'])
  const bitmap = request.pgsizeBitmap & SIZES
  const ias = Math.min(request.ias, IAS.most)
  const oas = Math.min(request.oas, OAS.most)
  if (bitmap === 0n) throw configError('acme-iommu', 'pgsizeBitmap', request.pgsizeBitmap, '4K or 1M expected')
  if (ias < IAS.least) throw configError('acme-iommu', 'ias', ias, `at least ${IAS.least} expected`)
  if (oas < OAS.least) throw configError('acme-iommu', 'oas', oas, `at least ${OAS.least} expected`)
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk: request.coherentWalk ?? true, cpuPageSize: request.cpuPageSize ?? SZ_4K }
}

/** The hardware has no bit that forbids execution or unprivileged access: such a mapping is refused, not weakened. */
function encodeLeaf(prot: Prot): bigint | undefined {
  if (prot & (Prot.NOEXEC | Prot.PRIV)) return undefined
  return (prot & Prot.READ ? R : 0n) | (prot & Prot.WRITE ? W : 0n) | (prot & Prot.CACHE ? C : 0n)
}

function prot(raw: bigint): Prot {
  return (raw & R ? Prot.READ : 0) | (raw & W ? Prot.WRITE : 0) | (raw & C ? Prot.CACHE : 0)
}

function rootsFromRegs({ base }: AcmeIommuRegs): readonly FoundRoot<AcmeIommuParams, undefined>[] {
  if (base >> 32n !== 0n)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `BASE 0x${base.toString(16)}: 32 bits expected`, { value: base })
  if ((base & EN) === 0n) return []
  const params = { ias: IAS.most, oas: OAS.most }
  return [{ name: 'base', params, roots: [base & 0xffff_fc00n], first: 0n, last: 0xfff_ffffn, context: undefined }]
}

/** Acme IOMMU. */
export const acmeIommu: IoPageTableFmt<AcmeIommuConfig, AcmeIommuRegs, AcmeIommuParams, undefined, AcmeIommuRegs> = {
  FORMAT: 'acme-iommu',
  title: 'Acme IOMMU',
  manual: 'none: the first lines of this file',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => ({ conflict: 'table', freeTables: 'slot', flushOrder: 'walks-first', addPagesWithoutGather: false }),
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot,
  context: () => undefined,
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ base: root | EN }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '28 bits', config: { pgsizeBitmap: SIZES, ias: 28, oas: 32 } },
    { name: '21 bits, two entries in the root', config: { pgsizeBitmap: SIZES, ias: 21, oas: 32 } },
    { name: 'pages only', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 28, oas: 32 } },
  ],
}
