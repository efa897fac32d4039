/**
 * Toy: a page-table format to learn from, and the one that this kit proves itself on. No hardware has it; this file is its manual.
 *
 * Toy MMU, revision 1. An input address has 28 bits: an 8-bit index into the directory (level 1), an 8-bit index into a page table
 * (level 2), and a 12-bit offset. A table is 256 descriptors of 32 bits, 1 KiB; output addresses have 32 bits.
 *
 *      31                  12 11   10 9  8 7    6  5   4   3   2   1 0
 *     | address[31:12]       |       |    |    | D | M | X | C | W | 01 |  leaf: a section of 1 MiB at level 1, a page of 4 KiB at level 2
 *     | address[31:16]|      |       |    |    | D | M | X | C | W | 10 |  large page of 64 KiB, level 2: 16 equal descriptors
 *     | address[31:10]                    |    | S |                | 11 |  table, level 1
 *     | ignored                                                     | 00 |  empty; 10 at level 1 and 11 at level 2 are reserved
 *
 *  - W (2) writable · C (3) cached · X (4) not executable · M (5) device memory · D (6) written to, set by hardware
 *  - S (9, of a table) for software: set in tables that were synced for a walker that does not snoop
 *  - RO (8, of a table) nothing below may be written to, whatever W says
 *  - bits that are not named are reserved, and zero
 *
 * The register BASE holds the directory's address in bits 31:10 and ENABLE in bit 0. Every mapping can be read.
 */
import {
  type Agreed,
  ALWAYS,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LeafKind,
  type Meaning,
  type MemoryType,
  meaning,
  Prot,
  pgsizeBitmap,
  Right,
  type Rights,
  SZ_1M,
  SZ_4K,
  SZ_64K,
  when,
} from '@io-pgtable/core'

/** DIRTY: the hardware sets D, and `readAndClearDirty` works. */
export type ToyQuirk = 'DIRTY' | 'NO_WARN'
export type ToyConfig = FormatConfig<ToyQuirk>

/** What the device gets. */
export interface ToyRegs {
  readonly base: bigint
}

const W = 1n << 2n
const C = 1n << 3n
const X = 1n << 4n
const M = 1n << 5n
const D = 1n << 6n
const S = 1n << 9n

const LEAF_FIELDS: readonly Field[] = [
  field('W', 2, 2, 'writable'),
  field('C', 3, 3, 'cached'),
  field('X', 4, 4, 'not executable'),
  field('M', 5, 5, 'device memory', { values: { 0: 'memory', 1: 'device' } }),
  field('D', 6, 6, 'written to'),
]

/** Every mapping can be read. One party: both halves of the rights are equal. */
const GRANTS: Meaning<Rights> = meaning(
  ['W', 'X'],
  ({ W: writable, X: noexec }) => Right.READ | (writable ? Right.WRITE : 0) | (noexec ? 0 : Right.EXECUTE),
)
const LIMITS: Meaning<Rights> = meaning(['RO'], ({ RO: readOnly }) => (readOnly ? Right.ALL & ~Right.WRITE : Right.ALL))
const MEMORY: Meaning<MemoryType> = meaning(['C', 'M'], ({ C: cached, M: device }) =>
  device
    ? { name: 'device', caching: 'device' }
    : cached
      ? { name: 'cached', caching: 'cached' }
      : { name: 'uncached', caching: 'uncached' },
)

const EMPTY: Kind = { type: 'empty', name: 'empty', match: when(3n, 0n), fields: [] }
const INVALID: Kind = { type: 'invalid', name: 'reserved', match: ALWAYS, fields: [] }
const SECTION: LeafKind = {
  type: 'leaf',
  name: 'section',
  match: when(3n, 1n),
  set: 1n,
  address: [[31, 20, 20]],
  sizes: [{ pgsize: SZ_1M, slots: 1 }],
  fields: LEAF_FIELDS,
  grants: GRANTS,
  memory: MEMORY,
}
const PAGE: LeafKind = { ...SECTION, name: 'page', address: [[31, 12, 12]], sizes: [{ pgsize: SZ_4K, slots: 1 }] }
const LARGE: LeafKind = {
  ...SECTION,
  name: 'large page',
  match: when(3n, 2n),
  set: 2n,
  address: [[31, 16, 16]],
  sizes: [{ pgsize: SZ_64K, slots: 16 }],
}
const TABLE: Kind = {
  type: 'table',
  name: 'table',
  match: when(3n, 3n),
  set: 3n,
  address: [[31, 10, 10]],
  child: 'L2',
  fields: [field('S', 9, 9, 'synced: for software'), field('RO', 8, 8, 'nothing below may be written to')],
  limits: LIMITS,
}

