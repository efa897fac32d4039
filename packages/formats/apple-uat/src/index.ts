/**
 * Apple's UAT: the MMU of the AGX GPU in M1 and M2 (G13, G14), and M3 (G15). VMSAv8-64 stage-1 tables of 16K pages, which the GPU and the
 * ARM core that runs its firmware walk; permissions are codes of their own. Apple documents none of it. The facts are those of the Asahi
 * project's driver and of m1n1 (README: sources). Levels are the Arm ARM's.
 *
 *   input address   41:36 (or 38:36) index of level 1 · 35:25 of level 2 · 24:14 of level 3; tables of 2,048 entries of 8 bytes
 *   table           1:0 = 3 · 47:14 next table
 *   page            1:0 = 3 · 4:2 AttrIndex · 7:6 AP · 9:8 SH · 10 AF · 11 nG · 47:14 page · 53 PXN · 54 UXN · 55 OS
 *   TTBAT           two entries of 8 bytes a context, TTB0 and TTB1: bit 0 valid · 47:1 root · 63:48 ASID
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
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  type ReadMemory,
  type Rights,
  SZ_16K,
  when,
} from '@io-pgtable/core'
import { contextEntry, entryBytes, narrow, PAGE_BY_PAGE, pageAddress, registerValue } from '@io-pgtable/gpu-common'
import { ATTRIBUTES, memoryOf, protOfBits, uatBits, uatRights } from './protections.ts'

export { type UatProtection, uatProt } from './protections.ts'

/** ARM_TTBR1: the upper half, which is the firmware's and the kernel's: its pages are global. NO_WARN: conflicts and refused unmaps are not told. */
export type AppleUatQuirk = 'ARM_TTBR1' | 'NO_WARN'

export interface AppleUatConfig extends FormatConfig<AppleUatQuirk> {
  /** Physical address of the table of contexts; 0, the default: none, and `regs` alone tell the root. */
  readonly ttbat?: bigint
  /** The context, 0 to 63; it is the ASID, too. Default 0. */
  readonly context?: number
}

/** What fixes the geometry. */
export interface AppleUatParams {
  readonly ias: number
  readonly oas: number
  readonly upper: boolean
}

/** What the GPU gets: it has no register of it, but an entry of the table of contexts. */
export interface AppleUatRegs {
  /** The entry of TTB0, or of TTB1 for the upper half. */
  readonly ttb: bigint
  /** Where the entry belongs; 0 without a TTBAT. */
  readonly ttbat: bigint
}

/** One entry out of a dump, or where it is. */
export interface AppleUatHardware {
  /** The entry. Left out: it is read at `ttbat`. */
  readonly ttb?: bigint
  readonly ttbat?: bigint
  /** 1: it is TTB1's. Default 0. */
  readonly upper?: bigint
  /** Input address bits of each half: 39, the default, or 42 (M3). */
  readonly ias?: bigint
}

const VALID = 1n
const LEAF = 3n
const AF = 1n << 10n
const NOT_GLOBAL = 1n << 11n
const PAGE = BigInt(SZ_16K)
const IAS = [39, 42]

const NOT_VALID: Kind = {
  type: 'empty',
  name: 'not valid',
  match: when(VALID, 0n),
  fields: [field('Ignored', 63, 1, 'not looked at', { reserved: 'ignored' })],
}
const table = (child: string): Kind => ({
  type: 'table',
  name: 'table',
  match: when(LEAF, LEAF),
  set: LEAF,
  address: [[47, 14, 14]],
  child,
  fields: [
    field('Unused', 13, 2, 'written as zero', { section: 'table entry', reserved: 'zero' }),
    field('UnusedHigh', 63, 48, 'written as zero', { section: 'table entry', reserved: 'zero' }),
  ],
})

const ATTR_INDEX = { 0: 'cached', 1: 'device', 2: 'shared', 3: 'MAIR 0x4f', 4: 'device', 5: 'cached', 6: 'device', 7: 'device' }
const FIELDS = [
  field('AttrIndex', 4, 2, 'memory type', { section: 'page entry', values: ATTR_INDEX }),
  field('NS', 5, 5, 'written as zero', { section: 'page entry', reserved: 'zero' }),
  field('AP', 7, 6, 'part of the permission code', { section: 'permissions' }),
  field('SH', 9, 8, 'shareability: written as zero', { section: 'page entry' }),
  field('AF', 10, 10, 'access flag: always set', { section: 'page entry' }),
  field('nG', 11, 11, 'the translation is of one ASID', { section: 'page entry' }),
  field('Unused', 13, 12, 'written as zero', { section: 'page entry', reserved: 'zero' }),
  field('UnusedHigh', 52, 48, 'written as zero', { section: 'page entry', reserved: 'zero' }),
  field('PXN', 53, 53, 'part of the permission code', { section: 'permissions' }),
  field('UXN', 54, 54, 'part of the permission code', { section: 'permissions' }),
  field('OS', 55, 55, 'the operating system owns the page: the GPU may get at it', { section: 'permissions' }),
  field('UnusedTop', 63, 56, 'written as zero', { section: 'page entry', reserved: 'zero' }),
]

