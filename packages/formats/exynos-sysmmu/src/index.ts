/**
 * Samsung Exynos System MMU, in front of display, camera, video and other engines. Two layouts: v1 (hardware v1 to v3: Exynos4, Exynos5250,
 * 5420) with 32-bit output addresses, v5 (v5 to v7: Exynos5433, 7, 850, Auto v9) with 36 bits, all addresses shifted right by 4. Facts: what
 * Linux 7.1's driver was seen to write and read; names are that driver's. Levels: 1 the first-level table (FLPT), 2 the second (SLPT).
 *
 *   input address    31:20 index of level 1 (4096 entries, 16 KiB) · 19:12 index of level 2 (256 entries, 1 KiB) · 11:0 offset
 *   level-1 entry    1:0 = 00 or 11 fault · 01 table, address in 31:10 (v5: address bits 35:10 in 31:6) · 10 section of 1 MiB
 *   level-2 entry    1:0 = 00 fault · 01 large page of 64 KiB, 16 equal entries · 1x small page of 4 KiB
 *   permissions      v1: two bits, 15 and 10 of a section, 9 and 4 of a page; v5: a field of READ and WRITE, 5:4 or 3:2
 */
import {
  type Agreed,
  ALWAYS,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  fieldValue,
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Meaning,
  meaning,
  type Piece,
  Prot,
  pgsizeBitmap,
  protOfRights,
  Right,
  type Rights,
  SZ_1M,
  SZ_4K,
  SZ_64K,
  splitField,
  when,
} from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type ExynosSysmmuQuirk = 'NO_WARN'

/** The layout of entries: v1 is that of hardware v1 to v3, v5 that of v5 to v7. */
export type ExynosSysmmuVariant = 'v1' | 'v5'

export interface ExynosSysmmuConfig extends FormatConfig<ExynosSysmmuQuirk> {
  /** Default: v5 where `oas` is over 32, else v1. */
  readonly variant?: ExynosSysmmuVariant
}

/** What fixes the geometry. */
export interface ExynosSysmmuParams {
  readonly variant: ExynosSysmmuVariant
  readonly ias: number
  readonly oas: number
}

/** What the device's registers get. */
export interface ExynosSysmmuRegs {
  readonly variant: ExynosSysmmuVariant
  /** The table base, at 0x14 (v1 to v3), 0x0c (v5, v7) or 0x800c (VM layout): the root's address; v5 and later: its page number. */
  readonly flptBase: bigint
}

/** Registers out of a dump. */
export interface ExynosSysmmuHardware {
  /** Default: v1. */
  readonly variant?: ExynosSysmmuVariant
  /** The table base. */
  readonly flptBase: bigint
  /** MMU_CTRL: 5 enabled, 7 blocked, 0 off. Left out: enabled. */
  readonly ctrl?: bigint
}

const SIZES = pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M)
const OAS = { v1: 32, v5: 36 }
const SHIFT = { v1: 0, v5: 4 }

/** Bits hi..lo of an address, where the layout has them. */
function address(variant: ExynosSysmmuVariant, lo: number): readonly Piece[] {
  return [[31, lo - SHIFT[variant], lo]]
}

/** v1: 00 no access, 01 (the lower bit) READ and WRITE, 11 READ; there is no write-only. 10 is not written. */
const V1_RIGHTS: readonly Rights[] = [0, Right.READ | Right.WRITE, 0, Right.READ]
const GRANTS: Readonly<Record<ExynosSysmmuVariant, Meaning<Rights>>> = {
  v1: meaning(['Permission'], ({ Permission = 0 }) => V1_RIGHTS[Permission] ?? 0),
  v5: meaning(['Permission'], ({ Permission = 0 }) => (Permission & 1 ? Right.READ : 0) | (Permission & 2 ? Right.WRITE : 0)),
}

/** Where the two bits of the permission stand: of a section, and of a page. */
const PERMISSION = { v1: { section: [10, 15], page: [4, 9] }, v5: { section: [4, 5], page: [2, 3] } } as const

