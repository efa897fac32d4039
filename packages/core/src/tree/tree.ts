/** The tree of one IoPageTable: walking it, growing it, and the walk cache. Shared by mapping, unmapping and translation. */
import { GENERATION, type PtPtr } from '@io-pgtable/pt-allocator'
import type { Compiled } from '../compile/compile.ts'
import { type HotNode, tableRaw } from '../compile/hot-node.ts'
import { encodeLane } from '../compile/lane-pieces.ts'
import { advanceHi, advanceLo } from '../hot/lanes.ts'
import type { TablePool } from '../memory/adopted-memory.ts'
import { ROOT_NODE_MASK, rootSpare, STATE_ROOT, TableMemory } from '../memory/table-memory.ts'
import { CACHE_INDEX, cacheStamp, cacheTable, cacheTagHi, cacheTagLo, newStamp, TAG_SPARE_BITS } from '../memory/walk-cache.ts'
import type { TlbFlushOps } from '../tlb/flush.ts'
import type { TableList } from '../tlb/gather.ts'
import type { RootView } from './root-view.ts'

/** What {@link Tree.tableFor} and {@link Tree.findTable} answer instead of a table's word index. */
export const EMPTY = -1
export const BLOCKED = -2

// No private methods: those give a class a scope of its own, and every constant that a method reads is then a step further away.
export class Tree extends TableMemory {
  /** The root's node and word index. They change where the root may grow: see {@link Tree.refresh}. */
  root: HotNode
  rootWord: number
  /** Both as the state has them: another root may come to lie where an earlier one was. */
  rootState: number
  /** What was asked of the root last: see `rootView`. */
  view: RootView | undefined = undefined
  readonly last: HotNode
  /** log2 of the bytes that one table of the last node translates; 0 switches the walk cache off. */
  readonly spanLg: number
  /** What an address' low lane keeps in a tag; and what brings the high lane beside the span. */
  readonly tagMask: number
  readonly upLg: number
  /** Whether a walker that sees memory late depends on several workers: see {@link Tree.tableFor}. */
  readonly late: boolean
  /** The stamp of this table's entries in the walk cache, and the generation for which it holds. */
  stamp = 0
  stampHigh = 0
  generation = 0

  constructor(pool: TablePool, compiled: Compiled, state: Int32Array, owner: number, tlb: TlbFlushOps) {
    super(pool, compiled, state, owner, tlb)
    this.root = compiled.root
    this.rootWord = 0
    this.rootState = 0
    this.last = compiled.last
    const spanLg = compiled.last.shift + compiled.last.node.bits
    // A tag must prove that an address is in the input window, and fit into a lane.
    const cacheable = compiled.chain.length > 1 && spanLg >= TAG_SPARE_BITS && spanLg <= 31 && 2 ** spanLg <= compiled.inputBytes
    this.spanLg = cacheable ? spanLg | 0 : 0
    this.tagMask = -1 << this.spanLg
    this.upLg = (32 - this.spanLg) | 0
    this.late = pool.shared && pool.sync !== undefined
    this.renewStamp()
    this.refresh()
  }

  /** Reads the root from the shared state: another worker may have grown it. The word holds the index and, in its low bits, the node. */
  refresh(): void {
    const packed = this.state[STATE_ROOT]!
    this.rootState = packed
    this.rootWord = packed & ~ROOT_NODE_MASK
    this.root = this.compiled.chain[packed & ROOT_NODE_MASK]!
  }

  /** Whether a table of the current root cannot reach the address. */
  beyondRoot(hi: number, lo: number): boolean {
    return this.compiled.grows && ((hi & this.root.beyondHi) | (lo & this.root.beyondLo)) !== 0
  }

  /**
   * The word index of the table of `target` that translates the address, made where it is missing; or BLOCKED. Of an entry on the
   * way that another worker made, the walker may not know yet: it is told again, since what is mapped below must be reached at once.
   */
  tableFor(target: HotNode, hi: number, lo: number): number {
    if (target === this.last) {
      const cached = this.cached(hi, lo)
      if (cached >= 0) return cached
      this.beginWalk()
    }
    if (tooLow(this, target, hi, lo)) grow(this, target, hi, lo)
    let node = this.root
    let table = this.rootWord
    while (node !== target) {
      const child = node.child
      if (child === undefined) return BLOCKED
      const at = table + (slotIndex(node, hi, lo) << node.entryLg)
      const d = this.words[at]!
      if ((d & node.emptyMask) === node.emptyValue) {
        table = this.install(node, child, at)
        if (table < 0) return table
      } else if ((d & node.tableMask) !== node.tableValue || this.differsHigh(node, at)) return BLOCKED
      else {
        if (this.late) this.synced(at, 1 << node.entryLg)
        table = this.tableOf(node, at)
      }
      node = child
    }
    if (target === this.last) this.remember(hi, lo, table)
    return table
  }

