/**
 * Intel's global graphics translation table (GGTT): one flat table in stolen memory, from Sandy Bridge (gen6) to Meteor Lake and the Xe GPUs.
 * Intel Open Source Programmer's Reference Manuals, Memory Views: Global GTT; the facts here are those of recordings of Linux's drivers i915
 * and xe (README: sources).
 *
 *   gen8 and later   8 bytes: 0 present · 1 local memory · 45:12 address · 53:52 PAT index (Meteor Lake and later)
 *   gen6, gen7       4 bytes: 0 valid · 2:1 cache · 31:12 address 31:12 · 11:4 address 39:32; Valleyview 1 writable, 2 snooped
 *   Haswell          4 bytes: 0 valid · 11, 3:1 cacheability · 31:12 address 31:12 · 10:4 address 38:32
 */
import {
  type Agreed,
  ALWAYS,
  attributesIn,
  configError,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LeafKind,
  type Meaning,
  type MemoryType,
  meaning,
  type Piece,
  Prot,
  protWith,
  Right,
  type Rights,
  SZ_4K,
  splitField,
  when,
} from '@io-pgtable/core'
import { narrow, PAGE_BY_PAGE, pageAddress, RESTRICTIONS, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

/** 6 Sandy Bridge, 7 Ivy Bridge, 71 Valleyview, 75 Haswell, 76 Haswell with eLLC, 8 Broadwell to Alchemist, 12 Meteor Lake and later. */
export const GGTT_GENERATIONS = [6, 7, 71, 75, 76, 8, 12] as const
export type GgttGeneration = (typeof GGTT_GENERATIONS)[number]

export interface IntelGgttConfig extends FormatConfig<'NO_WARN'> {
  /** Default 8. */
  readonly generation?: GgttGeneration
  /** Physical address of the page that i915 fills unused entries with. Here they are 0: `regs.scratchEntry` is that entry. Default 0. */
  readonly scratch?: bigint
}

/** What fixes the geometry. */
export interface IntelGgttParams {
  readonly generation: GgttGeneration
  readonly ias: number
  readonly oas: number
}

/** There is no register: hardware has the table in stolen memory, and shows it behind the second half of BAR 0. */
export interface IntelGgttRegs {
  /** Physical address of the table. */
  readonly table: bigint
  /** The entry of the scratch page. */
  readonly scratchEntry: bigint
}

/** What a dump tells. */
export interface IntelGgttHardware {
  readonly table: bigint
  /** As in {@link GGTT_GENERATIONS}. Default 8. */
  readonly generation?: bigint
  /** Bytes of the table. Default 8 MiB, of gen6 and gen7 2 MiB. */
  readonly bytes?: bigint
}

const P = 1n
const LOCAL = 1n << 1n
/** Attributes of a prot: PAT index, or the cache level of gen6 and gen7, in 1:0; local memory in 2. */
const ATTRIBUTES = 3

/**
 * The prot of a page: READ and WRITE, or READ alone, with its PAT index. That of gen6 and gen7 is a cache level, 0 none, 1 LLC, 2 L3 and LLC,
 * 3 write-through, and goes with CACHE.
 */
export function ggttProt(flags: Prot, { pat = 0, local = false }: { readonly pat?: number; readonly local?: boolean } = {}): Prot {
  return protWith(pat === 0 ? flags : flags | Prot.CACHE, (pat & 3) | (local ? 4 : 0))
}

interface Entry {
  readonly bytes: 4 | 8
  readonly address: readonly Piece[]
  readonly oas: number
  readonly fields: readonly Field[]
  readonly memory: Meaning<MemoryType>
  readonly grants: Meaning<Rights>
  /** Bits of an entry for flags, PAT or cache level, and local memory. */
  encode(prot: Prot, pat: number, local: boolean): bigint
  /** PAT or cache level, and local memory, as {@link ggttProt} has them. */
  attributes(raw: bigint): number
}

const section = 'entry'
const present = field('P', 0, 0, 'present', { section })
const RW: Meaning<Rights> = meaning([], () => Right.READ | Right.WRITE)
const named = (name: string, caching: MemoryType['caching']): MemoryType => ({ name, caching })
const OLD: readonly Piece[] = [
  [31, 12, 12],
  [11, 4, 32],
]

const CACHE_LEVELS = ['reserved', 'uncached', 'LLC', 'L3 and LLC']
const oldCache = (levels: readonly number[]): Entry => ({
  bytes: 4,
  address: OLD,
  oas: 40,
  fields: [present, field('Cache', 2, 1, 'where accesses are cached', { section })],
  memory: meaning(['Cache'], ({ Cache = 0 }) => named(CACHE_LEVELS[Cache] ?? '', Cache < 2 ? 'uncached' : 'cached')),
  grants: RW,
  encode: (_prot, pat) => BigInt(levels[pat] ?? 2) << 1n,
  attributes: (raw) => Math.max(0, levels.indexOf(Number((raw >> 1n) & 3n))),
})

/** Cacheability of Haswell, bit 11 as its highest: 0 uncached, 2 write-back in LLC, 8 in eLLC and LLC, 7 write-through. */
const haswell = (levels: readonly number[]): Entry => ({
  bytes: 4,
  address: [
    [31, 12, 12],
    [10, 4, 32],
  ],
  oas: 39,
  fields: [
    present,
    splitField(
      'Cacheability',
      [
        [3, 1, 0],
        [11, 11, 3],
      ],
      'where accesses are cached',
      { section },
    ),
  ],
  memory: meaning(['Cacheability'], ({ Cacheability = 0 }) =>
    named(`cacheability ${Cacheability}`, Cacheability === 0 ? 'uncached' : 'cached'),
  ),
  grants: RW,
  encode: (_prot, pat) => {
    const code = BigInt(levels[pat] ?? 0)
    return ((code & 7n) << 1n) | ((code >> 3n) << 11n)
  },
  attributes: (raw) => Math.max(0, levels.indexOf(Number(((raw >> 1n) & 7n) | ((raw >> 8n) & 8n)))),
})

const valleyview: Entry = {
  bytes: 4,
  address: OLD,
  oas: 40,
  fields: [
    present,
    field('W', 1, 1, 'writes are allowed', { section }),
    field('Snooped', 2, 2, 'accesses snoop the CPU’s caches', { section }),
  ],
  memory: meaning(['Snooped'], ({ Snooped }) => (Snooped ? named('snooped', 'cached') : named('uncached', 'uncached'))),
  grants: meaning(['W'], ({ W }) => readAndWrite(true, W === 1)),
  encode: (prot, pat) => (prot & Prot.WRITE ? 2n : 0n) | (pat === 0 ? 0n : 4n),
  attributes: (raw) => (raw & 4n ? 1 : 0),
}

/** PAT index 53:52 from Meteor Lake on; before it the GGTT has no memory type. */
const modern = (hasPat: boolean): Entry => ({
  bytes: 8,
  address: [[45, 12, 12]],
  oas: 46,
  fields: [
    present,
    field('Local', 1, 1, 'local memory', { section }),
    field('VF', 11, 2, 'the virtual function that the page is of', { section }),
    ...(hasPat
      ? [field('PAT', 53, 52, 'index of the memory type', { section })]
      : [field('Unused2', 53, 52, 'written as zero', { section, reserved: 'zero' })]),
    field('Unused', 51, 46, 'written as zero', { section, reserved: 'zero' }),
    field('UnusedHigh', 63, 54, 'written as zero', { section, reserved: 'zero' }),
  ],
  memory: meaning(hasPat ? ['Local', 'PAT'] : ['Local'], ({ Local, PAT }) =>
    named(`${Local ? 'local' : 'system'} memory${PAT === undefined ? '' : `, PAT ${PAT}`}`, 'unknown'),
  ),
  grants: RW,
  encode: (_prot, pat, local) => (local ? LOCAL : 0n) | (hasPat ? BigInt(pat) << 52n : 0n),
  attributes: (raw) => (raw & LOCAL ? 4 : 0) | (hasPat ? Number((raw >> 52n) & 3n) : 0),
})

const ENTRIES: Readonly<Record<GgttGeneration, Entry>> = {
  6: oldCache([1, 2, 2, 2]),
  7: oldCache([1, 2, 3, 2]),
  71: valleyview,
  75: haswell([0, 2, 2, 2]),
  76: haswell([0, 8, 8, 7]),
  8: modern(false),
  12: modern(true),
}

function kinds({ bytes, address, fields, memory, grants }: Entry): readonly Kind[] {
  const ignored = field('Ignored', bytes * 8 - 1, 1, 'not looked at', { reserved: 'ignored' })
  const sizes = [{ pgsize: SZ_4K, slots: 1 }]
  return [
    { type: 'empty', name: 'not present', match: when(P, 0n), fields: [ignored] },
    { type: 'leaf', name: 'page', match: ALWAYS, set: P, address, sizes, attributeBits: ATTRIBUTES, fields, memory, grants },
  ]
}

function geometry({ generation, ias, oas }: IntelGgttParams): Geometry {
  const entry = ENTRIES[generation]
  const bits = ias - 12
  const node = {
    id: 'GGTT',
    level: 0,
    name: 'GGTT',
    shift: 12,
    bits,
    entryBytes: entry.bytes,
    tableBytes: entry.bytes << bits,
    align: SZ_4K,
  } as const
  return { nodes: [{ ...node, empty: 0n, kinds: kinds(entry) }], top: 'GGTT', ias, oas, window: 'low' }
}

function generationOf(value: number): GgttGeneration | undefined {
  return GGTT_GENERATIONS.find((one) => one === value)
}

const EXPECTED = '6, 7, 71, 75, 76, 8 or 12 expected'

function configure(request: IntelGgttConfig): Agreed<IntelGgttConfig> {
  const generation = generationOf(request.generation ?? 8)
  if (generation === undefined) throw configError('intel-ggtt', 'generation', String(request.generation), EXPECTED)
  const { bytes, oas } = ENTRIES[generation]
  const reach = { sizes: BigInt(SZ_4K), ias: { least: 22, most: bytes === 4 ? 31 : 32 }, oas: { least: 13, most: oas } }
  const agreed = narrow('intel-ggtt', request, ['NO_WARN'], reach)
  return { ...agreed, generation, scratch: pageAddress('intel-ggtt', 'scratch', request.scratch ?? 0n, oas) }
}

/** Where every page can be written, READ alone changes nothing, as in Linux. */
function encodeLeaf({ generation }: Agreed<IntelGgttConfig>, prot: Prot): bigint | undefined {
  if (prot & RESTRICTIONS) return undefined
  const own = attributesIn(prot)
  const entry = ENTRIES[generation]
  if (entry.bytes === 8) return entry.encode(prot, own & 3, (own & 4) !== 0)
  const cached = prot & Prot.CACHE && !(prot & Prot.MMIO)
  return entry.encode(prot, cached ? Math.max(1, own & 3) : 0, false)
}

function protOf(raw: bigint, kind: LeafKind): Prot {
  const has = (name: string): boolean => kind.fields.some((one) => one.name === name)
  const generation = has('VF') ? (has('PAT') ? 12 : 8) : has('Snooped') ? 71 : has('Cacheability') ? 76 : 7
  const writes = generation !== 71 || (raw & 2n) !== 0n
  return protWith(Prot.READ | (writes ? Prot.WRITE : 0) | cachedFlag(raw, kind), ENTRIES[generation].attributes(raw))
}

/** CACHE as the memory type says; MTL's and later depend on the PAT. */
function cachedFlag(raw: bigint, kind: LeafKind): Prot {
  const code = kind.memory?.fields[0]
  if (code === 'Snooped') return raw & 4n ? Prot.CACHE : 0
  if (code === 'Cache') return raw & 4n ? Prot.CACHE : 0
  return code === 'Cacheability' && (raw & 0x80en) !== 0n ? Prot.CACHE : 0
}

function rootsFromRegs({ table, generation: number = 8n, bytes }: IntelGgttHardware): readonly FoundRoot<IntelGgttParams, undefined>[] {
  const generation = generationOf(Number(number))
  if (generation === undefined) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `generation ${number}: ${EXPECTED}`, { value: number })
  const entry = ENTRIES[generation]
  const size = bytes ?? (entry.bytes === 4 ? 1n << 21n : 1n << 23n)
  const slots = size / BigInt(entry.bytes)
  const ias = 12 + slots.toString(2).length - 1
  if (size !== BigInt(entry.bytes) << BigInt(ias - 12) || ias < 22 || ias > 32)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `bytes ${size}: a power of two from 4K to 8M expected`, { value: size })
  const root = registerValue('table', table, 52) & ~0xfffn
  const params = { generation, ias, oas: entry.oas }
  return [{ name: 'ggtt', params, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: undefined }]
}

