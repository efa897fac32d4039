/** Random operations: small numbers that shrink well, made into calls that meet one another at table ends and on every level. */
import { Prot } from '@io-pgtable/core'
import fc from 'fast-check'
import { type Case, iovaOf, leastPaddr, outputBytes, pagesFrom, protsOf, roomAt, type Size } from './case.ts'
import type { Mapping, Model } from './model.ts'
import type { GatherMode, Operation } from './operation.ts'

/** An operation before it is known what it meets. Zero is the plainest choice of everything. */
export interface Draw {
  readonly what: number
  /** A digit for each level: which slot of its table. */
  readonly digits: readonly number[]
  readonly size: number
  readonly count: number
  readonly paddr: number
  readonly prot: number
  readonly gather: number
  /** 0: where the digits say; else at, or near, a mapping that exists. */
  readonly near: number
}

export const draws: fc.Arbitrary<Draw> = fc.record({
  what: fc.nat(15),
  digits: fc.array(fc.nat(11), { minLength: 6, maxLength: 6 }),
  size: fc.nat(11),
  count: fc.nat(15),
  paddr: fc.nat(7),
  prot: fc.nat(63),
  gather: fc.nat(2),
  near: fc.nat(23),
})

const MAPS = 7
const UNMAPS = 14

/** Most entries that one call touches, so that no sequence takes long. */
const MOST_SLOTS = 1100

/** What a draw does to a table in the state of the model. */
export function operationOf(model: Model, draw: Draw): Operation {
  const { c } = model
  const met = meets(model, draw)
  const size = met !== undefined && draw.near % 2 === 0 ? met.size : (c.sizes[draw.size % c.sizes.length] as Size)
  const offset = placeOf(c, draw, met, size)
  if (draw.what >= UNMAPS) return draw.gather === 0 ? { op: 'sync' } : { op: 'translate', offset: offset + BigInt(draw.count * 37) }
  const gather = (['own', 'none', 'later'] as const)[draw.gather] as GatherMode
  const range = draw.what === MAPS - 1 || draw.what === UNMAPS - 1
  if (range) return rangeOf(c, draw, offset, gather)
  const count = countOf(c, draw, size, offset)
  if (draw.what >= MAPS) return { op: 'unmap', offset, size, count, gather }
  return { op: 'map', offset, size, count, prot: protFrom(c, draw.prot), ...paddrOf(c, draw, size, count) }
}

/** READ|WRITE for 0, else one of all prots. */
export function protFrom(c: Case, digit: number): Prot {
  const all = protsOf(c)
  return digit === 0 ? Prot.READ | Prot.WRITE : (all[(digit * Math.ceil(all.length / 64)) % all.length] as Prot)
}

/** The mapping that a draw is to meet, if there is one. */
function meets(model: Model, { near }: Draw): Mapping | undefined {
  if (near < 12) return undefined
  const mappings = model.mappings()
  return mappings[(near * 5) % Math.max(mappings.length, 1)]
}

/** An aligned offset: by digits, or at a mapping, or just before or after it. */
function placeOf(c: Case, { digits, near }: Draw, met: Mapping | undefined, size: Size): bigint {
  const align = BigInt(size.pgsize)
  const end = 1n << BigInt(c.geometry.ias)
  let offset = met === undefined ? byDigits(c, digits, size.depth) : met.offset + BigInt([0, 0, -1, 1][near % 4] ?? 0) * align
  if (offset < 0n) offset = 0n
  if (offset >= end) offset = end - 1n
  return offset - (offset % align)
}

/** For each level down to the size's own, a slot: mostly the first ones, the last ones, or the middle. */
function byDigits(c: Case, digits: readonly number[], depth: number): bigint {
  let offset = 0n
  for (let d = 0; d <= depth; d++) {
    const { shift, bits } = c.chain[d]!
    const slots = 2 ** Math.max(0, Math.min(bits, c.geometry.ias - shift))
    const slot = slotOf(digits[d] ?? 0, slots)
    offset += BigInt(slot) << BigInt(shift)
  }
  return offset
}

function slotOf(digit: number, slots: number): number {
  const choice = [0, 0, 0, 0, 0, 1, 1, slots - 1, slots - 1, slots - 2, slots / 2, slots / 2 - 1][digit] ?? 0
  return Math.min(Math.max(Math.floor(choice), 0), slots - 1)
}

function countOf(c: Case, { count }: Draw, size: Size, offset: bigint): number {
  const { slots } = size.size
  const table = Math.max(1, 2 ** size.node.bits / slots)
  const wanted = [1, 1, 1, 1, 2, 2, 3, 4, 5, 7, 16, 33, table, table + 1, table * 2, table - 1][count] ?? 1
  const most = Math.max(1, Math.floor(MOST_SLOTS / slots))
  return Math.max(1, Math.min(wanted, most, pagesFrom(c, size, offset)))
}

/** Output addresses with many bits, at both ends, and where a carry leaves the low 32 bits. */
function paddrOf(c: Case, { paddr }: Draw, size: Size, count: number): { paddr: bigint } {
  const { pgsize } = size
  const end = outputBytes(c, size)
  const least = leastPaddr(c)
  const bytes = BigInt(pgsize) * BigInt(count)
  const align = BigInt(pgsize)
  const carry = 0x1_0000_0000n
  const middle = carry - align * BigInt(Math.ceil(count / 2))
  const choices = [
    0n,
    end - bytes,
    middle,
    0xa5a5_a5a5_a5a5_a5a5n % end,
    0x5a5a_5a5a_5a5a_5a5an % end,
    carry * 3n + middle,
    align,
    end / 2n,
  ]
  const chosen = choices[paddr] ?? 0n
  const at = chosen - (((chosen % align) + align) % align)
  return { paddr: at < least || at + bytes > end ? least : at }
}

/** A range of several page sizes where both addresses allow it, or of many small pages. */
function rangeOf(c: Case, { what, count, paddr, prot, size: drawn }: Draw, offset: bigint, gather: GatherMode): Operation {
  const granule = c.sizes[0]!.pgsize
  const large = c.sizes[drawn % c.sizes.length]!.pgsize
  const most = granule * MOST_SLOTS
  const whole = large <= most || (count & 4) !== 0
  const wanted =
    [granule, granule * 2, granule * 17, large + granule, large * 2, large * 2 + granule * 3, granule * 40][count % 7] ?? granule
  const room = roomAt(c.geometry, offset)
  const end = 1n << BigInt(c.geometry.oas)
  const bytes = Math.min(whole ? wanted : granule * 9, Number(room), Number(end))
  const at = offset - (offset % BigInt(granule))
  if (what >= MAPS) return { op: 'unmapRange', offset: at, bytes, gather }
  return { op: 'mapRange', offset: at, bytes, prot: protFrom(c, prot), paddr: alike(c, at, bytes, granule, paddr) }
}

/** An output address that is aligned as the input address is, or only to the granule; the latter for short ranges alone. */
function alike(c: Case, offset: bigint, bytes: number, granule: number, paddr: number): bigint {
  const end = 1n << BigInt(c.geometry.oas)
  const least = leastPaddr(c)
  const own = iovaOf(c.geometry, offset) % (end / 2n)
  const same = own < least ? own + least : own
  const at = paddr > 5 && bytes <= granule * MOST_SLOTS ? same + BigInt(granule) : same
  return at + BigInt(bytes) <= end ? at : end - BigInt(bytes) >= 0n ? align(end - BigInt(bytes), granule) : 0n
}

function align(value: bigint, granule: number): bigint {
  return value - (value % BigInt(granule))
}
