/**
 * The walk of a dump: every leaf below the roots in the order of the input addresses, table by table, at the speed of memory. It trusts
 * nothing. A table that is reached in several ways is read once or twice and then remembered; one below which nothing is mapped is left
 * alone from then on; so that work is bounded by the memory and by what comes out. All state is in objects: a walk that misses a page of
 * its image goes on where it was.
 */

import { type LaneKind, type LaneLeaf, type LaneNode, type LaneTable, laneLeafOf, laneNodes } from '@io-pgtable/core/compiled'
import { nextKnownEntry } from '../image/image.ts'
import { Frame, type OtherHalf } from './frame.ts'
import { Inherited } from './inherited.ts'
import { joined } from './joined.ts'
import type { LeafTaker, WalkLimits } from './leaf-taker.ts'
import { type RootPart, rootParts } from './root-parts.ts'
import { equal, rising32, rising64 } from './scan.ts'
import { TableMemo } from './table-memo.ts'
import { TableWords } from './table-words.ts'
import type { Tables } from './tables.ts'
import { WalkFindings } from './walk-findings.ts'

const WORK = 2 ** 26
/** Tables, and things in them, that are remembered: some 100 MB together. What is beyond counts as work, every time. */
const MAX_TABLES = 2 ** 20
const MAX_REMEMBERED = 2 ** 20
/** No geometry has more levels; one that points back to itself would have no end. */
const MAX_DEPTH = 12
/** Parts of one table, between holes of the memory. */
const MOST_PARTS = 2 ** 10

export class LeafWalk {
  readonly findings: WalkFindings
  readonly root: LaneNode
  /** The way to the roots. */
  readonly way: Inherited
  readonly #tables: Tables
  readonly #parts: readonly RootPart[]
  readonly #memory: TableWords
  #part = 0
  /** The part whose root was opened last. */
  #region: RootPart | undefined
  readonly #stack: Frame[] = []
  /** By table and level: how many times leaves were given below it, and from the second time on what it holds. */
  readonly #memos: Map<number, number | TableMemo> = new Map()
  /** Tables that were opened piece by piece. */
  readonly #pieces: Set<number> = new Set()
  readonly #taker: LeafTaker
  readonly #limits: WalkLimits
  #work: number
  #tablesRead = 0
  #leaves = 0
  #remembered = 0
  /** It ends, or pauses, after what it is at. */
  #halted = false
  #ended = false

  constructor(tables: Tables, taker: LeafTaker, limits: WalkLimits = {}) {
    this.findings = new WalkFindings(tables.name)
    this.#tables = tables
    this.#taker = taker
    this.#limits = limits
    this.#work = limits.work ?? WORK
    this.#memory = new TableWords(tables.read)
    this.root = laneNodes(tables.geometry)
    this.way = Inherited.root(tables)
    this.#parts = rootParts(tables, this.root, limits.first ?? 0n, limits.last ?? (1n << 64n) - 1n)
  }

  get tablesRead(): number {
    return this.#tablesRead
  }

  /** Whether it was ended before its end. */
  get isStopped(): boolean {
    return this.#ended
  }

  /** Whether `run` would go on. */
  get isPaused(): boolean {
    return this.#halted && !this.#ended
  }

  /** Ends the walk: it does not go on after the leaves that it gives at the moment. */
  stop(): void {
    this.#halted = true
    this.#ended = true
  }

  /** The same, until `run` is called again. */
  pause(): void {
    this.#halted = true
  }

  /** Goes on to the end, or until it is stopped. @throws what reading throws: calling it again goes on there */
  run(): void {
    this.#halted = this.#ended
    while (!this.#halted) {
      const frame = this.#stack.at(-1)
      if (frame !== undefined) this.#goOn(frame)
      else if (this.#part < this.#parts.length) this.#openRoot(this.#parts[this.#part] as RootPart)
      else return
    }
  }

  #openRoot(part: RootPart): void {
    const { table, base, first, end } = part
    this.#region = part
    this.#open({ node: this.root, table, base, inherited: this.way, other: undefined }, first, end)
    this.#part++
  }

