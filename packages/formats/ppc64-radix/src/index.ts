/**
 * Radix tree translation of POWER9 and later: process table, page directories, big-endian, read alone.
 * Power ISA 3.0B and 3.1, book III, "Storage Control": 6.7.7 effective addresses, 6.7.10 radix tree translation, 6.7.6 process table. Bits are
 * numbered from 0 on the right. The level of an entry is its depth: 0 is the root page directory.
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
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  protOfRights,
  Right,
  type Rights,
  readOnly,
  SZ_4K,
  when,
} from '@io-pgtable/core'
import { KERNEL, type Ppc64Hardware, type Ppc64Params, type Ppc64Regs, rootEntry, rootsFromRegs } from './registers.ts'

export type { Ppc64Hardware, Ppc64Params, Ppc64Regs } from './registers.ts'

export type Ppc64Config = FormatConfig<'KERNEL'>

const V = 1n << 63n
const L = 1n << 62n
const OAS = 57
const SECTION = { section: '6.7.10' }

type Values = Readonly<Record<string, number>>
function rightsOf({ EAA = 0 }: Values): Rights {
  const read = EAA & 0b0110 ? Right.READ : 0
  const rights = read | (EAA & 0b0010 ? Right.WRITE : 0) | (EAA & 0b0001 ? Right.EXECUTE : 0)
  return EAA & 0b1000 ? rights & Right.PRIVILEGED : rights
}
const GRANTS: Meaning<Rights> = meaning(['EAA'], rightsOf)

const TYPES: Readonly<Record<number, MemoryType>> = {
  0: { name: 'normal', caching: 'cached' },
  1: { name: 'SAO', caching: 'cached' },
  2: { name: 'non-idempotent I/O', caching: 'device' },
  3: { name: 'tolerant I/O', caching: 'uncached' },
}
const typeOf = ({ ATT = 0 }: Values): MemoryType => TYPES[ATT] as MemoryType
const MEMORY: Meaning<MemoryType> = meaning(['ATT'], typeOf)

const LEAF_FIELDS: readonly Field[] = [
  field('V', 63, 63, 'valid', SECTION),
  field('Software61', 61, 61, 'for software', SECTION),
  field('Reserved', 60, OAS, 'reserved', { ...SECTION, reserved: 'ignored' }),
  field('Software', 11, 9, 'for software', SECTION),
  field('R', 8, 8, 'referenced', SECTION),
  field('C', 7, 7, 'changed', SECTION),
  field('Reserved6', 6, 6, 'reserved', { ...SECTION, reserved: 'ignored' }),
  field('ATT', 5, 4, 'storage attributes', {
    ...SECTION,
    values: { 0: 'normal memory', 1: 'strong access order', 2: 'non-idempotent I/O', 3: 'tolerant I/O' },
  }),
  field('EAA', 3, 0, 'encoded access authority: privileged alone, read, read and write, execute', SECTION),
]

function leaf(shift: number): Kind {
  const unused =
    shift > 12 ? [field('Unused', shift - 1, 12, 'below the address of a page of this size', { ...SECTION, reserved: 'ignored' })] : []
  return {
    type: 'leaf',
    name: 'page',
    match: when(L, L),
    set: V | L,
    address: [[OAS - 1, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...LEAF_FIELDS, ...unused],
    grants: GRANTS,
    memory: MEMORY,
    updates: () => ({ accessed: { clear: 0n, set: 1n << 8n }, dirty: { clear: 0n, set: 1n << 7n } }),
  }
}

/** NLS, the index bits of the next level, chooses it: a size that no CPU has is an unsupported configuration. */
function directory(nodes: Readonly<Record<number, string>>): Kind {
  return {
    type: 'table',
    name: 'directory',
    match: when(L, 0n),
    set: V,
    address: [[59, 8, 8]],
    child: { field: 'NLS', nodes },
    fields: [
      field('V', 63, 63, 'valid', SECTION),
      field('Reserved', 61, 60, 'reserved', { ...SECTION, reserved: 'ignored' }),
      field('Reserved5', 7, 5, 'reserved', { ...SECTION, reserved: 'ignored' }),
      field('NLS', 4, 0, 'index bits of the next level', SECTION),
    ],
  }
}

const INVALID: Kind = { type: 'empty', name: 'not valid', match: when(V, 0n), fields: [] }
/** At the last level there is no directory. */
const NO_LEAF: Kind = { type: 'invalid', name: 'a directory at the last level', match: ALWAYS, fields: [], fault: 'misconfigured' }

