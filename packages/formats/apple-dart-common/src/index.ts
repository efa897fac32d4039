/**
 * Apple DART (Device Address Resolution Table), what its two descriptor formats share. Apple publishes no manual; what is known comes from
 * the Asahi Linux project: the devicetree binding apple,dart and the descriptions of the driver's changes. Levels are counted down from the
 * table that a TTBR points to, as Apple's device tree names them: L1 and L2, and L3 where a T8110 walks four levels, the TTBR being the
 * first. All tables but the root are one page; all leaves are pages, at the last level. A stream has up to four TTBRs, one after the
 * other in the input address space.
 */
import {
  type Agreed,
  checkConfig,
  configError,
  extract,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  type Piece,
  type Policy,
  type Prot,
  pgsizeBitmap,
  Right,
  type Rights,
  SZ_4K,
  SZ_16K,
  when,
} from '@io-pgtable/core'

/** NO_WARN is the only quirk with an effect. */
export type DartQuirk = 'NO_WARN'
export type DartConfig = FormatConfig<DartQuirk>

/** What a stream's registers get. How a TTBR holds an address, and is marked as valid, differs between the SoCs. */
export interface DartRegs {
  /** Physical addresses of the root tables: 1, 2 or 4. */
  readonly ttbrs: readonly bigint[]
  /** Levels of the walk as the hardware counts, the TTBR being one: 3, or 4 (T8110). */
  readonly nLevels: 3 | 4
}

/** What a walk of somebody else's tables needs: {@link DartRegs}, and the page size, which is fixed for a DART. */
export interface DartHardware extends DartRegs {
  /** TTBRs raw, as the hardware holds them; what is a multiple of 4K is taken for the address of a table. */
  readonly ttbrs: readonly bigint[]
  readonly pgsize: number
  /** Output address bits, which no register tells: 36 or 42. Default: those that descriptors carry. */
  readonly oas?: number
}

export interface DartParams {
  /** Bytes of a page, and of a table: 4096 or 16384. */
  readonly granule: number
  /** Levels of tables: 2 or 3. */
  readonly levels: number
  /** Root tables: 1, 2 or 4. */
  readonly roots: number
  readonly ias: number
  readonly oas: number
}

/** One of the two descriptor formats. */
export interface DartVariant {
  readonly format: string
  readonly title: string
  /** Output address bits that descriptors carry. */
  readonly paddrBits: number
  /** Output address bits that descriptors have no place for, of the 42 that a configuration may have. */
  readonly missing: bigint
  /** Where an output address stands in a descriptor. */
  readonly address: readonly Piece[]
  /** TTBR: the bit that marks it as valid, and where the table's address stands. */
  readonly ttbr: { readonly valid: bigint; readonly address: readonly Piece[] }
  /** Tables are aligned at least to this: address bits below it have no place in a table descriptor. Bytes. */
  readonly tableAlign: number
  /** The bits of a leaf that are neither its address nor its sub-page limits. */
  readonly fields: readonly Field[]
  /** Attribute bits of a leaf for `prot`, without the sub-page limits; and the way back. */
  encode(prot: Prot): bigint
  decode(raw: bigint): Prot
  /** Where descriptors tell it. */
  readonly memory?: Meaning<MemoryType>
}

export type DartFormat = IoPageTableFmt<DartConfig, DartRegs, DartParams, undefined, DartHardware>

/** Linux's io-pgtable quirks. Its DART code looks at none of them, so that a request may hold any; but for NO_WARN they have no effect. */
const IGNORED = ['ARM_NS', 'NO_PERMS', 'ARM_MTK_EXT', 'ARM_MTK_TTBR_EXT', 'ARM_TTBR1', 'ARM_OUTER_WBWA', 'ARM_HD', 'ARM_S2FWB'] as const

const VALID = when(1n, 1n)
/** The whole page may be accessed. */
const WHOLE_PAGE = 0xfffn << 40n

