/**
 * ARM64 LPAE stage 1: the VMSAv8-64 translation tables of Arm SMMUs and CPUs.
 * Arm Architecture Reference Manual for A-profile, DDI 0487 (issue K): D8.2 translation table walks, D8.3 descriptor formats,
 * D8.4 access permissions, D8.5 hardware updates, D8.6 memory attributes, D8.7 other descriptor fields; TCR_EL1, TTBRn_EL1, MAIR_EL1: D24.2.
 * Levels are the manual's: 0 to 3, pages are at level 3.
 */
import {
  type Agreed,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  type Piece,
  type Policy,
  Prot,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_4T,
  SZ_16K,
  SZ_32M,
  SZ_64K,
  SZ_512M,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { type ArmLpaeTcr, codeOf, IPS, packTcr, rootsFromTcr, TG0, TG1 } from './registers.ts'

export type { ArmLpaeTcr } from './registers.ts'

/** ARM_NS: non-secure tables of a secure device. ARM_TTBR1: the top of the address space. ARM_OUTER_WBWA: outer write-back walks without coherency. ARM_HD: dirty tracking. */
export type ArmLpaeS1Quirk = 'ARM_NS' | 'ARM_TTBR1' | 'ARM_OUTER_WBWA' | 'ARM_HD' | 'NO_WARN'

const QUIRKS: readonly ArmLpaeS1Quirk[] = ['ARM_NS', 'ARM_TTBR1', 'ARM_OUTER_WBWA', 'ARM_HD', 'NO_WARN']

export type ArmLpaeS1Config = FormatConfig<ArmLpaeS1Quirk>

/** What the device's registers get. */
export interface ArmLpaeS1Regs {
  /** Of TTBR0, or TTBR1 with that quirk: the root's address; bits 5:2 are PA[51:48] where the output address has 52 bits. No ASID. */
  readonly ttbr: bigint
  /** The fields of TCR for this half. */
  readonly tcr: ArmLpaeTcr
  /** TCR_EL1 for this half alone: the other half's walks are disabled (EPD). */
  readonly tcrValue: bigint
  /** MAIR_EL1: attribute 0 normal non-cacheable, 1 normal write-back, 2 device, 3 inner non-cacheable outer write-back. */
  readonly mair: bigint
}

/** What fixes the geometry. */
export interface ArmLpaeS1Params {
  /** Bytes: 4K, 16K or 64K. */
  readonly granule: number
  readonly ias: number
  readonly oas: number
  /** TTBR1 translates the top of the address space. */
  readonly ttbr1: boolean
}

export interface ArmLpaeS1Context {
  /** MAIR_EL1: what AttrIndx chooses from. */
  readonly mair: bigint
}

/** Raw registers, as the CPU (or an SMMU context bank) holds them. */
export interface ArmLpaeS1Hardware {
  readonly ttbr0?: bigint
  readonly ttbr1?: bigint
  readonly tcr: bigint
  readonly mair: bigint
}

const MAIR = 0xf404ff44n
const AF = 1n << 10n
const NG = 1n << 11n
const AP_UNPRIV = 1n << 6n
const AP_RDONLY = 1n << 7n
const NS = 1n << 5n
const DBM = 1n << 51n
const PXN = 1n << 53n
const UXN = 1n << 54n
const CONTIGUOUS = when(1n << 52n, 1n << 52n)
const SW_SYNC = 1n << 55n
const NSTABLE = 1n << 63n

const LEAF_FIELDS: readonly Field[] = [
  field('AttrIndx', 4, 2, 'index of the memory attributes in MAIR', { section: 'D8.6.1' }),
  field('NS', 5, 5, 'output address is in non-secure memory', { section: 'D8.4.5' }),
  field('AP', 7, 6, 'data access permissions AP[2:1]', {
    section: 'D8.4.1',
    values: { 0: 'privileged read/write', 1: 'read/write', 2: 'privileged read-only', 3: 'read-only' },
  }),
  field('SH', 9, 8, 'shareability', {
    section: 'D8.6.2',
    values: { 0: 'non-shareable', 1: 'reserved', 2: 'outer shareable', 3: 'inner shareable' },
  }),
  field('AF', 10, 10, 'access flag', { section: 'D8.5.1', values: { 0: 'an access faults', 1: 'accessed' } }),
  field('nG', 11, 11, 'not global: tagged with the ASID', { section: 'D8.16.3', values: { 0: 'global', 1: 'of this ASID' } }),
  field('GP', 50, 50, 'guarded page (FEAT_BTI)', { section: 'D8.4.7' }),
  field('DBM', 51, 51, 'dirty bit modifier: hardware clears AP[2] on a write', { section: 'D8.5.2' }),
  field('Contiguous', 52, 52, 'one of a contiguous set of entries', { section: 'D8.7.1' }),
  field('PXN', 53, 53, 'privileged execute-never', { section: 'D8.4.2' }),
  field('UXN', 54, 54, 'unprivileged execute-never (XN in a single-privilege regime)', { section: 'D8.4.2' }),
  field('Software', 58, 55, 'for software', { section: 'D8.3.2' }),
  field('PBHA', 62, 59, 'page-based hardware attributes', { section: 'D8.3.2' }),
]
const BLOCK_ONLY: readonly Field[] = [
  field('nT', 16, 16, 'block translation entry: not to be cached as one (FEAT_BBM)', { section: 'D8.7.2' }),
]
const TABLE_FIELDS: readonly Field[] = [
  field('Software', 58, 51, 'ignored by hardware; bit 55 marks a table that was synced', { section: 'D8.3.1' }),
  field('PXNTable', 59, 59, 'privileged execute-never for everything below', { section: 'D8.4.3' }),
  field('UXNTable', 60, 60, 'unprivileged execute-never for everything below', { section: 'D8.4.3' }),
  field('APTable', 62, 61, 'limits the permissions of everything below', {
    section: 'D8.4.3',
    values: { 0: 'no limit', 1: 'no unprivileged access', 2: 'no writes', 3: 'no unprivileged access, no writes' },
  }),
  field('NSTable', 63, 63, 'everything below is non-secure', { section: 'D8.4.5' }),
]

/** Blocks by granule: the levels that may have them (level 1 of 64K with 52-bit addresses only), and contiguous entries by level (D8.7.1). */
const BLOCK_LEVELS: Readonly<Record<number, readonly number[]>> = { [SZ_4K]: [1, 2], [SZ_16K]: [2], [SZ_64K]: [1, 2] }
const CONTIGUOUS_SLOTS: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [SZ_4K]: { 1: 16, 2: 16, 3: 16 },
  [SZ_16K]: { 2: 32, 3: 128 },
  [SZ_64K]: { 2: 32, 3: 32 },
}