function node(id: string, level: number, shift: number, bits: number, kinds: readonly Kind[]): LevelNode {
  const name = level === 0 ? 'root page directory' : level === 3 ? 'page table' : `page directory ${level}`
  return { ...{ id, level, name, shift, bits, kinds }, entryBytes: 8, byteOrder: 'big', tableBytes: 2 ** (bits + 3), empty: 0n }
}

/** Hardware has two shapes, 13·9·9·9 bits and 13·9·9·5, and the entries above the last level say which. No page has 512 GiB. */
function geometry({ isKernel }: Ppc64Params): Geometry {
  const noPage: Kind = { type: 'invalid', name: 'a page of 512 GiB', match: ALWAYS, fields: [], fault: 'misconfigured' }
  const nodes = [
    node('D0', 0, 39, 13, [INVALID, directory({ 9: 'D1' }), noPage]),
    node('D1', 1, 30, 9, [INVALID, directory({ 9: 'D2' }), leaf(30)]),
    node('D2', 2, 21, 9, [INVALID, directory({ 9: 'D3', 5: 'D3.64K' }), leaf(21)]),
    node('D3', 3, 12, 9, [INVALID, leaf(12), NO_LEAF]),
    node('D3.64K', 3, 16, 5, [INVALID, leaf(16), NO_LEAF]),
  ]
  return { nodes, top: 'D0', ias: 52, oas: OAS, window: 'low', ...(isKernel && { base: KERNEL }) }
}

const sizes = 0x4021_1000n

function configure(request: Ppc64Config): Agreed<Ppc64Config> {
  const quirks = checkConfig('ppc64-radix', request, ['KERNEL'])
  if (request.ias < 52) throw configError('ppc64-radix', 'ias', request.ias, '52 expected')
  const pgsizeBitmap = request.pgsizeBitmap & sizes
  if (pgsizeBitmap === 0n) throw configError('ppc64-radix', 'pgsizeBitmap', request.pgsizeBitmap, '4K, 64K, 2M or 1G expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  return { pgsizeBitmap, ias: 52, oas: OAS, quirks, coherentWalk, cpuPageSize }
}

/** DSISR of a data storage interrupt, SRR1 of an instruction storage interrupt; beyond the 52 bits a segment interrupt. */
function fault({ type, access, level }: AccessFault): ArchFault {
  const isFetch = access === 'execute'
  if (level === undefined) return { name: isFetch ? 'instruction segment' : 'data segment', codes: { vector: isFetch ? 0x480 : 0x380 } }
  const cause = type === 'permission' ? 0x0800_0000 : type === 'misconfigured' || type === 'reserved' ? 0x0008_0000 : 0x4000_0000
  if (isFetch) return { name: 'instruction storage', codes: { vector: 0x400, srr1: type === 'permission' ? 0x1000_0000 : cause } }
  return { name: 'data storage', codes: { vector: 0x300, dsisr: cause + (access === 'write' ? 0x0200_0000 : 0) } }
}

/** Radix trees of POWER9 and later: read alone. */
export const ppc64Radix: IoPageTableFmt<Ppc64Config, Ppc64Regs, Ppc64Params, undefined, Ppc64Hardware> = readOnly({
  FORMAT: 'ppc64-radix',
  title: 'POWER radix trees',
  manual: 'Power ISA 3.1, book III, 6.7.10',
  configure,
  params: ({ quirks }) => ({ isKernel: quirks.includes('KERNEL') }),
  geometry,
  prot: (raw) => protOfRights(rightsOf({ EAA: Number(raw & 15n) }), typeOf({ ATT: Number((raw >> 4n) & 3n) })),
  context: () => undefined,
  fault,
  regs: ({ quirks }, [root = 0n]) => ({ root, pid: quirks.includes('KERNEL') ? 0n : 1n }),
  rootsFromRegs,
  hardware: (_config, { pid }) => ({ processTable: 0x1000_0000n, pid }),
  rootMemory: (_config, { root, pid }) => [{ paddr: 0x1000_0000n + pid * 16n, bytes: rootEntry(root) }],
  configs: [
    { name: 'a process', config: { pgsizeBitmap: sizes, ias: 52, oas: OAS } },
    { name: 'the kernel', config: { pgsizeBitmap: sizes, ias: 52, oas: OAS, quirks: ['KERNEL'] } },
  ],
})
