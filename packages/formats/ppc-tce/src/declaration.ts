/**
 * TCE tables (translation control entries) of POWER: PCI host bridges of POWER7 to POWER10 (P7IOC, PHB3, PHB4, PHB5) under IODA2, with pSeries
 * alike. Facts: what Linux 7.1's powernv driver was seen to write; the LoPAR chapter on TCEs has the entry. Entries are big-endian. Levels
 * as that driver counts: 0 the leaf tables, up to levels - 1, the root; all tables have the same size.
 *
 *   input address   the page's offset below, then as many bits a level as its tables have entries; a window of 2^n bytes from 0 on
 *   entry           bit 0 READ · bit 1 WRITE · the page's address above; neither bit: empty
 *   table entry     the table's address | 3
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
  protOfRights,
  Right,
  type Rights,
  SZ_64K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type PpcTceQuirk = 'NO_WARN'

/** `pgsizeBitmap` has one size: 4K, 64K, 16M or 256M. `ias` is the bits of the window; `cpuPageSize`, default 64K, is the least table. */
export interface PpcTceConfig extends FormatConfig<PpcTceQuirk> {
  /** 1 to 5. Default 1. */
  readonly levels?: number
}

/** What fixes the geometry. */
export interface PpcTceParams {
  readonly pageShift: number
  readonly levels: number
  /** Index bits of every level. */
  readonly levelBits: number
  readonly ias: number
  readonly oas: number
}

/** What the firmware call that maps the window gets. */
export interface PpcTceRegs {
  /** The root's address. */
  readonly tceTable: bigint
  readonly tceLevels: bigint
  /** Bytes of a table. */
  readonly tceTableSize: bigint
  /** Bytes of a page. */
  readonly tcePageSize: bigint
}

export type PpcTceFormat = IoPageTableFmt<PpcTceConfig, PpcTceRegs, PpcTceParams, undefined, PpcTceRegs>

const READ = 1n
const WRITE = 2n
const PAGE_SHIFTS = [12, 16, 24, 28]
const MOST_LEVELS = 5
const OAS = 52
/** Linux refuses trees of so many input bits. */
const REACH = 55

const GRANTS: Meaning<Rights> = meaning(['READ', 'WRITE'], (values) => (values.READ ? Right.READ : 0) | (values.WRITE ? Right.WRITE : 0))
const LIMITS: Meaning<Rights> = meaning(GRANTS.fields, (values, context) => GRANTS.of(values, context) | Right.EXECUTE)
const PERMISSIONS: readonly Field[] = [
  field('READ', 0, 0, 'reads are allowed', { section: 'TCE' }),
  field('WRITE', 1, 1, 'writes are allowed', { section: 'TCE' }),
]
const EMPTY: Kind = { type: 'empty', name: 'no access', match: when(READ | WRITE, 0n), fields: [] }

function below(low: number): readonly Field[] {
  return [field('Other', low - 1, 2, 'below the address; zero', { section: 'TCE', reserved: 'zero' })]
}

function nodeAt(level: number, { pageShift, levels, levelBits, ias }: PpcTceParams, order: ByteOrder): LevelNode {
  const shift = pageShift + level * levelBits
  const lowest = Math.max(6, levelBits + 3)
  const page: Kind = {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: 0n,
    address: [[63, pageShift, pageShift]],
    sizes: [{ pgsize: 2 ** pageShift, slots: 1 }],
    fields: [...PERMISSIONS, ...below(pageShift)],
    grants: GRANTS,
  }
  const table: Kind = {
    type: 'table',
    name: 'table',
    match: ALWAYS,
    set: READ | WRITE,
    address: [[63, lowest, lowest]],
    child: `L${level - 1}`,
    fields: [...PERMISSIONS, ...below(lowest)],
    limits: LIMITS,
  }
  return {
    ...{ id: `L${level}`, level, name: level === 0 ? 'leaf table' : 'table', shift, bits: level === levels - 1 ? ias - shift : levelBits },
    ...{ entryBytes: 8, ...order, tableBytes: 8 * 2 ** levelBits, empty: 0n },
    kinds: [EMPTY, level === 0 ? page : table],
  }
}

function geometry(params: PpcTceParams, order: ByteOrder): Geometry {
  const { levels, ias, oas } = params
  const nodes = Array.from({ length: levels }, (_, i) => nodeAt(levels - 1 - i, params, order))
  return { nodes, top: `L${levels - 1}`, ias, oas, window: 'low' }
}

/** As the driver chooses: the same for all levels, and no table smaller than a page of the CPU. */
function paramsOf({ pgsizeBitmap, ias, oas, levels, cpuPageSize }: Agreed<PpcTceConfig>): PpcTceParams {
  const pageShift = Math.log2(Number(pgsizeBitmap))
  const levelBits = Math.max(Math.ceil((ias - pageShift) / levels), Math.log2(cpuPageSize) - 3)
  return { pageShift, levels, levelBits, ias, oas }
}

