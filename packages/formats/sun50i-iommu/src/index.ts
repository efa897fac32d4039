/**
 * Allwinner IOMMU: the one that the H6 introduced ("sun50i"), also in the H616 and the D1, in front of display, video and camera engines.
 * H616 User Manual, revision 1.0 (2019), 3.12; D1-H User Manual, chapter IOMMU. Levels as there: Level1 and Level2 page table.
 *
 *   input address   31:20 index of Level1 (16 KiB) · 19:12 index of Level2 (1 KiB) · 11:0 offset
 *   Level1 entry    1:0 = 01: a Level2 table, address in 31:10 · any other value: fault
 *   Level2 entry    bit 1: a page, address in 31:12, ACI in 7:4 · bit 1 clear: fault
 *
 * A page has no permission bits: ACI chooses one of 16 domains, and IOMMU_DM_AUT_CTRL_REG0..7 say what each master may do in each. The
 * domains are those of Linux. Which of these statements come from which document is in the README; recorded tables agree with all of them.
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  fieldValue,
  type Geometry,
  hex,
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
  /** Number of the master, 0 to 5. */
  readonly master: number
  /** Registers that were not given. */
  readonly assumed: readonly string[]
}

/** What the device's registers get, by the manual's names. */
export interface Sun50iIommuRegs {
  /** IOMMU_TTB_REG: the root's physical address. */
  readonly ttb: bigint
  /** IOMMU_ENABLE_REG. */
  readonly enable: bigint
  /** IOMMU_BYPASS_REG: no master. */
  readonly bypass: bigint
  /** IOMMU_DM_AUT_CTRL_REG0, of domains 0 and 1: domain 1 lets nothing through. */
  readonly dmAutCtrl0: bigint
  /** IOMMU_DM_AUT_CTRL_REG1, of domains 2 and 3: no writes, no reads. */
  readonly dmAutCtrl1: bigint
}

/** Registers out of a dump. */
export interface Sun50iIommuHardware {
  /** IOMMU_TTB_REG. */
  readonly ttb: bigint
  /** IOMMU_ENABLE_REG; left out: on. */
  readonly enable?: bigint
  /** IOMMU_BYPASS_REG: bit m, master m is not translated. Left out: none. */
  readonly bypass?: bigint
  /** IOMMU_DM_AUT_CTRL_REG0 to 7; left out: what this package writes into 0 and 1, and nothing controlled in the others. */
  readonly dmAutCtrl0?: bigint
  readonly dmAutCtrl1?: bigint
  readonly dmAutCtrl2?: bigint
  readonly dmAutCtrl3?: bigint
  readonly dmAutCtrl4?: bigint
  readonly dmAutCtrl5?: bigint
  readonly dmAutCtrl6?: bigint
  readonly dmAutCtrl7?: bigint
  /** The master that matters, 0 to 5. Default 0. */
  readonly master?: bigint
}

const RW = Prot.READ | Prot.WRITE
const MASTERS = 6
/** Every master may do nothing in domain 1, not write in domain 2 and not read in domain 3; domain 0 is not controlled. */
const DM_AUT_CTRL: readonly bigint[] = [0x0fff_0000n, 0x0555_0aaan]
/** The domain of each combination of READ and WRITE, as Linux has them. */
const NONE = 1n
const READ_ONLY = 2n
const WRITE_ONLY = 3n
const READ_WRITE = 4n

/** What the domains let a master do: bit 2m of a domain's half forbids reads, bit 2m + 1 writes. */
function domainsOf(registers: readonly bigint[], master: number): readonly Prot[] {
  return Array.from({ length: 16 }, (_, domain) => {
    if (domain === 0) return RW
    const forbidden = Number(((registers[domain >> 1] ?? 0n) >> BigInt(16 * (domain & 1) + 2 * master)) & 3n)
    return RW & ~(forbidden & 1 ? Prot.READ : 0) & ~(forbidden & 2 ? Prot.WRITE : 0)
  })
}

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

