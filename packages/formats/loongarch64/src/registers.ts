/** CSRs: LoongArch Reference Manual, volume 1, 7.5: PGDL, PGDH, PWCL and PWCH. */
import { type FoundRoot, hex, IoPgtableError, ones } from '@io-pgtable/core'

/** Physical address bits: the most that PALEN can be. */
export const PALEN = 48
/** No table is larger than 512 KiB. */
const MOST_WIDTH = 16

/** A level, from the root down: the page table is level 0. */
export interface LoongArchLevel {
  readonly level: number
  /** The lowest address bit of its index. */
  readonly base: number
  /** Index bits. */
  readonly width: number
}

export interface LoongArchParams {
  readonly levels: readonly LoongArchLevel[]
  /** PGDL has the low half of the addresses, PGDH the top. */
  readonly window: 'low' | 'top'
}

/** What the CSRs get: the root of one half, and the geometry. */
export interface LoongArchRegs {
  readonly pgdl?: bigint
  readonly pgdh?: bigint
  /** PTbase, PTwidth, base and width of directories 1 and 2, entry width. */
  readonly pwcl: bigint
  /** Base and width of directories 3 and 4. */
  readonly pwch: bigint
}

/** Raw CSRs. PGDL and PGDH may hold an address of a direct mapping window: of it the low 48 bits are the physical address. */
export type LoongArchHardware = LoongArchRegs

/** Where the manual has base and width of each level, page table first: 5 bits in PWCL, 6 in PWCH. */
const PLACES = [
  { level: 0, register: 'pwcl', at: 0n, bits: 5n },
  { level: 1, register: 'pwcl', at: 10n, bits: 5n },
  { level: 2, register: 'pwcl', at: 20n, bits: 5n },
  { level: 3, register: 'pwch', at: 0n, bits: 6n },
  { level: 4, register: 'pwch', at: 12n, bits: 6n },
] as const

export function packLevels(levels: readonly LoongArchLevel[]): Pick<LoongArchRegs, 'pwcl' | 'pwch'> {
  const packed = { pwcl: 0n, pwch: 0n }
  for (const { level, register, at, bits } of PLACES) {
    const found = levels.find((one) => one.level === level)
    if (found !== undefined) packed[register] |= (BigInt(found.base) | (BigInt(found.width) << bits)) << at
  }
  return packed
}

/** A level of width 0 is none. @throws `EINVAL` for levels that leave bits out or share some */
function levelsIn(registers: Pick<LoongArchRegs, 'pwcl' | 'pwch'>): readonly LoongArchLevel[] {
  const { pwcl } = registers
  if (((pwcl >> 30n) & 3n) !== 0n) throw bad('pwcl', pwcl, 'bits 31:30 of 0, entries of 64 bits, expected')
  const levels: LoongArchLevel[] = []
  for (const { level, register, at, bits } of PLACES) {
    const value = registers[register]
    const base = Number((value >> at) & ones(Number(bits) - 1))
    const width = Number((value >> (at + bits)) & ones(Number(bits) - 1))
    if (width === 0 && level > 0) continue
    const name = level === 0 ? 'PT' : `Dir${level}_`
    const [above] = levels
    if (width < 3 || width > MOST_WIDTH) throw bad(register, value, `${name}width ${width}: 3 to ${MOST_WIDTH} expected`)
    const least = above === undefined ? 12 : above.base + above.width
    if (above === undefined ? base < least : base !== least)
      throw bad(register, value, `${name}base ${base}: ${least}${above === undefined ? ' or more' : ''} expected`)
    levels.unshift({ level, base, width })
  }
  const [top] = levels
  if (top !== undefined && top.base + top.width > 63)
    throw bad('pwch', registers.pwch, `${top.base + top.width} address bits: at most 63 expected`)
  return levels
}

/** @throws `EINVAL` for a geometry that is none, or a root that is not aligned to its size */
export function rootsFromRegs(registers: LoongArchHardware): readonly FoundRoot<LoongArchParams, undefined>[] {
  const { pgdl, pgdh } = registers
  if (pgdl === undefined && pgdh === undefined) throw new IoPgtableError('EINVAL', 'rootsFromRegs', 'neither: pgdl, pgdh or both expected')
  const levels = levelsIn(registers)
  const [top] = levels as readonly [LoongArchLevel]
  const space = 1n << BigInt(top.base + top.width)
  const root = (name: 'pgdl' | 'pgdh', value: bigint): bigint => {
    const address = value & ones(PALEN - 1, 12)
    const align = 8n << BigInt(top.width)
    if (address % align !== 0n) throw bad(name, value, `a multiple of ${hex(align)} expected, the size of the table`)
    return address
  }
  return [
    ...(pgdl === undefined
      ? []
      : [
          {
            name: 'pgdl',
            params: { levels, window: 'low' },
            roots: [root('pgdl', pgdl)],
            first: 0n,
            last: space - 1n,
            context: undefined,
          } as const,
        ]),
    ...(pgdh === undefined
      ? []
      : [
          {
            ...({ name: 'pgdh', params: { levels, window: 'top' }, roots: [root('pgdh', pgdh)] } as const),
            ...{ first: (1n << 64n) - space, last: ones(63), context: undefined },
          },
        ]),
  ]
}

function bad(name: string, value: bigint, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}
