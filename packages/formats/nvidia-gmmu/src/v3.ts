/**
 * Version 3, Hopper and Blackwell: six levels, the tree of version 2 with one level more, pages of 512 MiB and 256 GiB, and other entries: address
 * bits stand where they are, and permission and cache flags are one code, PCF.
 */
import {
  ALWAYS,
  type Field,
  field,
  type Geometry,
  type Kind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  type Rights,
  SZ_2M,
  SZ_4K,
  SZ_64K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { granted, LEAF_APERTURES, leaves, memoryType, NOT_VALID, noSmallPages, PASSES, sparse, TABLE_APERTURES, zero } from './kinds.ts'
import type { NvidiaGmmuParams } from './types.ts'

const PTE = { section: 'NV_MMU_VER3_PTE' }
const PDE = 'NV_MMU_VER3_PDE'
const DUAL = 'NV_MMU_VER3_DUAL_PDE'

/** The bits of a valid leaf's PCF. */
export const PCF = { UNCACHED: 1, PRIVILEGED: 2, READ_ONLY: 4, NO_ATOMICS: 8, NO_COUNTING: 16 } as const

/** In the order of the codes: `user, read and write, atomics, cached, counted`. */
function pcfName(code: number): string {
  return [
    code & PCF.PRIVILEGED ? 'privileged' : 'user',
    code & PCF.READ_ONLY ? 'read only' : 'read and write',
    code & PCF.NO_ATOMICS ? 'no atomics' : 'atomics',
    code & PCF.UNCACHED ? 'uncached' : 'cached',
    code & PCF.NO_COUNTING ? 'accesses not counted' : 'accesses counted',
  ].join(', ')
}
const PCF_NAMES: Readonly<Record<number, string>> = { ...Array.from({ length: 32 }, (_, code) => pcfName(code)) }

const GRANTS: Meaning<Rights> = meaning(['PCF'], ({ PCF: code = 0 }) =>
  granted((code & PCF.PRIVILEGED) !== 0, true, (code & PCF.READ_ONLY) === 0),
)
const MEMORY: Meaning<MemoryType> = meaning(['PCF', 'APERTURE'], ({ PCF: code = 0, APERTURE = 0 }) =>
  memoryType((code & PCF.UNCACHED) !== 0, APERTURE),
)
const FIELDS: readonly Field[] = [
  field('VALID', 0, 0, 'the entry translates', PTE),
  field('APERTURE', 2, 1, 'the memory that the page is in', { ...PTE, values: LEAF_APERTURES }),
  field('PCF', 7, 3, 'permission and cache flags', { ...PTE, values: PCF_NAMES }),
  field('KIND', 11, 8, 'how the memory is tiled and compressed', {
    ...PTE,
    values: {
      0: 'pitch',
      6: 'generic',
      7: 'invalid',
      15: 'SKED message',
      ...Object.fromEntries([8, 9, 10, 11, 12, 13, 14].map((code) => [code, 'compressible'])),
    },
  }),
  zero('UNUSED', 60, 52, PTE.section),
  field('PEER', 63, 61, 'number of the peer', PTE),
]

function pages(pgsize: number): Kind[] {
  return leaves(pgsize, [
    { name: 'page', match: when(1n, 1n), set: 1n, address: [[51, 12, 12]], fields: FIELDS, grants: GRANTS, memory: MEMORY },
  ])
}

/** What is not valid says by its PCF, what it is. */
function notValid(code: number): readonly [match: ReturnType<typeof when>, fields: readonly Field[]] {
  return [when(0xf9n, BigInt(code) << 3n), [field('PCF', 7, 3, 'of an entry that is not valid', PTE)]]
}
const SPARSE_PTE = sparse(...notValid(1))
const NOWHERE: Kind = { ...noSmallPages(...notValid(2)), name: 'mapped to nowhere' }
const CLOSED = noSmallPages(...notValid(3))
const SPARSE_PDE = sparse(when(0xfn, 8n), [field('PCF', 5, 3, 'of an entry without a table: 1 sparse, 2 no ATS', { section: PDE })])

function toTable(child: string, section: string, lowest: 12 | 8 = 12): TableKind {
  return {
    type: 'table',
    name: `to ${child}`,
    match: ALWAYS,
    set: 0n,
    address: [[51, lowest, lowest]],
    child,
    fields: [
      zero('ZERO', 0, 0, section),
      field('APERTURE', 2, 1, 'the memory that the table is in', { section, values: TABLE_APERTURES }),
      field('PCF', 5, 3, 'permission and cache flags', { section, values: PDE_PCF }),
      zero('UNUSED', lowest - 1, 6, section),
      zero('UNUSED_HIGH', 63, 52, section),
    ],
  }
}
const PDE_PCF: Readonly<Record<number, string>> = { 0: 'cached, ATS', 1: 'uncached, ATS', 2: 'cached, no ATS', 3: 'uncached, no ATS' }

const NO_TABLE: Kind = { ...NOT_VALID, name: 'no table', match: when(6n, 0n) }
const ENTRIES = { entryBytes: 8, empty: 0n } as const

export function geometryV3({ ias, oas }: NvidiaGmmuParams): Geometry {
  const directory = (level: number, shift: number, bits: number, pgsize?: number): LevelNode => ({
    ...ENTRIES,
    id: `PD${level - 1}`,
    name: `PD${level - 1}`,
    level,
    shift,
    bits,
    tableBytes: 8 << bits,
    align: SZ_4K,
    kinds: [...(pgsize === undefined ? [] : pages(pgsize)), SPARSE_PDE, NO_TABLE, toTable(`PD${level - 2}`, PDE)],
  })
  const dual = { ...ENTRIES, level: 1, name: 'PD0', shift: 21, bits: 8, stride: 16, tableBytes: SZ_4K } as const
  const noBig: Kind = { ...PASSES, name: 'no big pages', match: when(6n, 0n) }
  const big = { ...ENTRIES, id: 'PTB', level: 0, name: 'PTB', shift: 16, bits: 5, tableBytes: 256 }
  const small = { ...ENTRIES, id: 'PTS', level: 0, name: 'PTS', shift: 12, bits: 9, tableBytes: SZ_4K }
  return {
    nodes: [
      directory(5, 56, 1),
      directory(4, 47, 9),
      directory(3, 38, 9, 2 ** 38),
      directory(2, 29, 9, 2 ** 29),
      { ...dual, id: 'PD0', next: 'PD0 small', kinds: [...pages(SZ_2M), { ...SPARSE_PDE, passes: true }, noBig, toTable('PTB', DUAL, 8)] },
      { ...dual, id: 'PD0 small', offset: 8, kinds: [NO_TABLE, toTable('PTS', DUAL)] },
      { ...big, kinds: [...pages(SZ_64K), SPARSE_PTE, NOWHERE, CLOSED, PASSES] },
      { ...small, kinds: [...pages(SZ_4K), SPARSE_PTE, NOWHERE, NOT_VALID] },
    ],
    top: 'PD4',
    ias,
    oas,
    window: 'low',
  }
}
