/**
 * 32-bit paging of x86 CPUs: two levels, 4-KByte and 4-MByte pages (PSE), output addresses of up to 40 bits for the latter (PSE-36).
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A (SDM), 4.3 32-bit paging, 4.6 access rights, 4.9 memory typing;
 * AMD64 Architecture Programmer's Manual, volume 2 (APM), 5.2. Levels count up from the page table, as in the other x86 formats.
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
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  type Kind,
  type LeafKind,
  type LevelNode,
  ones,
  Prot,
  pgsizeBitmap,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import {
  X86_DIRTY,
  X86_GLOBAL,
  X86_GRANTS_NO_XD,
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

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type X8632Quirk = 'NO_WARN'
export type X8632Config = FormatConfig<X8632Quirk>

/** What a CPU gets. */
export interface X8632Regs {
  /** The root's physical address. PWT and PCD are 0. */
  readonly cr3: bigint
  /** What CR4 must have: PSE where there are 4-MByte pages; PAE must be 0. */
  readonly cr4: bigint
}

export interface X8632Params {
  /** Output address bits of 4-MByte pages, 32 to 40: MAXPHYADDR as far as PSE-36 goes. */
  readonly oas: number
  /** CR4.PSE: PS in a directory entry makes a 4-MByte page. */
  readonly pse: boolean
}

/** Raw registers, and what CPUID tells: cr3 of a CPU, or ncr3 of a VMCB with the CR4 of its host. EFER plays no part. */
export interface X8632Hardware extends Omit<X86Controls, 'efer'>, X86Roots {
  /** MAXPHYADDR, 32 to 52; 32 where there is no PSE-36. Default: 40 and more. */
  readonly maxPhyAddr?: number
}

const P = 1n << 0n
const RW = 1n << 1n
const US = 1n << 2n
const A = 1n << 5n
const PS = 1n << 7n
const PSE = 1n << 4n
const PAE = 1n << 5n
const SZ_4M = 0x40_0000
const SIZES = pgsizeBitmap(SZ_4K, SZ_4M)
const IAS = 32
const OAS = { pages: 32, most: 40 }

const COMMON = x86Common('SDM 4.3')
const NOT_PRESENT: Kind = { type: 'empty', name: 'not present', match: when(P, 0n), fields: [] }
const IGNORED = field('Ignored', 11, 9, 'ignored', { section: 'SDM 4.3' })
const PAGE: LeafKind = {
  type: 'leaf',
  name: '4-KByte page',
  match: ALWAYS,
  set: P | A,
  address: [[31, 12, 12]],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [...COMMON, X86_DIRTY, field('PAT', 7, 7, 'page-attribute table index, bit 2', { section: 'SDM 4.9.2' }), X86_GLOBAL, IGNORED],
  grants: X86_GRANTS_NO_XD,
  memory: x86Memory(false),
  global: X86_SHARED,
  updates: x86Updates,
}

/** Without CR4.PSE bit 7 is ignored, and every entry that is present points to a table. */
function tableKind(pse: boolean): Kind {
  const low = pse ? [] : [field('Ignored7', 7, 7, 'PS, ignored: CR4.PSE is 0', { section: 'SDM 4.3' })]
  return {
    type: 'table',
    name: 'table',
    match: pse ? when(PS, 0n) : ALWAYS,
    set: P | RW | US | A,
    address: [[31, 12, 12]],
    child: 'L1',
    fields: [
      ...COMMON,
      field('Ignored6', 6, 6, 'ignored', { section: 'SDM 4.3' }),
      ...low,
      field('Ignored8', 8, 8, 'ignored', { section: 'SDM 4.3' }),
      IGNORED,
    ],
    limits: X86_GRANTS_NO_XD,
    updates: x86Updates,
  }
}

/** Address bits from 32 on are bits 13 and following; those up to bit 21 that hold none are reserved. */
function largePage(oas: number): LeafKind {
  const high = oas - 32
  const reserved: Field = field('Reserved', 21, 13 + high, 'must be zero', { section: 'SDM 4.3', reserved: 'faults' })
  return {
    type: 'leaf',
    name: '4-MByte page',
    match: ALWAYS,
    set: P | A | PS,
    address: [[31, 22, 22], ...(high > 0 ? ([[12 + high, 13, 32]] as const) : [])],
    sizes: [{ pgsize: SZ_4M, slots: 1 }],
    fields: [
      ...COMMON,
      X86_DIRTY,
      field('PS', 7, 7, 'page size: maps a page', { section: 'SDM 4.3' }),
      X86_GLOBAL,
      IGNORED,
      field('PAT', 12, 12, 'page-attribute table index, bit 2', { section: 'SDM 4.9.2' }),
      reserved,
    ],
    grants: X86_GRANTS_NO_XD,
    memory: x86Memory(false),
    global: X86_SHARED,
    updates: x86Updates,
  }
}