function geometry({ ias, oas }: { readonly ias: number; readonly oas: number }): Geometry {
  const common = { entryBytes: 4, tableBytes: 1024, empty: 0n } as const
  return {
    nodes: [
      { ...common, id: 'L1', level: 1, name: 'directory', shift: 20, bits: 8, kinds: [EMPTY, SECTION, TABLE, INVALID] },
      { ...common, id: 'L2', level: 2, name: 'page table', shift: 12, bits: 8, kinds: [EMPTY, PAGE, LARGE, INVALID] },
    ],
    top: 'L1',
    ias,
    oas,
    window: 'low',
    tablesBelow: 1n << 32n,
  }
}

function configure(request: ToyConfig): Agreed<ToyConfig> {
  const quirks = checkConfig('toy', request, ['DIRTY', 'NO_WARN'])
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  if (request.ias < 21) throw configError('toy', 'ias', request.ias, 'at least 21 expected: one bit of the directory')
  const bitmap = request.pgsizeBitmap & pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M)
  if (bitmap === 0n) throw configError('toy', 'pgsizeBitmap', request.pgsizeBitmap, '4K, 64K or 1M expected')
  return { pgsizeBitmap: bitmap, ias: Math.min(request.ias, 28), oas: Math.min(request.oas, 32), quirks, coherentWalk, cpuPageSize }
}

/** The teaching format of this package. */
export const toy: IoPageTableFmt<ToyConfig, ToyRegs, { readonly ias: number; readonly oas: number }, undefined, ToyRegs> = {
  FORMAT: 'toy',
  title: 'Toy MMU',
  manual: 'Toy MMU, revision 1: the first lines of its source',
  configure,
  params: ({ ias, oas }) => ({ ias, oas }),
  geometry,
  policy: ({ quirks }) => ({
    conflict: 'table',
    freeTables: 'slot',
    flushOrder: 'walks-first',
    addPagesWithoutGather: false,
    ...(quirks.includes('DIRTY') && { dirty: { dirty: when(D, D), clear: D, set: 0n } }),
  }),
  encodeLeaf: (_config, _node, _kind, prot) =>
    prot & Prot.PRIV
      ? undefined
      : (prot & Prot.WRITE ? W : 0n) | (prot & Prot.CACHE ? C : 0n) | (prot & Prot.NOEXEC ? X : 0n) | (prot & Prot.MMIO ? M : 0n),
  encodeTable: ({ coherentWalk }) => (coherentWalk ? 0n : S),
  prot: (raw) => Prot.READ | (raw & W ? Prot.WRITE : 0) | (raw & X ? Prot.NOEXEC : 0) | (raw & M ? Prot.MMIO : raw & C ? Prot.CACHE : 0),
  context: () => undefined,
  parties: () => ['all'],
  regs: (_config, [root = 0n]) => ({ base: root | 1n }),
  rootsFromRegs: ({ base }) =>
    (base & 1n) === 0n
      ? []
      : [{ name: 'base', params: { ias: 28, oas: 32 }, roots: [base & ~0x3ffn], first: 0n, last: 0xfff_ffffn, context: undefined }],
  hardware: (_config, regs) => regs,
  configs: [
    { name: '28 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M), ias: 28, oas: 32 } },
    { name: '24 bits, not coherent', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_1M), ias: 24, oas: 30, coherentWalk: false } },
    { name: 'dirty tracking', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M), ias: 28, oas: 32, quirks: ['DIRTY'] } },
  ],
}