function permission(variant: ExynosSysmmuVariant, what: 'section' | 'page'): Field {
  const [low, high] = PERMISSION[variant][what]
  const values =
    variant === 'v1' ? { 0: 'none', 1: 'read, write', 2: 'none', 3: 'read' } : { 0: 'none', 1: 'read', 2: 'write', 3: 'read, write' }
  const pieces: readonly Piece[] = [
    [low, low, 0],
    [high, high, 1],
  ]
  const reservedValues = variant === 'v1' ? { reservedValues: [2] } : {}
  return splitField('Permission', pieces, 'what is allowed', { section: `${what} entry, ${variant}`, values, ...reservedValues })
}

/** What is left of the bits below the address: cacheability and shareability of v3 and v5, and bits that nobody names. Zero here. */
function other(variant: ExynosSysmmuVariant, what: 'section' | 'page', top: number, bottom: number): Field {
  const used = PERMISSION[variant][what] as readonly number[]
  const pieces: Piece[] = []
  for (let bit = bottom, at = 0; bit <= top; bit++) if (!used.includes(bit)) pieces.push([bit, bit, at++])
  return splitField('Other', pieces, 'attributes that are not described; written as zero', { section: `${what} entry, ${variant}` })
}

const FAULT: Kind = { type: 'empty', name: 'fault', match: when(3n, 0n), fields: [] }

function leaf(
  variant: ExynosSysmmuVariant,
  more: Pick<LeafKind, 'name' | 'match' | 'set' | 'sizes'> & {
    readonly lo: number
    readonly what: 'section' | 'page'
    readonly from: number
  },
): LeafKind {
  const { lo, what, from, ...kind } = more
  const fields = [permission(variant, what), other(variant, what, lo - SHIFT[variant] - 1, from)]
  return { type: 'leaf', ...kind, address: address(variant, lo), fields, grants: GRANTS[variant] }
}

function level1Kinds(variant: ExynosSysmmuVariant): readonly Kind[] {
  return [
    FAULT,
    {
      type: 'table',
      name: 'second-level table',
      match: when(3n, 1n),
      set: 1n,
      address: address(variant, 10),
      child: 'SLPT',
      fields: [field('Reserved', 9 - SHIFT[variant], 2, 'written as zero', { section: `level-1 entry, ${variant}`, reserved: 'ignored' })],
    },
    leaf(variant, {
      name: 'section',
      match: when(3n, 2n),
      set: 2n,
      sizes: [{ pgsize: SZ_1M, slots: 1 }],
      lo: 20,
      what: 'section',
      from: 2,
    }),
    { type: 'invalid', name: 'fault (11)', match: ALWAYS, fields: [] },
  ]
}

function level2Kinds(variant: ExynosSysmmuVariant): readonly Kind[] {
  const large = {
    name: 'large page',
    match: when(3n, 1n),
    set: 1n,
    sizes: [{ pgsize: SZ_64K, slots: 16 }],
    lo: 16,
    what: 'page',
    from: 2,
  } as const
  const small = { name: 'small page', match: ALWAYS, set: 2n, sizes: [{ pgsize: SZ_4K, slots: 1 }], lo: 12, what: 'page', from: 2 } as const
  const page = leaf(variant, small)
  // bit 0 is part of no code: 10 and 11 are both small pages
  const bit0 = field('Bit 0', 0, 0, 'part of no code: 10 and 11 are small pages', { section: `level-2 entry, ${variant}` })
  return [FAULT, leaf(variant, large), { ...page, fields: [bit0, ...page.fields] }]
}

function geometry({ variant, ias, oas }: ExynosSysmmuParams): Geometry {
  const entries = { entryBytes: 4, empty: 0n } as const
  const first: LevelNode = {
    ...{ ...entries, id: 'FLPT', level: 1, name: 'first-level table', shift: 20, bits: ias - 20, tableBytes: 0x4000 },
    kinds: level1Kinds(variant),
  }
  const second: LevelNode = {
    ...{ ...entries, id: 'SLPT', level: 2, name: 'second-level table', shift: 12, bits: 8, tableBytes: 0x400 },
    kinds: level2Kinds(variant),
  }
  return { nodes: [first, second], top: 'FLPT', ias, oas, window: 'low', tablesBelow: 1n << BigInt(OAS[variant]) }
}