  /**
   * The word index of the table of `target` that translates the address, or EMPTY or BLOCKED where the way ends before it. It tells the walker
   * of nothing, so that where others' tables must be told, it does not enter them for `tableFor` either.
   */
  findTable(target: HotNode, hi: number, lo: number): number {
    if (target === this.last) {
      const cached = this.cached(hi, lo)
      if (cached >= 0) return cached
      this.beginWalk()
    }
    if (this.beyondRoot(hi, lo)) return EMPTY
    let node = this.root
    let table = this.rootWord
    while (node !== target) {
      const at = table + (slotIndex(node, hi, lo) << node.entryLg)
      const d = this.words[at]!
      if ((d & node.emptyMask) === node.emptyValue) return EMPTY
      if ((d & node.tableMask) !== node.tableValue || node.child === undefined || this.differsHigh(node, at)) return BLOCKED
      table = this.tableOf(node, at)
      node = node.child
    }
    if (target === this.last && !this.late) this.remember(hi, lo, table)
    return table
  }

  /**
   * The cached table of the last node for the address, or -1. A tag holds all address bits above the table's span: it proves the range.
   * Stamps lie far apart: the tables of several trees at the same addresses do not meet in the same entries.
   */
  cached(hi: number, lo: number): number {
    if (this.generation !== this.meta[GENERATION]) return -1
    const stamp = this.stamp
    const i = ((lo >>> this.spanLg) ^ (hi << this.upLg) ^ stamp) & CACHE_INDEX
    const known = cacheStamp[i] === stamp && cacheTagHi[i] === hi && cacheTagLo[i] === ((lo & this.tagMask) | this.stampHigh)
    return known ? cacheTable[i]! : -1
  }

  /** Enters the table that a walk ended at: see {@link Tree.beginWalk}. */
  remember(hi: number, lo: number, table: number): void {
    if (this.spanLg === 0) return
    const i = ((lo >>> this.spanLg) ^ (hi << this.upLg) ^ this.stamp) & CACHE_INDEX
    cacheTagLo[i] = (lo & this.tagMask) | this.stampHigh
    cacheTagHi[i] = hi
    cacheStamp[i] = this.stamp
    cacheTable[i] = table
  }

  /**
   * Begins a walk, whose end {@link Tree.remember} may enter: from now on the stamp is that of the generation. Freeing a table renews its stamp as
   * well, so that no entry of the walk cache matches it any more.
   */
  beginWalk(): void {
    if (this.generation !== this.meta[GENERATION]) this.renewStamp()
  }

  renewStamp(): void {
    const { low, high } = newStamp()
    this.generation = this.meta[GENERATION]!
    this.stamp = low
    this.stampHigh = high
  }

  /** Makes the child table of the empty entry at `at` and installs it. */
  install(node: HotNode, child: HotNode, at: number): number {
    if (this.pool.shared) return installShared(this, node, child, at)
    const made = this.alloc(child)
    this.link(node, at, made)
    if (this.pool.sync !== undefined) this.synced(at, 1 << node.entryLg)
    return made >>> 2
  }

  /** Makes the empty entry at `at` lead to a table, in memory that no other thread has. */
  link(node: HotNode, at: number, made: PtPtr): void {
    const hi = advanceHi(this.baseHi, this.baseLo, made)
    const lo = advanceLo(this.baseLo, made)
    if (node.entryLg === 1) this.words[at + 1] = node.tableHi | encodeLane(node.tablePieces, 1, hi, lo)
    this.words[at] = node.tableLo | encodeLane(node.tablePieces, 0, hi, lo)
  }

  /** Whether any entry of the table, or of the tables below it, translates (or is not a table of ours). */
  hasLeaves(node: HotNode, table: number): boolean {
    const n = (node.indexMask + 1) | 0
    for (let i = this.emptyPrefix(node, table, n); i < n; i++) {
      const at = table + (i << node.entryLg)
      if ((this.words[at]! & node.emptyMask) === node.emptyValue) continue
      if (!this.isTable(node, at) || node.child === undefined || this.hasLeaves(node.child, this.tableOf(node, at))) return true
    }
    return false
  }

