/**
 * ARMv7 short-descriptor translation tables: Arm Architecture Reference Manual ARMv7-A and ARMv7-R edition, DDI 0406C, B3.5. Levels:
 * first-level table (16 KiB for 4 GiB, 1 MiB an entry) and second-level table (1 KiB, 4 KiB an entry). Large pages and supersections
 * are 16 identical entries. The MediaTek M4U extensions put address bits 32, 33, 34 into descriptor bits 9, 4, 5; its walker knows
 * neither permissions nor domains. What is written into attributes, registers and limits is what Linux's io-pgtable does.
 */
import {
  type Agreed,
  bitsOf,
  checkConfig,
  configError,
  deposit,
  type Field,
  type FormatConfig,
  field,
  type Geometry,
  type IoPageTableFmt,
  type LeafKind,
  type LevelNode,
  type Piece,
  type Policy,
  Prot,
  SZ_1M,
  SZ_4K,
  SZ_16M,
  SZ_64K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { type ArmV7sContext, leafProt } from './attributes.ts'
import { type ArmV7sHardware, type ArmV7sParams, type ArmV7sRegs, ownContext, packRegs, rootsFromRegs, splitTtbcr } from './registers.ts'
import { type Leaf, MTK_RIGHTS, PAGE_RIGHTS, SECTION_RIGHTS, SUPERSECTION_RIGHTS, v7sFault, v7sRegime } from './rights.ts'

export {
  type Access,
  type ArmV7sContext,
  type Cacheability,
  explainLeaf,
  type LeafAccess,
  leafAccess,
  type MemoryType,
  memoryType,
} from './attributes.ts'
export type { ArmV7sHardware, ArmV7sParams, ArmV7sRegs } from './registers.ts'

const QUIRKS: readonly ArmV7sQuirk[] = ['ARM_NS', 'NO_PERMS', 'ARM_MTK_EXT', 'ARM_MTK_TTBR_EXT']

/**
 * `ARM_NS`: NS in level-1 leaves and tables. `NO_PERMS`: no AP, AF, XN. `ARM_MTK_EXT` (needs `NO_PERMS`): 34 input, 35 output bits.
 * `ARM_MTK_TTBR_EXT` (needs `ARM_MTK_EXT`): tables, too, may lie above 4 GiB.
 */
export type ArmV7sQuirk = 'ARM_NS' | 'NO_PERMS' | 'ARM_MTK_EXT' | 'ARM_MTK_TTBR_EXT'
export type ArmV7sConfig = FormatConfig<ArmV7sQuirk>

const PAGE_SIZES = BigInt(SZ_4K + SZ_64K + SZ_1M + SZ_16M)
const PERMISSIONS = ['Domain', 'AP[2]', 'AP[1:0]', 'XN', 'PXN']

const DESCRIPTORS = { section: 'B3.5.1' }
const MEMORY = { section: 'B3.8' }
const ACCESS = { section: 'B3.7.1' }
const EXECUTE = { section: 'B3.7.2' }
const SBZ = { section: 'B3.5.1', reserved: 'zero' } as const

/** The fields that all leaves have, at the places where a kind has them. */
function leafFields(at: { nG: number; S: number; AP2: number; TEX: number; AP: number; XN: number }): Field[] {
  return [
    field('nG', at.nG, at.nG, 'not global: the TLB entry belongs to an ASID', { section: 'B3.9' }),
    field('S', at.S, at.S, 'shareable', MEMORY),
    field('AP[2]', at.AP2, at.AP2, 'read-only', ACCESS),
    field('TEX', at.TEX + 2, at.TEX, 'memory type, with C and B', MEMORY),
    field('AP[1:0]', at.AP + 1, at.AP, 'access permissions; AP[0] is the access flag where SCTLR.AFE is set', ACCESS),
    field('C', 3, 3, 'memory type: cacheable', MEMORY),
    field('B', 2, 2, 'memory type: bufferable', MEMORY),
    field('XN', at.XN, at.XN, 'execute never', EXECUTE),
  ]
}

const IMPLEMENTATION_DEFINED = field('IMPLEMENTATION DEFINED', 9, 9, 'no architectural meaning', DESCRIPTORS)
const DOMAIN = field('Domain', 8, 5, 'selects a field of DACR', { section: 'B3.7.3' })
const PXN = field('PXN', 0, 0, 'privileged execute never', EXECUTE)
const BLOCK_FIELDS: readonly Field[] = [
  field('NS', 19, 19, 'the output address is Non-secure', { section: 'B3.5.3' }),
  ...leafFields({ nG: 17, S: 16, AP2: 15, TEX: 12, AP: 10, XN: 4 }),
  IMPLEMENTATION_DEFINED,
  PXN,
]
const TABLE_FIELDS: readonly Field[] = [
  IMPLEMENTATION_DEFINED,
  DOMAIN,
  field('SBZ', 4, 4, 'should be zero; no walker looks at it, and stock kernels set it', { ...SBZ, reserved: 'ignored' }),
  field('NS', 3, 3, 'what the table maps is Non-secure', { section: 'B3.5.3' }),
  field('PXN', 2, 2, 'privileged execute never, for all that the table maps', EXECUTE),
]
const LARGE_PAGE_FIELDS: readonly Field[] = [
  ...leafFields({ nG: 11, S: 10, AP2: 9, TEX: 12, AP: 4, XN: 15 }),
  field('SBZ', 8, 6, 'should be zero', SBZ),
]
const SMALL_PAGE_FIELDS: readonly Field[] = leafFields({ nG: 11, S: 10, AP2: 9, TEX: 6, AP: 4, XN: 0 })
/** Supersections of hardware with 32 output bits have no extended base address. */
const NO_EXTENDED_BASE: Field = {
  name: 'SBZ',
  pieces: [
    [8, 5, 0],
    [23, 20, 4],
  ],
  doc: 'should be zero',
  ...SBZ,
}

const MTK_PIECES: readonly Piece[] = [
  [9, 9, 32],
  [4, 4, 33],
  [5, 5, 34],
]
const EXTENDED_BASE: readonly Piece[] = [
  [23, 20, 32],
  [8, 5, 36],
]

function addressPieces(lo: number, mtk: boolean, extended: readonly Piece[] = []): readonly Piece[] {
  return [[31, lo, lo], ...(mtk ? MTK_PIECES : extended)]
}

/** The fields that a MediaTek descriptor keeps: no permissions, and none whose bits are address bits. */
function without(fields: readonly Field[], address: readonly Piece[], mtk: boolean): readonly Field[] {
  const taken = bitsOf(address)
  return fields.filter((f) => (bitsOf(f.pieces) & taken) === 0n && !(mtk && PERMISSIONS.includes(f.name)))
}

function leaf(
  name: string,
  match: [mask: bigint, set: bigint],
  pgsize: number,
  slots: number,
  params: ArmV7sParams,
  all: readonly Field[],
  rights: Leaf,
): LeafKind {
  const extended = pgsize === SZ_16M && params.oas > 32 ? EXTENDED_BASE : []
  const address = addressPieces(Math.log2(pgsize), params.mtk, extended)
  const fields = without(all, address, params.mtk)
  const meanings = params.mtk ? MTK_RIGHTS : rights
  return { type: 'leaf', name, match: when(...match), set: match[1], address, fields, sizes: [{ pgsize, slots }], ...meanings }
}

function table(params: ArmV7sParams): TableKind {
  const address = addressPieces(10, params.mtkTables)
  const fields = without(TABLE_FIELDS, address, params.mtk)
  return { type: 'table', name: 'Page table', match: when(3n, 1n), set: 1n, address, fields, child: 'level2' }
}

/** B3.5.1. Both 0b10 and 0b11 are leaves: bit 0 is PXN at level 1 and XN of a small page. */
function geometry(params: ArmV7sParams): Geometry {
  const fault = { type: 'empty', name: 'Fault', match: when(0x3n, 0x0n), fields: [] } as const
  const level1: LevelNode = {
    id: 'level1',
    level: 1,
    name: 'First-level table',
    shift: 20,
    bits: params.ias - 20,
    entryBytes: 4,
    tableBytes: 4 * 2 ** (params.ias - 20),
    align: 128,
    empty: 0n,
    kinds: [
      leaf('Section', [0x4_0002n, 0x2n], SZ_1M, 1, params, [...BLOCK_FIELDS, DOMAIN], SECTION_RIGHTS),
      leaf('Supersection', [0x4_0002n, 0x4_0002n], SZ_16M, 16, params, [...BLOCK_FIELDS, NO_EXTENDED_BASE], SUPERSECTION_RIGHTS),
      table(params),
      fault,
    ],
  }
  const level2: LevelNode = {
    id: 'level2',
    level: 2,
    name: 'Second-level table',
    shift: 12,
    bits: 8,
    entryBytes: 4,
    tableBytes: 1024,
    empty: 0n,
    kinds: [
      leaf('Small page', [0x2n, 0x2n], SZ_4K, 1, params, SMALL_PAGE_FIELDS, PAGE_RIGHTS),
      leaf('Large page', [0x3n, 0x1n], SZ_64K, 16, params, LARGE_PAGE_FIELDS, PAGE_RIGHTS),
      fault,
    ],
  }
  const tablesBelow = 1n << BigInt(params.mtkTables ? params.oas : 32)
  return { nodes: [level1, level2], top: 'level1', ias: params.ias, oas: params.oas, window: 'low', tablesBelow }
}

function configure(request: ArmV7sConfig): Agreed<ArmV7sConfig> {
  const quirks = checkConfig('arm-v7s', request, QUIRKS)
  const mtk = quirks.includes('ARM_MTK_EXT')
  if (mtk && !quirks.includes('NO_PERMS')) throw configError('arm-v7s', 'quirk', 'ARM_MTK_EXT', 'NO_PERMS expected with it')
  if (!mtk && quirks.includes('ARM_MTK_TTBR_EXT')) throw configError('arm-v7s', 'quirk', 'ARM_MTK_TTBR_EXT', 'ARM_MTK_EXT expected with it')
  const { ias, oas, pgsizeBitmap, coherentWalk = true, cpuPageSize = SZ_4K } = request
  const [iasMax, oasMax, whose] = mtk ? [34, 35, 'with ARM_MTK_EXT'] : [32, 32, 'without ARM_MTK_EXT']
  if (ias < 24 || ias > iasMax) throw configError('arm-v7s', 'ias', ias, `24 to ${iasMax} expected ${whose}`)
  if (oas < 12 || oas > oasMax) throw configError('arm-v7s', 'oas', oas, `12 to ${oasMax} expected ${whose}`)
  return { pgsizeBitmap: pgsizeBitmap & PAGE_SIZES, ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** Linux's attributes: TEX[0], C and B select entry 4 (Non-cacheable), 7 (Write-Back) or 1 (Device) of PRRR and NMRR. */
function encodeLeaf(config: Agreed<ArmV7sConfig>, node: LevelNode, kind: LeafKind, prot: Prot): bigint {
  const mmio = (prot & Prot.MMIO) !== 0
  const cache = !mmio && (prot & Prot.CACHE) !== 0
  const perms = !config.quirks.includes('NO_PERMS')
  const values: Record<string, number | boolean> = {
    nG: 1,
    S: 1,
    TEX: mmio ? 0 : 1,
    C: cache,
    B: cache || mmio,
    NS: node.level === 1 && config.quirks.includes('ARM_NS'),
    'AP[2]': perms && (prot & Prot.WRITE) === 0,
    'AP[1:0]': perms && (prot & Prot.PRIV ? 1 : 3),
    XN: perms && (prot & Prot.NOEXEC) !== 0,
  }
  return kind.fields.reduce((raw, f) => raw | deposit(BigInt(values[f.name] ?? 0), f.pieces), 0n)
}

/**
 * Linux maps and unmaps this format entry by entry from the root, and reports pages with or without a gather. Break-before-make: DDI 0406C
 * B3.10.1, the size of what an entry maps, its memory type and cacheability, and global or not.
 */
const POLICY: Policy = {
  conflict: 'entry',
  freeTables: 'slot',
  flushOrder: 'slot-order',
  addPagesWithoutGather: true,
  breakBeforeMake: { size: true, fields: ['TEX', 'C', 'B', 'S', 'nG'] },
}

const BASE: ArmV7sConfig = { pgsizeBitmap: PAGE_SIZES, ias: 32, oas: 32 }
const MTK: ArmV7sConfig = { pgsizeBitmap: PAGE_SIZES, ias: 34, oas: 35, quirks: ['NO_PERMS', 'ARM_MTK_EXT'] }

export const armV7s: IoPageTableFmt<ArmV7sConfig, ArmV7sRegs, ArmV7sParams, ArmV7sContext, ArmV7sHardware> = {
  FORMAT: 'arm-v7s',
  title: 'ARMv7 short-descriptor, with the MediaTek extensions',
  manual: 'Arm Architecture Reference Manual ARMv7-A and ARMv7-R edition, DDI 0406C, B3.5',
  configure,
  params: ({ ias, oas, quirks }) => ({ ias, oas, mtk: quirks.includes('ARM_MTK_EXT'), mtkTables: quirks.includes('ARM_MTK_TTBR_EXT') }),
  geometry,
  policy: () => POLICY,
  encodeLeaf,
  encodeTable: (config) => (config.quirks.includes('ARM_NS') ? 0x8n : 0n),
  prot: leafProt,
  context: ({ quirks }) => ownContext(!quirks.includes('NO_PERMS')),
  regime: v7sRegime,
  fault: v7sFault,
  regs: ({ coherentWalk, quirks }, [root = 0n]) => packRegs(root, coherentWalk, quirks.includes('ARM_MTK_EXT')),
  rootsFromRegs,
  hardware: ({ ias, oas, quirks }, { ttbr, tcr, prrr, nmrr }) => {
    const mtk = quirks.includes('ARM_MTK_EXT')
    // that a walker ignores permissions is in no register
    if (quirks.includes('NO_PERMS') && !mtk) return undefined
    const common = { ttbr0: ttbr, prrr: BigInt(prrr), nmrr: BigInt(nmrr) }
    if (mtk) return { ...common, mtk: { ias, oas, tables: quirks.includes('ARM_MTK_TTBR_EXT') } }
    const ttbcr = splitTtbcr(tcr, ias)
    return ttbcr === undefined ? undefined : { ...common, ttbcr }
  },
  configs: [
    { name: 'arm-v7s', config: BASE },
    { name: 'incoherent', config: { ...BASE, ias: 31, coherentWalk: false } },
    { name: 'ns', config: { ...BASE, quirks: ['ARM_NS'] } },
    { name: 'no-perms', config: { ...BASE, quirks: ['NO_PERMS'] } },
    { name: 'mtk', config: MTK },
    { name: 'mtk-ttbr', config: { ...MTK, quirks: ['NO_PERMS', 'ARM_MTK_EXT', 'ARM_MTK_TTBR_EXT'] } },
  ],
}