function geometry({ oas, pse }: X8632Params): Geometry {
  const common = { bits: 10, entryBytes: 4, tableBytes: SZ_4K, empty: 0n } as const
  const directory: Kind[] = [NOT_PRESENT, tableKind(pse), ...(pse ? [largePage(oas)] : [])]
  const nodes: LevelNode[] = [
    { ...common, id: 'L2', level: 2, name: 'page directory', shift: 22, kinds: directory },
    { ...common, id: 'L1', level: 1, name: 'page table', shift: 12, kinds: [NOT_PRESENT, PAGE] },
  ]
  return { nodes, top: 'L2', ias: IAS, oas, window: 'low', tablesBelow: 1n << 32n }
}

/** A 4-KByte page has no place for address bits from 32 on: where it is among the sizes, `oas` is 32. */
function configure(request: X8632Config): Agreed<X8632Config> {
  const quirks = checkConfig('x86-32', request, ['NO_WARN'])
  const bitmap = request.pgsizeBitmap & SIZES
  if (bitmap === 0n) throw configError('x86-32', 'pgsizeBitmap', request.pgsizeBitmap, '4K or 4M expected')
  if (request.ias < IAS) throw configError('x86-32', 'ias', request.ias, '32 expected')
  if (request.oas < OAS.pages) throw configError('x86-32', 'oas', request.oas, 'at least 32 expected')
  const oas = Math.min(request.oas, bitmap & BigInt(SZ_4K) ? OAS.pages : OAS.most)
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { pgsizeBitmap: bitmap, ias: IAS, oas, quirks, coherentWalk, cpuPageSize }
}

function paramsOf({ pgsizeBitmap: bitmap, oas }: Agreed<X8632Config>): X8632Params {
  return { oas, pse: (bitmap & BigInt(SZ_4M)) !== 0n }
}

/** There is no execute-disable: NOEXEC is refused, not weakened. */
function encodeLeaf(prot: Prot): bigint | undefined {
  return prot & Prot.NOEXEC ? undefined : x86LeafBits(prot)
}

/** @throws `EINVAL` for paging of other formats, and for numbers that no CPUID tells */
function rootsFromRegs(registers: X8632Hardware): readonly FoundRoot<X8632Params, X86Context>[] {
  const { cr4, maxPhyAddr = OAS.most } = registers
  const { name, value, nested } = x86Root(registers)
  if ((cr4 & PAE) !== 0n) throw bad('cr4', cr4, 'PAE is set: entries have 64 bits, x86-pae or x86_64 expected')
  if (!Number.isInteger(maxPhyAddr) || maxPhyAddr < 32 || maxPhyAddr > 52) throw bad('maxPhyAddr', maxPhyAddr, '32 to 52 expected')
  if (value >> 32n !== 0n) throw bad(name, value, '32 bits expected')
  const params = { oas: Math.min(maxPhyAddr, OAS.most), pse: (cr4 & PSE) !== 0n }
  const context = x86Context({ ...registers, efer: 0n }, { nested })
  return [{ name, params, roots: [value & ones(31, 12)], first: 0n, last: ones(31), context }]
}

function bad(name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}

/** 32-bit paging of x86 CPUs. */
export const x8632: IoPageTableFmt<X8632Config, X8632Regs, X8632Params, X86Context, X8632Hardware> = {
  FORMAT: 'x86-32',
  title: 'x86, 32-bit paging',
  manual: 'Intel SDM volume 3A, 4.3; AMD64 APM volume 2, 5.2',
  configure,
  params: paramsOf,
  geometry,
  policy: () => X86_POLICY,
  encodeLeaf: (_config, _node, _kind, prot) => encodeLeaf(prot),
  // There is no bit for walks that do not snoop: CPUs do.
  encodeTable: () => 0n,
  prot: (raw, kind, context) => x86Prot(raw, kind === PAGE ? 7n : 12n, context),
  context: () => x86Context({ cr4: 0n, efer: 0n }),
  parties: x86Parties,
  use: ({ nested }) => (nested ? 'guest' : 'cpu'),
  regime: x86Regime,
  denies: x86Denies,
  fault: x86Fault,
  regs: (config, [root = 0n]) => ({ cr3: root, cr4: paramsOf(config).pse ? PSE : 0n }),
  rootsFromRegs,
  hardware: ({ oas }, regs) => ({ ...regs, maxPhyAddr: oas }),
  configs: [
    { name: '4K and 4M', config: { pgsizeBitmap: SIZES, ias: 32, oas: 32 } },
    { name: 'pages alone, without PSE', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 32 } },
    { name: '4M alone, PSE-36 with 40 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_4M), ias: 32, oas: 40 } },
  ],
}