const SUBPAGE: readonly Field[] = [
  field('SP_START', 63, 52, 'sub-page protection: where the accessible part of the page starts, in 1/4096 of the page'),
  field('SP_END', 51, 40, 'sub-page protection: where the accessible part of the page ends, inclusive, in 1/4096 of the page'),
]

/** Index bits of a table that takes one page. */
function indexBits(granule: number): number {
  return Math.log2(granule / 8)
}

function configure(variant: DartVariant, request: DartConfig): Agreed<DartConfig> {
  const { format } = variant
  const quirks = checkConfig<string>(format, request, ['NO_WARN', ...IGNORED]).filter((name): name is DartQuirk => name === 'NO_WARN')
  const { pgsizeBitmap: bitmap, ias, oas, coherentWalk = true, cpuPageSize = SZ_4K } = request
  if (bitmap !== BigInt(SZ_4K) && bitmap !== BigInt(SZ_16K))
    throw configError(format, 'pgsizeBitmap', bitmap, 'either 4K or 16K expected, and nothing else')
  if (!coherentWalk) throw configError(format, 'coherentWalk', 'false', 'true expected: a DART snoops')
  if (oas !== 36 && oas !== 42) throw configError(format, 'oas', oas, '36 or 42 expected')
  const most = Math.min(oas, bitmap === BigInt(SZ_4K) ? 41 : 42)
  const least = Math.log2(Number(bitmap)) + 1
  if (ias < least || ias > most) throw configError(format, 'ias', ias, `${least} to ${most} expected with these pages and this oas`)
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** Two levels of tables where four roots of 4K pages, or one of 16K pages, suffice; else three. */
function paramsOf({ pgsizeBitmap: bitmap, ias, oas }: DartConfig): DartParams {
  const granule = Number(bitmap)
  const levels = ias <= (granule === SZ_4K ? 32 : 36) ? 2 : 3
  const reach = Math.log2(granule) + levels * indexBits(granule)
  return { granule, levels, roots: 2 ** Math.max(0, ias - reach), ias, oas }
}

function geometry(variant: DartVariant, params: DartParams): Geometry {
  const { levels, roots, ias, oas } = params
  const nodes = Array.from({ length: levels }, (_, i) => nodeAt(variant, params, i + 1))
  const tablesBelow = 1n << BigInt(Math.min(oas, variant.paddrBits))
  const missingOutputBits = variant.missing & ((1n << BigInt(oas)) - 1n)
  return { nodes, top: 'L1', roots, ias, oas, window: 'low', tablesBelow, missingOutputBits }
}

function nodeAt(variant: DartVariant, { granule, levels, roots }: DartParams, level: number): LevelNode {
  const perTable = indexBits(granule)
  const root = level === 1
  return {
    id: `L${level}`,
    level,
    name: `L${level}`,
    shift: Math.log2(granule) + perTable * (levels - level),
    bits: perTable + (root ? Math.log2(roots) : 0),
    entryBytes: 8,
    tableBytes: root ? granule * roots : Math.max(granule, variant.tableAlign),
    empty: 0n,
    kinds: level === levels ? leafKinds(variant, granule) : tableKinds(variant, level),
  }
}

const NOT_VALID: Kind = { type: 'empty', name: 'Not valid', match: when(1n, 0n), fields: [] }

/** One party. A part of a page that sub-page protection shuts is not told here: rights are of whole pages. */
const GRANTS: Meaning<Rights> = meaning(
  ['NO_READ', 'NO_WRITE'],
  ({ NO_READ, NO_WRITE }) => (NO_READ ? 0 : Right.READ) | (NO_WRITE ? 0 : Right.WRITE),
)

function leafKinds({ address, fields, memory }: DartVariant, granule: number): readonly Kind[] {
  const sizes = [{ pgsize: granule, slots: 1 }]
  const meanings = { grants: GRANTS, ...(memory && { memory }) }
  return [NOT_VALID, { type: 'leaf', name: 'Page', match: VALID, set: 1n, address, sizes, fields: [...SUBPAGE, ...fields], ...meanings }]
}

function tableKinds({ address }: DartVariant, level: number): readonly Kind[] {
  return [NOT_VALID, { type: 'table', name: 'Table', match: VALID, set: 1n, address, child: `L${level + 1}`, fields: [] }]
}

/** A run is checked as a whole inside one table; tables are never freed before everything is. */
const POLICY: Policy = { conflict: 'table', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: true }

function rootsFromRegs(
  variant: DartVariant,
  { ttbrs, nLevels, pgsize, oas = variant.paddrBits }: DartHardware,
): readonly FoundRoot<DartParams, undefined>[] {
  const wrong = (name: string, value: number | bigint, expected: string): IoPgtableError =>
    new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${value}: ${expected}`, { value })
  if (pgsize !== SZ_4K && pgsize !== SZ_16K) throw wrong('pgsize', pgsize, '4096 or 16384 expected')
  if (nLevels !== 3 && nLevels !== 4) throw wrong('nLevels', nLevels, '3 or 4 expected')
  if (oas !== 36 && oas !== 42) throw wrong('oas', oas, '36 or 42 expected')
  const roots = ttbrs.length
  if (roots !== 1 && roots !== 2 && roots !== 4) throw wrong('ttbrs', roots, '1, 2 or 4 root tables expected')
  const tables = ttbrs.map((ttbr) => {
    const table = tableOf(variant, ttbr)
    if (table === undefined) throw wrong('ttbr', ttbr, 'a TTBR that is marked as valid, or the physical address of a table, expected')
    return table
  })
  const levels = nLevels - 1
  const ias = Math.log2(pgsize) + levels * indexBits(pgsize) + Math.log2(roots)
  const params = { granule: pgsize, levels, roots, ias, oas }
  return [{ name: 'ttbr', params, roots: tables, first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined }]
}

/** The table of a TTBR as the hardware holds it, or of an address, which is a multiple of a page. */
function tableOf({ ttbr: { valid, address } }: DartVariant, value: bigint): bigint | undefined {
  if (value % BigInt(SZ_4K) === 0n) return value
  return value >> 32n === 0n && (value & valid) !== 0n ? extract(value, address) : undefined
}

const BASE: Readonly<Record<'4K' | '16K', DartConfig>> = {
  '4K': { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 36 },
  '16K': { pgsizeBitmap: pgsizeBitmap(SZ_16K), ias: 36, oas: 36 },
}

/** The format of one kind of descriptor. */
export function dartFormat(variant: DartVariant): DartFormat {
  return {
    FORMAT: variant.format,
    title: variant.title,
    manual: 'none is public; devicetree binding apple,dart, and what the Asahi Linux project found',
    configure: (request) => configure(variant, request),
    params: paramsOf,
    geometry: (params) => geometry(variant, params),
    policy: () => POLICY,
    encodeLeaf: (_config, _node, _kind, prot) => WHOLE_PAGE | variant.encode(prot),
    encodeTable: () => 0n,
    prot: variant.decode,
    context: () => undefined,
    parties: () => ['all'],
    regs: (config, roots) => ({ ttbrs: roots, nLevels: paramsOf(config).levels === 2 ? 3 : 4 }),
    rootsFromRegs: (hardware) => rootsFromRegs(variant, hardware),
    hardware: (config, { ttbrs, nLevels }) => ({ ttbrs, nLevels, pgsize: paramsOf(config).granule, oas: config.oas }),
    configs: [
      { name: '4K, one root', config: { ...BASE['4K'], ias: 30 } },
      { name: '4K, two roots', config: { ...BASE['4K'], ias: 31 } },
      { name: '4K, four roots', config: BASE['4K'] },
      { name: '4K, four levels', config: { ...BASE['4K'], ias: 36 } },
      { name: '4K, four levels, four roots', config: { ...BASE['4K'], ias: 41, oas: 42 } },
      { name: '16K, 32 bits', config: { ...BASE['16K'], ias: 32 } },
      { name: '16K', config: BASE['16K'] },
      { name: '16K, four levels', config: { ...BASE['16K'], ias: 42, oas: 42 } },
    ],
  }
}