function configure(request: PpcTceConfig): Agreed<PpcTceConfig> {
  const quirks = checkConfig('ppc-tce', request, ['NO_WARN'])
  const { levels = 1, coherentWalk = true, cpuPageSize = SZ_64K } = request
  const pageShift = PAGE_SHIFTS.find((shift) => (request.pgsizeBitmap >> BigInt(shift)) & 1n)
  if (pageShift === undefined) throw configError('ppc-tce', 'pgsizeBitmap', request.pgsizeBitmap, '4K, 64K, 16M or 256M expected')
  if (!Number.isInteger(levels) || levels < 1 || levels > MOST_LEVELS)
    throw configError('ppc-tce', 'levels', levels, `1 to ${MOST_LEVELS} expected`)
  const oas = Math.min(request.oas, OAS)
  if (oas <= pageShift) throw configError('ppc-tce', 'oas', oas, `at least ${pageShift + 1} expected`)
  const ias = Math.min(request.ias, REACH - 1)
  const agreed = { pgsizeBitmap: 1n << BigInt(pageShift), ias, oas, levels, quirks, coherentWalk, cpuPageSize }
  const { levelBits } = paramsOf(agreed)
  const reach = levelBits * levels + pageShift
  if (reach >= REACH) throw configError('ppc-tce', 'levels', levels, `${levelBits} bits each reach ${reach} bits, below ${REACH} expected`)
  const least = pageShift + (levels - 1) * levelBits + 1
  if (ias < least) throw configError('ppc-tce', 'ias', ias, `at least ${least} expected for ${levels} levels of ${levelBits} bits`)
  return agreed
}

/** WRITE implies READ, as in Linux. CACHE, NOEXEC, MMIO and PRIV change nothing. */
function encodeLeaf(prot: Prot): bigint {
  return prot & Prot.WRITE ? READ | WRITE : prot & Prot.READ ? READ : 0n
}

function regs(config: Agreed<PpcTceConfig>, [root = 0n]: readonly bigint[]): PpcTceRegs {
  const { levels, levelBits } = paramsOf(config)
  return { tceTable: root, tceLevels: BigInt(levels), tceTableSize: 8n << BigInt(levelBits), tcePageSize: config.pgsizeBitmap }
}

/** The window is what the tables reach. */
function rootsFromRegs({ tceTable, tceLevels, tceTableSize, tcePageSize }: PpcTceRegs): readonly FoundRoot<PpcTceParams, undefined>[] {
  const refuse = (name: string, value: bigint, expected: string): never => {
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected} expected`, { value })
  }
  const pageShift =
    PAGE_SHIFTS.find((shift) => 1n << BigInt(shift) === tcePageSize) ?? refuse('tcePageSize', tcePageSize, '4K, 64K, 16M or 256M')
  if (tceLevels < 1n || tceLevels > BigInt(MOST_LEVELS)) refuse('tceLevels', tceLevels, '1 to 5')
  if (tceTableSize < 64n || (tceTableSize & (tceTableSize - 1n)) !== 0n || tceTableSize > 1n << 45n)
    refuse('tceTableSize', tceTableSize, 'a power of two from 64 on')
  if (tceTable >> 64n !== 0n) refuse('tceTable', tceTable, '64 bits')
  const levels = Number(tceLevels)
  const levelBits = tceTableSize.toString(2).length - 4
  const ias = levelBits * levels + pageShift
  if (ias >= REACH) refuse('tceTableSize', tceTableSize, `tables that reach less than ${REACH} bits`)
  const params = { pageShift, levels, levelBits, ias, oas: OAS }
  const root = tceTable & ~(tceTableSize - 1n)
  return [{ name: 'tcetable', params, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined }]
}

function rightsOf(raw: bigint): Rights {
  return (raw & READ ? Right.READ : 0) | (raw & WRITE ? Right.WRITE : 0)
}

const pages = (shift: number): bigint => 1n << BigInt(shift)

type ByteOrder = { readonly byteOrder?: 'big' }

/** What reads and writes tables of one byte order: as the hardware has it, big-endian; or little-endian, for the vectors. */
export function declare(order: ByteOrder): PpcTceFormat {
  return {
    FORMAT: 'ppc-tce',
    title: 'POWER TCE tables (PHB3, PHB4, PHB5)',
    manual: "Linux on Power Architecture Reference, TCE tables; recorded tables of Linux's powernv driver",
    configure,
    params: paramsOf,
    geometry: (params) => geometry(params, order),
    policy: () => ({ conflict: 'entry', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: false }),
    encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
    encodeTable: () => 0n,
    prot: (raw) => protOfRights(rightsOf(raw) | Right.EXECUTE, undefined),
    context: () => undefined,
    parties: () => ['all'],
    regs,
    rootsFromRegs,
    hardware: (_config, regs) => regs,
    configs: [
      { name: '4K pages, one level, 21 bits', config: { pgsizeBitmap: pages(12), ias: 21, oas: 52, levels: 1, cpuPageSize: 4096 } },
      { name: '64K pages, two levels, 34 bits', config: { pgsizeBitmap: pages(16), ias: 34, oas: 52, levels: 2, cpuPageSize: 4096 } },
      { name: '4K pages, four levels, 48 bits', config: { pgsizeBitmap: pages(12), ias: 48, oas: 52, levels: 4, cpuPageSize: 4096 } },
      { name: '16M pages, two levels, 40 bits', config: { pgsizeBitmap: pages(24), ias: 40, oas: 50, levels: 2, cpuPageSize: 4096 } },
    ],
  }
}
