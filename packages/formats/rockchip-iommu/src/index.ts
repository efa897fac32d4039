/**
 * Rockchip IOMMU, in front of display, video, camera and NPU engines. v1: RK3036, RK3066, RK3188, RK3288, RK3328, RK3399 ("rockchip,iommu");
 * v2: RK356x, RK3588 ("rockchip,rk3568-iommu"). The same MMU, as v1, stands in Mali-400 and 450. Facts: what Linux 7.1's driver was seen to
 * write and read; names of registers and bits are that driver's. Levels: 1 the directory (DTE), 2 the page table (PTE).
 *
 *   input address   31:22 index of the directory · 21:12 index of the page table · 11:0 offset; both tables 1024 entries, 4 KiB
 *   DTE             bit 0 valid · address in 31:12 · v2: address bits 35:32 in 11:8, 39:36 in 7:4
 *   PTE             bit 0 valid · 1 readable · 2 writable · address as in a DTE · v1: 8:3 cache bits · v2: 3 security
 *   MMU_DTE_ADDR    the root's address, as in a DTE of the version, and bit 0
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  deposit,
  extract,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type Meaning,
  type MemoryType,
  meaning,
  type Piece,
  Prot,
  protOfRights,
  Right,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type RockchipIommuQuirk = 'NO_WARN'

/** The hardware's version: v1 has addresses of 32 bits, v2 of 40. */
export type RockchipIommuVariant = 'v1' | 'v2'

export interface RockchipIommuConfig extends FormatConfig<RockchipIommuQuirk> {
  /** Default: v2 where `oas` is over 32, else v1. */
  readonly variant?: RockchipIommuVariant
}

