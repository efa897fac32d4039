/**
 * NVIDIA Tegra SMMU, of Tegra30, 114, 124 (K1), 132 and 210 (X1), in front of display, video, camera and other clients of the memory
 * controller. (Tegra186 and later have Arm SMMUs.) Facts: what Linux 7.1's driver was seen to write and read, and, of sections, the
 * description of the K1's tables in seL4's sources of names (Tegra K1 Technical Reference Manual, 16.4.4.1). Levels: 1 the page directory
 * (PDE), 2 the page table (PTE), each of 1024 entries.
 *
 *   input address   31:22 index of the directory · 21:12 index of the page table · 11:0 offset
 *   PDE, PTE        31 readable · 30 writable · 29 non-secure · 28 of a PDE: a table, else a section of 4 MiB · 0: empty
 *   address         a page number: address bits 31:12 in 19:0 (Tegra30, 114) or 33:12 in 21:0 (124, 132, 210)
 *   SMMU_PTB_DATA   as a PDE that leads to the root, without bit 28
 */
import {
  type Agreed,
  ALWAYS,
  checkConfig,
  configError,
  deposit,
  extract,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type Meaning,
  meaning,
  Prot,
  pgsizeBitmap,
  protOfRights,
  Right,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type TegraSmmuQuirk = 'NO_WARN'

const VARIANTS: readonly TegraSmmuVariant[] = ['tegra30', 'tegra114', 'tegra124', 'tegra132', 'tegra210']
export type TegraSmmuVariant = 'tegra30' | 'tegra114' | 'tegra124' | 'tegra132' | 'tegra210'

export interface TegraSmmuConfig extends FormatConfig<TegraSmmuQuirk> {
  /** The chip. Default: tegra210 where `oas` is over 32, else tegra30. */
  readonly variant?: TegraSmmuVariant
}

/** What fixes the geometry. */
export interface TegraSmmuParams {
  /** Address bits of descriptors: 32 or 34. */
  readonly width: 32 | 34
  readonly ias: number
  readonly oas: number
}

/** What SMMU_PTB_DATA lets through. */
export interface TegraSmmuContext {
  readonly allowed: Rights
}

/** What the memory controller gets. */
export interface TegraSmmuRegs {
  readonly variant: TegraSmmuVariant
  /** SMMU_PTB_DATA, after SMMU_PTB_ASID chose the address space. */
  readonly ptbData: bigint
}

/** Registers out of a dump. */
export interface TegraSmmuHardware {
  /** Default: tegra210. */
  readonly variant?: TegraSmmuVariant
  /** SMMU_PTB_DATA. */
  readonly ptbData: bigint
  /** SMMU_CONFIG: bit 0, the SMMU is on. Left out: on. */
  readonly config?: bigint
}

const SZ_4M = 0x40_0000
const SIZES = pgsizeBitmap(SZ_4K, SZ_4M)
const READABLE = 1n << 31n
const WRITABLE = 1n << 30n
const NONSECURE = 1n << 29n
const NEXT = 1n << 28n

const GRANTS: Meaning<Rights> = meaning(
  ['Readable', 'Writable'],
  ({ Readable, Writable }) => (Readable ? Right.READ : 0) | (Writable ? Right.WRITE : 0),
)
/** A directory entry says nothing of execution. */
const LIMITS: Meaning<Rights> = meaning(GRANTS.fields, (values, context) => GRANTS.of(values, context) | Right.EXECUTE)
const ATTRIBUTES: readonly Field[] = [
  field('Readable', 31, 31, 'reads are allowed', { section: 'PDE, PTE' }),
  field('Writable', 30, 30, 'writes are allowed', { section: 'PDE, PTE' }),
  field('Non-secure', 29, 29, 'accesses that are not secure are allowed', { section: 'PDE, PTE' }),
]
const EMPTY: Kind = { type: 'empty', name: 'empty', match: when(0xffff_ffffn, 0n), fields: [] }

function widthOf(variant: TegraSmmuVariant): 32 | 34 {
  return variant === 'tegra30' || variant === 'tegra114' ? 32 : 34
}

function geometry({ width, ias, oas }: TegraSmmuParams): Geometry {
  const top = width - 13
  const reserved = top === 27 ? [] : [field('Reserved', 27, top + 1, 'zero', { section: 'PDE, PTE', reserved: 'zero' })]
  const table: Kind = {
    type: 'table',
    name: 'page table',
    match: when(NEXT, NEXT),
    set: NEXT | READABLE | WRITABLE | NONSECURE,
    address: [[top, 0, 12]],
    child: 'PT',
    fields: [...ATTRIBUTES, ...reserved],
    limits: LIMITS,
  }
  const section: Kind = {
    type: 'leaf',
    name: 'section',
    match: ALWAYS,
    set: NONSECURE,
    address: [[top, 10, 22]],
    sizes: [{ pgsize: SZ_4M, slots: 1 }],
    fields: [...ATTRIBUTES, ...reserved, field('Low bits', 9, 0, 'zero', { section: '16.4.4.1 of the K1', reserved: 'zero' })],
    grants: GRANTS,
  }
  const page: Kind = {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: NONSECURE,
    address: [[top, 0, 12]],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [...ATTRIBUTES, field('Bit 28', 28, 28, 'zero', { section: 'PTE', reserved: 'zero' }), ...reserved],
    grants: GRANTS,
  }
  const entries = { entryBytes: 4, tableBytes: 4096, empty: 0n } as const
  const directory = { ...entries, id: 'PD', level: 1, name: 'page directory', shift: 22, bits: ias - 22, kinds: [EMPTY, table, section] }
  const pages = { ...entries, id: 'PT', level: 2, name: 'page table', shift: 12, bits: 10, kinds: [EMPTY, page] }
  return { nodes: [directory, pages], top: 'PD', ias, oas, window: 'low', tablesBelow: 1n << BigInt(width) }
}

function configure(request: TegraSmmuConfig): Agreed<TegraSmmuConfig> {
  const quirks = checkConfig('tegra-smmu', request, ['NO_WARN'])
  const variant = request.variant ?? (request.oas > 32 ? 'tegra210' : 'tegra30')
  if (!VARIANTS.includes(variant)) throw configError('tegra-smmu', 'variant', variant, `one of ${VARIANTS.join(', ')} expected`)
  const bitmap = request.pgsizeBitmap & SIZES
  const ias = Math.min(request.ias, 32)
  const oas = Math.min(request.oas, widthOf(variant))
  if (bitmap === 0n) throw configError('tegra-smmu', 'pgsizeBitmap', request.pgsizeBitmap, '4K or 4M expected')
  if (ias < 23) throw configError('tegra-smmu', 'ias', ias, 'at least 23 expected')
  if (oas < 23) throw configError('tegra-smmu', 'oas', oas, 'at least 23 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { variant, pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** CACHE, NOEXEC, MMIO and PRIV change nothing, as in Linux: the hardware has nothing of that kind. */
function encodeLeaf(prot: Prot): bigint {
  return (prot & Prot.READ ? READABLE : 0n) | (prot & Prot.WRITE ? WRITABLE : 0n)
}

function rightsOf(raw: bigint): Rights {
  return (raw & READABLE ? Right.READ : 0) | (raw & WRITABLE ? Right.WRITE : 0)
}

function regs({ variant }: Agreed<TegraSmmuConfig>, [root = 0n]: readonly bigint[]): TegraSmmuRegs {
  return { variant, ptbData: READABLE | WRITABLE | NONSECURE | deposit(root, [[21, 0, 12]]) }
}

function rootsFromRegs({
  variant = 'tegra210',
  ptbData,
  config = 1n,
}: TegraSmmuHardware): readonly FoundRoot<TegraSmmuParams, TegraSmmuContext>[] {
  for (const [name, value] of Object.entries({ ptbData, config }))
    if (value >> 32n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: 32 bits expected`, { value })
  if (!VARIANTS.includes(variant))
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `variant ${variant}: one of ${VARIANTS.join(', ')} expected`, { value: variant })
  if ((config & 1n) === 0n) return []
  const width = widthOf(variant)
  const root = extract(ptbData, [[width - 13, 0, 12]])
  const context = { allowed: rightsOf(ptbData) }
  return [{ name: 'ptbdata', params: { width, ias: 32, oas: width }, roots: [root], first: 0n, last: 0xffff_ffffn, context }]
}

/** Tegra SMMU. */
export const tegraSmmu: IoPageTableFmt<TegraSmmuConfig, TegraSmmuRegs, TegraSmmuParams, TegraSmmuContext, TegraSmmuHardware> = {
  FORMAT: 'tegra-smmu',
  title: 'NVIDIA Tegra SMMU (Tegra30 to Tegra210)',
  manual: "Tegra K1 Technical Reference Manual, 16.4.4; names of Linux's driver, recorded tables and registers",
  configure,
  params: ({ variant, ias, oas }) => ({ width: widthOf(variant), ias, oas }),
  geometry,
  policy: () => ({ conflict: 'entry', freeTables: 'slot', flushOrder: 'slot-order', addPagesWithoutGather: false }),
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot: (raw) => protOfRights(rightsOf(raw) | Right.EXECUTE, undefined),
  context: () => ({ allowed: Right.READ | Right.WRITE }),
  parties: () => ['all'],
  regime:
    ({ allowed }) =>
    (path) =>
      path & allowed,
  regs,
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: 'Tegra30, 32 bits', config: { variant: 'tegra30', pgsizeBitmap: SIZES, ias: 32, oas: 32 } },
    { name: 'Tegra210, 34 bits', config: { variant: 'tegra210', pgsizeBitmap: SIZES, ias: 32, oas: 34 } },
    { name: 'Tegra124, 24 bits, pages alone', config: { variant: 'tegra124', pgsizeBitmap: BigInt(SZ_4K), ias: 24, oas: 33 } },
  ],
}
