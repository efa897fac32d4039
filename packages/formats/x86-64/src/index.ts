/**
 * x86-64 paging with 4 and 5 levels: CPUs, AMD's nested paging, the AMD IOMMU's guest (v2) tables, the first stage of VT-d.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A (SDM), 4.5 4-level and 5-level paging, 4.6 access rights, 4.8
 * accessed and dirty flags, 4.9 memory typing; AMD64 Architecture Programmer's Manual, volume 2 (APM), 5.3 long-mode page translation,
 * 7.10 secure memory encryption; Intel VT-d Architecture Specification (revision 4.1), 9.7 first-stage paging entries.
 * Levels count up from the page table as in AMD's manuals and in the name PML4: 1 to 5.
 */
import {
  type Agreed,
  ALWAYS,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Piece,
  Prot,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import {
  X86_GRANTS,
  X86_POLICY,
  X86_SHARED,
  x86Denies,
  x86Fault,
  x86LeafBits,
  x86Memory,
  x86Parties,
  x86Prot,
  x86Regime,
  x86Updates,
} from '@io-pgtable/x86-common'
import { leafFields, tableFields } from './fields.ts'
import { linuxOf } from './os.ts'
import {
  assumedContext,
  packRegs,
  rootsFromRegs,
  type X8664Context,
  type X8664Hardware,
  type X8664Params,
  type X8664Regs,
} from './registers.ts'

export type { X8664Context, X8664Hardware, X8664Params, X8664Regs } from './registers.ts'

/**
 * SIGN_EXTEND: both halves of the canonical addresses; without it the low 2^ias bytes. NX: NOEXEC sets XD. SUPERVISOR: PRIV gives pages of
 * supervisor mode. UC_MMIO: MMIO is uncacheable by PCD and PWT.
 */
export type X8664Quirk = 'SIGN_EXTEND' | 'NX' | 'SUPERVISOR' | 'UC_MMIO' | 'NO_WARN'

const QUIRKS: readonly X8664Quirk[] = ['SIGN_EXTEND', 'NX', 'SUPERVISOR', 'UC_MMIO', 'NO_WARN']

export interface X8664Config extends FormatConfig<X8664Quirk> {
  /** The C-bit of AMD's memory encryption, as CPUID tells (47 or 51): set in tables, in leaves but MMIO, and in cr3. 0, the default: none. */
  readonly encryptionBit?: number
}

const P = 1n << 0n
const RW = 1n << 1n
const US = 1n << 2n
const A = 1n << 5n
const PS = 1n << 7n
/** Ignored by hardware: marks a table that was synced for a walker that does not snoop. */
const SW_SYNC = 1n << 9n

const NAMES = ['', 'page table', 'page directory', 'page-directory-pointer table', 'PML4 table', 'PML5 table']
const PAGES = ['', '4-KByte page', '2-MByte page', '1-GByte page']

function nodeAt(params: X8664Params, level: number): LevelNode {
  const shift = 12 + 9 * (level - 1)
  const kinds = kindsAt(params, level, shift)
  return { id: `L${level}`, level, name: NAMES[level] ?? '', shift, bits: 9, entryBytes: 8, tableBytes: SZ_4K, empty: 0n, kinds }
}

function kindsAt({ oas, encryptionBit, nx = true }: X8664Params, level: number, shift: number): readonly Kind[] {
  const empty: Kind = { type: 'empty', name: 'not present', match: when(P, 0n), fields: [] }
  const encryption = [...encryptionField(encryptionBit), ...beyondField(oas, encryptionBit)]
  const leaf: LeafKind = {
    type: 'leaf',
    name: PAGES[level] ?? '',
    match: ALWAYS,
    set: level === 1 ? P | A : P | A | PS,
    address: [[oas - 1, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...leafFields(level, nx), ...encryption],
    grants: X86_GRANTS,
    memory: x86Memory(encryptionBit !== 0),
    global: X86_SHARED,
    updates: x86Updates,
  }
  if (level === 1) return [empty, leaf]
  const table: Kind = {
    type: 'table',
    name: 'table',
    match: when(PS, 0n),
    set: P | RW | US | A,
    address: [[oas - 1, 12, 12]],
    child: `L${level - 1}`,
    fields: [...tableFields(level, nx), ...encryption],
    limits: X86_GRANTS,
    updates: x86Updates,
  }
  if (level <= 3) return [empty, table, leaf]
  return [empty, table, { type: 'invalid', name: 'reserved page size', match: ALWAYS, fields: [], fault: 'reserved' }]
}

function encryptionField(bit: number): readonly Field[] {
  if (bit === 0) return []
  return [{ name: 'C', pieces: [[bit, bit, 0]], doc: 'the memory is encrypted', section: 'APM 7.10.4' }]
}

/** Address bits from MAXPHYADDR on, but the C-bit. */
function beyondField(oas: number, encryptionBit: number): readonly Field[] {
  const all: readonly Piece[] =
    encryptionBit === 0
      ? [[51, oas, 0]]
      : [
          [51, encryptionBit + 1, 0],
          [encryptionBit - 1, oas, 51 - encryptionBit],
        ]
  const pieces = all.filter(([hi, lo]) => hi >= lo)
  if (pieces.length === 0) return []
  return [{ name: 'Beyond', pieces, doc: 'address bits from MAXPHYADDR on: must be zero', section: 'SDM 4.1.4', reserved: 'faults' }]
}

function paramsOf({ ias, oas, quirks, encryptionBit }: Agreed<X8664Config>): X8664Params {
  return { levels: ias <= 48 ? 4 : 5, ias, oas, window: quirks.includes('SIGN_EXTEND') ? 'sign-extended' : 'low', encryptionBit }
}

function configure(request: X8664Config): Agreed<X8664Config> {
  const quirks = checkConfig('x86_64', request, QUIRKS)
  const { ias, oas, coherentWalk = true, cpuPageSize = SZ_4K, encryptionBit = 0 } = request
  if (ias < 13 || ias > 57) throw configError('x86_64', 'ias', ias, '13 to 57 expected')
  // MAXPHYADDR of CPUs; and it must reach beyond the offset of a 1-GByte page.
  if (oas < 32 || oas > 52) throw configError('x86_64', 'oas', oas, '32 to 52 expected')
  if (encryptionBit !== 0 && !(Number.isInteger(encryptionBit) && encryptionBit >= oas && encryptionBit <= 51))
    throw configError('x86_64', 'encryptionBit', encryptionBit, `0 (none) or ${oas} (oas) to 51 expected`)
  // A leaf that is larger than the address space cannot be had.
  const bitmap = request.pgsizeBitmap & pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G) & ((1n << BigInt(ias)) - 1n)
  if ((bitmap & BigInt(SZ_4K)) === 0n) throw configError('x86_64', 'pgsizeBitmap', request.pgsizeBitmap, '4K must be among the sizes')
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize, encryptionBit }
}

