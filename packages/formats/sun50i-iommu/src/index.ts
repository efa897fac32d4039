/**
 * Allwinner IOMMU: the one that the H6 introduced ("sun50i"), also in the H616 and the D1, in front of display, video and camera engines.
 * H616 User Manual, revision 1.0 (2019), 3.12; D1-H User Manual, chapter IOMMU. Levels as there: Level1 and Level2 page table.
 *
 *   input address   31:20 index of Level1 (16 KiB) · 19:12 index of Level2 (1 KiB) · 11:0 offset
 *   Level1 entry    1:0 = 01: a Level2 table, address in 31:10 · any other value: fault
 *   Level2 entry    bit 1: a page, address in 31:12, ACI in 7:4 · bit 1 clear: fault
 *
 * A page has no permission bits: ACI chooses one of 16 domains, and IOMMU_DM_AUT_CTRL_REG0..7 say what each master may do in each. Which
 * of these statements come from which document, and which could not be verified, is in the README.
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
  fieldValue,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LeafKind,
  type Meaning,
  meaning,
  Prot,
  Right,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type Sun50iIommuQuirk = 'NO_WARN'
export type Sun50iIommuConfig = FormatConfig<Sun50iIommuQuirk>

/** What fixes the geometry. */
export interface Sun50iIommuParams {
  readonly ias: number
  readonly oas: number
}

/** What each domain lets a master do: the domain register fields of that master, by ACI, as READ and WRITE. */
export interface Sun50iIommuContext {
  readonly domains: readonly Prot[]
}

/** What the device's registers get. */
export interface Sun50iIommuRegs extends Sun50iIommuContext {
  /** IOMMU_TTB_REG: the root's physical address. */
  readonly ttb: bigint
}

/** Registers out of a dump. */
export interface Sun50iIommuHardware {
  /** IOMMU_TTB_REG. */
  readonly ttb: bigint
  /** IOMMU_ENABLE_REG; left out: on. */
  readonly enable?: bigint
  /** Of the master that matters; left out: those that this package uses. */
  readonly domains?: readonly Prot[]
}

const RW = Prot.READ | Prot.WRITE
/** Domain 0 is not controlled, and 1 to 15 let everything through after reset (IOMMU_DM_AUT_CTRL_REG). Our tables use 0, 1 and 2. */
const DOMAINS: readonly Prot[] = [RW, Prot.READ, Prot.WRITE, ...Array<Prot>(13).fill(RW)]

/** One party: the master whose domain registers these are. */
const GRANTS: Meaning<Rights, Sun50iIommuContext> = meaning(['ACI'], ({ ACI = 0 }, { domains }) => {
  const domain = domains[ACI] ?? RW
  return (domain & Prot.READ ? Right.READ : 0) | (domain & Prot.WRITE ? Right.WRITE : 0)
})

const LEVEL1: readonly Kind[] = [
  { type: 'empty', name: 'fault', match: when(3n, 0n), fields: [] },
  {
    type: 'table',
    name: 'Level2 page table',
    match: when(3n, 1n),
    set: 1n,
    address: [[31, 10, 10]],
    child: 'Level2',
    fields: [field('Reserved', 9, 2, 'reserved', { section: 'Level1 Page Table', reserved: 'zero' })],
  },
  { type: 'invalid', name: 'fault', match: ALWAYS, fields: [] },
]
const RESERVED2: Field = {
  name: 'Reserved',
  pieces: [
    [0, 0, 0],
    [3, 2, 1],
    [11, 8, 3],
  ],
  doc: 'reserved',
  section: 'Level2 Page Table',
  reserved: 'zero',
}
const LEVEL2: readonly Kind[] = [
  { type: 'empty', name: 'fault', match: when(2n, 0n), fields: [] },
  {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: 2n,
    address: [[31, 12, 12]],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [
      field('ACI', 7, 4, 'permission control index: the domain', { section: 'Level2 Page Table; IOMMU_DM_AUT_CTRL_REG' }),
      RESERVED2,
    ],
    grants: GRANTS,
  },
]

function geometry({ ias, oas }: Sun50iIommuParams): Geometry {
  const entries = { entryBytes: 4, empty: 0n } as const
  const level1 = {
    ...entries,
    id: 'Level1',
    level: 1,
    name: 'Level1 page table',
    shift: 20,
    bits: ias - 20,
    tableBytes: 0x4000,
    kinds: LEVEL1,
  }
  const level2 = { ...entries, id: 'Level2', level: 2, name: 'Level2 page table', shift: 12, bits: 8, tableBytes: 0x400, kinds: LEVEL2 }
  return { nodes: [level1, level2], top: 'Level1', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}

function configure(request: Sun50iIommuConfig): Agreed<Sun50iIommuConfig> {
  const quirks = checkConfig('sun50i-iommu', request, ['NO_WARN'])
  const bitmap = request.pgsizeBitmap & BigInt(SZ_4K)
  const ias = Math.min(request.ias, 32)
  const oas = Math.min(request.oas, 32)
  if (bitmap === 0n) throw configError('sun50i-iommu', 'pgsizeBitmap', request.pgsizeBitmap, '4K expected')
  if (ias < 21) throw configError('sun50i-iommu', 'ias', ias, 'at least 21 expected')
  if (oas < 13) throw configError('sun50i-iommu', 'oas', oas, 'at least 13 expected')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk: request.coherentWalk ?? true, cpuPageSize: request.cpuPageSize ?? SZ_4K }
}

/** A domain by what it grants. NOEXEC and PRIV are refused: no master's access can be told apart by them. */
function encodeLeaf(prot: Prot): bigint | undefined {
  if (prot & (Prot.NOEXEC | Prot.PRIV)) return undefined
  return BigInt(DOMAINS.indexOf(prot & RW)) << 4n
}

function prot(raw: bigint, kind: LeafKind, { domains }: Sun50iIommuContext): Prot {
  return domains[fieldValue(kind, raw, 'ACI') ?? 0] ?? RW
}

function rootsFromRegs({
  ttb,
  enable = 1n,
  domains = DOMAINS,
}: Sun50iIommuHardware): readonly FoundRoot<Sun50iIommuParams, Sun50iIommuContext>[] {
  if (ttb >> 32n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `TTB 0x${ttb.toString(16)}: 32 bits expected`, { value: ttb })
  if ((enable & 1n) === 0n) return []
  const params = { ias: 32, oas: 32 }
  return [{ name: 'ttb', params, roots: [ttb & 0xffff_c000n], first: 0n, last: 0xffff_ffffn, context: { domains } }]
}

/** Allwinner IOMMU. */
export const sun50iIommu: IoPageTableFmt<Sun50iIommuConfig, Sun50iIommuRegs, Sun50iIommuParams, Sun50iIommuContext, Sun50iIommuHardware> = {
  FORMAT: 'sun50i-iommu',
  title: 'Allwinner IOMMU (H6, H616, D1)',
  manual: 'Allwinner H616 User Manual, revision 1.0, 3.12 IOMMU; D1-H User Manual, IOMMU',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => ({ conflict: 'table', freeTables: 'slot', flushOrder: 'walks-first', addPagesWithoutGather: false }),
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot,
  context: () => ({ domains: DOMAINS }),
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ ttb: root, domains: DOMAINS }),
  rootsFromRegs,
  hardware: (_config, { ttb, domains }) => ({ ttb, domains }),
  configs: [
    { name: '32 bits', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 } },
    { name: '24 bits, memory of 1 GiB', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 24, oas: 30 } },
  ],
}