  /**
   * Puts the table and every table below it on a list. {@link Tree.forEachTable} for the commonest end: with its several callers, each of
   * the hundreds of tables of a large range would cost a call that V8 cannot inline. Tables that follow one another go as one.
   */
  listTables(node: HotNode, table: number, list: TableList): void {
    list.add((table * 4) as PtPtr)
    const child = node.child
    if (child === undefined) return
    const n = (node.indexMask + 1) | 0
    const words = child.tableBytes >> 2
    let first = 0
    let count = 0
    for (let i = this.emptyPrefix(node, table, n); i < n; i = (i + 1) | 0) {
      const at = (table + (i << node.entryLg)) | 0
      if (!this.isTable(node, at)) continue
      const below = this.tableOf(node, at)
      if (child.child !== undefined) this.listTables(child, below, list)
      else if (count > 0 && below === first + count * words) count = (count + 1) | 0
      else {
        if (count > 0) list.addRun((first * 4) as PtPtr, count, child.tableBytes)
        first = below
        count = 1
      }
    }
    if (count > 0) list.addRun((first * 4) as PtPtr, count, child.tableBytes)
  }

  /** Calls `take` with the table and every table below it, and their nodes. */
  forEachTable(node: HotNode, table: number, take: (table: PtPtr, node: HotNode) => void): void {
    take((table * 4) as PtPtr, node)
    const child = node.child
    if (child === undefined) return
    const n = (node.indexMask + 1) | 0
    for (let i = this.emptyPrefix(node, table, n); i < n; i++) {
      const at = table + (i << node.entryLg)
      if (this.isTable(node, at)) this.forEachTable(child, this.tableOf(node, at), take)
    }
  }
}

/** Whether the root must grow before a table of `target` can translate the address: it reaches less, or is below `target` itself. */
function tooLow(t: Tree, target: HotNode, hi: number, lo: number): boolean {
  return t.compiled.grows && (t.root.shift < target.shift || t.beyondRoot(hi, lo))
}

/** Adds levels above the root until it reaches both: the old root becomes entry 0 of the new one. */
function grow(t: Tree, target: HotNode, hi: number, lo: number): void {
  while (tooLow(t, target, hi, lo)) {
    const depth = t.compiled.chain.indexOf(t.root)
    const parent = t.compiled.chain[depth - 1]
    if (parent === undefined) throw new Error('an address beyond the highest root passed the checks')
    const made = t.alloc(parent)
    const at = made >>> 2
    const entry = tableRaw(parent, t.pool.base + BigInt(t.rootWord) * 4n)
    if (parent.entryLg === 1) t.pool.cells[at >> 1] = BigInt.asIntN(64, entry)
    else t.words[at] = Number(BigInt.asIntN(32, entry))
    syncedOr(t, parent, made, at)
    const packed = t.rootWord | depth
    if (Atomics.compareExchange(t.state, STATE_ROOT, packed, at | (depth - 1)) !== packed) t.discard(parent, made)
    else if (t.root === t.compiled.root) t.account(rootSpare(t.root))
    t.refresh()
  }
}

/** Syncs the first entry of a root to be; should the hook throw, the table is given back. */
function syncedOr(t: Tree, parent: HotNode, made: PtPtr, at: number): void {
  try {
    t.synced(at, 1 << parent.entryLg)
  } catch (error) {
    t.discard(parent, made)
    throw error
  }
}

/** Installs the table by compare-and-exchange: the worker that comes first wins, and the others give their tables back. */
function installShared(t: Tree, node: HotNode, child: HotNode, at: number): number {
  const expected = t.rawAt(node, at)
  // What was empty a moment ago may hold another worker's table by now.
  if ((Number(BigInt.asIntN(32, expected)) & node.emptyMask) !== node.emptyValue) return installed(t, node, at)
  const made = t.alloc(child)
  const raw = tableRaw(node, t.pool.physOf(made))
  if (t.exchange(node, at, expected, raw)) {
    t.synced(at, 1 << node.entryLg)
    return made >>> 2
  }
  t.discard(child, made)
  return installed(t, node, at)
}

/** The table that another worker installed first. */
function installed(t: Tree, node: HotNode, at: number): number {
  if (!t.isTable(node, at)) return BLOCKED
  if (t.late) t.synced(at, 1 << node.entryLg)
  return t.tableOf(node, at)
}

/** The index of the address in a table of `node`. */
export function slotIndex(node: HotNode, hi: number, lo: number): number {
  const shift = node.shift
  if (shift >= 32) return (hi >>> (shift - 32)) & node.indexMask
  return ((lo >>> shift) | ((hi << 1) << (31 - shift))) & node.indexMask
}
