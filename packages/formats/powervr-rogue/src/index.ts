/**
 * Imagination PowerVR Rogue, Series 6 and later. No public manual describes its MMU. The facts are Imagination's register and field names
 * as Linux's driver `powervr` uses them, and entries recorded from it (README: sources). Levels as there: 2, 1, 0.
 *
 *   input address            39:30 index of the page catalogue (1,024 entries of 4 bytes) · 29:21 of a page directory (512 of 8 bytes) ·
 *                            20:n of a page table (2^(21-n) of 8 bytes), pages of 2^n bytes
 *   page catalogue entry     0 valid · 1 pending · 31:4 page directory, address bits 39:12
 *   page directory entry     0 valid · 3:1 page size (0 4K, 1 16K, 2 64K, 3 256K, 4 1M, 5 2M) · 39:5 page table · 40 pending
 *   page table entry         0 valid · 1 read-only · 2 cache coherent · 3 SLC bypass · 4 PM source · 5 pending · 11:6, 61:40 VP page ·
 *                            39:n page · 62 PM/FW protect
 *
 * The page size stands in the directory entry, so that it holds for 2 MiB of input addresses. Tables that are written here have one size.
 */
import {
  ALWAYS,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  Prot,
  pageSizes,
  pgsizeBitmap,
  Right,
  type Rights,
  SZ_1M,
  SZ_2M,
  SZ_4K,
  SZ_16K,
  SZ_64K,
  splitField,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, registerValue } from '@io-pgtable/gpu-common'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type PowervrRogueQuirk = 'NO_WARN'
export type PowervrRogueConfig = FormatConfig<PowervrRogueQuirk>

