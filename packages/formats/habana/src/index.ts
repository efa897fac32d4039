/**
 * Habana's accelerators. MMU version 1: Goya and Gaudi, five hops, tables in device memory. Version 2: Gaudi 2, six hops for host memory
 * (PMMU, pages of 4K and 2M, or of 64K and 16M), four for device memory (HMMU, 1G). Hops are numbered from the root, 0, on.
 * No public manual describes them. The facts are register names, and entries recorded from Linux's driver habanalabs (README: sources).
 *
 *   entry   bit 0 P present · 2 S swapped out · 11 L last: this entry is a page · 63:12 address of the next hop's table, or of the page
 */
import {
  type Agreed,
  ALWAYS,
  configError,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LevelNode,
  type Meaning,
  meaning,
  Prot,
  pgsizeBitmap,
  type Rights,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_16M,
  SZ_64K,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, RESTRICTIONS, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type HabanaQuirk = 'NO_WARN'

export interface HabanaConfig extends FormatConfig<HabanaQuirk> {
  /** 1: Goya, Gaudi. 2, the default: Gaudi 2, whose page sizes say which of its three trees it is. */
  readonly version?: 1 | 2
}

/** The input address bits at which the index of each hop begins, root first. The smallest page is that of the last. */
export interface HabanaParams {
  readonly hops: readonly number[]
  readonly ias: number
  readonly oas: number
}

/** What the MMU's registers get, for one ASID. */
export interface HabanaRegs {
  /** HOP0_PA43_12: bits 43:12 of the root's address. */
  readonly hop0Pa43: bigint
  /** HOP0_PA49_44, of version 2 HOP0_PA63_44: its bits from 44 on. */
  readonly hop0Pa63: bigint
}

/** Registers out of a dump, and what they do not tell. */
export interface HabanaHardware extends HabanaRegs {
  /** 1 or 2. Default 2. */
  readonly version?: bigint
  /** The smallest page in bytes: 4K, which is the default, of version 2 also 64K and 1G. */
  readonly granule?: bigint
}

const P = 1n
const L = 1n << 11n

/** What there is, by version and smallest page. */
const TREES = [
  { version: 1, granule: SZ_4K, sizes: pgsizeBitmap(SZ_4K, SZ_2M), hops: [48, 39, 30, 21, 12], ias: 50, oas: 50 },
  { version: 2, granule: SZ_4K, sizes: pgsizeBitmap(SZ_4K, SZ_2M), hops: [57, 48, 39, 30, 21, 12], ias: 64, oas: 57 },
  { version: 2, granule: SZ_64K, sizes: pgsizeBitmap(SZ_64K, SZ_16M), hops: [56, 48, 40, 32, 24, 16], ias: 64, oas: 57 },
  { version: 2, granule: SZ_1G, sizes: pgsizeBitmap(SZ_1G), hops: [57, 48, 39, 30], ias: 64, oas: 57 },
] as const

const COMMON = [
  field('P', 0, 0, 'present', { section: 'entry' }),
  field('Reserved1', 1, 1, 'written as zero', { section: 'entry', reserved: 'zero' }),
  field('S', 2, 2, 'swapped out: no driver uses it', { section: 'entry' }),
  field('Reserved', 10, 3, 'written as zero', { section: 'entry', reserved: 'zero' }),
  field('L', 11, 11, 'last: the entry is a page', { section: 'entry' }),
]
/** There are no permissions. */
const GRANTS: Meaning<Rights> = meaning([], () => readAndWrite(true, true))
const NOT_PRESENT: Kind = {
  type: 'empty',
  name: 'not present',
  match: when(P, 0n),
  fields: [field('Ignored', 63, 1, 'not looked at', { reserved: 'ignored' })],
}
const WRONG: Kind = { type: 'invalid', name: 'no page of this hop', match: ALWAYS, fields: [] }

function page(shift: number): Kind {
  const below =
    shift === 12 ? [] : [field('Unaligned', shift - 1, 12, 'address bits within the page', { section: 'entry', reserved: 'zero' })]
  return {
    type: 'leaf',
    name: 'page',
    match: when(P | L, P | L),
    set: P | L,
    address: [[63, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...COMMON, ...below],
    grants: GRANTS,
  }
}

function nextHop(child: string): Kind {
  return { type: 'table', name: 'next hop', match: when(P | L, P), set: P, address: [[63, 12, 12]], child, fields: COMMON }
}

/** The last two hops have pages; where there are four hops, the last alone. */
function geometry({ hops, ias, oas }: HabanaParams): Geometry {
  const last = hops.length - 1
  const firstWithPages = hops.length === 4 ? last : last - 1
  const nodes = hops.map((shift, hop): LevelNode => {
    const pages = hop >= firstWithPages ? [page(shift)] : []
    const tables = hop < last ? [nextHop(`hop${hop + 1}`)] : []
    const bits = (hop === 0 ? ias : (hops[hop - 1] ?? ias)) - shift
    const kinds = [NOT_PRESENT, ...pages, ...tables, ...(pages.length + tables.length === 2 ? [] : [WRONG])]
    return { id: `hop${hop}`, level: hop, name: `hop ${hop}`, shift, bits, entryBytes: 8, tableBytes: SZ_4K, empty: 0n, kinds }
  })
  return { nodes, top: 'hop0', ias, oas, window: 'low', tablesBelow: 1n << BigInt(oas) }
}

function treeOf({ version = 2, pgsizeBitmap, cpuPageSize }: HabanaConfig): (typeof TREES)[number] {
  const fitting = TREES.filter((tree) => tree.version === version && (tree.sizes & pgsizeBitmap) !== 0n)
  const tree = fitting.find(({ granule }) => granule === cpuPageSize) ?? fitting[0]
  if (tree !== undefined) return tree
  if (version !== 1 && version !== 2) throw configError('habana', 'version', String(version), '1 or 2 expected')
  const sizes = version === 1 ? '4K or 2M expected' : '4K, 64K, 2M, 16M or 1G expected'
  throw configError('habana', 'pgsizeBitmap', pgsizeBitmap, sizes)
}

function configure(request: HabanaConfig): Agreed<HabanaConfig> {
  narrow('habana', request, ['NO_WARN'], { sizes: -1n, ias: { least: 1, most: 64 }, oas: { least: 1, most: 64 } })
  const { version, sizes, hops, ias, oas } = treeOf(request)
  const reach = { sizes, ias: { least: hops[0] + 1, most: ias }, oas: { least: 31, most: oas } }
  return { ...narrow('habana', request, ['NO_WARN'], reach), version }
}

function params(config: Agreed<HabanaConfig>): HabanaParams {
  return { hops: treeOf(config).hops, ias: config.ias, oas: config.oas }
}

/** There are no permissions: every page can be read and written. What would restrict that, beyond what Linux ignores, is refused. */
function encodeLeaf(prot: Prot): bigint | undefined {
  return prot & RESTRICTIONS ? undefined : 0n
}

function rootsFromRegs({
  hop0Pa43,
  hop0Pa63,
  version = 2n,
  granule = BigInt(SZ_4K),
}: HabanaHardware): readonly FoundRoot<HabanaParams, undefined>[] {
  const tree = TREES.find((one) => BigInt(one.version) === version && BigInt(one.granule) === granule)
  if (tree === undefined) {
    const text = `version ${version} with pages of ${granule} bytes: version 1 with 4096, or 2 with 4096, 65536 or 2^30 expected`
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', text, { value: granule })
  }
  const { hops, ias, oas } = tree
  const high = registerValue('HOP0_PA63_44', hop0Pa63, version === 1n ? 6 : 20)
  const root = (high << 44n) | (registerValue('HOP0_PA43_12', hop0Pa43, 32) << 12n)
  return [{ name: 'hop0', params: { hops, ias, oas }, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined }]
}

/** Habana Goya, Gaudi, Gaudi 2. */
export const habana: IoPageTableFmt<HabanaConfig, HabanaRegs, HabanaParams, undefined, HabanaHardware> = {
  FORMAT: 'habana',
  title: 'Habana Goya, Gaudi, Gaudi 2',
  manual: 'none is public: README, sources',
  configure,
  params,
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot: () => Prot.READ | Prot.WRITE,
  context: () => undefined,
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ hop0Pa43: (root >> 12n) & 0xffff_ffffn, hop0Pa63: root >> 44n }),
  rootsFromRegs,
  hardware: (config, regs) => ({ ...regs, version: BigInt(config.version), granule: BigInt(treeOf(config).granule) }),
  configs: [
    { name: 'Goya and Gaudi', config: { version: 1, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 50, oas: 50 } },
    { name: 'Gaudi 2, 4K and 2M', config: { version: 2, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 64, oas: 57 } },
    { name: 'Gaudi 2, 64K and 16M', config: { version: 2, pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_16M), ias: 64, oas: 57 } },
    { name: 'Gaudi 2, device memory', config: { version: 2, pgsizeBitmap: pgsizeBitmap(SZ_1G), ias: 64, oas: 57 } },
  ],
}
