/**
 * DMA translation of PCI functions on IBM Z (zPCI). The tables are those of the CPU's dynamic address translation (z/Architecture Principles of
 * Operation, SA22-7832, Dynamic Address Translation), without what Linux does not write; what is written is what Linux 7.1's driver was seen to
 * write. Entries are big-endian. Bits are numbered from the lowest here; IBM's manuals count from the highest.
 *
 *   input address    63:53 region first · 52:42 region second · 41:31 region third · 30:20 segment · 19:12 page · 11:0 offset
 *   region, segment  table address in 63:14 (of a segment entry 63:11) · 9 P · 7:6 TF · 5 I invalid · 3:2 TT 3, 2, 1, 0 · 1:0 TL
 *   page             address in 63:12 · bit 10 I invalid · bit 9 P protected
 *   IOTA             the root's address · bit 11 translation is on · 8:5 key · 3:2 type of the root: 3, 2, 1, 0
 *
 * Zero is a valid entry in segment and page tables: empty ones are 0x20 and 0x400.
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
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LevelNode,
  type Meaning,
  meaning,
  Prot,
  Right,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type S390ZpciQuirk = 'NO_WARN'

/** The root: a segment table, or a region third, second or first table. */
const VARIANTS: readonly S390ZpciVariant[] = ['st', 'rt', 'rs', 'rf']
export type S390ZpciVariant = 'st' | 'rt' | 'rs' | 'rf'

export interface S390ZpciConfig extends FormatConfig<S390ZpciQuirk> {
  /** Default: the smallest root that reaches `ias` bits. */
  readonly variant?: S390ZpciVariant
}

/** What fixes the geometry. */
export interface S390ZpciParams {
  readonly variant: S390ZpciVariant
  readonly ias: number
  readonly oas: number
}

/** What the function is registered with. */
export interface S390ZpciRegs {
  /** IOTA, the I/O translation anchor. */
  readonly iota: bigint
}

export type S390ZpciFormat = IoPageTableFmt<S390ZpciConfig, S390ZpciRegs, S390ZpciParams, undefined, S390ZpciRegs>

const ON = 1n << 11n
const REGION_INVALID = 1n << 5n
const PAGE_INVALID = 1n << 10n
const PROTECTED = 1n << 9n
/** Input bits that each root reaches. */
const REACH = { st: 31, rt: 42, rs: 53, rf: 64 }
const OAS = 52

/** A protected entry lets nobody write. */
const GRANTS: Meaning<Rights> = meaning(['P'], ({ P }) => (P ? Right.READ : Right.READ | Right.WRITE))
const LIMITS: Meaning<Rights> = meaning(['P'], ({ P }) => (P ? Right.READ | Right.EXECUTE : Right.ALL))

/** Levels from the region first tables down, as the vectors count them. */
const LEVELS = [
  { id: 'RF', name: 'region first table', shift: 53 },
  { id: 'RS', name: 'region second table', shift: 42 },
  { id: 'RT', name: 'region third table', shift: 31 },
  { id: 'ST', name: 'segment table', shift: 20 },
] as const
const PAGE_TABLE = 'PT'

function tableFields(low: number): readonly Field[] {
  const section = 'Region-Table and Segment-Table Entries'
  const more =
    low === 11 ? [field('FC', 10, 10, 'format control: a page of 1 MiB, which zPCI tables do not have', { section, reserved: 'zero' })] : []
  return [
    ...(low === 11 ? more : [field('Bits 13:10', 13, 10, 'zero', { section, reserved: 'zero' })]),
    field('P', 9, 9, 'protected: no writes', { section }),
    field('Bit 8', 8, 8, 'zero', { section, reserved: 'zero' }),
    field('TF', 7, 6, 'table offset: the first quarters of the table that are not there', { section }),
    field('Bit 4', 4, 4, 'zero', { section, reserved: 'zero' }),
    field('TL', 1, 0, 'table length: the last quarter of the table that is there', { section }),
  ]
}

function tableNode(level: number, ias: number, top: boolean, order: ByteOrder): LevelNode {
  const { id, name, shift } = LEVELS[level] as (typeof LEVELS)[number]
  const child = LEVELS[level + 1]?.id ?? PAGE_TABLE
  const type = BigInt(3 - level)
  const low = child === PAGE_TABLE ? 11 : 14
  const table: Kind = {
    type: 'table',
    name: child === PAGE_TABLE ? 'page table' : `${LEVELS[level + 1]?.name}`,
    match: when(REGION_INVALID | 0xcn, type << 2n),
    // of a segment entry, which leads to a page table, TL is no field: zero
    set: (type << 2n) | (child === PAGE_TABLE ? 0n : 3n),
    address: [[63, low, low]],
    child,
    fields: tableFields(low),
    limits: LIMITS,
  }
  return {
    ...{ id, level, name, shift, bits: top ? ias - shift : 11, entryBytes: 8, ...order, tableBytes: 0x4000, empty: REGION_INVALID },
    kinds: [
      { type: 'empty', name: 'invalid', match: when(REGION_INVALID, REGION_INVALID), fields: [] },
      table,
      { type: 'invalid', name: 'wrong table type', match: ALWAYS, fields: [], fault: 'misconfigured' },
    ],
  }
}