  #goOn(frame: Frame): void {
    if (frame.replay === undefined) this.#scan(frame)
    else this.#replay(frame, frame.replay)
    if (frame.at < frame.known || this.#stack.at(-1) !== frame) return
    this.#stack.pop()
    if (frame.memo !== undefined) frame.memo.isComplete = true
    else if (frame.key !== -1 && !frame.again) this.#memos.set(frame.key, this.#leaves - frame.before)
  }

  /** Opens a table: the entries for the addresses `first` to `end`. A table of which nothing is to be seen is not opened. */
  #open({ node, table, base, inherited, other }: OtherHalf, first: number, end: number): void {
    const { slot, group } = node
    const entries = this.#stack.length === 0 ? node.entries / this.#tables.roots.length : node.entries
    const from = Math.max(node.from, first <= base ? 0 : align(Math.floor((first - base) / slot), group))
    const most = Math.min(node.to, entries)
    const to = base + most * slot <= end ? most : Math.min(most, align(Math.ceil((end - base) / slot) + group - 1, group))
    if (from >= to) return
    const frame = new Frame(node, table, base, inherited, from, to)
    frame.before = this.#leaves
    frame.depth = (this.#stack.at(-1)?.depth ?? 0) + 1
    frame.other = other
    frame.first = first
    frame.end = end
    const isApart = other === undefined && node.next === undefined && !node.isHalf
    if (to - from === node.to - node.from && isApart) {
      const key = table + node.ordinal
      const memo = this.#memos.get(key)
      if (memo === 0 || (memo !== undefined && !this.#openAgain(frame, key, memo))) return
      frame.key = key
    }
    if (frame.replay !== undefined) this.#stack.push(this.#replayed(frame, frame.replay))
    else this.#read(frame)
  }

  /** A table that was gone through before. @returns false when that would be too much */
  #openAgain(frame: Frame, key: number, memo: number | TableMemo): boolean {
    frame.again = true
    if (memo instanceof TableMemo && memo.isComplete) {
      frame.replay = memo
      return this.#spend(memo.items.length)
    }
    if (this.#remembered < MAX_REMEMBERED) {
      frame.memo = new TableMemo()
      this.#memos.set(key, frame.memo)
    }
    return this.#spend(frame.to - frame.from)
  }

  #replayed({ node, table, base, inherited, depth, first, end }: Frame, memo: TableMemo): Frame {
    const frame = new Frame(node, table, base, inherited, 0, memo.items.length)
    frame.first = first
    frame.end = end
    frame.depth = depth
    frame.replay = memo
    frame.again = true
    return frame
  }

