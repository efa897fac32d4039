/**
 * Unisoc (Spreadtrum) IOMMU, of SC9863A, UMS512 (Tiger T618) and others: in front of display, camera and video engines, each with one of its
 * own. Facts: what Linux 7.1's driver was seen to write and read, for both register layouts, EX and VAU; names are that driver's.
 *
 *   input address   27:12 index of the one table (65,536 entries of 4 bytes, 256 KiB) · 11:0 offset
 *   entry           19:0 the page's number, address bits 31:12; zero is empty: there is no valid bit, there are no permissions
 *
 * An access through an empty entry goes to a page that the driver sets aside, its *default page*, and does not fault as elsewhere.
 */
import {
  type Agreed,
  ALWAYS,
  checkConfig,
  configError,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  Prot,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type SprdIommuQuirk = 'NO_WARN'
export type SprdIommuConfig = FormatConfig<SprdIommuQuirk>

/** What fixes the geometry. */
export interface SprdIommuParams {
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get; offsets of EX and of VAU. */
export interface SprdIommuRegs {
  /** FIRST_VPN (0x08; 0x1c): the first page number of the input. */
  readonly firstVpn: bigint
  /** VPN_RANGE (0x0c; 0x20): the last page number, counted from the first. */
  readonly vpnRange: bigint
  /** FIRST_PPN (0x10): the table's address, shifted right by 12. */
  readonly firstPpn: bigint
}

/** Registers out of a dump. */
export interface SprdIommuHardware {
  /** Default 0; other windows are not read. */
  readonly firstVpn?: bigint
  /** Default: 256 MiB. */
  readonly vpnRange?: bigint
  readonly firstPpn: bigint
  /** CFG (0x00; 0x04): bit 0 enabled, bit 4 bypass. Left out: enabled. */
  readonly cfg?: bigint
}

const ENABLE = 1n
const BYPASS = 1n << 4n

const KINDS: readonly Kind[] = [
  { type: 'empty', name: 'empty: the default page', match: when(0xffff_ffffn, 0n), fields: [] },
  {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: 0n,
    address: [[19, 0, 12]],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [
      field('Upper', 31, 20, 'of the page number; never written, what they do is not known', {
        section: 'page table entry',
        reserved: 'zero',
      }),
    ],
  },
]

function geometry({ ias, oas }: SprdIommuParams): Geometry {
  const entries = { entryBytes: 4, tableBytes: 4 * 2 ** (ias - 12), align: Math.max(4096, 4 * 2 ** (ias - 12)), empty: 0n } as const
  const table = { ...entries, id: 'PT', level: 1, name: 'page table', shift: 12, bits: ias - 12, kinds: KINDS }
  return { nodes: [table], top: 'PT', ias, oas, leastOutput: BigInt(SZ_4K), window: 'low', tablesBelow: 1n << 44n }
}

function configure(request: SprdIommuConfig): Agreed<SprdIommuConfig> {
  const quirks = checkConfig('sprd-iommu', request, ['NO_WARN'])
  const ias = Math.min(request.ias, 28)
  const oas = Math.min(request.oas, 32)
  if ((request.pgsizeBitmap & BigInt(SZ_4K)) === 0n) throw configError('sprd-iommu', 'pgsizeBitmap', request.pgsizeBitmap, '4K expected')
  if (ias < 16) throw configError('sprd-iommu', 'ias', ias, 'at least 16 expected')
  if (oas < 13) throw configError('sprd-iommu', 'oas', oas, 'at least 13 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { pgsizeBitmap: BigInt(SZ_4K), ias, oas, quirks, coherentWalk, cpuPageSize }
}

function regs({ ias }: Agreed<SprdIommuConfig>, [root = 0n]: readonly bigint[]): SprdIommuRegs {
  return { firstVpn: 0n, vpnRange: (1n << BigInt(ias - 12)) - 1n, firstPpn: root >> 12n }
}

function rootsFromRegs(registers: SprdIommuHardware): readonly FoundRoot<SprdIommuParams, undefined>[] {
  const { firstVpn = 0n, vpnRange = 0xffffn, firstPpn, cfg = ENABLE } = registers
  const refuse = (name: string, value: bigint, expected: string): never => {
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected} expected`, { value })
  }
  for (const [name, value] of Object.entries({ firstVpn, vpnRange, firstPpn, cfg })) if (value >> 32n !== 0n) refuse(name, value, '32 bits')
  if ((cfg & ENABLE) === 0n || (cfg & BYPASS) !== 0n) return []
  if (firstVpn !== 0n) refuse('firstVpn', firstVpn, 'a window from 0 on')
  const ias = vpnRange.toString(2).length + 12
  if ((vpnRange & (vpnRange + 1n)) !== 0n || ias < 16 || ias > 28) refuse('vpnRange', vpnRange, 'a power of two less one, at most 0xffff,')
  const root = (firstPpn << 12n) & ~BigInt(4 * 2 ** (ias - 12) - 1)
  return [{ name: 'firstppn', params: { ias, oas: 32 }, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined }]
}

/** Unisoc IOMMU. */
export const sprdIommu: IoPageTableFmt<SprdIommuConfig, SprdIommuRegs, SprdIommuParams, undefined, SprdIommuHardware> = {
  FORMAT: 'sprd-iommu',
  title: 'Unisoc (Spreadtrum) IOMMU',
  manual: "none is public: names of Linux's driver, recorded tables and registers",
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => ({ conflict: 'entry', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: false }),
  // No permission bits exist: prot changes nothing, as in Linux.
  encodeLeaf: () => 0n,
  encodeTable: () => 0n,
  prot: () => Prot.READ | Prot.WRITE,
  context: () => undefined,
  parties: () => ['all'],
  regs,
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '28 bits', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 28, oas: 32 } },
    { name: '20 bits, memory of 1 GiB', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 20, oas: 30 } },
  ],
}
