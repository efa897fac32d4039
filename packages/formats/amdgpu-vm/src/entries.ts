/** What an entry can be, by generation: the bits that the generations move stand in one table. */
import {
  ALWAYS,
  type Field,
  field,
  type Kind,
  type LevelNode,
  type Meaning,
  type MemoryType,
  meaning,
  Right,
  type Rights,
  SZ_4K,
  when,
} from '@io-pgtable/core'

/** 12: RDNA 4. 121: gfx12.1, with five levels. */
export type Generation = 6 | 7 | 8 | 9 | 10 | 11 | 12 | 121
export const GENERATIONS: readonly Generation[] = [6, 7, 8, 9, 10, 11, 12, 121]

export interface Shape {
  readonly generation: Generation
  /** The page tables of 1 GiB of a device that translates further: pages of 2 MiB, and tables of 4 KiB pages. */
  readonly translateFurther: boolean
}

const VALID = 1n
const at = (bit: number): bigint => 1n << BigInt(bit)

/** Bits that differ. `prt`: T. `leaf`: what makes an entry of a directory a leaf, of gfx12 an entry of a page table, too. */
interface Places {
  readonly prt?: number
  readonly leaf?: number
  readonly mtype?: readonly [hi: number, lo: number]
  readonly addressHi: number
  /** Other fields of leaves, and of table entries. */
  readonly leaves: readonly Field[]
  readonly tables: readonly Field[]
}

const section = 'entries'
const bfs = (hi: number): Field =>
  field('BFS', hi, hi - 4, 'block fragment size: log2 of the pages that an entry of the table below covers', { section })
/** Bits of leaves of gfx10 and gfx11. */
const LEAVES_10: readonly Field[] = [
  field('Software', 53, 52, 'the driver’s', { section }),
  field('Log', 55, 55, 'accesses are logged', { section }),
  field('F', 56, 56, 'translate further', { section }),
  field('GCR', 57, 57, 'cache rinse', { section }),
  field('NoAlloc', 58, 58, 'not in the last-level cache', { section }),
]
/** Bits of tables of gfx12 and gfx12.1. */
const TABLES_12: readonly Field[] = [
  field('MALL', 55, 54, 'reuse in the last-level cache', { section }),
  field('TFS', 56, 56, 'the address of a further table is relative', { section }),
  bfs(62),
]

const PLACES: Readonly<Record<Generation, Places>> = {
  6: { addressHi: 39, leaves: [], tables: [] },
  7: { addressHi: 39, leaves: [], tables: [] },
  8: { addressHi: 39, leaves: [], tables: [] },
  9: {
    prt: 51,
    leaf: 54,
    mtype: [58, 57],
    addressHi: 47,
    leaves: [field('Log', 55, 55, 'accesses are logged', { section }), field('F', 56, 56, 'translate further', { section })],
    tables: [field('F', 56, 56, 'translate further', { section }), bfs(63)],
  },
  10: {
    prt: 51,
    leaf: 54,
    mtype: [50, 48],
    addressHi: 47,
    leaves: LEAVES_10,
    tables: [field('NoAlloc', 58, 58, 'not in the last-level cache', { section }), bfs(63)],
  },
  11: {
    prt: 51,
    leaf: 54,
    mtype: [50, 48],
    addressHi: 47,
    leaves: LEAVES_10,
    tables: [
      field('MTYPE', 50, 48, 'memory type of the table below', { section }),
      field('TFS', 57, 57, 'the address of a further table is relative', { section }),
      field('NoAlloc', 58, 58, 'not in the last-level cache', { section }),
      bfs(63),
    ],
  },
  12: {
    prt: 56,
    leaf: 63,
    mtype: [55, 54],
    addressHi: 47,
    leaves: [
      field('Software', 53, 52, 'the driver’s', { section }),
      field('GCR', 57, 57, 'cache rinse', { section }),
      field('DCC', 58, 58, 'compressed', { section }),
    ],
    tables: TABLES_12,
  },
  121: {
    prt: 56,
    leaf: 63,
    mtype: [55, 54],
    addressHi: 51,
    leaves: [
      field('Software', 53, 52, 'the driver’s', { section }),
      field('GCR', 57, 57, 'cache rinse', { section }),
      field('DCC', 58, 58, 'compressed', { section }),
      field('Atomics', 59, 59, 'atomic operations over the bus', { section }),
    ],
    tables: TABLES_12,
  },
}

const GRANTS: Meaning<Rights> = meaning(
  ['R', 'W', 'X'],
  ({ R, W, X }) => (R ? Right.READ : 0) | (W ? Right.WRITE : 0) | (X ? Right.EXECUTE : 0),
)
/** gfx6 and gfx7 have no bit for execution: what can be read can be run. */
const GRANTS_OLD: Meaning<Rights> = meaning(['R', 'W'], ({ R, W }) => (R ? Right.READ | Right.EXECUTE : 0) | (W ? Right.WRITE : 0))

