/**
 * The page tables of Arm Mali Midgard and Bifrost GPUs in their LPAE mode. Arm publishes no manual of them: what is here is what Linux's
 * io-pgtable makes of them, in the words of the long descriptors (Arm ARM DDI 0487, D8.3) that they are derived from. Levels are numbered
 * as there, 0 to 3; a walk always starts at level 0, and a leaf has type 1 at every level, pages too.
 */
import { badRegister, LPAE_POLICY, type LpaeDescriptors, lpaeGeometry, SW_SYNC } from '@io-pgtable/arm-lpae'
import {
  type Agreed,
  checkConfig,
  configError,
  type FormatConfig,
  field,
  fieldValue,
  type Geometry,
  type IoPageTableFmt,
  type LeafKind,
  type Meaning,
  type MemoryType,
  meaning,
  Prot,
  pgsizeBitmap,
  Right,
  type Rights,
  SZ_1G,
  SZ_2M,
  SZ_4K,
} from '@io-pgtable/core'

/** `ias` up to 48, `oas` up to 40; no quirks. */
export type ArmMaliLpaeConfig = FormatConfig<never>

/** What an address space of the GPU gets. */
export interface ArmMaliLpaeRegs {
  /** AS_TRANSTAB: the root's address; bits 1:0 table mode, bit 2 inner reads, bit 4 shared with the outer domain (a coherent walk). */
  readonly transtab: bigint
  /** AS_MEMATTR: a byte for each index; 0 and 2 as the implementation defines, 1 write-allocate. */
  readonly memattr: bigint
}

/** What fixes the geometry. */
export interface ArmMaliLpaeParams {
  readonly ias: number
  readonly oas: number
}

export interface ArmMaliLpaeContext {
  /** AS_MEMATTR: what AttrIndx chooses from. */
  readonly memattr: bigint
}

/** Raw registers of an address space. None tells the address bits: default 48 and 40. */
export interface ArmMaliLpaeHardware {
  readonly transtab: bigint
  readonly memattr: bigint
  readonly ias?: number
  readonly oas?: number
}

type Config = Agreed<ArmMaliLpaeConfig>

const MEMATTR = 0x88_8d88n
const IMPLEMENTATION_DEFINED = 0x88n
const TABLE_MODE = 3n
const READ_INNER = 1n << 2n
const SHARE_OUTER = 1n << 4n
const ATTRIBUTES = 0xfffn

const READ = 1n << 6n
const WRITE = 1n << 7n
const OUTER = 2n << 8n
const NEVER = (1n << 53n) | (1n << 54n)
const NORMAL_INDEX = 0
const CACHED_INDEX = 1
const DEVICE_INDEX = 2

const GRANTS: Meaning<Rights> = meaning(
  ['Access', 'XN'],
  ({ Access = 0, XN }) => (Access & 1 ? Right.READ : 0) | (Access & 2 ? Right.WRITE : 0) | (XN ? 0 : Right.EXECUTE),
)
const MEMORY: Meaning<MemoryType, ArmMaliLpaeContext> = meaning(['AttrIndx'], ({ AttrIndx = 0 }, { memattr }) => {
  const attribute = Number((memattr >> BigInt(8 * AttrIndx)) & 0xffn)
  const name = BigInt(attribute) === IMPLEMENTATION_DEFINED ? 'implementation defined' : `AS_MEMATTR 0x${attribute.toString(16)}`
  if (AttrIndx === DEVICE_INDEX) return { name: `${name}, of devices by Linux's use`, caching: 'device' }
  return { name, caching: BigInt(attribute) === IMPLEMENTATION_DEFINED ? 'uncached' : 'cached' }
})

const DESCRIPTORS: LpaeDescriptors = {
  rights: { leaf: { grants: GRANTS, memory: MEMORY }, table: {} },
  leaf: [
    field('AttrIndx', 4, 2, 'index of the memory attributes in AS_MEMATTR'),
    field('Access', 7, 6, 'access permissions', { values: { 0: 'none', 1: 'read-only', 2: 'write-only', 3: 'read/write' } }),
    field('SH', 9, 8, 'shareability', { values: { 0: 'non-shareable', 2: 'outer shareable', 3: 'inner shareable' } }),
    field('XN', 54, 53, 'execute-never, if any of the two is set', { values: { 0: 'executable', 3: 'never executable' } }),
  ],
  block: [],
  table: [field('Software', 55, 55, 'marks a table that was synced')],
  pageType: 1n,
  leafSet: 0n,
  top: 47,
  contiguous: false,
}

const SIZES = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

