/**
 * Extended page tables of Intel's VMX: a guest's physical addresses to the host's.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3C (SDM), 29.3 the extended page table mechanism: 29.3.2 entries, 29.3.3
 * violations and misconfigurations, 29.3.5 accessed and dirty flags, 29.3.7 memory type; 25.6.11 EPTP; 28.2.1 exit qualification. Levels
 * count up from the page table, as in the other x86 formats.
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  type FormatConfig,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LeafKind,
  type LevelNode,
  PARTIES,
  type Policy,
  Prot,
  pgsizeBitmap,
  protOfRights,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import { leafFields, tableFields } from './fields.ts'
import { type EptContext, type EptHardware, type EptParams, type EptRegs, eptContext, packEptp, rootsFromRegs } from './registers.ts'
import { A, eptGrants, eptMemory, eptMemoryOf, eptRightsOf, eptTraps, eptUpdates, R, W, X, XU } from './rights.ts'

export type { EptContext, EptHardware, EptParams, EptRegs } from './registers.ts'

/**
 * AD: EPTP enables accessed and dirty flags. MBEC: mode-based execute control, where XU is for fetches of user mode and X for those of
 * supervisor mode.
 */
export type X86EptQuirk = 'AD' | 'MBEC' | 'NO_WARN'
export type X86EptConfig = FormatConfig<X86EptQuirk>

const PS = 1n << 7n
const D = 1n << 9n
/** EMT of MMIO, of CACHE, and of neither: uncacheable, write-back, write combining. */
const EMT = { mmio: 0n, cache: 6n, neither: 1n } as const
const SIZES = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const NAMES = ['', 'EPT page table', 'EPT page directory', 'EPT page-directory-pointer table', 'EPT PML4 table', 'EPT PML5 table']
const PAGES = ['', '4-KByte page', '2-MByte page', '1-GByte page']

function nodeAt(params: EptParams, level: number): LevelNode {
  const shift = 12 + 9 * (level - 1)
  const kinds = kindsAt(params, level, shift)
  return { id: `L${level}`, level, name: NAMES[level] ?? '', shift, bits: 9, entryBytes: 8, tableBytes: SZ_4K, empty: 0n, kinds }
}