const GRANTS: Meaning<Rights> = meaning(['AP', 'UXN', 'PXN', 'OS'], uatRights)
const MEMORY: Meaning<MemoryType> = meaning(['AttrIndex'], ({ AttrIndex = 0 }) => memoryOf(AttrIndex))
const page: Kind = {
  type: 'leaf',
  name: 'page',
  match: when(LEAF, LEAF),
  set: LEAF | AF,
  address: [[47, 14, 14]],
  sizes: [{ pgsize: SZ_16K, slots: 1 }],
  attributeBits: ATTRIBUTES,
  fields: FIELDS,
  grants: GRANTS,
  memory: MEMORY,
}
/** An Arm block, of 64 GiB or 32 MiB: nobody makes one, and a walker of Asahi's reads it as a leaf. */
const NO_PAGE: Kind = { type: 'invalid', name: 'valid, and no page', match: ALWAYS, fields: [] }
const block = (level: number): Kind => ({
  type: 'invalid',
  name: level === 1 ? 'block of 64 GiB' : 'block of 32 MiB',
  match: ALWAYS,
  fields: [],
})

function geometry({ ias, oas, upper }: AppleUatParams): Geometry {
  const node = (level: number, shift: number, bits: number, kind: Kind): LevelNode => {
    const kinds = [NOT_VALID, kind, level === 3 ? NO_PAGE : block(level)]
    return { id: `L${level}`, level, name: `level ${level}`, shift, bits, entryBytes: 8, tableBytes: SZ_16K, empty: 0n, kinds }
  }
  const nodes = [node(1, 36, ias - 36, table('L2')), node(2, 25, 11, table('L3')), node(3, 14, 11, page)]
  return { nodes, top: 'L1', ias, oas, window: upper ? 'top' : 'low', tablesBelow: 1n << BigInt(oas) }
}

function configure(request: AppleUatConfig): Agreed<AppleUatConfig> {
  checkConfig('apple-uat', request, ['ARM_TTBR1', 'NO_WARN'])
  const reach = { sizes: PAGE, ias: { least: 37, most: 42 }, oas: { least: 15, most: 48 } }
  const agreed = narrow('apple-uat', request, ['ARM_TTBR1', 'NO_WARN'], reach)
  const { ttbat = 0n, context = 0 } = request
  if (!Number.isInteger(context) || context < 0 || context > 63) throw configError('apple-uat', 'context', context, '0 to 63 expected')
  return { ...agreed, ttbat: pageAddress('apple-uat', 'ttbat', ttbat, 48), context }
}

const isUpper = ({ quirks }: Agreed<AppleUatConfig>): boolean => quirks.includes('ARM_TTBR1')

/** The address of a context's entry. */
function entryAt({ ttbat, context, ...config }: Agreed<AppleUatConfig>): bigint {
  return ttbat === 0n ? 0n : ttbat + BigInt(context * 16 + (isUpper({ ttbat, context, ...config }) ? 8 : 0))
}

function rootsFromRegs(registers: AppleUatHardware, read?: ReadMemory): readonly FoundRoot<AppleUatParams, undefined>[] {
  const { ttbat = 0n, upper = 0n, ias = 39n } = registers
  const entry = registerValue('TTB', registers.ttb ?? contextEntry('TTBAT', registerValue('TTBAT', ttbat, 48), read), 64)
  if (!IAS.includes(Number(ias)) || upper < 0n || upper > 1n) {
    const text = `ias ${ias}, upper ${upper}: 39 or 42, and 0 or 1 expected`
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', text, { value: ias })
  }
  if ((entry & VALID) === 0n) return []
  const params = { ias: Number(ias), oas: 48, upper: upper === 1n }
  const size = 1n << ias
  const first = params.upper ? (1n << 64n) - size : 0n
  const root = entry & 0xffff_ffff_c000n
  return [{ name: params.upper ? 'ttb1' : 'ttb0', params, roots: [root], first, last: first + size - 1n, context: undefined }]
}

/** Apple UAT. */
export const appleUat: IoPageTableFmt<AppleUatConfig, AppleUatRegs, AppleUatParams, undefined, AppleUatHardware> = {
  FORMAT: 'apple-uat',
  title: 'Apple UAT (GPU of M1, M2, M3)',
  manual: 'none is public: README, sources',
  configure,
  params: (config) => ({ ias: config.ias, oas: config.oas, upper: isUpper(config) }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (config, _node, _kind, prot) => {
    const bits = uatBits(prot)
    return bits === undefined ? undefined : bits | (isUpper(config) ? 0n : NOT_GLOBAL)
  },
  encodeTable: () => 0n,
  prot: (raw) => protOfBits(raw),
  context: () => undefined,
  parties: () => ['gpu', 'firmware'],
  regs: (config, [root = 0n]) => ({ ttb: root | VALID | (BigInt(config.context) << 48n), ttbat: entryAt(config) }),
  rootsFromRegs,
  rootMemory: (_config, { ttb, ttbat }) => (ttbat === 0n ? [] : [{ paddr: ttbat, bytes: entryBytes(ttb) }]),
  hardware: (config, { ttb, ttbat }) => {
    if (!IAS.includes(config.ias)) return undefined
    const where = { upper: isUpper(config) ? 1n : 0n, ias: BigInt(config.ias) }
    return ttbat === 0n ? { ttb, ...where } : { ttbat, ...where }
  },
  configs: [
    { name: 'M1 and M2, a user', config: { pgsizeBitmap: PAGE, ias: 39, oas: 40, context: 5 } },
    {
      name: 'M1 and M2, the kernel, by the TTBAT',
      config: { pgsizeBitmap: PAGE, ias: 39, oas: 42, quirks: ['ARM_TTBR1'], ttbat: 0x7000_0000n },
    },
    { name: 'M3, a user', config: { pgsizeBitmap: PAGE, ias: 42, oas: 42 } },
  ],
}
