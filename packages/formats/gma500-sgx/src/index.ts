/**
 * PowerVR SGX535 as in Intel's Poulsbo chipset (GMA500; Atom Z5xx). No public manual describes its MMU. The facts are register names, and
 * entries recorded from Linux's driver gma500 (README: sources).
 *
 *   input address   31:22 index of the page directory (4 KiB) · 21:12 index of a page table (4 KiB) · 11:0 offset
 *   PD entry        bit 0 V valid · 31:12 address of the page table
 *   PT entry        bit 0 V valid · 1 WO write-only · 2 RO read-only · 3 C cached (snooped) · 31:12 address of the page
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

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type Gma500SgxQuirk = 'NO_WARN'
export type Gma500SgxConfig = FormatConfig<Gma500SgxQuirk>

/** What fixes the geometry. */
export interface Gma500SgxParams {
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get. */
export interface Gma500SgxRegs {
  /** The directory's physical address: BIF_DIR_LIST_BASE0 (0xc84), or 0xc38 + 4 n of context n. */
  readonly dirListBase: bigint
}

const V = 1n
const WO = 1n << 1n
const RO = 1n << 2n
const C = 1n << 3n
const REACH = { sizes: BigInt(SZ_4K), ias: { least: 23, most: 32 }, oas: { least: 13, most: 32 } }

const GRANTS: Meaning<Rights> = meaning(['WO', 'RO'], ({ WO, RO }) => readAndWrite(WO === 0, RO === 0))
const MEMORY: Meaning<MemoryType> = meaning(['C'], ({ C }) =>
  C ? { name: 'cached, snooped', caching: 'cached' } : { name: 'uncached', caching: 'uncached' },
)

const NOT_VALID: Kind = {
  type: 'empty',
  name: 'not valid',
  match: when(V, 0n),
  fields: [field('Ignored', 31, 1, 'not looked at', { reserved: 'ignored' })],
}
const TABLE: Kind = {
  type: 'table',
  name: 'page table',
  match: ALWAYS,
  set: V,
  address: [[31, 12, 12]],
  child: 'PT',
  fields: [
    field('V', 0, 0, 'valid', { section: 'page directory entry' }),
    field('Unused', 11, 1, 'no use is known', { section: 'page directory entry', reserved: 'zero' }),
  ],
}
const PAGE: Kind = {
  type: 'leaf',
  name: 'page',
  match: ALWAYS,
  set: V,
  address: [[31, 12, 12]],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [
    field('V', 0, 0, 'valid', { section: 'page table entry' }),
    field('WO', 1, 1, 'write-only: reads fault', { section: 'page table entry' }),
    field('RO', 2, 2, 'read-only: writes fault', { section: 'page table entry' }),
    field('C', 3, 3, 'accesses snoop the CPU caches', { section: 'page table entry' }),
    field('Unused', 11, 4, 'no use is known', { section: 'page table entry', reserved: 'zero' }),
  ],
  grants: GRANTS,
  memory: MEMORY,
}

function geometry({ ias, oas }: Gma500SgxParams): Geometry {
  const entries = { entryBytes: 4, tableBytes: SZ_4K, empty: 0n } as const
  const pd = { ...entries, id: 'PD', level: 1, name: 'page directory', shift: 22, bits: ias - 22, kinds: [NOT_VALID, TABLE] }
  const pt = { ...entries, id: 'PT', level: 2, name: 'page table', shift: 12, bits: 10, kinds: [NOT_VALID, PAGE] }
  return { nodes: [pd, pt], top: 'PD', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}

/** There is no execution, and no privilege: such a request is refused. */
function encodeLeaf(prot: Prot): bigint | undefined {
  if (prot & RESTRICTIONS) return undefined
  return (prot & Prot.READ ? 0n : WO) | (prot & Prot.WRITE ? 0n : RO) | (prot & Prot.CACHE && !(prot & Prot.MMIO) ? C : 0n)
}

function prot(raw: bigint): Prot {
  return (raw & WO ? 0 : Prot.READ) | (raw & RO ? 0 : Prot.WRITE) | (raw & C ? Prot.CACHE : 0)
}

function rootsFromRegs({ dirListBase }: Gma500SgxRegs): readonly FoundRoot<Gma500SgxParams, undefined>[] {
  const root = registerValue('BIF_DIR_LIST_BASE', dirListBase, 32) & 0xffff_f000n
  return [{ name: 'dirListBase', params: { ias: 32, oas: 32 }, roots: [root], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** Intel GMA500, PowerVR SGX535. */
export const gma500Sgx: IoPageTableFmt<Gma500SgxConfig, Gma500SgxRegs, Gma500SgxParams, undefined, Gma500SgxRegs> = {
  FORMAT: 'gma500-sgx',
  title: 'Intel GMA500 (Poulsbo), PowerVR SGX535',
  manual: 'none is public: README, sources',
  configure: (request) => narrow('gma500-sgx', request, ['NO_WARN'], REACH),
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot,
  context: () => undefined,
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ dirListBase: root }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '32 bits', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 } },
    { name: '25 bits, memory of 1 GiB', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 25, oas: 30 } },
  ],
}
