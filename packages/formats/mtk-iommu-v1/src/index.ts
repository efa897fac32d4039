/**
 * MediaTek M4U, generation one, of MT2701 and MT7623: in front of display, video and camera engines. (The second generation, MT8173 and later, has
 * short descriptors: the format arm-v7s with its MediaTek quirks.) Facts: what Linux 7.1's driver was seen to write and read; names are that
 * driver's.
 *
 *   input address   31:12 index of the one table (2^20 entries of 4 bytes, 4 MiB) · 11:0 offset
 *   entry           31:12 page address · bit 3 non-secure · bit 1 valid; there are no permissions
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
  splitField,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type MtkIommuV1Quirk = 'NO_WARN'
export type MtkIommuV1Config = FormatConfig<MtkIommuV1Quirk>

/** What fixes the geometry. */
export interface MtkIommuV1Params {
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get. */
export interface MtkIommuV1Regs {
  /** MMU_PT_BASE_ADDR: the table's physical address. */
  readonly ptBaseAddr: bigint
}

/** Registers out of a dump. */
export interface MtkIommuV1Hardware extends MtkIommuV1Regs {
  /** Input bits that the table was made for, which no register tells. Default 32. */
  readonly ias?: number
}

const VALID = 1n << 1n
const NONSECURE = 1n << 3n
const KINDS: readonly Kind[] = [
  { type: 'empty', name: 'not valid', match: when(VALID, 0n), fields: [] },
  {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: VALID | NONSECURE,
    address: [[31, 12, 12]],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [
      field('NONSEC', 3, 3, 'accesses that are not secure', { section: 'page table entry' }),
      splitField(
        'Reserved',
        [
          [0, 0, 0],
          [2, 2, 1],
          [11, 4, 2],
        ],
        'written as zero',
        { section: 'page table entry', reserved: 'ignored' },
      ),
    ],
  },
]

function geometry({ ias, oas }: MtkIommuV1Params): Geometry {
  const tableBytes = 4 << (ias - 12)
  const entries = { entryBytes: 4, tableBytes, align: Math.max(SZ_4K, tableBytes), empty: 0n } as const
  const table = { ...entries, id: 'PT', level: 1, name: 'page table', shift: 12, bits: ias - 12, kinds: KINDS }
  return { nodes: [table], top: 'PT', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}

function configure(request: MtkIommuV1Config): Agreed<MtkIommuV1Config> {
  const quirks = checkConfig('mtk-iommu-v1', request, ['NO_WARN'])
  const ias = Math.min(request.ias, 32)
  const oas = Math.min(request.oas, 32)
  if ((request.pgsizeBitmap & BigInt(SZ_4K)) === 0n) throw configError('mtk-iommu-v1', 'pgsizeBitmap', request.pgsizeBitmap, '4K expected')
  if (ias < 16) throw configError('mtk-iommu-v1', 'ias', ias, 'at least 16 expected')
  if (oas < 13) throw configError('mtk-iommu-v1', 'oas', oas, 'at least 13 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { pgsizeBitmap: BigInt(SZ_4K), ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** The hardware's alignment is not known: 4 KiB, the least that a table has here, is what is masked. */
function rootsFromRegs({ ptBaseAddr, ias = 32 }: MtkIommuV1Hardware): readonly FoundRoot<MtkIommuV1Params, undefined>[] {
  if (ptBaseAddr >> 32n !== 0n)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `ptBaseAddr ${hex(ptBaseAddr)}: 32 bits expected`, { value: ptBaseAddr })
  if (!Number.isInteger(ias) || ias < 16 || ias > 32)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `ias ${ias}: an integer from 16 to 32 expected`, { value: ias })
  const root = ptBaseAddr & ~0xfffn
  return [{ name: 'ptbaseaddr', params: { ias, oas: 32 }, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined }]
}

/** MediaTek M4U, generation one. */
export const mtkIommuV1: IoPageTableFmt<MtkIommuV1Config, MtkIommuV1Regs, MtkIommuV1Params, undefined, MtkIommuV1Hardware> = {
  FORMAT: 'mtk-iommu-v1',
  title: 'MediaTek M4U generation one (MT2701, MT7623)',
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
  regs: (_config, [root = 0n]) => ({ ptBaseAddr: root }),
  rootsFromRegs,
  hardware: ({ ias }, regs) => ({ ...regs, ias }),
  // A table for 32 bits takes 4 MiB: the laws run on smaller ones, the vectors on that.
  configs: [
    { name: '22 bits', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 22, oas: 32 } },
    { name: '20 bits, memory of 1 GiB', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 20, oas: 30 } },
  ],
}
