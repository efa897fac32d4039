/**
 * Cutting: a larger leaf gives way to smaller ones, and tables of them, that translate the same, so that a boundary between two mappings
 * lies at an address. What is new is written in full before anything leads to it; the leaf gives way in one table.
 */

import type { PtPtr } from '@io-pgtable/pt-allocator'
import type { HotNode } from '../compile/hot-node.ts'
import { laneHi, laneLo } from '../compile/lane-pieces.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { hex, IoPgtableError } from '../errors.ts'
import { deposit, matches } from '../format/bits.ts'
import { emptyOf } from '../format/format.ts'
import { NoTableMemory } from '../memory/table-memory.ts'
import type { DecodedLeaf } from '../read/decode.ts'
import { explainRange } from '../request/arguments.ts'
import { bindGather, noSizes } from '../request/errors.ts'
import { held, type Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { type LeafPlace, leafAt, rangeOf } from '../tree/leaf-range.ts'
import { reportLeaves, withGather } from '../tree/report.ts'
import type { Tree } from '../tree/tree.ts'
import { carriedBits, carriedTable } from './carry.ts'

/** What stands in place of a leaf, in order: smaller leaves of a node, or a table of the next one. */
interface Part {
  readonly iova: bigint
  /** A leaf of this size, or a table. */
  readonly plan: LeafPlan | undefined
  /** Entries that it takes. */
  readonly slots: number
  /** What is in the table, and where it is. */
  readonly parts: readonly Part[]
  readonly ptr: PtPtr
}

/** See `IoPageTable.cut`. */
export function cut(own: Request, iova: bigint, gather: IotlbGather | undefined): boolean {
  const r = own.openChange('cut')
  const { t } = r
  bindGather('cut', gather, t)
  const { granule, plans } = t.compiled
  const wrong = explainRange(t.compiled, 'cut', iova, undefined, granule, granule)
  if (wrong !== undefined) throw wrong
  if (plans.length === 0) throw noSizes('cut')
  const leaf = leafAt(t, iova)
  if (leaf === undefined || leaf.iova === iova) return false
  held(r, 'cut', () => cutLeaf(t, leaf, iova, gather), rangeOf(leaf))
  return true
}

/** Cuts a leaf at an address inside it. @throws `EINVAL` where no smaller sizes fit, `ENOMEM`: nothing has changed then; and what callbacks throw */
export function cutLeaf(t: Tree, leaf: LeafPlace, iova: bigint, gather: IotlbGather | undefined): void {
  const made: { node: HotNode; ptr: PtPtr }[] = []
  const discard = (): void => {
    for (const { node, ptr } of made.splice(0)) t.discard(node, ptr)
  }
  const maker = new PartMaker(t, leaf, iova, made)
  try {
    install(t, leaf, maker.partsOf(leaf.node, leaf.iova, leaf.size), gather, () => made.splice(0))
  } catch (error) {
    discard()
    throw error
  }
}

/** Chooses the parts, and allocates their tables. */
class PartMaker {
  readonly #t: Tree
  readonly #leaf: LeafPlace
  readonly #cut: bigint
  readonly #made: { node: HotNode; ptr: PtPtr }[]

  constructor(t: Tree, leaf: LeafPlace, cut: bigint, made: { node: HotNode; ptr: PtPtr }[]) {
    this.#t = t
    this.#leaf = leaf
    this.#cut = cut
    this.#made = made
  }

  /** What translates `bytes` from an address on: always the largest leaf that fits and does not reach over the cut, else a table. */
  partsOf(node: HotNode, from: bigint, bytes: number): Part[] {
    const parts: Part[] = []
    for (let done = 0; done < bytes; ) {
      const iova = from + BigInt(done)
      const plan = this.#largest(node, iova, bytes - done)
      const part = plan === undefined ? this.#table(node, iova) : { iova, plan, slots: plan.slots, parts: [], ptr: 0 as PtPtr }
      parts.push(part)
      done += part.slots * node.slotBytes
    }
    return parts
  }

  #largest(node: HotNode, iova: bigint, room: number): LeafPlan | undefined {
    const { plans } = this.#t.compiled
    const overCut = (size: bigint): boolean => iova < this.#cut && this.#cut < iova + size
    return plans.findLast(
      (plan) => plan.node === node && plan.pgsize <= room && iova % BigInt(plan.pgsize) === 0n && !overCut(BigInt(plan.pgsize)),
    )
  }

  #table(node: HotNode, iova: bigint): Part {
    const child = node.child
    const { entry } = this.#leaf
    if (child === undefined)
      throw new IoPgtableError(
        'EINVAL',
        'cut',
        `no agreed page size is small enough to cut ${hex(entry.size.pgsize)} bytes at ${hex(this.#cut)}`,
        {
          value: this.#cut,
        },
      )
    const parts = this.partsOf(child, iova, node.slotBytes)
    const ptr = this.#alloc(child)
    this.#made.push({ node: child, ptr })
    return { iova, plan: undefined, slots: 1, parts, ptr }
  }

  #alloc(node: HotNode): PtPtr {
    try {
      return this.#t.alloc(node)
    } catch (error) {
      if (!(error instanceof NoTableMemory)) throw error
      const text = `no memory for a table to cut the leaf at ${hex(this.#leaf.iova)}: ${error.message}`
      throw new IoPgtableError('ENOMEM', 'cut', text, { value: this.#cut, cause: error.cause })
    }
  }
}

