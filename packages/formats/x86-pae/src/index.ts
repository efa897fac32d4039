/**
 * PAE paging of x86 CPUs: three levels of 64-bit entries for 32-bit input addresses, 4-KByte and 2-MByte pages, XD.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A (SDM), 4.4 PAE paging, 4.6 access rights, 4.9 memory typing;
 * AMD64 Architecture Programmer's Manual, volume 2 (APM), 5.2.3. Levels count up from the page table, as in the other x86 formats.
 *
 * The four entries of the root, 32 bytes, are loaded into registers of the CPU (PDPTE0 to PDPTE3) when cr3 is written: whoever changes one in
 * memory must write cr3 again before it counts. They grant nothing and limit nothing.
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LevelNode,
  ones,
  type Piece,
  Prot,
  pgsizeBitmap,
  SZ_2M,
  SZ_4K,
  splitField,
  when,
} from '@io-pgtable/core'
import {
  X86_DIRTY,
  X86_GLOBAL,
  X86_GRANTS,
  X86_POLICY,
  X86_SHARED,
  type X86Context,
  type X86Controls,
  type X86Roots,
  x86Common,
  x86Context,
  x86Denies,
  x86Fault,
  x86LeafBits,
  x86Memory,
  x86Parties,
  x86Prot,
  x86Regime,
  x86Root,
  x86Updates,
} from '@io-pgtable/x86-common'

/** NX: EFER.NXE is set, and NOEXEC sets XD; without it NOEXEC is refused. */
export type X86PaeQuirk = 'NX' | 'NO_WARN'
export type X86PaeConfig = FormatConfig<X86PaeQuirk>

/** What a CPU gets. */
export interface X86PaeRegs {
  /** The root's physical address, below 4 GiB. PWT and PCD are 0. */
  readonly cr3: bigint
  /** What CR4 must have: PAE. */
  readonly cr4: bigint
  /** What IA32_EFER must have: NXE with the quirk NX. LME is 0. */
  readonly efer: bigint
}

export interface X86PaeParams {
  /** MAXPHYADDR. */
  readonly oas: number
  /** EFER.NXE: XD is a flag, and not reserved. */
  readonly nx: boolean
  /** Address bits of tables: 32 for tables that are made, since the root must lie there; MAXPHYADDR for those that are found. */
  readonly tableBits: number
}

/** Raw registers, and what CPUID tells: cr3 of a CPU, or ncr3 of a VMCB with the CR4 and EFER of its host. */
export interface X86PaeHardware extends X86Controls, X86Roots {
  /** MAXPHYADDR, 32 to 52. Default 52. */
  readonly maxPhyAddr?: number
}

const P = 1n << 0n
const RW = 1n << 1n
const US = 1n << 2n
const A = 1n << 5n
const PS = 1n << 7n
const PAE = 1n << 5n
const NXE = 1n << 11n
/** EFER.LME and LMA. */
const LONG_MODE = 0x500n
const SIZES = pgsizeBitmap(SZ_4K, SZ_2M)
const IAS = 32
/** A root has 32 bytes, and hardware wants it at a multiple of 32: blocks of table memory have at least 64. */
const ROOT_BYTES = 64

const SECTION = { section: 'SDM 4.4' }
const COMMON = x86Common('SDM 4.4')
const NOT_PRESENT: Kind = { type: 'empty', name: 'not present', match: when(P, 0n), fields: [] }
const IGNORED = field('Ignored', 11, 9, 'ignored', SECTION)
const FAULTS = { ...SECTION, reserved: 'faults' } as const

/** Of an entry of the page-directory-pointer table. */
function pointerFields(oas: number): readonly Field[] {
  const reserved: readonly Piece[] = [
    [2, 1, 0],
    [8, 6, 2],
  ]
  return [
    field('P', 0, 0, 'present', SECTION),
    splitField('Reserved', reserved, 'must be zero: there is neither R/W nor U/S here', FAULTS),
    field('PWT', 3, 3, 'page-level write-through', { section: 'SDM 4.9' }),
    field('PCD', 4, 4, 'page-level cache disable', { section: 'SDM 4.9' }),
    field('A', 5, 5, 'must be zero; emulators set it as accessed, and do not fault', { ...SECTION, reserved: 'zero' }),
    IGNORED,
    field('Beyond', 63, oas, 'must be zero: address bits from MAXPHYADDR on, and no XD here', FAULTS),
  ]
}

