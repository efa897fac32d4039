/**
 * Version 1, Fermi to Maxwell: one level of directory, whose entries of 8 bytes hold the addresses of two tables: for the same range one of big
 * pages (64K or 128K, one size in an address space), and one of 4K pages.
 */
import {
  ALWAYS,
  type Field,
  field,
  type Geometry,
  type Kind,
  type LevelNode,
  type Meaning,
  meaning,
  type Rights,
  SZ_4K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { granted, LEAF_APERTURES, leaves, MEMORY, NOT_VALID, noSmallPages, PASSES, sparse, TABLE_APERTURES } from './kinds.ts'
import type { NvidiaGmmuParams } from './types.ts'

const PTE = { section: 'NV_MMU_PTE' }
const PDE = { section: 'NV_MMU_PDE' }
/** What part of its range a directory entry's tables have: all, a half, a quarter, an eighth. */
const SIZES = [0, 1, 2, 3] as const

const GRANTS: Meaning<Rights> = meaning(
  ['PRIVILEGE', 'READ_ONLY', 'READ_DISABLE', 'WRITE_DISABLE'],
  ({ PRIVILEGE, READ_ONLY, READ_DISABLE, WRITE_DISABLE }) =>
    granted(PRIVILEGE === 1, READ_DISABLE === 0, READ_ONLY === 0 && WRITE_DISABLE === 0),
)
const LOW: readonly Field[] = [
  field('VALID', 0, 0, 'the entry translates', PTE),
  field('PRIVILEGE', 1, 1, 'for privileged accesses alone', PTE),
  field('READ_ONLY', 2, 2, 'writes fault', PTE),
  field('ENCRYPTED', 3, 3, 'written as zero', { ...PTE, reserved: 'zero' }),
]
const HIGH: readonly Field[] = [
  field('VOL', 32, 32, 'volatile: not cached in L2', PTE),
  field('APERTURE', 34, 33, 'the memory that the page is in', { ...PTE, values: LEAF_APERTURES }),
  field('LOCK', 35, 35, 'lock', PTE),
  field('KIND', 43, 36, 'how the memory is tiled and compressed: 0 pitch', PTE),
  field('COMPTAGLINE', 60, 44, 'the line of compression tags', PTE),
  field('READ_DISABLE', 62, 62, 'reads fault', PTE),
  field('WRITE_DISABLE', 63, 63, 'writes fault', PTE),
]
const COMMON = { set: 1n, grants: GRANTS, memory: MEMORY }
const SPARSE = sparse(when(0x1_0000_0001n, 0x1_0000_0000n), [
  field('VOL', 32, 32, 'not valid and volatile: sparse, second Maxwell on', PTE),
])

function pages(pgsize: number): Kind[] {
  const peer = field('PEER', 31, 29, 'number of the peer', PTE)
  const system = { ...COMMON, name: 'page in system memory', match: when(0x4_0000_0001n, 0x4_0000_0001n) }
  return leaves(pgsize, [
    { ...system, address: [[31, 4, 12]], fields: [...LOW, ...HIGH] },
    { ...COMMON, name: 'page in video memory', match: when(1n, 1n), address: [[28, 4, 12]], fields: [...LOW, peer, ...HIGH] },
  ])
}

const BIG_APERTURE = field('APERTURE_BIG', 1, 0, 'of the table of big pages', { ...PDE, values: TABLE_APERTURES })
const SIZE = field('SIZE', 3, 2, 'how much of the range the tables have', {
  ...PDE,
  values: { 0: 'all', 1: 'a half', 2: 'a quarter', 3: 'an eighth' },
})
const SMALL_APERTURE = field('APERTURE_SMALL', 33, 32, 'of the table of small pages', { ...PDE, values: TABLE_APERTURES })
const VOLATILE = [
  field('VOL_SMALL', 34, 34, 'the table of small pages is volatile', PDE),
  field('VOL_BIG', 35, 35, 'the table of big pages is volatile; without any table: sparse', PDE),
]
const BIG: TableKind = {
  type: 'table',
  name: 'to big pages',
  match: ALWAYS,
  set: 0n,
  address: [[31, 4, 12]],
  child: { field: 'SIZE', nodes: { ...SIZES.map((size) => shortened('PTB', size)) } },
  fields: [BIG_APERTURE, SIZE, SMALL_APERTURE, ...VOLATILE],
}
const SMALL: TableKind = {
  ...BIG,
  name: 'to small pages',
  address: [[63, 36, 12]],
  child: { field: 'SIZE', nodes: { ...SIZES.map((size) => shortened('PTS', size)) } },
}
/** Of both apertures, and bit 35. */
const NO_TABLES = 0x8_0000_0000n | 0x3_0000_0003n

function shortened(id: string, size: number): string {
  return size === 0 ? id : `${id}/${2 ** size}`
}

export function geometryV1({ bigShift, ias, oas }: NvidiaGmmuParams): Geometry {
  const shift = bigShift + 10
  const bits = ias - shift
  const directory = { level: 1, shift, bits, entryBytes: 8, tableBytes: 8 << bits, align: SZ_4K, empty: 0n } as const
  const noBig: Kind = { ...PASSES, name: 'no big pages', match: when(3n, 0n), fields: [SMALL_APERTURE] }
  const noSmall: Kind = { ...NOT_VALID, name: 'no small pages', match: when(0x3_0000_0000n, 0n) }
  return {
    nodes: [
      {
        ...directory,
        id: 'PD',
        name: 'PD',
        next: 'PD small',
        kinds: [sparse(when(NO_TABLES, 0x8_0000_0000n), [...VOLATILE]), noBig, BIG],
      },
      { ...directory, id: 'PD small', name: 'PD', kinds: [noSmall, SMALL] },
      ...SIZES.map((size) => tableOfPages('PTB', bigShift, 10, size)),
      ...SIZES.map((size) => tableOfPages('PTS', 12, bigShift - 2, size)),
    ],
    top: 'PD',
    ias,
    oas,
    window: 'low',
  }
}

function tableOfPages(id: 'PTB' | 'PTS', shift: number, all: number, size: number): LevelNode {
  const bits = all - size
  const kinds = pages(2 ** shift).map((kind) => (size === 0 ? kind : onlyRead(kind)))
  const rest = id === 'PTB' ? [SPARSE, noSmallPages(when(3n, 2n)), PASSES] : [SPARSE, NOT_VALID]
  const table = { level: 0, name: id, shift, bits, entryBytes: 8, tableBytes: 8 << bits, align: SZ_4K, empty: 0n } as const
  return { ...table, id: shortened(id, size), kinds: [...kinds, ...rest] }
}

/** The same page, in a table that stands for another. */
function onlyRead(kind: Kind): Kind {
  return kind.type === 'leaf' ? { ...kind, sizes: kind.sizes.map((size) => ({ ...size, encode: false })) } : kind
}
