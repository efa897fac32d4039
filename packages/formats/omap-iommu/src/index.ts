/**
 * TI OMAP IOMMU, of OMAP2, OMAP3 (ISP, IVA), OMAP4 and OMAP5 (IPU, DSP), DRA7/AM57x and their DSPs and IPUs. OMAP4430 Technical Reference
 * Manual, MMU chapter (registers MMU_TTB, MMU_CNTL, MMU_IRQSTATUS; first- and second-level descriptors); what Linux 7.1's driver was seen to
 * write and read. Descriptors are coded as ARM's short ones, without permissions.
 *
 *   input address    31:20 index of level 1 (4096 entries, 16 KiB) · 19:12 index of level 2 (256 entries, 1 KiB) · 11:0 offset
 *   level 1          1:0 = 01 table, address in 31:10 · 10 and bit 18 clear: section of 1 MiB · 10 and bit 18 set: supersection, 16 entries
 *   level 2          1:0 = 01 large page of 64 KiB, 16 entries · bit 1 set: small page of 4 KiB
 *   leaves           M mixed 17 (level 2: 11) · E endianness 15 (9) · ES element size 11:10 (5:4)
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
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LevelNode,
  Prot,
  pgsizeBitmap,
  SZ_1M,
  SZ_4K,
  SZ_16M,
  SZ_64K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type OmapIommuQuirk = 'NO_WARN'

const ELEMENT_SIZES = [8, 16, 32, 0] as const

/** How the device's data lie in memory: the same for every leaf of a table. */
export interface OmapIommuConfig extends FormatConfig<OmapIommuQuirk> {
  /** E: the region is big-endian. Default false. */
  readonly bigEndian?: boolean
  /** ES: bits of an element, 0 for no translation of endianness. Default 8. */
  readonly elementSize?: (typeof ELEMENT_SIZES)[number]
  /** M: the element size of the access is used. Default false. */
  readonly mixed?: boolean
}

/** What fixes the geometry. */
export interface OmapIommuParams {
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get. */
export interface OmapIommuRegs {
  /** MMU_TTB: the root's physical address. */
  readonly ttb: bigint
  /** MMU_CNTL: bit 1 the MMU is on, bit 2 it walks tables. */
  readonly cntl: bigint
}

/** Registers out of a dump. */
export interface OmapIommuHardware {
  /** MMU_TTB. */
  readonly ttb: bigint
  /** MMU_CNTL. Left out: on, with table walks. */
  readonly cntl?: bigint
}

const SIZES = pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M)
const SUPERSECTION = 1n << 18n
const CNTL_ON = 6n

/** Where a leaf's attributes stand. */
const PLACE = { 1: { mixed: 17, endian: 15, size: 10 }, 2: { mixed: 11, endian: 9, size: 4 } } as const
const SECTION = { 1: 'First-Level Descriptor Format', 2: 'Second-Level Descriptor Format' } as const

/** The attributes of a leaf at a level, and what else lies below its address, from bit `from` on. */
function fields(level: 1 | 2, lo: number, from: number): readonly Field[] {
  const { mixed, endian, size } = PLACE[level]
  const section = SECTION[level]
  const used = [mixed, endian, size, size + 1, ...(level === 1 ? [18] : [])]
  const rest: [number, number, number][] = []
  for (let bit = from, at = 0; bit < lo; bit++) if (!used.includes(bit)) rest.push([bit, bit, at++])
  return [
    field('M', mixed, mixed, 'mixed region: the element size of the access is used', { section }),
    field('E', endian, endian, 'endianness', { section, values: { 0: 'little', 1: 'big' } }),
    field('ES', size + 1, size, 'element size', { section, values: { 0: '8 bits', 1: '16 bits', 2: '32 bits', 3: 'none' } }),
    { name: 'Reserved', pieces: rest, doc: 'written as zero', section, reserved: 'ignored' },
  ]
}

const FAULT: Kind = { type: 'empty', name: 'fault', match: when(3n, 0n), fields: [] }
const LEVEL1: readonly Kind[] = [
  FAULT,
  {
    type: 'table',
    name: 'second-level table',
    match: when(3n, 1n),
    set: 1n,
    address: [[31, 10, 10]],
    child: 'L2',
    fields: [field('Reserved', 9, 2, 'written as zero', { section: SECTION[1], reserved: 'ignored' })],
  },
  {
    type: 'leaf',
    name: 'section',
    match: when(3n | SUPERSECTION, 2n),
    set: 2n,
    address: [[31, 20, 20]],
    sizes: [{ pgsize: SZ_1M, slots: 1 }],
    fields: fields(1, 20, 2),
  },
  {
    type: 'leaf',
    name: 'supersection',
    match: when(3n | SUPERSECTION, 2n | SUPERSECTION),
    set: 2n | SUPERSECTION,
    address: [[31, 24, 24]],
    sizes: [{ pgsize: SZ_16M, slots: 16 }],
    fields: fields(1, 24, 2),
  },
  { type: 'invalid', name: 'fault (11)', match: ALWAYS, fields: [] },
]
const LEVEL2: readonly Kind[] = [
  FAULT,
  {
    type: 'leaf',
    name: 'large page',
    match: when(3n, 1n),
    set: 1n,
    address: [[31, 16, 16]],
    sizes: [{ pgsize: SZ_64K, slots: 16 }],
    fields: fields(2, 16, 2),
  },
  {
    type: 'leaf',
    name: 'small page',
    match: ALWAYS,
    set: 2n,
    address: [[31, 12, 12]],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [field('Bit 0', 0, 0, 'part of no code: 10 and 11 are small pages', { section: SECTION[2] }), ...fields(2, 12, 2)],
  },
]