/** Intel GGTT. */
export const intelGgtt: IoPageTableFmt<IntelGgttConfig, IntelGgttRegs, IntelGgttParams, undefined, IntelGgttHardware> = {
  FORMAT: 'intel-ggtt',
  title: 'Intel GGTT (gen6 to Xe)',
  manual: "Intel Programmer's Reference Manuals, Memory Views: Global GTT; README, sources",
  configure,
  params: ({ generation, ias, oas }) => ({ generation, ias, oas }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (config, _node, _kind, prot) => encodeLeaf(config, prot),
  encodeTable: () => 0n,
  prot: protOf,
  context: () => undefined,
  parties: () => ['all'],
  regs: ({ generation, scratch }, [root = 0n]) => ({
    table: root,
    scratchEntry: scratch | P | ENTRIES[generation].encode(Prot.READ | Prot.WRITE, generation === 12 ? 2 : 0, false),
  }),
  rootsFromRegs,
  hardware: ({ generation, ias }, { table }) => ({
    table,
    generation: BigInt(generation),
    bytes: BigInt(ENTRIES[generation].bytes) << BigInt(ias - 12),
  }),
  configs: [
    { name: 'Meteor Lake', config: { generation: 12, pgsizeBitmap: BigInt(SZ_4K), ias: 23, oas: 46 } },
    { name: 'gen8', config: { generation: 8, pgsizeBitmap: BigInt(SZ_4K), ias: 22, oas: 46 } },
    { name: 'Ivy Bridge', config: { generation: 7, pgsizeBitmap: BigInt(SZ_4K), ias: 22, oas: 40 } },
    { name: 'Valleyview', config: { generation: 71, pgsizeBitmap: BigInt(SZ_4K), ias: 22, oas: 40 } },
    { name: 'Haswell with eLLC', config: { generation: 76, pgsizeBitmap: BigInt(SZ_4K), ias: 22, oas: 39 } },
  ],
}
