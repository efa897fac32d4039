/** Groups of entries that go together: the equal entries of a large page, and the range that a contiguous hint promises. */
import { bitsOf, hex, type LeafKind } from '@io-pgtable/core'
import { type LaneLeaf, type LaneNode, laneLeafOf } from '@io-pgtable/core/compiled'
import { joined } from '../leaves/joined.ts'
import type { LaneMask, LeafCheck } from './leaf-check.ts'

/** Accessed and dirty flags: hardware sets them in one entry of a group at a time. */
const SET_BY_HARDWARE = ['A', 'AF', 'D']

/** Descriptor bits of a kind that hardware sets. */
export function hardwareBits({ fields }: LeafKind): bigint {
  return bitsOf(fields.filter(({ name }) => SET_BY_HARDWARE.includes(name)).flatMap(({ pieces }) => pieces))
}

/** Where a group stands: `count` entries from word `at` on. */
export interface GroupPlace {
  readonly words: Int32Array
  readonly at: number
  readonly count: number
  readonly node: LaneNode
}

/** Why a group does not hold together; undefined when it does. */
export function groupFault(place: GroupPlace, check: LeafCheck, leaf: LaneLeaf): string | undefined {
  const { words, at, count, node } = place
  const hi = (k: number): number => (node.words === 2 ? words[at + 2 * k + 1]! : 0)
  const lo = (k: number): number => words[at + node.words * k]!
  const first = leaf.address(lo(0), hi(0))
  const bytes = check.steps ? count * node.slot : check.size.pgsize
  if (check.steps && first % bytes !== 0) return `${hex(first)} is no multiple of ${hex(bytes)}`
  for (let k = 1; k < count; k++) {
    const why = entryFault(check, leaf, node, [lo(0), hi(0)], [lo(k), hi(k)], first + (check.steps ? k * node.slot : 0))
    if (why !== undefined) return `entry ${k} of it ${why}`
  }
  return undefined
}

type Lanes = readonly [lo: number, hi: number]

function entryFault(check: LeafCheck, leaf: LaneLeaf, node: LaneNode, a: Lanes, b: Lanes, paddr: number): string | undefined {
  const [lo, hi] = b
  const kind = node.kind(lo, hi)
  if (kind.leaves.length === 0 || laneLeafOf(kind, lo, hi) !== leaf)
    return `is ${hex(joined(lo, hi))}, a descriptor of another kind or size`
  if (leaf.address(lo, hi) !== paddr) return `translates to ${hex(leaf.address(lo, hi))}, not to ${hex(paddr)}`
  if (differ(check.byHardware, leaf, a, b)) return `has other attributes: ${hex(joined(lo, hi))}, the first ${hex(joined(...a))}`
  return undefined
}

function differ(ignored: LaneMask, { addressLo, addressHi }: LaneLeaf, a: Lanes, b: Lanes): boolean {
  return (((a[0] ^ b[0]) & ~addressLo & ~ignored.lo) | ((a[1] ^ b[1]) & ~addressHi & ~ignored.hi)) !== 0
}