function geometry({ ias, oas }: OmapIommuParams): Geometry {
  const entries = { entryBytes: 4, empty: 0n } as const
  const first: LevelNode = {
    ...{ ...entries, id: 'L1', level: 1, name: 'first-level table', shift: 20, bits: ias - 20, tableBytes: 0x4000 },
    kinds: LEVEL1,
  }
  const second: LevelNode = {
    ...{ ...entries, id: 'L2', level: 2, name: 'second-level table', shift: 12, bits: 8, tableBytes: 0x400 },
    kinds: LEVEL2,
  }
  return { nodes: [first, second], top: 'L1', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}

function configure(request: OmapIommuConfig): Agreed<OmapIommuConfig> {
  const quirks = checkConfig('omap-iommu', request, ['NO_WARN'])
  const bitmap = request.pgsizeBitmap & SIZES
  const ias = Math.min(request.ias, 32)
  const oas = Math.min(request.oas, 32)
  const { bigEndian = false, elementSize = 8, mixed = false, coherentWalk = true, cpuPageSize = SZ_4K } = request
  if (bitmap === 0n) throw configError('omap-iommu', 'pgsizeBitmap', request.pgsizeBitmap, '4K, 64K, 1M or 16M expected')
  if (ias < 24) throw configError('omap-iommu', 'ias', ias, 'at least 24 expected')
  if (oas < 24) throw configError('omap-iommu', 'oas', oas, 'at least 24 expected')
  if (!ELEMENT_SIZES.includes(elementSize)) throw configError('omap-iommu', 'elementSize', elementSize, '8, 16, 32 or 0 expected')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize, bigEndian, elementSize, mixed }
}

/** No permission bits exist: prot changes nothing, as in Linux. */
function encodeLeaf({ bigEndian, elementSize, mixed }: Agreed<OmapIommuConfig>, { level }: LevelNode): bigint {
  const place = PLACE[level === 1 ? 1 : 2]
  const size = BigInt(ELEMENT_SIZES.indexOf(elementSize)) << BigInt(place.size)
  return size | (bigEndian ? 1n << BigInt(place.endian) : 0n) | (mixed ? 1n << BigInt(place.mixed) : 0n)
}

function rootsFromRegs({ ttb, cntl = CNTL_ON }: OmapIommuHardware): readonly FoundRoot<OmapIommuParams, undefined>[] {
  for (const [name, value] of Object.entries({ ttb, cntl }))
    if (value >> 32n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: 32 bits expected`, { value })
  if ((cntl & CNTL_ON) !== CNTL_ON) return []
  const params = { ias: 32, oas: 32 }
  return [{ name: 'ttb', params, roots: [ttb & 0xffff_c000n], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** MMU_IRQSTATUS: bit 1 a translation fault, bit 3 a table walk that met a bus error. */
function fault({ type }: AccessFault): ArchFault {
  if (type === 'unknown-memory' || type === 'walk-abort') return { name: 'TABLEWALKFAULT', codes: { IRQSTATUS: 1 << 3 } }
  return { name: 'TRANSLATIONFAULT', codes: { IRQSTATUS: 1 << 1 } }
}

/** OMAP IOMMU. */
export const omapIommu: IoPageTableFmt<OmapIommuConfig, OmapIommuRegs, OmapIommuParams, undefined, OmapIommuHardware> = {
  FORMAT: 'omap-iommu',
  title: 'TI OMAP IOMMU (OMAP2 to OMAP5, DRA7)',
  manual: "OMAP4430 Technical Reference Manual, MMU; names of Linux's driver, recorded tables and registers",
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => ({ conflict: 'entry', freeTables: 'slot', flushOrder: 'walks-first', addPagesWithoutGather: false }),
  encodeLeaf: (config, node) => encodeLeaf(config, node),
  encodeTable: () => 0n,
  prot: () => Prot.READ | Prot.WRITE,
  context: () => undefined,
  parties: () => ['all'],
  fault,
  regs: (_config, [root = 0n]) => ({ ttb: root, cntl: CNTL_ON }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '32 bits', config: { pgsizeBitmap: SIZES, ias: 32, oas: 32 } },
    {
      name: '32 bits, big-endian elements of 32 bits',
      config: { pgsizeBitmap: SIZES, ias: 32, oas: 32, bigEndian: true, elementSize: 32 },
    },
    { name: '26 bits, pages and sections, mixed', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_1M), ias: 26, oas: 30, mixed: true } },
  ],
}
