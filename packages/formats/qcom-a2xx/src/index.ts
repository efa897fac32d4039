/**
 * Qualcomm Adreno 2xx (i.MX 5, MSM8x60 and earlier): the MMU in its memory hub (MH), "gpummu". No public manual describes it. The facts are
 * register names, and entries recorded from Linux's driver (README: sources).
 *
 *   window   MH_MMU_VA_RANGE: base in 31:12, regions of 64 KiB in 11:0. Addresses outside are not translated
 *   entry    bit 0 W writes are allowed · 1 R reads are allowed · 31:12 address of the page. Entry 0 is that of the window's base
 *
 * There is no valid bit: an entry of zero is what nothing is mapped by. The declaration counts entries from address 0 on, and the register
 * gets the address of the one at the base: so input addresses are those that the GPU sees.
 */
import {
  type Agreed,
  ALWAYS,
  configError,
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
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, RESTRICTIONS, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type QcomA2xxQuirk = 'NO_WARN'

export interface QcomA2xxConfig extends FormatConfig<QcomA2xxQuirk> {
  /** Where the window begins, a multiple of 64 KiB. Default 16 MiB, as in Linux. It ends at 2^ias, or after 4,095 regions of 64 KiB. */
  readonly base?: bigint
}

/** What fixes the geometry. */
export interface QcomA2xxParams {
  readonly ias: number
  readonly oas: number
}

/** What the memory hub's registers get. */
export interface QcomA2xxRegs {
  /** MH_MMU_VA_RANGE (0x41): the window's base, and its regions of 64 KiB. */
  readonly vaRange: bigint
  /** MH_MMU_PT_BASE (0x42): the address of the entry at the base. */
  readonly ptBase: bigint
}

/** Registers out of a dump. */
export interface QcomA2xxHardware extends QcomA2xxRegs {
  /** MH_MMU_CONFIG (0x40): bit 0 says that the MMU is on, bit 1 splits it. Left out: on. */
  readonly config?: bigint
}

const W = 1n
const R = 1n << 1n
const REACH = { sizes: BigInt(SZ_4K), ias: { least: 17, most: 32 }, oas: { least: 13, most: 32 } }
const REGION = 0x1_0000n
const MOST_REGIONS = 0xfffn

const GRANTS: Meaning<Rights> = meaning(['R', 'W'], ({ R, W }) => readAndWrite(R === 1, W === 1))
const ENTRIES: readonly Kind[] = [
  { type: 'empty', name: 'zero', match: when(0xffff_ffffn, 0n), fields: [] },
  {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: 0n,
    address: [[31, 12, 12]],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [
      field('W', 0, 0, 'writes are allowed', { section: 'entry' }),
      field('R', 1, 1, 'reads are allowed', { section: 'entry' }),
      field('Unused', 11, 2, 'written as zero', { section: 'entry', reserved: 'zero' }),
    ],
    grants: GRANTS,
  },
]

function geometry({ ias, oas }: QcomA2xxParams): Geometry {
  const entries = { shift: 12, bits: ias - 12, entryBytes: 4, tableBytes: 4 << (ias - 12), align: 64, empty: 0n } as const
  return {
    nodes: [{ id: 'PT', level: 1, name: 'page table', ...entries, kinds: ENTRIES }],
    top: 'PT',
    ias,
    oas,
    window: 'low',
    tablesBelow: 1n << 32n,
  }
}

function configure(request: QcomA2xxConfig): Agreed<QcomA2xxConfig> {
  const agreed = narrow('qcom-a2xx', request, ['NO_WARN'], REACH)
  const { base = 0x100_0000n } = request
  if (base < 0n || base % REGION !== 0n || base + REGION > 1n << BigInt(agreed.ias))
    throw configError('qcom-a2xx', 'base', base, `a multiple of 64K below 2^${agreed.ias} expected`)
  return { ...agreed, base }
}

/** Offset of an address's entry from that of address 0, bytes. */
const entryOf = (iova: bigint): bigint => (iova >> 12n) * 4n

/** The hub has no execution and no privilege: such a request is refused. */
function encodeLeaf(prot: Prot): bigint | undefined {
  if (prot & RESTRICTIONS) return undefined
  return (prot & Prot.WRITE ? W : 0n) | (prot & Prot.READ ? R : 0n)
}

function regs({ base, ias }: Agreed<QcomA2xxConfig>, root: bigint): QcomA2xxRegs {
  const regions = ((1n << BigInt(ias)) - base) / REGION
  return { vaRange: base | (regions < MOST_REGIONS ? regions : MOST_REGIONS), ptBase: root + entryOf(base) }
}

function rootsFromRegs({ vaRange, ptBase, config = 1n }: QcomA2xxHardware): readonly FoundRoot<QcomA2xxParams, undefined>[] {
  const base = registerValue('MH_MMU_VA_RANGE', vaRange, 32) & 0xffff_f000n
  const bytes = (vaRange & MOST_REGIONS) * REGION
  const first = registerValue('MH_MMU_PT_BASE', ptBase, 32) & 0xffff_ffc0n
  if ((registerValue('MH_MMU_CONFIG', config, 32) & 1n) === 0n || bytes === 0n) return []
  if (base + bytes > 1n << 32n || first < entryOf(base)) {
    const text = `MH_MMU_VA_RANGE ${hex(vaRange)}, MH_MMU_PT_BASE ${hex(ptBase)}: a window and a table in 32 bits expected`
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', text, { value: vaRange })
  }
  const last = base + bytes - 1n
  const ias = Math.max(REACH.ias.least, last.toString(2).length)
  return [{ name: 'ptBase', params: { ias, oas: 32 }, roots: [first - entryOf(base)], first: base, last, context: undefined }]
}

/** Qualcomm Adreno 2xx. */
export const qcomA2xx: IoPageTableFmt<QcomA2xxConfig, QcomA2xxRegs, QcomA2xxParams, undefined, QcomA2xxHardware> = {
  FORMAT: 'qcom-a2xx',
  title: 'Qualcomm Adreno 200, 205, 220 (a2xx)',
  manual: 'none is public: README, sources',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot: (raw) => (raw & R ? Prot.READ : 0) | (raw & W ? Prot.WRITE : 0),
  context: () => undefined,
  parties: () => ['all'],
  regs: (config, [root = 0n]) => regs(config, root),
  rootsFromRegs,
  hardware: (_config, given) => given,
  configs: [
    { name: '24 bits, all of them in the window', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 24, oas: 32, base: 0n } },
    { name: '22 bits, memory of 1 GiB', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 22, oas: 30, base: 0n } },
  ],
}