/** What fixes the geometry. */
export interface RockchipIommuParams {
  readonly variant: RockchipIommuVariant
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get. */
export interface RockchipIommuRegs {
  readonly variant: RockchipIommuVariant
  /** MMU_DTE_ADDR: the root's address, coded as a directory entry, bit 0 set. */
  readonly dteAddr: bigint
}

/** Registers out of a dump. */
export interface RockchipIommuHardware {
  /** Default: v1, or v2 where MMU_DTE_ADDR has bits in 11:4. */
  readonly variant?: RockchipIommuVariant
  /** MMU_DTE_ADDR. Bit 0 is not held by v1. */
  readonly dteAddr: bigint
  /** MMU_STATUS: bit 0, paging is on. Left out: on. */
  readonly status?: bigint
}

const VALID = 1n
const READABLE = 1n << 1n
const WRITABLE = 1n << 2n
const ADDRESS: Readonly<Record<RockchipIommuVariant, readonly Piece[]>> = {
  v1: [[31, 12, 12]],
  v2: [
    [31, 12, 12],
    [11, 8, 32],
    [7, 4, 36],
  ],
}
const OAS = { v1: 32, v2: 40 }

const GRANTS: Meaning<Rights> = meaning(
  ['Readable', 'Writable'],
  ({ Readable, Writable }) => (Readable ? Right.READ : 0) | (Writable ? Right.WRITE : 0),
)
/** v1: with Override the cache bits take the place of what the master says. */
const MEMORY: Meaning<MemoryType> = meaning(['Override', 'Write cacheable', 'Read cacheable'], (values) => {
  if (!values.Override) return { name: 'as the master says', caching: 'unknown' }
  if (values['Write cacheable']) return { name: values['Read cacheable'] ? 'cacheable' : 'write cacheable', caching: 'cached' }
  return values['Read cacheable'] ? { name: 'read cacheable', caching: 'cached' } : { name: 'not cacheable', caching: 'uncached' }
})

const PERMISSIONS: readonly Field[] = [
  field('Readable', 1, 1, 'reads are allowed', { section: 'PTE' }),
  field('Writable', 2, 2, 'writes are allowed', { section: 'PTE' }),
]
const OTHER: Readonly<Record<RockchipIommuVariant, readonly Field[]>> = {
  v1: [
    field('Override', 3, 3, 'the cache bits take the place of those of the master', { section: 'PTE, v1' }),
    field('Write cacheable', 4, 4, 'writes may be cached', { section: 'PTE, v1' }),
    field('Write allocate', 5, 5, 'writes allocate', { section: 'PTE, v1' }),
    field('Write buffer', 6, 6, 'writes may be buffered', { section: 'PTE, v1' }),
    field('Read cacheable', 7, 7, 'reads may be cached', { section: 'PTE, v1' }),
    field('Read allocate', 8, 8, 'reads allocate', { section: 'PTE, v1' }),
    field('Reserved', 11, 9, 'reserved', { section: 'PTE, v1', reserved: 'zero' }),
  ],
  v2: [field('Security', 3, 3, 'the security of the access', { section: 'PTE, v2' })],
}
const RESERVED: Readonly<Record<RockchipIommuVariant, Field>> = {
  v1: field('Reserved', 11, 1, 'zero', { section: 'DTE, v1', reserved: 'zero' }),
  v2: field('Reserved', 3, 1, 'zero', { section: 'DTE, v2', reserved: 'zero' }),
}

/** What an unmap leaves: the address and the permissions may still be there. */
const NOT_VALID: Kind = { type: 'empty', name: 'not valid', match: when(VALID, 0n), fields: [] }

function geometry({ variant, ias, oas }: RockchipIommuParams): Geometry {
  const table: Kind = {
    type: 'table',
    name: 'page table',
    match: ALWAYS,
    set: VALID,
    address: ADDRESS[variant],
    child: 'PT',
    fields: [RESERVED[variant]],
  }
  const page: Kind = {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: VALID,
    address: ADDRESS[variant],
    sizes: [{ pgsize: SZ_4K, slots: 1 }],
    fields: [...PERMISSIONS, ...OTHER[variant]],
    grants: GRANTS,
    ...(variant === 'v1' && { memory: MEMORY }),
  }
  const entries = { entryBytes: 4, tableBytes: 4096, empty: 0n } as const
  const directory = { ...entries, id: 'DT', level: 1, name: 'directory table', shift: 22, bits: ias - 22, kinds: [NOT_VALID, table] }
  const pages = { ...entries, id: 'PT', level: 2, name: 'page table', shift: 12, bits: 10, kinds: [NOT_VALID, page] }
  return { nodes: [directory, pages], top: 'DT', ias, oas, window: 'low', tablesBelow: 1n << BigInt(OAS[variant]) }
}

function configure(request: RockchipIommuConfig): Agreed<RockchipIommuConfig> {
  const quirks = checkConfig('rockchip-iommu', request, ['NO_WARN'])
  const variant = request.variant ?? (request.oas > OAS.v1 ? 'v2' : 'v1')
  if (variant !== 'v1' && variant !== 'v2') throw configError('rockchip-iommu', 'variant', variant, 'v1 or v2 expected')
  const ias = Math.min(request.ias, 32)
  const oas = Math.min(request.oas, OAS[variant])
  if ((request.pgsizeBitmap & BigInt(SZ_4K)) === 0n)
    throw configError('rockchip-iommu', 'pgsizeBitmap', request.pgsizeBitmap, '4K expected')
  if (ias < 23) throw configError('rockchip-iommu', 'ias', ias, 'at least 23 expected')
  if (oas < 13) throw configError('rockchip-iommu', 'oas', oas, 'at least 13 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { variant, pgsizeBitmap: BigInt(SZ_4K), ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** CACHE, NOEXEC, MMIO and PRIV change nothing, as in Linux: v1's cache bits stay clear, and the master decides. */
function encodeLeaf(prot: Prot): bigint {
  return (prot & Prot.READ ? READABLE : 0n) | (prot & Prot.WRITE ? WRITABLE : 0n)
}

function prot(raw: bigint): Prot {
  return protOfRights((raw & READABLE ? Right.READ : 0) | (raw & WRITABLE ? Right.WRITE : 0) | Right.EXECUTE, undefined)
}

function regs({ variant }: Agreed<RockchipIommuConfig>, [root = 0n]: readonly bigint[]): RockchipIommuRegs {
  return { variant, dteAddr: deposit(root, ADDRESS[variant]) | VALID }
}

function rootsFromRegs({ variant, dteAddr, status = 1n }: RockchipIommuHardware): readonly FoundRoot<RockchipIommuParams, undefined>[] {
  for (const [name, value] of Object.entries({ dteAddr, status }))
    if (value >> 32n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: 32 bits expected`, { value })
  if (variant !== undefined && variant !== 'v1' && variant !== 'v2')
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `variant ${String(variant)}: v1 or v2 expected`, { value: variant })
  if ((status & 1n) === 0n) return []
  const version = variant ?? (dteAddr & 0xff0n ? 'v2' : 'v1')
  const params = { variant: version, ias: 32, oas: OAS[version] }
  return [{ name: 'dteaddr', params, roots: [extract(dteAddr, ADDRESS[version])], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** MMU_STATUS bit 5 says that it was a write, MMU_INT_RAWSTAT bit 0 that it was a page fault; an entry that is not there is a bus error. */
function fault({ type, access }: AccessFault): ArchFault {
  const bus = type === 'unknown-memory' || type === 'walk-abort'
  return { name: bus ? 'bus error' : 'page fault', codes: { INT_RAWSTAT: bus ? 2 : 1, STATUS: access === 'write' ? 0x23 : 0x03 } }
}

/** Rockchip IOMMU. */
export const rockchipIommu: IoPageTableFmt<RockchipIommuConfig, RockchipIommuRegs, RockchipIommuParams, undefined, RockchipIommuHardware> =
  {
    FORMAT: 'rockchip-iommu',
    title: 'Rockchip IOMMU v1 and v2 (RK3036 to RK3588)',
    manual: "none is public: names of Linux's driver, recorded tables and registers",
    configure,
    params: ({ variant, ias, oas }) => ({ variant, ias, oas }),
    geometry,
    policy: () => ({ conflict: 'table', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: false }),
    encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
    encodeTable: () => 0n,
    prot,
    context: () => undefined,
    parties: () => ['all'],
    fault,
    regs,
    rootsFromRegs,
    hardware: (_config, regs) => regs,
    configs: [
      { name: 'v1', config: { variant: 'v1', pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 32 } },
      { name: 'v2', config: { variant: 'v2', pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 40 } },
      { name: 'v2, 24 bits, memory of 4 GiB', config: { variant: 'v2', pgsizeBitmap: BigInt(SZ_4K), ias: 24, oas: 32 } },
    ],
  }
