/** What a prot makes of the descriptors that are mapped: bits that flip, worked out once for each pattern of attributes. */

import { bitsOf, extract, matches } from '../format/bits.ts'
import type { LeafKind, LevelNode } from '../format/format.ts'
import { type Prot, Prot as Prots, protLimit } from '../format/prot.ts'
import { join } from '../hot/lanes.ts'
import { decode, entrySpan } from '../read/decode.ts'
import { AttributeMemo } from './attribute-memo.ts'
import type { Compiled } from './compile.ts'
import { type LaneLeaf, laneNodeOf } from './lane-node.ts'
import { laneHi, laneLo } from './lane-pieces.ts'

/** The attribute bits of a kind: those that some prot changes, with the fields that they are in, and what they are for the prot asked for. */
interface Attributes {
  readonly mask: bigint
  readonly bits: bigint
  /** What a fresh leaf with them grants. */
  readonly prot: Prot
}

/** What becomes of descriptors of one pattern of attributes. */
interface Rewriting {
  /** The prot can be had. */
  readonly isPossible: boolean
  /** Bits that change, by lane. */
  readonly flipLo: number
  readonly flipHi: number
  /** Hardware must not see the change from one valid descriptor to the other. */
  readonly breaks: boolean
  /** Descriptors that differ in the address only may become something else: each must be looked at. */
  readonly isAlone: boolean
}

/** What giving a prot to mapped leaves makes of their descriptors: their addresses and sizes stay, and whether the device wrote to them. */
export class ProtChange {
  readonly #c: Compiled
  readonly #prot: Prot
  readonly #attributes: Map<LeafKind, Attributes | undefined> = new Map()
  readonly #memo: AttributeMemo<Rewriting>

  constructor(c: Compiled, prot: Prot) {
    this.#c = c
    this.#prot = prot
    this.#memo = new AttributeMemo((leaf, raw) => this.#rewriting(leaf, raw))
  }

  of(leaf: LaneLeaf, lo: number, hi: number): Rewriting {
    const known = this.#memo.of(leaf, lo, hi)
    return known.isAlone ? this.#rewriting(leaf, join(hi, lo)) : known
  }

  #rewriting(leaf: LaneLeaf, raw: bigint): Rewriting {
    const fresh = this.#descriptor(leaf, raw)
    const flip = raw ^ (fresh ?? raw)
    const touchesAddress = (flip & bitsOf(leaf.kind.address)) !== 0n
    return {
      isPossible: fresh !== undefined,
      flipLo: laneLo(flip),
      flipHi: laneHi(flip),
      breaks: mustBreak(this.#c, leaf.kind, flip),
      isAlone: touchesAddress || !this.#isSure(leaf, raw) || !this.#isSure(leaf, raw ^ flip),
    }
  }

  /** Whether descriptors that differ from this one in the address only are of its kind and size. */
  #isSure({ node }: LaneLeaf, raw: bigint): boolean {
    const lo = laneLo(raw)
    const hi = laneHi(raw)
    return laneNodeOf(this.#c.geometry, node).leaf(lo, hi)?.isSure(lo, hi) ?? false
  }

  /** The new descriptor of an entry; undefined where there is none. */
  #descriptor(leaf: LaneLeaf, raw: bigint): bigint | undefined {
    const { node, kind } = leaf
    const attributes = this.#of(node, kind)
    if (attributes === undefined) return undefined
    const changed = (raw & ~attributes.mask) | attributes.bits
    // Bits that every leaf of ours has, but not one that somebody else wrote, may be among those that grant.
    const granting = [changed, changed | kind.set].find((bits) => this.#fits(leaf, raw, bits, attributes.prot))
    return granting === undefined ? undefined : this.#asWritten(granting, kind, raw)
  }

  #fits({ node, kind, size }: LaneLeaf, raw: bigint, changed: bigint, prot: Prot): boolean {
    const { format, context, geometry } = this.#c
    const after = decode(geometry, node, changed)
    if (after.type !== 'leaf' || after.size.pgsize !== size.pgsize) return false
    const paddr = extract(raw, kind.address) & ~BigInt(entrySpan(node, size) - 1)
    return after.paddr === paddr && format.prot(changed, after.kind, context) === prot
  }

  #of(node: LevelNode, kind: LeafKind): Attributes | undefined {
    if (this.#attributes.has(kind)) return this.#attributes.get(kind)
    const { format, config, context } = this.#c
    const all = Array.from({ length: protLimit(kind) }, (_, prot) =>
      (prot & 3) === 0 ? undefined : format.encodeLeaf(config, node, kind, prot),
    )
    const wanted = all[this.#prot]
    const touched = all.reduce((bits: bigint, raw) => bits | (raw ?? 0n), 0n)
    const mask = kind.fields.reduce((bits, { pieces }) => (bitsOf(pieces) & touched ? bits | bitsOf(pieces) : bits), touched)
    const prot = format.prot((wanted ?? 0n) | kind.set, kind, context)
    const found = wanted === undefined ? undefined : { mask, bits: wanted | (kind.set & mask), prot }
    this.#attributes.set(kind, found)
    return found
  }

  /**
   * The new descriptor, dirty where the old one was, and clean where that was writable, and clean: as far as either grants the same. A leaf
   * that becomes writable is as one that is mapped so.
   */
  #asWritten(changed: bigint, kind: LeafKind, old: bigint): bigint {
    const { format, context, policy } = this.#c
    const { dirty } = policy
    if (dirty === undefined || matches(changed, dirty.dirty) === matches(old, dirty.dirty)) return changed
    const wasDirty = matches(old, dirty.dirty)
    if (!wasDirty && (format.prot(old, kind, context) & Prots.WRITE) === 0) return changed
    const kept = wasDirty ? (changed & ~dirty.dirty.mask) | dirty.dirty.value : (changed & ~dirty.clear) | dirty.set
    return format.prot(kept, kind, context) === format.prot(changed, kind, context) ? kept : changed
  }
}

/** Whether hardware must not see the difference between two valid descriptors. */
function mustBreak({ policy }: Compiled, kind: LeafKind, difference: bigint): boolean {
  const names = policy.breakBeforeMake?.fields
  if (names === undefined) return false
  return kind.fields.some(({ name, pieces }) => (bitsOf(pieces) & difference) !== 0n && names.includes(name))
}
