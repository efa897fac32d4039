/**
 * Version 2, Pascal to Ada: five levels. An entry of the lowest directory, PD0, has 16 bytes: a page of 2 MiB, or two tables for the same
 * 2 MiB, of big pages in its low half and of small ones in its high half.
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
  SZ_2M,
  SZ_4K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { granted, LEAF_APERTURES, leaves, MEMORY, NOT_VALID, noSmallPages, PASSES, sparse, TABLE_APERTURES, zero } from './kinds.ts'
import type { NvidiaGmmuParams } from './types.ts'

const PTE = { section: 'NV_MMU_VER2_PTE' }
const PDE = 'NV_MMU_VER2_PDE'
const DUAL = 'NV_MMU_VER2_DUAL_PDE'

const GRANTS: Meaning<Rights> = meaning(['PRIVILEGE', 'READ_ONLY'], ({ PRIVILEGE, READ_ONLY }) =>
  granted(PRIVILEGE === 1, true, READ_ONLY === 0),
)
const LOW: readonly Field[] = [
  field('VALID', 0, 0, 'the entry translates', PTE),
  field('APERTURE', 2, 1, 'the memory that the page is in', { ...PTE, values: LEAF_APERTURES }),
  field('VOL', 3, 3, 'volatile: not cached in L2', PTE),
  field('ENCRYPTED', 4, 4, 'written as zero', { ...PTE, reserved: 'zero' }),
  field('PRIVILEGE', 5, 5, 'for privileged accesses alone', PTE),
  field('READ_ONLY', 6, 6, 'writes fault', PTE),
  field('ATOMIC_DISABLE', 7, 7, 'atomic accesses fault', PTE),
]
const KIND = field('KIND', 63, 56, 'how the memory is tiled and compressed: 0 pitch; from Turing on 6 generic, 8 to 14 compressible', PTE)
const TAGS = field('COMPTAGLINE', 55, 36, 'the line of compression tags', PTE)
const COMMON = { set: 1n, grants: GRANTS, memory: MEMORY }

/** Addresses of system memory are wider than those of video memory. Peers behind NVSwitch have their bits from 37 on in the place of the tags. */
function pages(pgsize: number): Kind[] {
  return leaves(pgsize, [
    {
      ...COMMON,
      name: 'page in system memory',
      match: when(5n, 5n),
      address: [[53, 8, 12]],
      fields: [...LOW, zero('UNUSED', 55, 54, PTE.section), KIND],
    },
    {
      ...COMMON,
      name: 'page of a peer',
      match: when(7n, 3n),
      address: [
        [32, 8, 12],
        [55, 36, 37],
      ],
      fields: [...LOW, field('PEER', 35, 33, 'number of the peer', PTE), KIND],
    },
    {
      ...COMMON,
      name: 'page in video memory',
      match: when(1n, 1n),
      address: [[32, 8, 12]],
      fields: [...LOW, zero('UNUSED', 35, 33, PTE.section), TAGS, KIND],
    },
  ])
}

const SPARSE_PTE = sparse(when(9n, 8n), [field('VOL', 3, 3, 'not valid and volatile: sparse', PTE)])
const CLOSED = noSmallPages(when(0x21n, 0x20n), [field('PRIVILEGE', 5, 5, 'not valid and privileged: no small pages here', PTE)])
const SPARSE_PDE = sparse(when(0xfn, 8n), [field('VOL', 3, 3, 'no table and volatile: sparse', { section: PDE })])

/** A directory entry; `lowest`, the lowest address bit of a table of video memory, stands at bit 8 or 4. */
function toTable(child: string, section: string, lowest: 8 | 4 = 8): TableKind[] {
  const fields = [
    zero('ZERO', 0, 0, section),
    field('APERTURE', 2, 1, 'the memory that the table is in', { section, values: TABLE_APERTURES }),
    field('VOL', 3, 3, 'the table is volatile', { section }),
    ...(lowest === 8
      ? [
          zero('UNUSED_LOW', 4, 4, section),
          field('NO_ATS', 5, 5, 'no address translation service; from Volta on', { section }),
          zero('UNUSED', 7, 6, section),
        ]
      : []),
  ]
  const at = lowest === 8 ? 12 : 8
  const common = { type: 'table', set: 0n, child } as const
  return [
    {
      ...common,
      name: `to ${child} in system memory`,
      match: when(4n, 4n),
      address: [[53, lowest, at]],
      fields: [...fields, zero('UNUSED_HIGH', 63, 54, section)],
    },
    {
      ...common,
      name: `to ${child} in video memory`,
      match: ALWAYS,
      address: [[32, lowest, at]],
      fields: [...fields, zero('UNUSED_HIGH', 63, 33, section)],
    },
  ]
}

const NO_TABLE: Kind = { ...NOT_VALID, name: 'no table', match: when(6n, 0n) }
const ENTRIES = { entryBytes: 8, empty: 0n } as const

export function geometryV2({ bigShift, ias, oas }: NvidiaGmmuParams): Geometry {
  const directory = (level: number, shift: number, bits: number, pgsize?: number): LevelNode => ({
    ...ENTRIES,
    id: `PD${level - 1}`,
    name: `PD${level - 1}`,
    level,
    shift,
    bits,
    tableBytes: 8 << bits,
    align: SZ_4K,
    kinds: [...(pgsize === undefined ? [] : pages(pgsize)), SPARSE_PDE, NO_TABLE, ...toTable(`PD${level - 2}`, PDE)],
  })
  const dual = { ...ENTRIES, level: 1, name: 'PD0', shift: 21, bits: 8, stride: 16, tableBytes: SZ_4K } as const
  const noBig: Kind = { ...PASSES, name: 'no big pages', match: when(6n, 0n) }
  const bigBits = 21 - bigShift
  const big = { ...ENTRIES, id: 'PTB', level: 0, name: 'PTB', shift: bigShift, bits: bigBits, tableBytes: 8 << bigBits, align: 256 }
  return {
    nodes: [
      directory(4, 47, 2),
      directory(3, 38, 9),
      directory(2, 29, 9, 2 ** 29),
      {
        ...dual,
        id: 'PD0',
        next: 'PD0 small',
        kinds: [...pages(SZ_2M), { ...SPARSE_PDE, passes: true }, noBig, ...toTable('PTB', DUAL, 4)],
      },
      { ...dual, id: 'PD0 small', offset: 8, kinds: [NO_TABLE, ...toTable('PTS', DUAL)] },
      { ...big, kinds: [...pages(2 ** bigShift), SPARSE_PTE, CLOSED, PASSES] },
      {
        ...ENTRIES,
        id: 'PTS',
        level: 0,
        name: 'PTS',
        shift: 12,
        bits: 9,
        tableBytes: SZ_4K,
        kinds: [...pages(SZ_4K), SPARSE_PTE, NOT_VALID],
      },
    ],
    top: 'PD3',
    ias,
    oas,
    window: 'low',
  }
}
