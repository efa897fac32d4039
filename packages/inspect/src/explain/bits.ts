/** Which bits of a descriptor an address may not have: what explaining and checking share. */
import {
  bitsOf,
  type DecodedLeaf,
  entrySpan,
  type Field,
  type Geometry,
  type LeafKind,
  ones,
  type Piece,
  type TableKind,
} from '@io-pgtable/core'

export type Leaf = Pick<DecodedLeaf, 'raw' | 'kind' | 'size' | 'node'>

/** Bits that a kind's address, codes and fields take; reserved fields left out. */
export function knownBits(kind: LeafKind | TableKind): bigint {
  let known = kind.match.mask | kind.set | bitsOf(kind.address)
  for (const { reserved, pieces } of kind.fields) if (reserved === undefined) known |= bitsOf(pieces)
  if (kind.type === 'leaf') for (const { match, or } of kind.sizes) known |= (match?.mask ?? 0n) | (or ?? 0n)
  return known
}

/** Bits of the fields that a kind reserves in this way. */
export function reservedBits({ fields }: LeafKind | TableKind, how: NonNullable<Field['reserved']>): bigint {
  return bitsOf(fields.filter(({ reserved }) => reserved === how).flatMap(({ pieces }) => pieces))
}

/**
 * Descriptor bits where a leaf of this size would have address bits below its size, and nothing else: a block with one of them set is not
 * aligned. Where those bits are is told by the kinds of the geometry that have the lowest addresses.
 */
export function misalignedBits(geometry: Geometry, { kind, size, node }: Pick<Leaf, 'kind' | 'size' | 'node'>): bigint {
  const span = BigInt(entrySpan(node, size))
  const own = bitsOf(kind.address) & ~bitsBelow(kind.address, span)
  let low = bitsBelow(kind.address, span)
  for (const other of geometry.nodes.filter(({ entryBytes }) => entryBytes === node.entryBytes))
    for (const { type, ...rest } of other.kinds) if (type === 'leaf') low |= bitsBelow((rest as LeafKind).address, span)
  return low & ~own & ~codes(kind)
}

/** Bits of a leaf that mean something else than an address. */
function codes(kind: LeafKind): bigint {
  const sizes = kind.sizes.reduce((mask, { match, or }) => mask | (match?.mask ?? 0n) | (or ?? 0n), 0n)
  const fields = kind.fields.filter(({ reserved }) => reserved === undefined).flatMap(({ pieces }) => pieces)
  return kind.match.mask | kind.set | sizes | bitsOf(fields)
}

/** The descriptor bits of an address that stand for bits below `span`. */
function bitsBelow(pieces: readonly Piece[], span: bigint): bigint {
  return bitsWhere(pieces, (at) => 1n << BigInt(at) < span)
}

/** The descriptor bits that stand for address bits which the hardware does not have. */
export function outOfRangeBits(geometry: Geometry, { address, type }: LeafKind | TableKind): bigint {
  const limit = type === 'table' ? (geometry.tablesBelow ?? 1n << BigInt(geometry.oas)) : 1n << BigInt(geometry.oas)
  return bitsWhere(address, (at) => 1n << BigInt(at) >= limit)
}

function bitsWhere(pieces: readonly Piece[], wanted: (at: number) => boolean): bigint {
  let mask = 0n
  for (const [hi, lo, at] of pieces) for (let bit = lo; bit <= hi; bit++) if (wanted(at + bit - lo)) mask |= ones(bit, bit)
  return mask
}
