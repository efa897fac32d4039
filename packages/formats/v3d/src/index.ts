/**
 * Broadcom V3D 3.3 to 7.1, the 3D engine of VideoCore VI and VII (Raspberry Pi 4, Raspberry Pi 5): its MMU has one flat table.
 * No public manual describes it. The facts are register names and values, and entries recorded from Linux's driver (README: sources).
 *
 *   input address   31:12 index of the page table (1,048,576 entries of 4 bytes, 4 MiB) · 11:0 offset
 *   entry           27:0 page number · 28 V valid · 29 W writeable · 30 B big page (64 KiB) · 31 S super page (1 MiB)
 *
 * A big page takes 16 entries, a super page 256. Each entry has its own page number and the bit of the size.
 */
import {
  type Agreed,
  ALWAYS,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type Meaning,
  meaning,
  Prot,
  pgsizeBitmap,
  type Rights,
  SZ_1M,
  SZ_4K,
  SZ_64K,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, pageAddress, RESTRICTIONS, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type V3dQuirk = 'NO_WARN'

export interface V3dConfig extends FormatConfig<V3dQuirk> {
  /** Physical address of a page that accesses without a translation go to; 0, the default: none. Linux has one. */
  readonly illegal?: bigint
}

/** What fixes the geometry. */
export interface V3dParams {
  readonly ias: number
  readonly oas: number
}

/** What the MMU's registers get. */
export interface V3dRegs {
  /** MMU_PT_PA_BASE (0x1204): the page number of the table. */
  readonly ptPaBase: bigint
  /** MMU_CTL (0x1200): on; invalid entries, write violations and addresses beyond the cap abort, and interrupt. */
  readonly ctl: bigint
  /** MMU_ILLEGAL_ADDR (0x1230): bit 31 on, the page number below. */
  readonly illegalAddr: bigint
  /** MMU_ADDR_CAP (0x1214): bit 31 on, 11:0 the first MiB that is not translated; 0 where all 4 GiB are. */
  readonly addrCap: bigint
}

/** Registers out of a dump. */
export interface V3dHardware {
  readonly ptPaBase: bigint
  /** Left out: the MMU is on. */
  readonly ctl?: bigint
  /** Left out: no cap. */
  readonly addrCap?: bigint
}

const V = 1n << 28n
const W = 1n << 29n
const BIG = 1n << 30n
const SUPER = 1n << 31n
const SIZES = pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M)
const REACH = { sizes: SIZES, ias: { least: 22, most: 32 }, oas: { least: 21, most: 40 } }
/** MMU_CTL: ENABLE 0 · PT_INVALID_ENABLE 16, _INT 18, _ABORT 19 · WRITE_VIOLATION_INT 10, _ABORT 11 · CAP_EXCEEDED_INT 25, _ABORT 26. */
const CTL = 0x060d_0c01n
const ENABLE = 1n
/** Bit 31 of MMU_ILLEGAL_ADDR and of MMU_ADDR_CAP. */
const ON = 1n << 31n

const GRANTS: Meaning<Rights> = meaning(['W'], ({ W }) => readAndWrite(true, W === 1))

const ENTRIES: readonly Kind[] = [
  {
    type: 'empty',
    name: 'invalid',
    match: when(V, 0n),
    fields: [
      field('Ignored', 27, 0, 'not looked at', { reserved: 'ignored' }),
      field('IgnoredFlags', 31, 29, 'not looked at', { reserved: 'ignored' }),
    ],
  },
  {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: V,
    address: [[27, 0, 12]],
    sizes: [
      { pgsize: SZ_1M, slots: 256, or: SUPER, match: when(SUPER, SUPER), stepsAddress: true },
      { pgsize: SZ_64K, slots: 16, or: BIG, match: when(BIG, BIG), stepsAddress: true },
      { pgsize: SZ_4K, slots: 1 },
    ],
    fields: [
      field('V', 28, 28, 'valid', { section: 'entry' }),
      field('W', 29, 29, 'writes are allowed', { section: 'entry' }),
      field('B', 30, 30, 'one of the 16 entries of a big page, 64 KiB', { section: 'entry' }),
      field('S', 31, 31, 'one of the 256 entries of a super page, 1 MiB', { section: 'entry' }),
    ],
    grants: GRANTS,
  },
]

function geometry({ ias, oas }: V3dParams): Geometry {
  const table = {
    id: 'PT',
    level: 1,
    name: 'page table',
    shift: 12,
    bits: ias - 12,
    entryBytes: 4,
    tableBytes: 4 << (ias - 12),
    align: SZ_4K,
    empty: 0n,
  } as const
  return { nodes: [{ ...table, kinds: ENTRIES }], top: 'PT', ias, oas, window: 'low', tablesBelow: 1n << 40n }
}

function configure(request: V3dConfig): Agreed<V3dConfig> {
  const agreed = narrow('v3d', request, ['NO_WARN'], REACH)
  return { ...agreed, illegal: pageAddress('v3d', 'illegal', request.illegal ?? 0n, agreed.oas) }
}

/** Every page can be read. There is no execution, and no privilege: such a request is refused. */
function encodeLeaf(prot: Prot): bigint | undefined {
  if (prot & RESTRICTIONS) return undefined
  return prot & Prot.WRITE ? W : 0n
}

/** A cap of any MiB ends what the root translates; the table has a power of two of entries. */
function rootsFromRegs({ ptPaBase, ctl = ENABLE, addrCap = 0n }: V3dHardware): readonly FoundRoot<V3dParams, undefined>[] {
  const root = registerValue('MMU_PT_PA_BASE', ptPaBase, 28) << 12n
  const cap = registerValue('MMU_ADDR_CAP', addrCap, 32)
  const bytes = cap & ON ? (cap & 0xfffn) << 20n : 1n << 32n
  if ((registerValue('MMU_CTL', ctl, 32) & ENABLE) === 0n || bytes === 0n) return []
  const ias = Math.max(REACH.ias.least, (bytes - 1n).toString(2).length)
  return [{ name: 'ptPaBase', params: { ias, oas: 40 }, roots: [root], first: 0n, last: bytes - 1n, context: undefined }]
}

/** Broadcom V3D. */
export const v3d: IoPageTableFmt<V3dConfig, V3dRegs, V3dParams, undefined, V3dHardware> = {
  FORMAT: 'v3d',
  title: 'Broadcom V3D (Raspberry Pi 4, Raspberry Pi 5)',
  manual: 'none is public: README, sources',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: () => 0n,
  prot: (raw) => (raw & W ? Prot.READ | Prot.WRITE : Prot.READ),
  context: () => undefined,
  parties: () => ['all'],
  regs: ({ illegal, ias }, [root = 0n]) => ({
    ptPaBase: root >> 12n,
    ctl: CTL,
    illegalAddr: illegal === 0n ? 0n : (illegal >> 12n) | ON,
    addrCap: ias === 32 ? 0n : (1n << BigInt(ias - 20)) | ON,
  }),
  rootsFromRegs,
  hardware: (_config, { ptPaBase, ctl, addrCap }) => ({ ptPaBase, ctl, addrCap }),
  configs: [
    { name: '4K, 64K and 1M, 24 bits', config: { pgsizeBitmap: SIZES, ias: 24, oas: 36 } },
    { name: 'pages only, 22 bits, memory of 1 TiB', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 22, oas: 40 } },
  ],
}