  #read(frame: Frame): void {
    const { node, from, to, table } = frame
    frame.read(this.#memory)
    const parts = frame.known < to && !frame.again ? this.#partsOf(frame) : [frame]
    if (frame.known === from || parts.length > 1 || this.#memos.size >= MAX_TABLES) frame.key = -1
    if (!frame.again) {
      for (const part of parts) if (part.known < part.to) this.findings.unknown(part)
      if ((this.#stack.length > 0 || this.#isFirstPart()) && this.#isNew(node, table)) this.#count(node, table)
      // What cannot be remembered is work each time
      if (this.#memos.size >= MAX_TABLES) this.#spend(to - from)
    }
    this.#stack.push(...parts.reverse())
  }

  /** A table of which memory has holes, as the entries before and behind them. */
  #partsOf(frame: Frame): Frame[] {
    const parts = [frame]
    const { to } = frame
    for (let part = frame; part.known < to && parts.length < MOST_PARTS; ) {
      const { node, table, base, inherited, known } = part
      const { stride = node.node.entryBytes } = node.node
      const behind = nextKnownEntry(this.#tables.read, BigInt(table + known * stride), stride, known, to)
      if (behind >= to) break
      part.to = behind
      part = new Frame(node, table, base, inherited, behind, to)
      part.depth = frame.depth
      part.first = frame.first
      part.end = frame.end
      part.read(this.#memory)
      parts.push(part)
    }
    return parts
  }

  /** A root that stands at two places of the input addresses, the halves of a sign-extended window, is one table. */
  #isFirstPart(): boolean {
    const { table } = this.#region as RootPart
    return this.#parts.findIndex((part) => part.table === table) === this.#parts.indexOf(this.#region as RootPart)
  }

  /** A table that the other half of an entry leads to is opened piece by piece, and counts once; the half itself is no table. */
  #isNew(node: LaneNode, table: number): boolean {
    if (node.isHalf) return false
    if (this.#stack.at(-1)?.node.isHalf !== true) return true
    const key = table + node.ordinal
    if (this.#pieces.has(key)) return false
    if (this.#pieces.size < MAX_TABLES) this.#pieces.add(key)
    return true
  }

  #count(node: LaneNode, table: number): void {
    this.#tablesRead++
    this.#taker.table?.(node, table)
    if (this.#limits.onTable?.(this.#tablesRead) === false) this.stop()
  }

  #scan(frame: Frame): void {
    frame.refresh(this.#memory)
    const { node, words, known } = frame
    const width = node.words
    const word = frame.word - frame.from * width
    let i = frame.at
    while (i < known && !this.#halted) {
      const at = word + i * width
      const lo = words[at]!
      const hi = width === 2 ? words[at + 1]! : 0
      if (lo === node.emptyLo && hi === node.emptyHi && node.hasEmpty) {
        const count = equal(words, at, known - i, width, lo, hi)
        if (this.#pass(frame, node.kind(lo, hi), i, count)) return
        if (!frame.again) this.#taker.other?.(node, node.kind(lo, hi), count)
        i += count
        continue
      }
      const kind = node.kind(lo, hi)
      if (kind.leaves.length > 0) i += this.#leaf(frame, i, at, kind, lo, hi)
      else if (kind.table !== undefined) {
        // From here on a page may be missing: the frame says where to go on
        frame.at = i
        this.#table(frame, kind.table, i, lo, hi)
        frame.memo?.items.push({ leaf: undefined, table: kind.table, index: i, lo, hi })
        frame.at = ++i
        if (this.#stack.at(-1) !== frame) return
        frame.refresh(this.#memory)
      } else {
        if (this.#pass(frame, kind, i, 1)) return
        this.#other(frame, kind, i++, lo, hi)
      }
    }
    frame.at = i
  }

  /** Goes on to the other half of the entry above, for the addresses of entries that pass. @returns whether there is one: it is open then, or empty */
  #pass(frame: Frame, kind: LaneKind, i: number, count: number): boolean {
    const other = kind.passes ? this.#otherOf(frame) : undefined
    if (other === undefined) return false
    const { node, base } = frame
    const first = base + i * node.slot
    // From here on a page may be missing: the frame says where to go on
    frame.at = i
    this.#open(other, Math.max(first, this.#first(frame)), Math.min(first + count * node.slot, this.#end(frame)))
    frame.at = i + count
    if (!frame.again) this.#taker.other?.(node, kind, count)
    return true
  }

  /** Where ways that pass go on from the table of a frame, or from a table below its entries. */
  #otherOf({ node, table, base, inherited, other }: Frame): OtherHalf | undefined {
    return node.next === undefined ? other : { node: node.next, table, base, inherited, other }
  }

  /** The addresses that are wanted: the region's, and of the other half of an entry those that came to it. */
  #first({ first }: Frame): number {
    return Math.max(first, (this.#region as RootPart).first)
  }

  #end({ end }: Frame): number {
    return Math.min(end, (this.#region as RootPart).end)
  }

  /** Leaves from entry `i`, at word `at`, on: as many as follow from the first. @returns entries */
  #leaf(frame: Frame, i: number, at: number, kind: LaneKind, lo: number, hi: number): number {
    const { node, words, known } = frame
    let leaf = kind.leaves.length === 1 ? kind.leaves[0]! : laneLeafOf(kind, lo, hi)
    let entries = 1
    let count = 1
    if (leaf.slots > 1) {
      const whole = i % leaf.slots === 0 && i + leaf.slots <= known && equal(words, at, leaf.slots, node.words, lo, hi) === leaf.slots
      if (whole) entries = leaf.slots
      else leaf = leaf.cut(node.slot)
    } else if (leaf.step !== 0 && (leaf.doubts.length === 0 || leaf.isSure(lo, hi))) {
      const most = Math.min(known - i, leaf.linear(lo))
      entries = node.words === 2 ? rising64(words, at, most, leaf.step) : rising32(words, at, most, leaf.step)
      count = entries
    }
    if (frame.memo !== undefined) this.#remember(frame.memo, leaf, i, count, lo, hi)
    this.#give(leaf, frame.base + i * node.slot, count, lo, hi, frame.inherited)
    return entries
  }

  #remember(memo: TableMemo, leaf: LaneLeaf, index: number, count: number, lo: number, hi: number): void {
    memo.items.push({ leaf, index, count, lo, hi })
    this.#remembered++
  }

  /** Gives leaves to the taker: those that are wanted, and of one that reaches beyond the root's addresses the part in them. */
  #give(leaf: LaneLeaf, iova: number, count: number, lo: number, hi: number, inherited: Inherited): void {
    const { first, end } = this.#region as RootPart
    if (iova >= first && iova + count * leaf.leafSize <= end) {
      this.#leaves++
      this.#taker.leaves(leaf, iova, leaf.paddr(lo, hi, iova), count, lo, hi, inherited)
    } else this.#giveWanted(leaf, iova, count, lo, hi, inherited)
  }

  #giveWanted(leaf: LaneLeaf, iova: number, count: number, lo: number, hi: number, inherited: Inherited): void {
    const { regionFirst, regionEnd, first, end } = this.#region as RootPart
    for (let k = 0; k < count; k++) {
      const at = iova + k * leaf.leafSize
      const behind = at + leaf.leafSize
      if (behind <= first || at >= end) continue
      const from = Math.max(at, regionFirst)
      const to = Math.min(behind, regionEnd)
      const low = (lo + k * leaf.step) | 0
      const cut = leaf.cut(lowestPower(from, to))
      this.#leaves++
      this.#taker.leaves(cut, from, cut.paddr(low, hi, from), (to - from) / cut.leafSize, low, hi, inherited)
    }
  }

  #table(frame: Frame, table: LaneTable, i: number, lo: number, hi: number): void {
    const { node, base, inherited, again } = frame
    const child = table.child(lo, hi)
    if (child === undefined) this.findings.invalid(frame, i, joined(lo, hi), 'no table can be at that level')
    else if (frame.depth >= MAX_DEPTH) this.findings.invalid(frame, i, joined(lo, hi), `more than ${MAX_DEPTH} levels`)
    else {
      const next = table.address(lo, hi)
      const isCycle = !again && this.#stack.some((above) => above.table === next)
      const below = { node: child, table: next, base: base + i * node.slot, inherited: inherited.by(table, node.node, lo, hi) }
      this.#open({ ...below, other: this.#otherOf(frame) }, this.#first(frame), this.#end(frame))
      if (isCycle) this.findings.cycle(frame, i, next)
    }
  }

  /** What is remembered of a table, at another input address. */
  #replay(frame: Frame, { items }: TableMemo): void {
    while (frame.at < frame.to && !this.#halted) {
      const item = items[frame.at]!
      if (item.leaf === undefined) this.#table(frame, item.table, item.index, item.lo, item.hi)
      else this.#give(item.leaf, frame.base + item.index * frame.node.slot, item.count, item.lo, item.hi, frame.inherited)
      frame.at++
      if (this.#stack.at(-1) !== frame) return
    }
  }

  #spend(work: number): boolean {
    this.#work -= work
    if (this.#work >= 0) return true
    this.stop()
    this.findings.workLimit()
    return false
  }

  #other(frame: Frame, kind: LaneKind, i: number, lo: number, hi: number): void {
    if (frame.again) return
    this.#taker.other?.(frame.node, kind, 1)
    if (kind.kind.type === 'invalid') this.findings.invalid(frame, i, joined(lo, hi), `a descriptor of the kind ${kind.kind.name}`)
  }
}

function align(index: number, group: number): number {
  return index - (index % group)
}

/** The largest power of two of which both are multiples. */
function lowestPower(a: number, b: number): number {
  const bits = BigInt(a) | BigInt(b)
  return Number(bits & -bits)
}
