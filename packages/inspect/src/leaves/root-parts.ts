/** Where the entries of root tables stand in the input addresses, and which of them a dump looks at. */
import { inputRanges } from '@io-pgtable/core'
import type { LaneNode } from '@io-pgtable/core/compiled'
import type { Tables } from './tables.ts'

/** Entries of one root table whose input addresses rise with the index. Addresses are doubles, multiples of 4 KiB. */
export interface RootPart {
  readonly table: number
  /** The input address of entry 0, as the part's entries count it. */
  readonly base: number
  /** The input addresses that the root translates: first, and first behind. A leaf that reaches further is cut there. */
  readonly regionFirst: number
  readonly regionEnd: number
  /** Those of them that are wanted: leaves that touch them are looked at. */
  readonly first: number
  readonly end: number
}

const PAGE = 12n

/**
 * The parts of all roots in the order of the hardware's index. A sign-extended window has its upper half at the top of 64 bits.
 * @param first,last what is wanted
 */
export function rootParts(tables: Tables, node: LaneNode, first: bigint, last: bigint): readonly RootPart[] {
  const { geometry, roots } = tables
  const entries = node.entries / roots.length
  const parts: RootPart[] = []
  for (const [i, root] of roots.entries()) {
    const low = i * entries * node.slot
    for (const range of inputRanges(geometry)) {
      const base = low + shiftOf(tables, node, range.first)
      const start = Math.max(base, down(range.first), down(tables.first))
      const end = Math.min(base + entries * node.slot, up(range.last), up(tables.last))
      const wanted = { first: Math.max(start, down(first)), end: Math.min(end, up(last)) }
      if (wanted.first < wanted.end) parts.push({ table: Number(root), base, regionFirst: start, regionEnd: end, ...wanted })
    }
  }
  return parts
}

/** What is added to the input address that an index gives. */
function shiftOf({ geometry }: Tables, node: LaneNode, rangeFirst: bigint): number {
  const { window, spaceBits = 64, ias, base = 0n } = geometry
  if (window === 'low') return Number(base)
  if (window === 'top') return 2 ** spaceBits - 2 ** ias
  // the upper half of a sign-extended window: the sign is the root's highest index bit
  return window === 'sign-extended' && rangeFirst > 0n ? 2 ** 64 - node.entries * node.slot : 0
}

function down(address: bigint): number {
  return Number((address >> PAGE) << PAGE)
}

function up(last: bigint): number {
  return Number(((last >> PAGE) + 1n) << PAGE)
}