/** No access at all is not present; what is writable must be readable, and what is executable, too, where the CPU has no execute-only pages. */
function kindsAt(params: EptParams, level: number, shift: number): readonly Kind[] {
  const { oas, mbec, executeOnly } = params
  const misconfigured = (what: string, bit: bigint): Kind => ({
    type: 'invalid',
    name: `misconfiguration: ${what} without read`,
    match: when(R | bit, bit),
    fields: [],
    fault: 'misconfigured',
  })
  const voids: Kind[] = [
    { type: 'empty', name: 'not present', match: when(R | W | X | (mbec ? XU : 0n), 0n), fields: [] },
    misconfigured('write', W),
    ...(executeOnly ? [] : [misconfigured('execute', X), ...(mbec ? [misconfigured('user execute', XU)] : [])]),
  ]
  const leaf: LeafKind = {
    type: 'leaf',
    name: PAGES[level] ?? '',
    match: ALWAYS,
    set: level === 1 ? R : R | PS,
    address: [[oas - 1, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: leafFields(params, level),
    grants: eptGrants(mbec),
    traps: eptTraps,
    memory: eptMemory,
    updates: (context) => eptUpdates(context as EptContext),
  }
  if (level === 1) return [...voids, leaf]
  const table: Kind = {
    type: 'table',
    name: 'table',
    match: level > 3 ? ALWAYS : when(PS, 0n),
    set: R | W | X | (mbec ? XU : 0n),
    address: [[oas - 1, 12, 12]],
    child: `L${level - 1}`,
    fields: tableFields(params, level),
    limits: eptGrants(mbec),
    updates: (context) => ((context as EptContext).ad ? { accessed: { clear: 0n, set: A } } : {}),
  }
  return level > 3 ? [...voids, table] : [...voids, table, leaf]
}

function geometry(params: EptParams): Geometry {
  const { levels, ias, oas } = params
  const nodes = Array.from({ length: levels }, (_, i) => nodeAt(params, levels - i))
  return { nodes, top: `L${levels}`, ias, oas, window: 'low', tablesBelow: 1n << BigInt(oas), reserved: 'misconfigured' }
}

function paramsOf({ ias, oas, quirks }: Agreed<X86EptConfig>): EptParams {
  return { levels: ias <= 48 ? 4 : 5, ias, oas, ad: quirks.includes('AD'), mbec: quirks.includes('MBEC'), executeOnly: true }
}

function configure(request: X86EptConfig): Agreed<X86EptConfig> {
  const quirks = checkConfig('x86-ept', request, ['AD', 'MBEC', 'NO_WARN'])
  const ias = Math.min(request.ias, 57)
  const oas = Math.min(request.oas, 52)
  if (ias < 13) throw configError('x86-ept', 'ias', ias, '13 to 57 expected')
  if (oas < 32) throw configError('x86-ept', 'oas', oas, '32 to 52 expected')
  // A leaf that is larger than the address space cannot be had.
  const bitmap = request.pgsizeBitmap & SIZES & ((1n << BigInt(ias)) - 1n)
  if ((bitmap & BigInt(SZ_4K)) === 0n) throw configError('x86-ept', 'pgsizeBitmap', request.pgsizeBitmap, '4K must be among the sizes')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

const POLICY: Policy = { conflict: 'entry', freeTables: 'covered', flushOrder: 'range', addPagesWithoutGather: false }

/** Dirty tracking needs the flags of EPTP. */
function policy({ quirks }: Agreed<X86EptConfig>): Policy {
  return quirks.includes('AD') ? { ...POLICY, dirty: { dirty: when(D, D), clear: D, set: 0n } } : POLICY
}

/** What is present can be read. A guest's own tables say what its users may: PRIV is refused, not weakened. */
function encodeLeaf({ quirks }: Agreed<X86EptConfig>, prot: Prot): bigint | undefined {
  if (prot & Prot.PRIV) return undefined
  const execute = prot & Prot.NOEXEC ? 0n : X | (quirks.includes('MBEC') ? XU : 0n)
  const type = prot & Prot.MMIO ? EMT.mmio : prot & Prot.CACHE ? EMT.cache : EMT.neither
  return (prot & Prot.WRITE ? W : 0n) | execute | (type << 3n)
}

/** Exit reasons 48 and 49 (SDM appendix C); of the exit qualification bits 2:0, what the access was. */
function fault({ type, access }: AccessFault): ArchFault {
  if (type === 'misconfigured') return { name: 'EPT misconfiguration', codes: { exitReason: 49 } }
  return { name: 'EPT violation', codes: { exitReason: 48, qualification: { read: 1, write: 2, execute: 4 }[access] } }
}

/** Extended page tables of Intel's VMX. */
export const x86Ept: IoPageTableFmt<X86EptConfig, EptRegs, EptParams, EptContext, EptHardware> = {
  FORMAT: 'x86-ept',
  aliases: ['ept'],
  title: 'Intel EPT',
  manual: 'Intel SDM volume 3C, 29.3',
  configure,
  params: paramsOf,
  geometry,
  policy,
  encodeLeaf: (config, _node, _kind, prot) => encodeLeaf(config, prot),
  // How walks access memory is EPTP's memory type.
  encodeTable: () => 0n,
  prot: (raw, _kind, { mbec }) => protOfRights(eptRightsOf(raw, mbec), eptMemoryOf(raw)),
  context: ({ quirks }) => eptContext({ ad: quirks.includes('AD'), mbec: quirks.includes('MBEC'), executeOnly: true }),
  parties: ({ mbec }) => (mbec ? PARTIES : ['all']),
  use: () => 'guest',
  fault,
  regs: (config, [root = 0n]) => packEptp(paramsOf(config), root, config.coherentWalk),
  rootsFromRegs,
  hardware: ({ oas, quirks }, { eptp }) => ({ eptp, maxPhyAddr: oas, mbec: quirks.includes('MBEC'), executeOnly: true }),
  configs: [
    { name: '4 levels', config: { pgsizeBitmap: SIZES, ias: 48, oas: 52 } },
    {
      name: '4 levels, accessed and dirty flags, not coherent',
      config: { pgsizeBitmap: SIZES, ias: 48, oas: 46, coherentWalk: false, quirks: ['AD'] },
    },
    { name: '5 levels, mode-based execute control', config: { pgsizeBitmap: SIZES, ias: 57, oas: 52, quirks: ['MBEC'] } },
  ],
}