function geometry(params: X8664Params): Geometry {
  const { levels, ias, oas, window } = params
  const nodes = Array.from({ length: levels }, (_, i) => nodeAt(params, levels - i))
  return { nodes, top: `L${levels}`, ias, oas, window, tablesBelow: 1n << BigInt(oas) }
}

function encryption({ encryptionBit }: Agreed<X8664Config>): bigint {
  return encryptionBit === 0 ? 0n : 1n << BigInt(encryptionBit)
}

/** Without a quirk, and so for Linux's IOMMU tables, NOEXEC, PRIV and MMIO change nothing. */
function encodeLeaf(config: Agreed<X8664Config>, _node: LevelNode, _kind: LeafKind, prot: Prot): bigint {
  const unheard = (quirk: X8664Quirk, flag: Prot) => (config.quirks.includes(quirk) ? 0 : flag)
  const ignored = unheard('SUPERVISOR', Prot.PRIV) | unheard('NX', Prot.NOEXEC) | unheard('UC_MMIO', Prot.MMIO)
  return x86LeafBits(prot & ~ignored) | (prot & Prot.MMIO ? 0n : encryption(config))
}

function prot(raw: bigint, kind: LeafKind, context: X8664Context): Prot {
  const large = kind.sizes.every(({ pgsize }) => pgsize > SZ_4K)
  const { encryptionBit } = context
  return x86Prot(raw, large ? 12n : 7n, context, encryptionBit === 0 || ((raw >> BigInt(encryptionBit)) & 1n) === 1n)
}

const sizes = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

/** x86-64 paging with 4 and 5 levels. */
export const x8664: IoPageTableFmt<X8664Config, X8664Regs, X8664Params, X8664Context, X8664Hardware> = {
  FORMAT: 'x86_64',
  title: 'x86-64, AMD-Vi v2, VT-d first stage',
  manual: 'Intel SDM volume 3A, 4.5; AMD64 APM volume 2, 5.3; Intel VT-d Architecture Specification, revision 4.1, 9.7',
  configure,
  params: paramsOf,
  geometry,
  policy: () => X86_POLICY,
  encodeLeaf,
  encodeTable: (config) => encryption(config) | (config.coherentWalk ? 0n : SW_SYNC),
  prot,
  context: ({ encryptionBit }) => assumedContext(encryptionBit),
  parties: x86Parties,
  use: ({ nested }) => (nested ? 'guest' : 'cpu'),
  regime: x86Regime,
  denies: x86Denies,
  fault: x86Fault,
  regs: (config, [root = 0n]) => packRegs(paramsOf(config), root | encryption(config)),
  os: { linux: linuxOf },
  rootsFromRegs,
  hardware: ({ oas, encryptionBit }, { cr3, cr4 }) => ({ cr3, cr4, maxPhyAddr: oas, encryptionBit }),
  configs: [
    { name: '4 levels, both halves', config: { pgsizeBitmap: sizes, ias: 48, oas: 52, quirks: ['SIGN_EXTEND'] } },
    { name: '4 levels, the low half, not coherent', config: { pgsizeBitmap: sizes, ias: 47, oas: 46, coherentWalk: false } },
    { name: '5 levels, both halves', config: { pgsizeBitmap: sizes, ias: 57, oas: 52, quirks: ['SIGN_EXTEND'] } },
    {
      name: '4 levels, a CPU with everything',
      config: { pgsizeBitmap: sizes, ias: 48, oas: 46, quirks: ['SIGN_EXTEND', 'NX', 'SUPERVISOR', 'UC_MMIO'] },
    },
    { name: '4 levels, the low half, encrypted', config: { pgsizeBitmap: sizes, ias: 47, oas: 46, encryptionBit: 51 } },
  ],
}