/** Puts the parts in the leaf's place. `linked`: from now on the tables are the tree's. */
function install(t: Tree, leaf: LeafPlace, parts: readonly Part[], gather: IotlbGather | undefined, linked: () => void): void {
  const { node, at, slots } = leaf
  const old = Array.from({ length: slots }, (_, i) => t.rawAt(node, at + (i << node.entryLg)))
  let raws = rawsOf(t, leaf, parts, old)
  if (t.compiled.policy.breakBeforeMake?.size) {
    broken(t, leaf, (last) => {
      if (last.some((raw, i) => raw !== old[i])) raws = rawsOf(t, leaf, parts, last)
    })
    linked()
    writeAll(t, leaf, raws)
    t.synced(at, slots << node.entryLg)
    return
  }
  withGather(t, gather, rangeOf(leaf), (own) => {
    replace(t, leaf, parts, old, raws, linked)
    reportLeaves(t, node, leaf.iova, slots, own)
  })
}

/** The descriptors of the parts, one for each of the leaf's entries, after the tables among them were filled and synced. */
function rawsOf(t: Tree, leaf: LeafPlace, parts: readonly Part[], old: readonly bigint[]): bigint[] {
  const raws: bigint[] = []
  new Filler(t, leaf, grantsOf(t, leaf, old)).fill(leaf.node, parts, (raw) => void raws.push(raw))
  return raws
}

/** The leaf as its entries are together: a device that wrote by one of them wrote to the whole leaf. */
function grantsOf(t: Tree, { entry }: LeafPlace, old: readonly bigint[]): DecodedLeaf {
  const { dirty } = t.compiled.policy
  const raw = old[0] as bigint
  if (dirty === undefined || !old.some((slot) => matches(slot, dirty.dirty))) return { ...entry, raw }
  return { ...entry, raw: (raw & ~dirty.dirty.mask) | dirty.dirty.value }
}

/** Writes the tables of parts. */
class Filler {
  readonly #t: Tree
  readonly #leaf: LeafPlace
  readonly #entry: DecodedLeaf
  readonly #bits: Map<LeafPlan, bigint> = new Map()

  constructor(t: Tree, leaf: LeafPlace, entry: DecodedLeaf) {
    this.#t = t
    this.#leaf = leaf
    this.#entry = entry
  }

  fill(node: HotNode, parts: readonly Part[], put: (raw: bigint) => void): void {
    for (const part of parts) {
      if (part.plan === undefined) put(this.#table(node, part))
      else this.#leaves(part.plan, part.iova, put)
    }
  }

  #table(node: HotNode, { parts, ptr }: Part): bigint {
    const t = this.#t
    const child = node.child as HotNode
    let at = ptr >>> 2
    this.fill(child, parts, (raw) => {
      writeRaw(t, child, at, raw)
      at += 1 << child.entryLg
    })
    t.synced(ptr >>> 2, child.node.tableBytes / 4)
    const below = parts.find(({ plan }) => plan !== undefined)?.plan?.kind
    return carriedTable(node, this.#entry, below, t.pool.physOf(ptr))
  }

  #leaves(plan: LeafPlan, iova: bigint, put: (raw: bigint) => void): void {
    const paddr = this.#leaf.paddr + (iova - this.#leaf.iova)
    let bits = this.#bits.get(plan)
    if (bits === undefined) this.#bits.set(plan, (bits = carriedBits(this.#t.compiled, this.#entry, plan)))
    const step = plan.slotStep === 0 ? 0n : BigInt(plan.slotBytes)
    for (let slot = 0; slot < plan.slots; slot++) put(bits | deposit(paddr + BigInt(slot) * step, plan.kind.address))
  }
}

/**
 * Empties the leaf's entries, has the driver forget them, and calls `then` with what they held at last. When any callback throws, the leaf
 * stands as before.
 */
function broken(t: Tree, leaf: LeafPlace, then: (last: readonly bigint[]) => void): void {
  const { node, at, slots, iova } = leaf
  const last = Array.from({ length: slots }, (_, i) => takeRaw(t, node, at + (i << node.entryLg)))
  try {
    t.synced(at, slots << node.entryLg)
    withGather(t, undefined, rangeOf(leaf), (gather) => reportLeaves(t, node, iova, slots, gather))
    then(last)
  } catch (error) {
    writeAll(t, leaf, last)
    t.synced(at, slots << node.entryLg)
    throw error
  }
}

function writeAll(t: Tree, { node, at }: LeafPlace, raws: readonly bigint[]): void {
  for (const [i, raw] of raws.entries()) writeRaw(t, node, at + (i << node.entryLg), raw)
}

/** Empties an entry that the hardware may write to at the same time, and returns what it held. */
export function takeRaw(t: Tree, node: HotNode, at: number): bigint {
  for (;;) {
    const raw = t.rawAt(node, at)
    if (t.exchange(node, at, raw, emptyOf(node.node))) return raw
  }
}

/** One valid descriptor after the other becomes the new one; the hardware may have marked it since it was read. */
function replace(
  t: Tree,
  leaf: LeafPlace,
  parts: readonly Part[],
  old: readonly bigint[],
  raws: readonly bigint[],
  linked: () => void,
): void {
  const { node, at, slots } = leaf
  const seen = [...old]
  let wanted = raws
  for (let i = 0; i < slots; i++) {
    const word = at + (i << node.entryLg)
    while (!t.exchange(node, word, seen[i] as bigint, wanted[i] as bigint)) {
      seen[i] = t.rawAt(node, word)
      wanted = rawsOf(t, leaf, parts, seen)
    }
    linked()
  }
  t.synced(at, slots << node.entryLg)
}

/** Writes an entry that leads nowhere yet, or that no walker uses: the lane of the valid bit last. */
export function writeRaw(t: Tree, node: HotNode, at: number, raw: bigint): void {
  if (node.entryLg === 1) t.words[at + 1] = laneHi(raw)
  t.words[at] = laneLo(raw)
}