function pageNode(order: ByteOrder): LevelNode {
  const section = 'Page-Table Entries'
  return {
    ...{
      id: PAGE_TABLE,
      level: 4,
      name: 'page table',
      shift: 12,
      bits: 8,
      entryBytes: 8,
      ...order,
      tableBytes: 0x800,
      empty: PAGE_INVALID,
    },
    kinds: [
      { type: 'empty', name: 'invalid', match: when(PAGE_INVALID, PAGE_INVALID), fields: [] },
      {
        type: 'leaf',
        name: 'page',
        match: ALWAYS,
        set: 0n,
        address: [[63, 12, 12]],
        sizes: [{ pgsize: SZ_4K, slots: 1 }],
        fields: [
          field('Bit 11', 11, 11, 'zero', { section, reserved: 'zero' }),
          field('I', 10, 10, 'invalid', { section }),
          field('P', 9, 9, 'protected: no writes', { section }),
          field('Bits 8:0', 8, 0, 'zero', { section, reserved: 'ignored' }),
        ],
        grants: GRANTS,
      },
    ],
  }
}

function geometry({ variant, ias, oas }: S390ZpciParams, order: ByteOrder): Geometry {
  const first = 3 - VARIANTS.indexOf(variant)
  const tables = LEVELS.slice(first).map((_, i) => tableNode(first + i, ias, i === 0, order))
  return { nodes: [...tables, pageNode(order)], top: (tables[0] as LevelNode).id, ias, oas, window: 'low' }
}

function configure(request: S390ZpciConfig): Agreed<S390ZpciConfig> {
  const quirks = checkConfig('s390-zpci', request, ['NO_WARN'])
  const variant = request.variant ?? VARIANTS.find((v) => request.ias <= REACH[v]) ?? 'rf'
  if (!VARIANTS.includes(variant)) throw configError('s390-zpci', 'variant', variant, `one of ${VARIANTS.join(', ')} expected`)
  const ias = Math.min(request.ias, REACH[variant])
  const oas = Math.min(request.oas, OAS)
  if ((request.pgsizeBitmap & BigInt(SZ_4K)) === 0n) throw configError('s390-zpci', 'pgsizeBitmap', request.pgsizeBitmap, '4K expected')
  const least = REACH[variant] - 10
  if (ias < least) throw configError('s390-zpci', 'ias', ias, `at least ${least} expected for a root ${variant}`)
  if (oas < 13) throw configError('s390-zpci', 'oas', oas, 'at least 13 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { variant, pgsizeBitmap: BigInt(SZ_4K), ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** Every page can be read. CACHE, NOEXEC, MMIO and PRIV change nothing, as in Linux. */
function encodeLeaf(prot: Prot): bigint {
  return prot & Prot.WRITE ? 0n : PROTECTED
}

function regs({ variant }: Agreed<S390ZpciConfig>, [root = 0n]: readonly bigint[]): S390ZpciRegs {
  return { iota: root | ON | BigInt(VARIANTS.indexOf(variant) << 2) }
}

function rootsFromRegs({ iota }: S390ZpciRegs): readonly FoundRoot<S390ZpciParams, undefined>[] {
  if (iota >> 64n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `iota ${hex(iota)}: 64 bits expected`, { value: iota })
  if ((iota & ON) === 0n) return []
  const variant = VARIANTS[Number((iota >> 2n) & 3n)] as S390ZpciVariant
  const ias = REACH[variant]
  const last = (1n << BigInt(ias)) - 1n
  return [{ name: 'iota', params: { variant, ias, oas: OAS }, roots: [iota & ~0x3fffn], first: 0n, last, context: undefined }]
}

type ByteOrder = { readonly byteOrder?: 'big' }

/** What reads and writes tables of one byte order: as the hardware has it, big-endian; or little-endian, for the vectors. */
export function declare(order: ByteOrder): S390ZpciFormat {
  return {
    FORMAT: 's390-zpci',
    title: 'IBM Z PCI (zPCI) DMA tables',
    manual: "z/Architecture Principles of Operation (SA22-7832), Dynamic Address Translation; recorded tables of Linux's driver",
    configure,
    params: ({ variant, ias, oas }) => ({ variant, ias, oas }),
    geometry: (params) => geometry(params, order),
    policy: () => ({ conflict: 'entry', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: false }),
    encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
    encodeTable: () => 0n,
    prot: (raw) => (raw & PROTECTED ? Prot.READ : Prot.READ | Prot.WRITE),
    context: () => undefined,
    parties: () => ['all'],
    regs,
    rootsFromRegs,
    hardware: (_config, regs) => regs,
    configs: [
      { name: 'region third table, 42 bits', config: { variant: 'rt', pgsizeBitmap: BigInt(SZ_4K), ias: 42, oas: 52 } },
      { name: 'region second table, 53 bits', config: { variant: 'rs', pgsizeBitmap: BigInt(SZ_4K), ias: 53, oas: 52 } },
      { name: 'region first table, 64 bits', config: { variant: 'rf', pgsizeBitmap: BigInt(SZ_4K), ias: 64, oas: 52 } },
      { name: 'segment table, 31 bits, memory of 4 GiB', config: { variant: 'st', pgsizeBitmap: BigInt(SZ_4K), ias: 31, oas: 32 } },
    ],
  }
}