function addressPieces(shift: number, pa52: boolean): readonly Piece[] {
  return pa52
    ? [
        [47, shift, shift],
        [15, 12, 48],
      ]
    : [[47, shift, shift]]
}

function nodeAt(params: ArmLpaeS1Params, level: number, startLevel: number): LevelNode {
  const { granule, ias, oas } = params
  const page = Math.log2(granule)
  const shift = page + (3 - level) * (page - 3)
  const bits = level === startLevel ? ias - shift : page - 3
  const tableBytes = level === startLevel ? Math.max(64, 8 * 2 ** bits) : granule
  return {
    id: `L${level}`,
    level,
    name: `level ${level}`,
    shift,
    bits,
    entryBytes: 8,
    tableBytes,
    empty: 0n,
    kinds: kindsAt(params, level, shift, granule === SZ_64K && oas > 48),
  }
}

function kindsAt({ granule }: ArmLpaeS1Params, level: number, shift: number, pa52: boolean): readonly Kind[] {
  const empty: Kind = { type: 'empty', name: 'invalid', match: when(1n, 0n), fields: [] }
  const sizes = leafSizes(granule, level, shift)
  const address = addressPieces(shift, pa52)
  if (level === 3) {
    const page: LeafKind = { type: 'leaf', name: 'page', match: when(3n, 3n), set: 3n | AF, address, sizes, fields: LEAF_FIELDS }
    return [empty, page, { type: 'invalid', name: 'reserved', match: when(3n, 1n), fields: [] }]
  }
  const child = `L${level + 1}`
  const table: TableKind = {
    type: 'table',
    name: 'table',
    match: when(3n, 3n),
    set: 3n,
    address: addressPieces(Math.log2(granule), pa52),
    child,
    fields: TABLE_FIELDS,
  }
  const blocks = BLOCK_LEVELS[granule]?.includes(level) && (granule !== SZ_64K || level !== 1 || pa52)
  if (!blocks) return [empty, table, { type: 'invalid', name: 'reserved', match: when(3n, 1n), fields: [] }]
  return [
    empty,
    table,
    {
      type: 'leaf',
      name: 'block',
      match: when(3n, 1n),
      set: 1n | AF,
      address,
      sizes,
      fields: [...LEAF_FIELDS, ...(pa52 ? [] : BLOCK_ONLY)],
    },
  ]
}

