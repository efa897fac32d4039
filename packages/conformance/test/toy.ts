/**
 * The smallest format that the kit can run: two levels, 512 entries each, 64-bit descriptors, 4 KiB pages and 2 MiB blocks. Bit 0 valid,
 * bit 1 table or page, bit 2 read-only, bits 31:12 the address. The kit's own tests run on it, so that they need no format package.
 */
import {
  ALWAYS,
  checkConfig,
  type FormatConfig,
  type GenericPtVectorBinding,
  hex,
  type IoPageTableFmt,
  type IoPgtableVectorBinding,
  type Kind,
  type LeafKind,
  Prot,
  pgsizeBitmap,
  SZ_2M,
  SZ_4K,
  when,
} from '@io-pgtable/core'

const EMPTY: Kind = { type: 'empty', name: 'empty', match: when(1n, 0n), fields: [] }
const leaf = (name: string, set: bigint, shift: number, match: LeafKind['match']): LeafKind => ({
  type: 'leaf',
  name,
  match,
  set,
  address: [[31, shift, shift]],
  sizes: [{ pgsize: 2 ** shift, slots: 1 }],
  fields: [{ name: 'RO', pieces: [[2, 2, 0]], doc: 'read-only' }],
})
const BLOCK = leaf('block', 1n, 21, ALWAYS)
const PAGE = leaf('page', 3n, 12, ALWAYS)
const TABLE: Kind = { type: 'table', name: 'table', match: when(3n, 3n), set: 3n, address: [[31, 12, 12]], child: 'L2', fields: [] }
const NODE = { bits: 9, entryBytes: 8, tableBytes: 4096, empty: 0n } as const

export const toy: IoPageTableFmt<FormatConfig, { readonly base: bigint }, FormatConfig, undefined> = {
  FORMAT: 'toy',
  title: 'A toy',
  manual: 'none',
  configure(request) {
    const quirks = checkConfig('toy', request, [])
    const { ias, oas } = request
    return {
      pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M),
      ias: Math.min(ias, 30),
      oas: Math.min(oas, 32),
      quirks,
      coherentWalk: true,
      cpuPageSize: SZ_4K,
    }
  },
  params: (config) => config,
  geometry: ({ ias, oas }) => ({
    nodes: [
      { ...NODE, id: 'L1', level: 1, name: 'level 1', shift: 21, kinds: [EMPTY, TABLE, BLOCK] },
      { ...NODE, id: 'L2', level: 2, name: 'level 2', shift: 12, kinds: [EMPTY, PAGE] },
    ],
    top: 'L1',
    ias,
    oas,
    window: 'low',
    tablesBelow: 1n << 32n,
  }),
  policy: () => ({
    conflict: 'table',
    partialUnmap: 'refuse',
    freeTables: 'slot',
    flushOrder: 'walks-first',
    addPagesWithoutGather: false,
  }),
  encodeLeaf: (_config, _node, _kind, prot) => (prot & Prot.WRITE ? 0n : 4n),
  encodeTable: () => 0n,
  prot: (raw) => (raw & 4n ? Prot.READ : Prot.READ | Prot.WRITE),
  context: () => undefined,
  regs: (_config, [base = 0n]) => ({ base }),
  rootsFromRegs: () => [],
  configs: [],
}

const common = {
  fmt: toy,
  registers: ({ regs, roots }) => ({ baseAttr: hex(regs.base - (roots[0] ?? 0n)) }),
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_f000n,
} satisfies Partial<IoPgtableVectorBinding<typeof toy>>

const pages: IoPgtableVectorBinding<typeof toy> = {
  ...common,
  family: 'io-pgtable',
  format: 'toy',
  config: (config) => config,
  driverRefuses: ({ quirks }) => (quirks.includes('ONLY_THE_DRIVER') ? 'EOPNOTSUPP' : undefined),
}

const ranges: GenericPtVectorBinding<typeof toy> = {
  ...common,
  family: 'generic_pt',
  format: 'toy-ranges',
  config: ({ vaBits, oaBits }) => ({ pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: vaBits, oas: oaBits }),
}

export const vectorBindings: readonly (IoPgtableVectorBinding | GenericPtVectorBinding)[] = [pages, ranges]
