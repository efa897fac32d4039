/** What one leaf grants, written as the descriptor of another kind or size: attributes go by the names of their fields. */

import type { Compiled } from '../compile/compile.ts'
import { type HotNode, tableRaw } from '../compile/hot-node.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { hex, IoPgtableError } from '../errors.ts'
import type { Field } from '../format/bits.ts'
import { bitsOf, deposit, extract } from '../format/bits.ts'
import type { Kind, LeafKind, LeafSize } from '../format/format.ts'
import { protLimit } from '../format/prot.ts'
import { type DecodedLeaf, decode } from '../read/decode.ts'

/** Bits that say what a leaf is, and which of them are ones. */
interface Structure {
  readonly mask: bigint
  readonly value: bigint
}

function structureOf(kind: LeafKind, size: LeafSize): Structure {
  const mask = kind.set | kind.match.mask | (size.or ?? 0n) | (size.match?.mask ?? 0n)
  return { mask, value: kind.set | kind.match.value | (size.or ?? 0n) | (size.match?.value ?? 0n) }
}

/**
 * The bits beside the address of a leaf of `plan`, with which it grants what `leaf` does. A field whose bits say what the leaf is, of one of
 * the two alone, is not an attribute and keeps its place's own value.
 * @throws `EINVAL` where no such descriptor exists
 */
export function carriedBits(c: Compiled, leaf: DecodedLeaf, plan: LeafPlan): bigint {
  const size = plan.kind.sizes.find(({ pgsize }) => pgsize === plan.pgsize) as LeafSize
  const from = structureOf(leaf.kind, leaf.size)
  const to = structureOf(plan.kind, size)
  let raw = to.value
  for (const field of plan.kind.fields) {
    const source = fieldOf(leaf.kind, field.name)
    if (source === undefined || field.reserved || source.reserved) continue
    if (extract(from.mask, source.pieces) !== extract(to.mask, field.pieces)) continue
    raw = (raw & ~bitsOf(field.pieces)) | deposit(extract(leaf.raw, source.pieces), field.pieces)
  }
  if (grants(c, leaf, plan, size, raw)) return raw
  const prot = c.format.prot(leaf.raw, leaf.kind, c.context)
  const bits = prot < protLimit(plan.kind) ? c.format.encodeLeaf(c.config, plan.node.node, plan.kind, prot) : undefined
  const fresh = bits === undefined ? undefined : bits | to.value
  if (fresh !== undefined && grants(c, leaf, plan, size, fresh)) return fresh
  throw new IoPgtableError('EINVAL', 'cut', `a leaf of ${hex(plan.pgsize)} bytes cannot grant what ${hex(leaf.raw)} does`, {
    value: leaf.raw,
  })
}

/** The proof, by decoding: a leaf of that size and at any address, with the same permissions. */
function grants(c: Compiled, leaf: DecodedLeaf, plan: LeafPlan, size: LeafSize, bits: bigint): boolean {
  const paddr = leaf.paddr & ~BigInt(plan.pgsize - 1)
  const entry = decode(c.geometry, plan.node.node, bits | deposit(paddr, plan.kind.address))
  if (entry.type !== 'leaf' || entry.size.pgsize !== size.pgsize || entry.paddr !== paddr || entry.reserved !== 0n) return false
  return c.format.prot(entry.raw, entry.kind, c.context) === c.format.prot(leaf.raw, leaf.kind, c.context)
}

/**
 * The descriptor of a table at `paddr` that takes the place of `leaf`: attributes that leaves of the table have no field for stand in the
 * table's own descriptor, where it has one (a domain).
 */
export function carriedTable(node: HotNode, leaf: DecodedLeaf, below: LeafKind | undefined, paddr: bigint): bigint {
  let raw = tableRaw(node, paddr)
  for (const field of node.tableKind?.fields ?? []) {
    const source = fieldOf(leaf.kind, field.name)
    if (source === undefined || field.reserved || below === undefined || fieldOf(below, field.name) !== undefined) continue
    raw = (raw & ~bitsOf(field.pieces)) | deposit(extract(leaf.raw, source.pieces), field.pieces)
  }
  return raw
}

function fieldOf(kind: Kind, name: string): Field | undefined {
  return kind.fields.find((field) => field.name === name)
}