function leafSizes(granule: number, level: number, shift: number): readonly LeafSize[] {
  const one: LeafSize = { pgsize: 2 ** shift, slots: 1 }
  const slots = CONTIGUOUS_SLOTS[granule]?.[level]
  return slots === undefined ? [one] : [{ pgsize: 2 ** shift * slots, slots, match: CONTIGUOUS, stepsAddress: true, encode: false }, one]
}

/** The sizes of the granule that a request asks for: the CPU's page size if it is there, else the largest below, else the smallest above. */
function narrowBitmap(bitmap: bigint, cpuPageSize: number, oas: number): { granule: number; bitmap: bigint } {
  const cpu = BigInt(cpuPageSize)
  const below = bitmap & (cpu - 1n)
  const above = bitmap & ~(cpu - 1n)
  const granule = bitmap & cpu ? cpuPageSize : below !== 0n ? 2 ** (below.toString(2).length - 1) : Number(above & -above)
  const sizes: Readonly<Record<number, bigint>> = {
    [SZ_4K]: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G),
    [SZ_16K]: pgsizeBitmap(SZ_16K, SZ_32M),
    [SZ_64K]: oas > 48 ? pgsizeBitmap(SZ_64K, SZ_512M, SZ_4T) : pgsizeBitmap(SZ_64K, SZ_512M),
  }
  const allowed = sizes[granule]
  if (allowed === undefined) throw configError('arm64-lpae-s1', 'pgsizeBitmap', bitmap, 'a granule of 4K, 16K or 64K expected')
  return { granule, bitmap: bitmap & allowed }
}

function paramsOf(config: Pick<Agreed<ArmLpaeS1Config>, 'pgsizeBitmap' | 'ias' | 'oas' | 'quirks'>): ArmLpaeS1Params {
  const { pgsizeBitmap, ias, oas, quirks } = config
  return { granule: Number(pgsizeBitmap & -pgsizeBitmap), ias, oas, ttbr1: quirks.includes('ARM_TTBR1') }
}