/** MTYPE by number. gfx12.1's RW is 2. */
function mtypeNames(generation: Generation): readonly string[] {
  if (generation === 121) return ['NC', '1', 'RW', 'UC']
  return ['NC', generation === 9 ? 'RW' : 'WC', 'CC', 'UC']
}

function memory(generation: Generation): Meaning<MemoryType> {
  const names = mtypeNames(generation)
  const fields = generation < 9 ? ['S', 'C'] : ['S', 'C', 'MTYPE']
  return meaning(fields, ({ S, C, MTYPE }) => {
    const where = `${S ? 'system memory' : 'VRAM'}${C ? ', snooped' : ''}`
    if (MTYPE === undefined) return { name: where, caching: 'cached' }
    return { name: `${names[MTYPE] ?? MTYPE}, ${where}`, caching: MTYPE === 3 ? 'uncached' : 'cached' }
  })
}

const low = [
  field('V', 0, 0, 'valid', { section }),
  field('S', 1, 1, 'system memory, or VRAM', { section }),
  field('C', 2, 2, 'accesses snoop the CPU’s caches', { section }),
]

function leafFields({ generation }: Shape): readonly Field[] {
  const { prt, leaf, mtype, leaves } = PLACES[generation]
  return [
    ...low,
    field('Z', 3, 3, 'encrypted (TMZ)', { section }),
    field('X', 4, 4, 'execution is allowed', { section }),
    field('R', 5, 5, 'reads are allowed', { section }),
    field('W', 6, 6, 'writes are allowed', { section }),
    field('Fragment', 11, 7, 'log2 of the pages around that are contiguous and alike', { section }),
    ...(prt === undefined ? [] : [field('T', prt, prt, 'partially resident: without V a hole that does not fault', { section })]),
    ...(leaf === undefined ? [] : [field('P', leaf, leaf, 'the entry is a leaf', { section })]),
    ...(mtype === undefined ? [] : [field('MTYPE', ...mtype, 'memory type', { section })]),
    ...leaves,
  ]
}

/** Kinds that translate nothing: V clear. */
function voids({ generation }: Shape): readonly Kind[] {
  const { prt } = PLACES[generation]
  const empty: Kind = { type: 'empty', name: 'not valid', match: when(VALID, 0n), fields: [] }
  if (prt === undefined) return [empty]
  return [{ type: 'sparse', name: 'PRT', match: when(VALID | at(prt), at(prt)), fields: [] }, empty]
}

function leafOf(shape: Shape, shift: number, match: Kind['match']): Kind {
  const { addressHi } = PLACES[shape.generation]
  const below =
    shift === 12
      ? []
      : [
          field(
            'Within',
            shift - 1,
            12,
            'address bits within the page, which the driver does not always leave out: umr adds them to the offset',
            { section, reserved: 'zero' },
          ),
        ]
  return {
    type: 'leaf',
    name: 'page',
    match,
    set: 0n,
    address: [[addressHi, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...leafFields(shape), ...below],
    grants: shape.generation < 8 ? GRANTS_OLD : GRANTS,
    memory: memory(shape.generation),
  }
}

function tableTo(shape: Shape, child: string): Kind {
  const { addressHi, tables, leaf } = PLACES[shape.generation]
  const from = shape.generation < 9 ? 12 : 6
  const fields = shape.generation < 9 ? low.slice(0, 1) : low
  const clear = leaf === undefined ? [] : [field('P', leaf, leaf, 'the entry is a leaf', { section })]
  return {
    type: 'table',
    name: 'table',
    match: ALWAYS,
    set: VALID,
    address: [[addressHi, from, from]],
    child,
    fields: [...fields, ...clear, ...tables],
  }
}

/** The entries of the page table itself. Of gfx12 a leaf has its bit here, too; without it umr takes it for a further table, which no driver makes. */
export function pageKinds(shape: Shape): LevelNode['kinds'] {
  const { leaf } = PLACES[shape.generation]
  if (shape.generation < 12 || leaf === undefined) return [...voids(shape), leafOf(shape, 12, ALWAYS)]
  const further: Kind = { type: 'invalid', name: 'a further table', match: ALWAYS, fields: [] }
  return [...voids(shape), leafOf(shape, 12, when(at(leaf), at(leaf))), further]
}

/** The entries of a directory: tables, and from gfx9 on leaves of what a slot covers. */
export function directoryKinds(shape: Shape, shift: number, child: string): LevelNode['kinds'] {
  const { leaf } = PLACES[shape.generation]
  const table = tableTo(shape, child)
  if (leaf === undefined) return [...voids(shape), table]
  // where it translates further, PDB0 is the hardware's page table: F tells tables, and pages have no P
  const match = shape.translateFurther && shift === 21 ? when(at(56), 0n) : when(at(leaf), at(leaf))
  return [...voids(shape), leafOf(shape, shift, match), table]
}

/** All page sizes of a generation. */
export function sizesOf({ generation }: Shape): bigint {
  if (generation < 9) return BigInt(SZ_4K)
  return BigInt(SZ_4K) | at(21) | at(30) | at(39) | (generation === 121 ? at(48) : 0n)
}

export const outputBits = (generation: Generation): number => PLACES[generation].addressHi + 1