function configure(request: ArmMaliLpaeConfig): Config {
  const quirks = checkConfig('arm-mali-lpae', request, [])
  const { ias, oas, coherentWalk = true, cpuPageSize = SZ_4K } = request
  const bitmap = request.pgsizeBitmap & SIZES
  if ((bitmap & BigInt(SZ_4K)) === 0n) throw configError('arm-mali-lpae', 'pgsizeBitmap', request.pgsizeBitmap, 'a granule of 4K expected')
  if (ias < 12 || ias > 48) throw configError('arm-mali-lpae', 'ias', ias, '12 to 48 expected')
  if (oas < 12 || oas > 40) throw configError('arm-mali-lpae', 'oas', oas, '12 to 40 expected')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

/** A root of few entries is aligned to a page all the same: the bits below are attributes of AS_TRANSTAB. */
function geometry({ ias, oas }: ArmMaliLpaeParams): Geometry {
  const tree = lpaeGeometry({ granule: SZ_4K, ias, oas, lpa2: false }, 0, DESCRIPTORS)
  return { ...tree, nodes: tree.nodes.map((node) => (node.id === tree.top ? { ...node, align: SZ_4K } : node)) }
}

/** PRIV has no place here, and CACHE does not make memory inner shareable: the GPU's caches are not in that domain. */
function encodeLeaf(prot: Prot): bigint {
  let raw = OUTER | (BigInt(prot & Prot.MMIO ? DEVICE_INDEX : prot & Prot.CACHE ? CACHED_INDEX : NORMAL_INDEX) << 2n)
  if (prot & Prot.READ) raw |= READ
  if (prot & Prot.WRITE) raw |= WRITE
  return prot & Prot.NOEXEC ? raw | NEVER : raw
}

/** Index 2 is MMIO by Linux's use: its attribute is that of index 0. Of the other indices, those with a cache policy of their own are CACHE. */
function protOf(raw: bigint, kind: LeafKind, { memattr }: ArmMaliLpaeContext): Prot {
  const index = fieldValue(kind, raw, 'AttrIndx') ?? 0
  const device = index === DEVICE_INDEX
  const cached = !device && ((memattr >> BigInt(index * 8)) & 0xffn) !== IMPLEMENTATION_DEFINED
  return (
    (raw & READ ? Prot.READ : 0) |
    (raw & WRITE ? Prot.WRITE : 0) |
    (cached ? Prot.CACHE : 0) |
    (device ? Prot.MMIO : 0) |
    (raw & NEVER ? Prot.NOEXEC : 0)
  )
}

/** Mali Midgard and Bifrost. */
export const armMaliLpae: IoPageTableFmt<ArmMaliLpaeConfig, ArmMaliLpaeRegs, ArmMaliLpaeParams, ArmMaliLpaeContext, ArmMaliLpaeHardware> = {
  FORMAT: 'arm-mali-lpae',
  title: 'Mali Midgard and Bifrost',
  manual: 'none published; long descriptors as in Arm ARM DDI 0487, D8.3',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: () => LPAE_POLICY,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  encodeTable: ({ coherentWalk }) => (coherentWalk ? 0n : SW_SYNC),
  prot: protOf,
  context: () => ({ memattr: MEMATTR }),
  parties: () => ['all'],
  regs: ({ coherentWalk }, [root = 0n]) => ({
    transtab: root | TABLE_MODE | READ_INNER | (coherentWalk ? SHARE_OUTER : 0n),
    memattr: MEMATTR,
  }),
  rootsFromRegs: ({ transtab, memattr, ias = 48, oas = 40 }) => {
    if ((transtab & 3n) !== TABLE_MODE) throw badRegister('AS_TRANSTAB', transtab, 'bits 1:0 set expected: no other mode has tables')
    const roots = [transtab & ~ATTRIBUTES]
    return [{ name: 'transtab', params: { ias, oas }, roots, first: 0n, last: (1n << BigInt(ias)) - 1n, context: { memattr } }]
  },
  hardware: ({ ias, oas }, { transtab, memattr }) => ({ transtab, memattr, ias, oas }),
  configs: [
    { name: '48 bits', config: { pgsizeBitmap: SIZES, ias: 48, oas: 40 } },
    { name: '40 bits, root of 2 entries', config: { pgsizeBitmap: SIZES, ias: 40, oas: 40 } },
    { name: '48 bits, not coherent', config: { pgsizeBitmap: SIZES, ias: 48, oas: 36, coherentWalk: false } },
    { name: '44 bits, no 1G blocks', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 44, oas: 33 } },
  ],
}