function configure(request: ArmLpaeS1Config): Agreed<ArmLpaeS1Config> {
  const quirks = checkConfig('arm64-lpae-s1', request, QUIRKS)
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  const { granule, bitmap } = narrowBitmap(request.pgsizeBitmap, cpuPageSize, request.oas)
  const most = granule === SZ_64K ? 52 : 48
  const ias = Math.min(request.ias, most)
  const oas = Math.min(request.oas, most)
  // T0SZ is at most 48, or 47 with 64K (FEAT_TTST).
  const least = granule === SZ_64K ? 17 : 16
  if (ias < least) throw configError('arm64-lpae-s1', 'ias', ias, `at least ${least} with this granule`)
  if (codeOf(IPS, oas) === undefined) throw configError('arm64-lpae-s1', 'oas', oas, `one of ${Object.values(IPS).join(', ')} expected`)
  if (quirks.includes('ARM_OUTER_WBWA') && coherentWalk)
    throw configError('arm64-lpae-s1', 'quirk', 'ARM_OUTER_WBWA', 'only with coherentWalk: false')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

function geometry(params: ArmLpaeS1Params): Geometry {
  const page = Math.log2(params.granule)
  const startLevel = 4 - Math.ceil((params.ias - page) / (page - 3))
  const nodes: LevelNode[] = []
  for (let level = startLevel; level <= 3; level++) nodes.push(nodeAt(params, level, startLevel))
  return {
    nodes,
    top: `L${startLevel}`,
    ias: params.ias,
    oas: params.oas,
    window: params.ttbr1 ? 'top' : 'low',
    tablesBelow: 1n << BigInt(params.oas),
  }
}

function policy(config: Agreed<ArmLpaeS1Config>): Policy {
  const base: Policy = {
    conflict: 'table',
    freeTables: 'slot',
    flushOrder: 'walks-first',
    addPagesWithoutGather: false,
  }
  // A leaf is dirty once hardware, or we, made it writable: DBM set and AP[2] clear. Cleaning sets AP[2].
  if (!config.quirks.includes('ARM_HD')) return base
  return { ...base, dirty: { dirty: when(DBM | AP_RDONLY, DBM), clear: 0n, set: AP_RDONLY } }
}

function encodeLeaf(config: Agreed<ArmLpaeS1Config>, _node: LevelNode, _kind: LeafKind, prot: Prot): bigint {
  const readOnly = (prot & Prot.WRITE) === 0
  let raw = NG
  if (readOnly) raw |= AP_RDONLY
  else if (config.quirks.includes('ARM_HD')) raw |= DBM
  if (!(prot & Prot.PRIV)) raw |= AP_UNPRIV
  raw |= (prot & Prot.MMIO ? 2n : prot & Prot.CACHE ? 1n : 0n) << 2n
  raw |= (prot & Prot.CACHE ? 3n : 2n) << 8n
  if (prot & Prot.NOEXEC) raw |= UXN | PXN
  if (config.quirks.includes('ARM_NS')) raw |= NS
  return raw
}

function prot(raw: bigint, _kind: LeafKind, { mair }: ArmLpaeS1Context): Prot {
  const attribute = (mair >> (((raw >> 2n) & 7n) * 8n)) & 0xffn
  const device = attribute >> 4n === 0n
  // The device memory of a coherent mapping keeps the shareability: that is where its CACHE is.
  const cached = device ? (raw >> 8n) % 4n === 3n : attribute !== 0x44n
  const writable = (raw & AP_RDONLY) === 0n || (raw & DBM) !== 0n
  const never = UXN | PXN
  return (
    Prot.READ |
    (writable ? Prot.WRITE : 0) |
    (cached ? Prot.CACHE : 0) |
    (device ? Prot.MMIO : 0) |
    ((raw & never) === never ? Prot.NOEXEC : 0) |
    (raw & AP_UNPRIV ? 0 : Prot.PRIV)
  )
}

function regs(config: Agreed<ArmLpaeS1Config>, [root = 0n]: readonly bigint[]): ArmLpaeS1Regs {
  const { granule, ias, oas, ttbr1 } = paramsOf(config)
  const coherent = config.coherentWalk
  const tcr: ArmLpaeTcr = {
    ips: codeOf(IPS, oas) ?? 0,
    tg: codeOf(ttbr1 ? TG1 : TG0, granule) ?? 0,
    sh: coherent ? 3 : 2,
    orgn: coherent || config.quirks.includes('ARM_OUTER_WBWA') ? 1 : 0,
    irgn: coherent ? 1 : 0,
    tsz: 64 - ias,
  }
  // Above 2^48 only with 52-bit output addresses: PA[51:48] stands in bits 5:2.
  const ttbr = (root & ((1n << 48n) - 1n)) | ((root >> 48n) << 2n)
  return { ttbr, tcr, tcrValue: packTcr(tcr, ttbr1), mair: MAIR }
}

function rootsFromRegs(registers: ArmLpaeS1Hardware): readonly FoundRoot<ArmLpaeS1Params, ArmLpaeS1Context>[] {
  return rootsFromTcr(registers).map(({ name, params, ttbr }) => {
    const top = geometry(params)
    const root = top.nodes[0]?.tableBytes ?? 64
    const high = params.granule === SZ_64K && params.oas > 48 ? ((ttbr >> 2n) & 15n) << 48n : 0n
    const size = 1n << BigInt(params.ias)
    const first = params.ttbr1 ? (1n << 64n) - size : 0n
    const address = (ttbr & ((1n << 48n) - 1n) & ~BigInt(root - 1)) | high
    return { name, params, roots: [address], first, last: first + size - 1n, context: { mair: registers.mair } }
  })
}

const sizes4K = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

/** ARM64 LPAE stage 1. */
export const arm64LpaeS1: IoPageTableFmt<ArmLpaeS1Config, ArmLpaeS1Regs, ArmLpaeS1Params, ArmLpaeS1Context, ArmLpaeS1Hardware> = {
  FORMAT: 'arm64-lpae-s1',
  title: 'ARM64 LPAE stage 1',
  manual: 'Arm ARM DDI 0487, chapter D8: the AArch64 Virtual Memory System Architecture',
  configure,
  params: paramsOf,
  geometry,
  policy,
  encodeLeaf,
  encodeTable: (config) => (config.quirks.includes('ARM_NS') ? NSTABLE : 0n) | (config.coherentWalk ? 0n : SW_SYNC),
  prot,
  context: () => ({ mair: MAIR }),
  regs,
  rootsFromRegs,
  configs: [
    { name: '4K, 48 bits', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48 } },
    { name: '4K, 39 bits, 3 levels', config: { pgsizeBitmap: sizes4K, ias: 39, oas: 40 } },
    { name: '4K, 32 bits, root of 4 entries, not coherent', config: { pgsizeBitmap: sizes4K, ias: 32, oas: 36, coherentWalk: false } },
    { name: '16K, 48 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_16K, SZ_32M), ias: 48, oas: 48 } },
    { name: '64K, 48 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M), ias: 48, oas: 48 } },
    { name: '64K, 52 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M, SZ_4T), ias: 52, oas: 52 } },
    { name: '4K, TTBR1', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_TTBR1'] } },
    { name: '4K, non-secure', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_NS'] } },
    { name: '4K, dirty tracking', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_HD'] } },
    {
      name: '4K, outer write-back walks',
      config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_OUTER_WBWA'], coherentWalk: false },
    },
  ],
}