/** Bits 63 to MAXPHYADDR of the other entries. */
function highFields({ oas, nx }: X86PaeParams): readonly Field[] {
  const beyond = field('Beyond', 51, oas, 'address bits from MAXPHYADDR on: must be zero', { section: 'SDM 4.1.4', reserved: 'faults' })
  return [
    ...(oas < 52 ? [beyond] : []),
    field('ReservedHigh', 62, 52, 'must be zero, unlike in 4-level paging', FAULTS),
    field('XD', 63, 63, 'execute disable (NX), where EFER.NXE is set; reserved otherwise', {
      section: 'SDM 4.6',
      ...(!nx && { reserved: 'faults' as const }),
    }),
  ]
}

function leafKind(params: X86PaeParams, level: 1 | 2): Kind {
  const large: readonly Field[] = [
    field('PS', 7, 7, 'page size: maps a page', SECTION),
    field('PAT', 12, 12, 'page-attribute table index, bit 2', { section: 'SDM 4.9.2' }),
    field('Reserved', 20, 13, 'must be zero', FAULTS),
  ]
  const small = [field('PAT', 7, 7, 'page-attribute table index, bit 2', { section: 'SDM 4.9.2' })]
  const shift = level === 1 ? 12 : 21
  return {
    type: 'leaf',
    name: level === 1 ? '4-KByte page' : '2-MByte page',
    match: ALWAYS,
    set: level === 1 ? P | A : P | A | PS,
    address: [[params.oas - 1, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...COMMON, X86_DIRTY, ...(level === 1 ? small : large), X86_GLOBAL, IGNORED, ...highFields(params)],
    grants: X86_GRANTS,
    memory: x86Memory(false),
    global: X86_SHARED,
    updates: x86Updates,
  }
}

function tableKind(params: X86PaeParams): Kind {
  const ignored = [field('Ignored6', 6, 6, 'ignored', SECTION), field('Ignored8', 8, 8, 'ignored', SECTION)]
  return {
    type: 'table',
    name: 'table',
    match: when(PS, 0n),
    set: P | RW | US | A,
    address: [[params.oas - 1, 12, 12]],
    child: 'L1',
    fields: [...COMMON, ...ignored, IGNORED, ...highFields(params)],
    limits: X86_GRANTS,
    updates: x86Updates,
  }
}

function geometry(params: X86PaeParams): Geometry {
  const { oas, tableBits } = params
  const pointer: Kind = {
    type: 'table',
    name: 'page directory',
    match: ALWAYS,
    set: P,
    address: [[oas - 1, 12, 12]],
    child: 'L2',
    fields: pointerFields(oas),
  }
  const common = { entryBytes: 8, empty: 0n } as const
  const whole = { ...common, bits: 9, tableBytes: SZ_4K } as const
  const directory = [NOT_PRESENT, tableKind(params), leafKind(params, 2)]
  const nodes: LevelNode[] = [
    {
      ...{ ...common, id: 'L3', level: 3, name: 'page-directory-pointer table', shift: 30, bits: 2, tableBytes: ROOT_BYTES },
      kinds: [NOT_PRESENT, pointer],
    },
    { ...whole, id: 'L2', level: 2, name: 'page directory', shift: 21, kinds: directory },
    { ...whole, id: 'L1', level: 1, name: 'page table', shift: 12, kinds: [NOT_PRESENT, leafKind(params, 1)] },
  ]
  return { nodes, top: 'L3', ias: IAS, oas, window: 'low', tablesBelow: 1n << BigInt(tableBits) }
}

function configure(request: X86PaeConfig): Agreed<X86PaeConfig> {
  const quirks = checkConfig('x86-pae', request, ['NX', 'NO_WARN'])
  const bitmap = request.pgsizeBitmap & SIZES
  if (bitmap === 0n) throw configError('x86-pae', 'pgsizeBitmap', request.pgsizeBitmap, '4K or 2M expected')
  if (request.ias < IAS) throw configError('x86-pae', 'ias', request.ias, '32 expected')
  if (request.oas < 32) throw configError('x86-pae', 'oas', request.oas, '32 to 52 expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { pgsizeBitmap: bitmap, ias: IAS, oas: Math.min(request.oas, 52), quirks, coherentWalk, cpuPageSize }
}

function encodeLeaf({ quirks }: Agreed<X86PaeConfig>, prot: Prot): bigint | undefined {
  return prot & Prot.NOEXEC && !quirks.includes('NX') ? undefined : x86LeafBits(prot)
}

function efer({ quirks }: Agreed<X86PaeConfig>): bigint {
  return quirks.includes('NX') ? NXE : 0n
}

/** @throws `EINVAL` for paging of other formats, and for numbers that no CPUID tells */
function rootsFromRegs(registers: X86PaeHardware): readonly FoundRoot<X86PaeParams, X86Context>[] {
  const { cr4, efer: enabled = NXE, maxPhyAddr = 52 } = registers
  const { name, value, nested } = x86Root(registers)
  if ((cr4 & PAE) === 0n) throw bad('cr4', cr4, 'PAE expected: without it, paging has 32-bit entries, x86-32')
  if ((enabled & LONG_MODE) !== 0n) throw bad('efer', enabled, 'LME and LMA 0 expected: with them, paging has 4 or 5 levels, x86_64')
  if (!Number.isInteger(maxPhyAddr) || maxPhyAddr < 32 || maxPhyAddr > 52) throw bad('maxPhyAddr', maxPhyAddr, '32 to 52 expected')
  if (value >> 32n !== 0n) throw bad(name, value, '32 bits expected')
  const params = { oas: maxPhyAddr, nx: (enabled & NXE) !== 0n, tableBits: maxPhyAddr }
  return [{ name, params, roots: [value & ones(31, 5)], first: 0n, last: ones(31), context: x86Context(registers, { nested }) }]
}

/** A reserved bit of a page-directory-pointer entry is found when cr3 is written, unless paging is nested. */
function fault(what: AccessFault, context: X86Context): ArchFault {
  if (what.type === 'reserved' && what.level === 3 && !context.nested)
    return { name: '#GP, when cr3 is written', codes: { vector: 13, error: 0 } }
  return x86Fault(what, context)
}

function bad(name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}

/** PAE paging of x86 CPUs. */
export const x86Pae: IoPageTableFmt<X86PaeConfig, X86PaeRegs, X86PaeParams, X86Context, X86PaeHardware> = {
  FORMAT: 'x86-pae',
  title: 'x86, PAE paging',
  manual: 'Intel SDM volume 3A, 4.4; AMD64 APM volume 2, 5.2.3',
  configure,
  params: ({ oas, quirks }) => ({ oas, nx: quirks.includes('NX'), tableBits: 32 }),
  geometry,
  policy: () => X86_POLICY,
  encodeLeaf: (config, _node, _kind, prot) => encodeLeaf(config, prot),
  // There is no bit for walks that do not snoop: CPUs do.
  encodeTable: () => 0n,
  prot: (raw, kind, context) => x86Prot(raw, kind.sizes.some(({ pgsize }) => pgsize === SZ_4K) ? 7n : 12n, context),
  context: (config) => x86Context({ cr4: PAE, efer: efer(config) }),
  parties: x86Parties,
  use: ({ nested }) => (nested ? 'guest' : 'cpu'),
  regime: x86Regime,
  denies: x86Denies,
  fault,
  regs: (config, [root = 0n]) => ({ cr3: root, cr4: PAE, efer: efer(config) }),
  rootsFromRegs,
  hardware: ({ oas }, regs) => ({ ...regs, maxPhyAddr: oas }),
  configs: [
    { name: '52 bits, NX', config: { pgsizeBitmap: SIZES, ias: 32, oas: 52, quirks: ['NX'] } },
    { name: '36 bits', config: { pgsizeBitmap: SIZES, ias: 32, oas: 36 } },
    { name: '40 bits, pages alone, NX', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 40, quirks: ['NX'] } },
  ],
}
