/**
 * Intel's LMTT, the local memory translation table: what a virtual function of a discrete GPU takes for its local memory is pages of 2 MiB of the
 * device's. Its first index is the number of the function: here bits 53:48 of the input address. Read only: a driver makes or drops all tables of
 * a function at once. The facts are entries that were recorded from Linux's driver xe.
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
  type LeafKind,
  type LevelNode,
  meaning,
  Prot,
  pgsizeBitmap,
  readOnly,
  SZ_2M,
  SZ_4K,
  SZ_64K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { narrow, readAndWrite, registerValue } from '@io-pgtable/gpu-common'

export interface IntelLmttConfig extends FormatConfig<never> {
  /** 2: graphics before 12.60; 3, the default: from 12.60 on. */
  readonly levels?: 2 | 3
}

export interface IntelLmttParams {
  readonly levels: 2 | 3
  readonly ias: number
  readonly oas: number
}

export interface IntelLmttRegs {
  /** LMEM_CFG (0xcf58, Xe2 0x48b0): 31 enable, 30:0 address of the root table / 64K. */
  readonly lmemCfg: bigint
}

export interface IntelLmttHardware extends IntelLmttRegs {
  /** 2 or 3; no register tells. Left out: 3. */
  readonly levels?: bigint
}

/** The lowest bit of the function's number. */
export const FUNCTION_SHIFT = 48
const INPUT_BITS = 54
const OUTPUT_BITS = { 2: 35, 3: 48 } as const
const ENABLE = 1n << 31n
const UNIT_BITS = 16n

const EMPTY: Kind = { type: 'empty', name: 'not valid', match: when(1n, 0n), fields: [] }
const VALID = field('Valid', 0, 0, 'the entry is valid')

function configure(request: IntelLmttConfig): Agreed<IntelLmttConfig> {
  const { levels = 3 } = request
  if (levels !== 2 && levels !== 3) throw configError('intel-lmtt', 'levels', String(levels), '2 or 3 expected')
  const oas = OUTPUT_BITS[levels]
  const reach = { sizes: pgsizeBitmap(SZ_2M), ias: { least: INPUT_BITS, most: INPUT_BITS }, oas: { least: oas, most: oas } }
  return { ...narrow('intel-lmtt', request, [], reach), levels }
}

/** Reserved bits of an entry are written as zero. */
function unused(name: string, hi: number, lo: number) {
  return field(name, hi, lo, 'written as zero', { reserved: 'zero' })
}

/** `hi`: the highest bit of the address; `top`: of the entry. */
function table(child: string, hi: number, top: number): TableKind {
  return {
    type: 'table',
    name: `to ${child}`,
    match: ALWAYS,
    set: 1n,
    address: [[hi, 4, 16]],
    child,
    fields: [VALID, unused('Unused', 3, 1), unused('UnusedHigh', top, hi + 1)],
  }
}

function page(hi: number): LeafKind {
  return {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: 1n,
    address: [[hi, 5, 21]],
    sizes: [{ pgsize: SZ_2M, slots: 1 }],
    fields: [VALID, unused('Unused', 4, 1), ...(hi < 31 ? [unused('UnusedHigh', 31, hi + 1)] : [])],
    grants: meaning([], () => readAndWrite(true, true)),
  }
}

function geometry({ levels, ias, oas }: IntelLmttParams): Geometry {
  const root = {
    id: 'ROOT',
    level: levels - 1,
    name: 'ROOT',
    shift: FUNCTION_SHIFT,
    bits: 6,
    tableBytes: SZ_4K,
    align: SZ_64K,
    empty: 0n,
  } as const
  const pages = { id: 'PT', level: 0, name: 'PT', shift: 21, bits: 14, entryBytes: 4, tableBytes: SZ_64K, empty: 0n } as const
  const nodes: LevelNode[] =
    levels === 2
      ? [
          { ...root, entryBytes: 4, kinds: [EMPTY, table('PT', 22, 31)] },
          { ...pages, kinds: [EMPTY, page(18)] },
        ]
      : [
          { ...root, entryBytes: 8, kinds: [EMPTY, table('PD', 35, 63)] },
          {
            id: 'PD',
            level: 1,
            name: 'PD',
            shift: 35,
            bits: 13,
            entryBytes: 8,
            tableBytes: SZ_64K,
            empty: 0n,
            kinds: [EMPTY, table('PT', 35, 63)],
          },
          { ...pages, kinds: [EMPTY, page(31)] },
        ]
  // LMEM_CFG has 31 bits of units of 64K
  return { nodes, top: 'ROOT', ias, oas, window: 'low', tablesBelow: 1n << BigInt(Math.min(oas, 47)) }
}

function rootsFromRegs({ lmemCfg, levels = 3n }: IntelLmttHardware): readonly FoundRoot<IntelLmttParams, undefined>[] {
  if (levels !== 2n && levels !== 3n)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `levels 0x${levels.toString(16)}: 2 or 3 expected`, { value: levels })
  const value = registerValue('LMEM_CFG', lmemCfg, 32)
  if ((value & ENABLE) === 0n) return []
  const depth = levels === 2n ? 2 : 3
  const params = { levels: depth, ias: INPUT_BITS, oas: OUTPUT_BITS[depth] } as const
  const last = (1n << BigInt(INPUT_BITS)) - 1n
  return [{ name: 'lmemCfg', params, roots: [(value & ~ENABLE) << UNIT_BITS], first: 0n, last, context: undefined }]
}

/** Intel LMTT. */
export const intelLmtt: IoPageTableFmt<IntelLmttConfig, IntelLmttRegs, IntelLmttParams, undefined, IntelLmttHardware> = readOnly<
  IntelLmttConfig,
  IntelLmttRegs,
  IntelLmttParams,
  undefined,
  IntelLmttHardware
>({
  FORMAT: 'intel-lmtt',
  title: 'Intel LMTT (local memory of virtual functions)',
  manual: 'none is public: README, sources',
  configure,
  params: ({ levels, ias, oas }) => ({ levels, ias, oas }),
  geometry,
  prot: () => Prot.READ | Prot.WRITE,
  context: () => undefined,
  parties: () => ['all'],
  use: () => 'guest',
  regs: (_config, [root = 0n]) => ({ lmemCfg: ENABLE | (root >> UNIT_BITS) }),
  rootsFromRegs,
  hardware: ({ levels }, given) => ({ ...given, levels: BigInt(levels) }),
  configs: [
    { name: 'graphics 12.60 on', config: { pgsizeBitmap: pgsizeBitmap(SZ_2M), ias: INPUT_BITS, oas: 48 } },
    { name: 'two levels', config: { levels: 2, pgsizeBitmap: pgsizeBitmap(SZ_2M), ias: INPUT_BITS, oas: 35 } },
  ],
})