/** What fixes the geometry. */
export interface PowervrRogueParams {
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get. */
export interface PowervrRogueRegs {
  /** BIF_CAT_BASEn (0x1200 + 8 n): the page catalogue's physical address, in bits 39:12. */
  readonly catBase: bigint
}

const VALID = 1n
const READ_ONLY = 1n << 1n
const SLC_BYPASS = 1n << 3n
const PROTECT = 1n << 62n
/** By the code in the directory entry: log2 of the page size. */
const SHIFTS = [12, 14, 16, 18, 20, 21]
const SIZES = pgsizeBitmap(SZ_4K, SZ_16K, SZ_64K, 0x4_0000, SZ_1M, SZ_2M)
const REACH = { sizes: SIZES, ias: { least: 31, most: 40 }, oas: { least: 22, most: 40 } }

/** Pages under PM/FW protection are the firmware's and the parameter manager's alone. */
const GRANTS: Meaning<Rights> = meaning(['ReadOnly', 'Protect'], ({ ReadOnly, Protect }) => {
  const rights = Right.READ | (ReadOnly ? 0 : Right.WRITE)
  return Protect ? rights & Right.PRIVILEGED : rights
})
const MEMORY: Meaning<MemoryType> = meaning(['SLCBypass', 'Coherent'], ({ SLCBypass, Coherent }) => {
  if (SLCBypass) return { name: 'past the system level cache', caching: 'uncached' }
  return { name: Coherent ? 'cached, coherent' : 'cached', caching: 'cached' }
})

const CATALOGUE: readonly Kind[] = [
  {
    type: 'empty',
    name: 'not valid',
    match: when(VALID, 0n),
    fields: [field('Pending', 1, 1, 'the MMU waits'), field('Ignored', 31, 2, 'not looked at', { reserved: 'ignored' })],
  },
  {
    type: 'table',
    name: 'page directory',
    match: ALWAYS,
    set: VALID,
    address: [[31, 4, 12]],
    child: 'PD',
    fields: [
      field('Valid', 0, 0, 'valid', { section: 'page catalogue entry' }),
      field('Pending', 1, 1, 'only means something where the entry is not valid', { section: 'page catalogue entry' }),
      field('Reserved', 3, 2, 'reserved', { section: 'page catalogue entry', reserved: 'zero' }),
    ],
  },
]

const SIZE_NAMES = { 0: '4K', 1: '16K', 2: '64K', 3: '256K', 4: '1M', 5: '2M' }
const DIRECTORY: readonly Kind[] = [
  {
    type: 'empty',
    name: 'not valid',
    match: when(VALID, 0n),
    fields: [
      field('Ignored', 39, 1, 'not looked at', { reserved: 'ignored' }),
      field('Pending', 40, 40, 'the MMU waits'),
      field('IgnoredHigh', 63, 41, 'not looked at', { reserved: 'ignored' }),
    ],
  },
  // Codes 6 and 7 are no size: entries of 110x and 111x.
  { type: 'invalid', name: 'no page size', match: when(0xcn, 0xcn), fields: [] },
  {
    type: 'table',
    name: 'page table',
    match: ALWAYS,
    set: VALID,
    address: [[39, 5, 5]],
    child: { field: 'PageSize', nodes: Object.fromEntries(SHIFTS.map((shift, code) => [code, `PT${shift}`])) },
    fields: [
      field('Valid', 0, 0, 'valid', { section: 'page directory entry' }),
      field('PageSize', 3, 1, 'size of the pages below', { section: 'page directory entry', values: SIZE_NAMES }),
      field('Reserved4', 4, 4, 'reserved', { section: 'page directory entry', reserved: 'zero' }),
      field('Pending', 40, 40, 'only means something where the entry is not valid', { section: 'page directory entry' }),
      field('Reserved', 63, 41, 'reserved', { section: 'page directory entry', reserved: 'zero' }),
    ],
  },
]

function pageKinds(shift: number): readonly Kind[] {
  const section = 'page table entry'
  const below = shift === 12 ? [] : [field('Unaligned', shift - 1, 12, 'address bits within the page', { section, reserved: 'ignored' })]
  return [
    {
      type: 'empty',
      name: 'not valid',
      match: when(VALID, 0n),
      fields: [
        field('Ignored', 4, 1, 'not looked at', { reserved: 'ignored' }),
        field('Pending', 5, 5, 'the MMU waits'),
        field('IgnoredHigh', 63, 6, 'not looked at', { reserved: 'ignored' }),
      ],
    },
    {
      type: 'leaf',
      name: 'page',
      match: ALWAYS,
      set: VALID,
      address: [[39, shift, shift]],
      sizes: [{ pgsize: 2 ** shift, slots: 1 }],
      fields: [
        field('Valid', 0, 0, 'valid', { section }),
        field('ReadOnly', 1, 1, 'writes fault', { section }),
        field('Coherent', 2, 2, 'accesses snoop other caches', { section }),
        field('SLCBypass', 3, 3, 'accesses go past the system level cache', { section }),
        field('PMSource', 4, 4, 'the page comes from the parameter manager', { section }),
        field('Pending', 5, 5, 'only means something where the entry is not valid', { section }),
        splitField(
          'VPPage',
          [
            [11, 6, 0],
            [61, 40, 6],
          ],
          'virtual page of the parameter manager',
          { section },
        ),
        field('Protect', 62, 62, 'PM/FW protect: firmware and parameter manager alone', { section }),
        field('Reserved', 63, 63, 'reserved', { section, reserved: 'zero' }),
        ...below,
      ],
      grants: GRANTS,
      memory: MEMORY,
    },
  ]
}

/** Page tables take 4 KiB, as Linux's do, though hardware reads only their entries. */
function pageTable(shift: number): LevelNode {
  const entries = { shift, bits: 21 - shift, entryBytes: 8, tableBytes: SZ_4K, empty: 0n } as const
  return { id: `PT${shift}`, level: 0, name: 'page table', ...entries, kinds: pageKinds(shift) }
}

function geometry({ ias, oas }: PowervrRogueParams): Geometry {
  const pc = { id: 'PC', level: 2, name: 'page catalogue', shift: 30, bits: ias - 30, entryBytes: 4, kinds: CATALOGUE } as const
  const pd = { id: 'PD', level: 1, name: 'page directory', shift: 21, bits: 9, entryBytes: 8, kinds: DIRECTORY } as const
  const table = { tableBytes: SZ_4K, empty: 0n }
  const nodes = [{ ...pc, ...table }, { ...pd, ...table }, ...SHIFTS.map(pageTable)]
  return { nodes, top: 'PC', ias, oas, window: 'low', tablesBelow: 1n << 40n }
}

/** Hardware can mix page sizes; a table here has one: the granule preferred where several are asked for, or the smallest. */
function configure(request: PowervrRogueConfig) {
  const agreed = narrow('powervr-rogue', request, ['NO_WARN'], REACH)
  const sizes = pageSizes(agreed.pgsizeBitmap)
  const granule = sizes.find((size) => size === agreed.cpuPageSize) ?? sizes[0] ?? SZ_4K
  return { ...agreed, pgsizeBitmap: BigInt(granule) }
}

function encodeTable(bitmap: bigint, node: LevelNode): bigint {
  return node.id === 'PD' ? BigInt(SHIFTS.indexOf(Math.log2(Number(bitmap)))) << 1n : 0n
}

/** Every page can be read. There is no execution to forbid: NOEXEC changes nothing. */
function encodeLeaf(prot: Prot): bigint {
  const cached = prot & Prot.CACHE && !(prot & Prot.MMIO)
  return (prot & Prot.WRITE ? 0n : READ_ONLY) | (cached ? 0n : SLC_BYPASS) | (prot & Prot.PRIV ? PROTECT : 0n)
}

function prot(raw: bigint): Prot {
  const rights = Prot.READ | (raw & READ_ONLY ? 0 : Prot.WRITE)
  return rights | (raw & SLC_BYPASS ? 0 : Prot.CACHE) | (raw & PROTECT ? Prot.PRIV : 0)
}

function rootsFromRegs({ catBase }: PowervrRogueRegs): readonly FoundRoot<PowervrRogueParams, undefined>[] {
  const root = registerValue('BIF_CAT_BASE', catBase, 40) & 0xff_ffff_f000n
  return [{ name: 'catBase', params: { ias: 40, oas: 40 }, roots: [root], first: 0n, last: (1n << 40n) - 1n, context: undefined }]
}

/** Imagination PowerVR Rogue. */
export const powervrRogue: IoPageTableFmt<PowervrRogueConfig, PowervrRogueRegs, PowervrRogueParams, undefined, PowervrRogueRegs> = {
  FORMAT: 'powervr-rogue',
  title: 'Imagination PowerVR Rogue (Series 6 and later)',
  manual: 'none is public: README, sources',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: ({ pgsizeBitmap: bitmap }, node) => encodeTable(bitmap, node),
  prot,
  context: () => undefined,
  parties: () => ['gpu', 'firmware'],
  regs: (_config, [root = 0n]) => ({ catBase: root }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [12, 16, 21].map((shift) => ({
    name: `pages of ${2 ** (shift - 10)}K`,
    config: { pgsizeBitmap: 1n << BigInt(shift), ias: 40, oas: 40 },
  })),
}