function configure(request: ExynosSysmmuConfig): Agreed<ExynosSysmmuConfig> {
  const quirks = checkConfig('exynos-sysmmu', request, ['NO_WARN'])
  const variant = request.variant ?? (request.oas > OAS.v1 ? 'v5' : 'v1')
  if (variant !== 'v1' && variant !== 'v5') throw configError('exynos-sysmmu', 'variant', variant, 'v1 or v5 expected')
  const bitmap = request.pgsizeBitmap & SIZES
  const ias = Math.min(request.ias, 32)
  const oas = Math.min(request.oas, OAS[variant])
  if (bitmap === 0n) throw configError('exynos-sysmmu', 'pgsizeBitmap', request.pgsizeBitmap, '4K, 64K or 1M expected')
  if (ias < 21) throw configError('exynos-sysmmu', 'ias', ias, 'at least 21 expected')
  if (oas < 20) throw configError('exynos-sysmmu', 'oas', oas, 'at least 20 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { variant, pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** CACHE, NOEXEC, MMIO and PRIV change nothing, as in Linux. v1 cannot write alone: READ comes with it. */
function encodeLeaf({ variant }: Agreed<ExynosSysmmuConfig>, node: LevelNode, prot: Prot): bigint {
  const [low, high] = PERMISSION[variant][node.level === 1 ? 'section' : 'page']
  const read = (prot & Prot.READ) !== 0
  const write = (prot & Prot.WRITE) !== 0
  const [lowSet, highSet] = variant === 'v1' ? [read || write, read && !write] : [read, write]
  return (lowSet ? 1n << BigInt(low) : 0n) | (highSet ? 1n << BigInt(high) : 0n)
}

/** What the leaf grants. */
function prot(raw: bigint, kind: LeafKind): Prot {
  const values = { Permission: fieldValue(kind, raw, 'Permission') ?? 0 }
  return protOfRights((kind.grants?.of(values, undefined) ?? 0) | Right.EXECUTE, undefined)
}

function regs({ variant }: Agreed<ExynosSysmmuConfig>, [root = 0n]: readonly bigint[]): ExynosSysmmuRegs {
  return { variant, flptBase: variant === 'v1' ? root : root >> 12n }
}

function rootsFromRegs({ variant = 'v1', flptBase, ctrl = 5n }: ExynosSysmmuHardware): readonly FoundRoot<ExynosSysmmuParams, undefined>[] {
  for (const [name, value] of Object.entries({ flptBase, ctrl }))
    if (value >> 32n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: 32 bits expected`, { value })
  if (variant !== 'v1' && variant !== 'v5')
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `variant ${String(variant)}: v1 or v5 expected`, { value: variant })
  if ((ctrl & 1n) === 0n) return []
  const root = (variant === 'v1' ? flptBase : flptBase << 12n) & ((1n << BigInt(OAS[variant])) - 1n) & ~0x3fffn
  const params = { variant, ias: 32, oas: OAS[variant] }
  return [{ name: 'flptbase', params, roots: [root], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** Exynos System MMU. */
export const exynosSysmmu: IoPageTableFmt<ExynosSysmmuConfig, ExynosSysmmuRegs, ExynosSysmmuParams, undefined, ExynosSysmmuHardware> = {
  FORMAT: 'exynos-sysmmu',
  title: 'Samsung Exynos System MMU v1 to v7',
  manual: "none is public: names of Linux's driver, recorded tables and registers",
  configure,
  params: ({ variant, ias, oas }) => ({ variant, ias, oas }),
  geometry,
  policy: () => ({ conflict: 'entry', freeTables: 'slot', flushOrder: 'walks-first', addPagesWithoutGather: false }),
  encodeLeaf: (config, node, _kind, prot) => encodeLeaf(config, node, prot),
  encodeTable: () => 0n,
  prot,
  context: () => undefined,
  parties: () => ['all'],
  regs,
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: 'v1', config: { variant: 'v1', pgsizeBitmap: SIZES, ias: 32, oas: 32 } },
    { name: 'v5', config: { variant: 'v5', pgsizeBitmap: SIZES, ias: 32, oas: 36 } },
    { name: 'v5, 24 bits, pages alone', config: { variant: 'v5', pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K), ias: 24, oas: 32 } },
  ],
}
