/**
 * Arm Mali-400 and Mali-450 ("Utgard"): the MMU in front of each pixel and geometry processor. The driver of Linux is called lima.
 * No public manual describes it. The facts are register names, and entries recorded from Linux's driver (README: sources).
 *
 *   input address   31:22 index of the page directory (4 KiB) · 21:12 index of a page table (4 KiB) · 11:0 offset
 *   PD entry        bit 0 P present · 31:12 address of the page table
 *   PT entry        bit 0 P present · 1 R · 2 W · 3 OC override cache attributes · 4 WC write cacheable · 5 WA write allocate ·
 *                   6 WB write bufferable · 7 RC read cacheable · 8 RA read allocate · 31:12 address of the page
 */
import {
  ALWAYS,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type Meaning,
  type MemoryType,
  meaning,
  Prot,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, RESTRICTIONS, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

/**
 * LIMA: every page has the flags that Linux's driver writes, whatever prot asks for: readable, writable, cached. NO_WARN: conflicts and
 * refused unmaps are not told to `onWarn`.
 */
export type MaliUtgardQuirk = 'LIMA' | 'NO_WARN'
export type MaliUtgardConfig = FormatConfig<MaliUtgardQuirk>

/** What fixes the geometry. */
export interface MaliUtgardParams {
  readonly ias: number
  readonly oas: number
}

/** What each MMU block's registers get. */
export interface MaliUtgardRegs {
  /** MMU_DTE_ADDR (0x0): the page directory's physical address. */
  readonly dteAddr: bigint
}

/** Registers out of a dump. */
export interface MaliUtgardHardware extends MaliUtgardRegs {
  /** MMU_STATUS (0x4): bit 0 says that paging is on. Left out: it is. */
  readonly status?: bigint
}

const P = 1n
const R = 1n << 1n
const W = 1n << 2n
/** What Linux sets beside P, R and W: all cache bits but write allocate. */
const CACHED = 0x1d8n
const REACH = { sizes: BigInt(SZ_4K), ias: { least: 23, most: 32 }, oas: { least: 13, most: 32 } }

const GRANTS: Meaning<Rights> = meaning(['R', 'W'], ({ R, W }) => readAndWrite(R === 1, W === 1))
/** Without OC the attributes are those of the access on the bus. */
const MEMORY: Meaning<MemoryType> = meaning(['OC', 'WC', 'RC'], ({ OC, WC, RC }) => {
  if (!OC) return { name: 'as the access says', caching: 'uncached' }
  return WC || RC ? { name: 'cached', caching: 'cached' } : { name: 'uncached', caching: 'uncached' }
})

const SECTION = { section: 'page table entry' }
const NOT_PRESENT: Kind = {
  type: 'empty',
  name: 'not present',
  match: when(P, 0n),
  fields: [field('Ignored', 31, 1, 'not looked at', { reserved: 'ignored' })],
}
const TABLE: Kind = {
  type: 'table',
  name: 'page table',
  match: ALWAYS,
  set: P,
  address: [[31, 12, 12]],
  child: 'PT',
  fields: [
    field('P', 0, 0, 'present', { section: 'page directory entry' }),
    field('Unused', 11, 1, 'no use is known', { section: 'page directory entry', reserved: 'zero' }),
  ],
}
const PAGE: Kind = {
  type: 'leaf',
  name: 'page',
  match: ALWAYS,
  set: P,
  address: [[31, 12, 12]],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [
    field('P', 0, 0, 'present', SECTION),
    field('R', 1, 1, 'reads are allowed', SECTION),
    field('W', 2, 2, 'writes are allowed', SECTION),
    field('OC', 3, 3, 'the bits below override the cache attributes of the access', SECTION),
    field('WC', 4, 4, 'writes are cacheable', SECTION),
    field('WA', 5, 5, 'writes allocate in the cache', SECTION),
    field('WB', 6, 6, 'writes are bufferable', SECTION),
    field('RC', 7, 7, 'reads are cacheable', SECTION),
    field('RA', 8, 8, 'reads allocate in the cache', SECTION),
    field('Unused', 11, 9, 'no use is known', { ...SECTION, reserved: 'zero' }),
  ],
  grants: GRANTS,
  memory: MEMORY,
}

function geometry({ ias, oas }: MaliUtgardParams): Geometry {
  const entries = { entryBytes: 4, tableBytes: SZ_4K, empty: 0n } as const
  const pd = { ...entries, id: 'PD', level: 1, name: 'page directory', shift: 22, bits: ias - 22, kinds: [NOT_PRESENT, TABLE] }
  const pt = { ...entries, id: 'PT', level: 2, name: 'page table', shift: 12, bits: 10, kinds: [NOT_PRESENT, PAGE] }
  return { nodes: [pd, pt], top: 'PD', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}

/** There is no execution, and no privilege: such a request is refused, though not where every page is the same. */
function encodeLeaf(quirks: readonly MaliUtgardQuirk[], prot: Prot): bigint | undefined {
  if (quirks.includes('LIMA')) return R | W | CACHED
  if (prot & RESTRICTIONS) return undefined
  return (prot & Prot.READ ? R : 0n) | (prot & Prot.WRITE ? W : 0n) | (prot & Prot.CACHE && !(prot & Prot.MMIO) ? CACHED : 0n)
}

function prot(raw: bigint): Prot {
  const cached = (raw & (1n << 3n)) !== 0n && (raw & 0x90n) !== 0n
  return (raw & R ? Prot.READ : 0) | (raw & W ? Prot.WRITE : 0) | (cached ? Prot.CACHE : 0)
}

function rootsFromRegs({ dteAddr, status = 1n }: MaliUtgardHardware): readonly FoundRoot<MaliUtgardParams, undefined>[] {
  const root = registerValue('MMU_DTE_ADDR', dteAddr, 32) & 0xffff_f000n
  if ((registerValue('MMU_STATUS', status, 32) & 1n) === 0n) return []
  return [{ name: 'dteAddr', params: { ias: 32, oas: 32 }, roots: [root], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** Mali-400 and Mali-450. */
export const maliUtgard: IoPageTableFmt<MaliUtgardConfig, MaliUtgardRegs, MaliUtgardParams, undefined, MaliUtgardHardware> = {
  FORMAT: 'mali-utgard',
  title: 'Mali-400, Mali-450 (Utgard, lima)',
  manual: 'none is public: README, sources',
  configure: (request) => narrow('mali-utgard', request, ['LIMA', 'NO_WARN'], REACH),
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: ({ quirks }, _node, _kind, prot) => encodeLeaf(quirks, prot),
  encodeTable: () => 0n,
  prot,
  context: () => undefined,
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ dteAddr: root }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '32 bits', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 } },
    { name: '25 bits, as lima', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 25, oas: 32, quirks: ['LIMA'] } },
  ],
}
