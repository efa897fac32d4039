/**
 * Intel's imaging units IPU3 (ImgU of Skylake and Kaby Lake) and IPU6 (Tiger Lake to Meteor Lake), in front of cameras. No public manual
 * describes their MMU. The facts are register names, and entries recorded from Linux's drivers (README: sources).
 *
 *   input address   31:22 index of L1 (4 KiB) · 21:12 index of an L2 (4 KiB) · 11:0 offset
 *   L1 entry        26:0 page number of an L2
 *   L2 entry        26:0 page number of the page
 *
 * There is no valid bit and no permission bit: every address translates. An L2 entry that is not used has the number of a dummy page, an L1
 * entry that of a dummy L2, which is full of that page.
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
  type Kind,
  type Meaning,
  meaning,
  Prot,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, pageAddress, RESTRICTIONS, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type IntelIpuQuirk = 'NO_WARN'

/** Memory of the caller's beside the tables, by physical address. */
export interface IntelIpuDummies {
  /** What unused L2 entries lead to: nothing else can be mapped to that page. */
  readonly dummyPage: bigint
  /** What unused L1 entries lead to: 4 KiB, all of whose 1,024 entries the caller sets to the number of the dummy page. */
  readonly dummyTable: bigint
}

export interface IntelIpuConfig extends FormatConfig<IntelIpuQuirk>, IntelIpuDummies {}

/** What fixes the geometry. */
export interface IntelIpuParams extends IntelIpuDummies {
  readonly ias: number
  readonly oas: number
}

/** What the MMU's registers get. */
export interface IntelIpuRegs {
  /** L1_PHYS: the page number of L1. IPU3: 0x4304. IPU6: 0x4 of each MMU block. */
  readonly l1Phys: bigint
}

/** Registers out of a dump, and the dummies, which no register tells. */
export interface IntelIpuHardware extends IntelIpuRegs, IntelIpuDummies {}

const REACH = { sizes: BigInt(SZ_4K), ias: { least: 23, most: 32 }, oas: { least: 13, most: 39 } }
const HIGH = field('Unused', 31, 27, 'written as zero', { section: 'entries', reserved: 'zero' })
const GRANTS: Meaning<Rights> = meaning([], () => readAndWrite(true, true))

const unused = (name: string, at: bigint): Kind => ({ type: 'empty', name, match: when(0xffff_ffffn, at >> 12n), fields: [] })

function geometry({ ias, oas, dummyPage, dummyTable }: IntelIpuParams): Geometry {
  const table: Kind = { type: 'table', name: 'L2', match: ALWAYS, set: 0n, address: [[26, 0, 12]], child: 'L2', fields: [HIGH] }
  const sizes = [{ pgsize: SZ_4K, slots: 1 }]
  const page: Kind = { type: 'leaf', name: 'page', match: ALWAYS, set: 0n, address: [[26, 0, 12]], sizes, fields: [HIGH], grants: GRANTS }
  const entries = { entryBytes: 4, tableBytes: SZ_4K } as const
  const l1 = { ...entries, id: 'L1', level: 1, name: 'L1', shift: 22, bits: ias - 22 }
  const l2 = { ...entries, id: 'L2', level: 2, name: 'L2', shift: 12, bits: 10 }
  return {
    nodes: [
      { ...l1, empty: dummyTable >> 12n, kinds: [unused('the dummy L2', dummyTable), table] },
      { ...l2, empty: dummyPage >> 12n, kinds: [unused('the dummy page', dummyPage), page] },
    ],
    top: 'L1',
    ias,
    oas,
    window: 'low',
    tablesBelow: 1n << 39n,
  }
}

function configure(request: IntelIpuConfig): Agreed<IntelIpuConfig> {
  const agreed = narrow('intel-ipu', request, ['NO_WARN'], REACH)
  const dummyPage = pageAddress('intel-ipu', 'dummyPage', request.dummyPage, agreed.oas)
  const dummyTable = pageAddress('intel-ipu', 'dummyTable', request.dummyTable, 39)
  if (dummyPage === dummyTable) throw configError('intel-ipu', 'dummyTable', hex(dummyTable), 'another page than dummyPage expected')
  return { ...agreed, dummyPage, dummyTable }
}

function rootsFromRegs({ l1Phys, dummyPage, dummyTable }: IntelIpuHardware): readonly FoundRoot<IntelIpuParams, undefined>[] {
  const root = registerValue('L1_PHYS', l1Phys, 27) << 12n
  const dummies = { dummyPage: registerValue('dummyPage', dummyPage, 39), dummyTable: registerValue('dummyTable', dummyTable, 39) }
  return [{ name: 'l1Phys', params: { ias: 32, oas: 39, ...dummies }, roots: [root], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** Intel IPU3 and IPU6. */
export const intelIpu: IoPageTableFmt<IntelIpuConfig, IntelIpuRegs, IntelIpuParams, undefined, IntelIpuHardware> = {
  FORMAT: 'intel-ipu',
  title: 'Intel IPU3, IPU6 (cameras)',
  manual: 'none is public: README, sources',
  configure,
  params: ({ ias, oas, dummyPage, dummyTable }) => ({ ias, oas, dummyPage, dummyTable }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  /** Everything can be read and written, whatever is asked for; what else would restrict that is refused. */
  encodeLeaf: (_config, _node, _kind, prot) => (prot & RESTRICTIONS ? undefined : 0n),
  encodeTable: () => 0n,
  prot: () => Prot.READ | Prot.WRITE,
  context: () => undefined,
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ l1Phys: root >> 12n }),
  rootsFromRegs,
  hardware: ({ dummyPage, dummyTable }, { l1Phys }) => ({ l1Phys, dummyPage, dummyTable }),
  configs: [
    {
      name: 'IPU3, IPU6 in secure mode',
      config: { pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 39, dummyPage: 0x12_3457_6000n, dummyTable: 0x1_2345_7000n },
    },
    {
      name: 'IPU6, 31 bits',
      config: { pgsizeBitmap: BigInt(SZ_4K), ias: 31, oas: 36, dummyPage: 0x2_3457_6000n, dummyTable: 0x1_2345_7000n },
    },
  ],
}