/** A domain by what it grants. CACHE, NOEXEC, MMIO and PRIV change nothing: the hardware has nothing of that kind. */
function encodeLeaf(prot: Prot): bigint {
  const domain = prot & Prot.READ ? (prot & Prot.WRITE ? READ_WRITE : READ_ONLY) : prot & Prot.WRITE ? WRITE_ONLY : NONE
  return domain << 4n
}

function prot(raw: bigint, kind: LeafKind, { domains }: Sun50iIommuContext): Prot {
  return domains[fieldValue(kind, raw, 'ACI') ?? 0] ?? RW
}

const CTRL_NAMES = ['dmAutCtrl0', 'dmAutCtrl1', 'dmAutCtrl2', 'dmAutCtrl3', 'dmAutCtrl4', 'dmAutCtrl5', 'dmAutCtrl6', 'dmAutCtrl7'] as const

function rootsFromRegs(registers: Sun50iIommuHardware): readonly FoundRoot<Sun50iIommuParams, Sun50iIommuContext>[] {
  const { ttb, enable = 1n, bypass = 0n, master = 0n } = registers
  for (const [name, value] of Object.entries(registers))
    if (typeof value === 'bigint' && value >> 32n !== 0n) throw registerError(`${name} ${hex(value)}: 32 bits expected`, value)
  if (master >= MASTERS) throw registerError(`master ${master}: 0 to ${MASTERS - 1} expected`, master)
  if ((enable & 1n) === 0n || (bypass >> master) & 1n) return []
  const controls = CTRL_NAMES.map((name, i) => registers[name] ?? DM_AUT_CTRL[i] ?? 0n)
  const assumed = CTRL_NAMES.flatMap((name, i) => (registers[name] === undefined ? [`${name} ${hex(DM_AUT_CTRL[i] ?? 0n)}`] : []))
  const context = { domains: domainsOf(controls, Number(master)), master: Number(master), assumed }
  return [{ name: 'ttb', params: { ias: 32, oas: 32 }, roots: [ttb & 0xffff_c000n], first: 0n, last: 0xffff_ffffn, context }]
}

function registerError(text: string, value: bigint): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', text, { value })
}

/** IOMMU_INT_STA_REG: bit 17 an invalid Level2 entry, 16 an invalid Level1 entry, bit m a permission that master m lacks. */
function fault({ type, level }: AccessFault, { master }: Sun50iIommuContext): ArchFault {
  if (type === 'permission') return { name: `invalid permission of master ${master}`, codes: { INT_STA: 1 << master } }
  return level === 1
    ? { name: 'invalid Level1 entry', codes: { INT_STA: 1 << 16 } }
    : { name: 'invalid Level2 entry', codes: { INT_STA: 1 << 17 } }
}

function regs(_config: Agreed<Sun50iIommuConfig>, [root = 0n]: readonly bigint[]): Sun50iIommuRegs {
  const [dmAutCtrl0 = 0n, dmAutCtrl1 = 0n] = DM_AUT_CTRL
  return { ttb: root, enable: 1n, bypass: 0n, dmAutCtrl0, dmAutCtrl1 }
}

/** Allwinner IOMMU. */
export const sun50iIommu: IoPageTableFmt<Sun50iIommuConfig, Sun50iIommuRegs, Sun50iIommuParams, Sun50iIommuContext, Sun50iIommuHardware> = {
  FORMAT: 'sun50i-iommu',
  title: 'Allwinner IOMMU (H6, H616, D1)',
  manual: 'Allwinner H616 User Manual, revision 1.0, 3.12 IOMMU; D1-H User Manual, IOMMU',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => ({ conflict: 'entry', freeTables: 'slot', flushOrder: 'walks-first', addPagesWithoutGather: false }),
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot,
  context: () => ({ domains: domainsOf(DM_AUT_CTRL, 0), master: 0, assumed: [] }),
  parties: () => ['all'],
  fault,
  regs,
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '32 bits', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 } },
    { name: '24 bits, memory of 1 GiB', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 24, oas: 30 } },
  ],
}
