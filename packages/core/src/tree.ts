/** The tables of one IoPageTable: walking, growing and pruning the tree. Shared by mapping, unmapping and translation. */
import { GENERATION, type PtFreeList, type PtPool, type PtPtr } from '@io-pgtable/pt-allocator'
import { type Compiled, type HotNode, type LeafPlan, tableRaw } from './compile.ts'
import { decode, kindOf } from './decode.ts'
import { IoPgtableError } from './errors.ts'
import type { TlbFlushOps } from './flush.ts'
import { type GatherOwner, IotlbGather } from './gather.ts'
import { clear64, fill32, prefix32, prefix64 } from './hot.ts'
import { inputRanges } from './walk.ts'

/** What {@link Tree.tableFor} and {@link Tree.findTable} answer instead of a table's word index. */
export const EMPTY = -1
export const BLOCKED = -2
export const NO_MEMORY = -3

/** Words of a table's shared state: its status, the word index of its root, its table bytes in units of 64. */
export const STATE_STATUS = 0
export const STATE_ROOT = 1
export const STATE_UNITS = 2
export const STATE_WORDS = 16
/** Low bits of the root's word that hold its place in the chain of nodes: tables are aligned to 16 words. */
const ROOT_NODE_MASK = 15

export const LIVE = 0
export const DEAD = 1
const UNIT = 64

/** Entries of the walk cache, four words each: the table's first address (two lanes), its word index, the generation it was seen in. */
const CACHE_ENTRIES = 1024

export class Tree implements GatherOwner {
  readonly pool: PtPool
  readonly words: Int32Array
  readonly meta: Int32Array
  readonly baseLo: number
  readonly compiled: Compiled
  /** The root's node and word index. They change where the root may grow: see {@link Tree.refresh}. */
  root: HotNode
  rootWord: number
  readonly last: HotNode
  /** log2 of the bytes that one table of the last node translates; 0 switches the walk cache off. */
  readonly spanLg: number
  readonly spanMask: number
  readonly state: Int32Array
  readonly owner: number
  readonly tlb: TlbFlushOps
  /** A callback of the driver is running. */
  inCallback = false
  /** Tables whose flush failed: they stay allocated until the table is freed. */
  readonly stranded: PtFreeList[] = []
  /** See {@link Tree.rangeGather}. */
  ownGather: IotlbGather | undefined = undefined
  /** Why the last map run ended before its end; a field, so that the run's result can be a number. */
  mapStop: '' | 'EEXIST' | 'ENOMEM' = ''
  /** Whether the last unmap run ended at a part of a larger leaf, not at a hole. */
  stoppedAtLeaf = false
  /** Why the allocator had no memory, when it had none. */
  allocError: IoPgtableError | undefined = undefined
  #cache: Int32Array | undefined

  constructor(pool: PtPool, compiled: Compiled, state: Int32Array, owner: number, tlb: TlbFlushOps) {
    this.pool = pool
    this.words = pool.words
    this.meta = pool.meta
    this.baseLo = Number(BigInt.asIntN(32, pool.base))
    this.compiled = compiled
    this.root = compiled.root
    this.rootWord = 0
    this.last = compiled.last
    const spanLg = compiled.last.shift + compiled.last.node.bits
    this.spanLg = compiled.root === compiled.last || spanLg > 31 ? 0 : spanLg
    this.spanMask = (2 ** this.spanLg - 1) | 0
    this.state = state
    this.owner = owner
    this.tlb = tlb
    this.refresh()
  }

  /** Reads the root from the shared state: another worker may have grown it. The word holds the index and, in its low bits, the node. */
  refresh(): void {
    const packed = this.state[STATE_ROOT]!
    this.rootWord = packed & ~ROOT_NODE_MASK
    this.root = this.compiled.chain[packed & ROOT_NODE_MASK]!
  }

  /** Whether a table of the current root cannot reach the address. */
  beyondRoot(hi: number, lo: number): boolean {
    return this.compiled.grows && ((hi & this.root.beyondHi) | (lo & this.root.beyondLo)) !== 0
  }

  /** Adds levels above the root until it reaches the address: the old root becomes entry 0 of the new one. False without memory. */
  #grow(hi: number, lo: number): boolean {
    while (this.beyondRoot(hi, lo)) {
      const depth = this.compiled.chain.indexOf(this.root)
      const parent = this.compiled.chain[depth - 1]
      if (parent === undefined) throw new Error('an address beyond the highest root passed the checks')
      const made = this.alloc(parent)
      if (made === undefined) return false
      const at = made >>> 2
      const entry = tableRaw(parent, this.pool.base + BigInt(this.rootWord) * 4n)
      if (parent.entryLg === 1) this.pool.cells[at >> 1] = BigInt.asIntN(64, entry)
      else this.words[at] = Number(BigInt.asIntN(32, entry))
      this.synced(at, 1 << parent.entryLg)
      const packed = this.rootWord | depth
      if (Atomics.compareExchange(this.state, STATE_ROOT, packed, at | (depth - 1)) !== packed) this.#discard(parent, made)
      this.refresh()
    }
    return true
  }

  #discard(node: HotNode, made: PtPtr): void {
    this.#account(-node.node.tableBytes)
    this.pool.free(made)
  }

  /** The word index of the table of `target` that translates the address, made where it is missing; or BLOCKED or NO_MEMORY. */
  tableFor(target: HotNode, hi: number, lo: number): number {
    if (target === this.last) {
      const cached = this.cached(hi, lo)
      if (cached >= 0) return cached
    }
    if (this.beyondRoot(hi, lo) && !this.#grow(hi, lo)) return NO_MEMORY
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
      } else if ((d & node.tableMask) !== node.tableValue) return BLOCKED
      else table = this.tableOf(node, at)
      node = child
    }
    if (target === this.last) this.remember(hi, lo, table)
    return table
  }

  /** The word index of the table of `target` that translates the address, or EMPTY or BLOCKED where the way ends before it. */
  findTable(target: HotNode, hi: number, lo: number): number {
    if (target === this.last) {
      const cached = this.cached(hi, lo)
      if (cached >= 0) return cached
    }
    if (this.beyondRoot(hi, lo)) return EMPTY
    let node = this.root
    let table = this.rootWord
    while (node !== target) {
      const at = table + (slotIndex(node, hi, lo) << node.entryLg)
      const d = this.words[at]!
      if ((d & node.emptyMask) === node.emptyValue) return EMPTY
      if ((d & node.tableMask) !== node.tableValue || node.child === undefined) return BLOCKED
      table = this.tableOf(node, at)
      node = node.child
    }
    if (target === this.last) this.remember(hi, lo, table)
    return table
  }

  /** The word index of the table that the entry at `at` points to. The pool is at most 4 GiB: the low lane of the address tells. */
  tableOf(node: HotNode, at: number): number {
    let low = ((this.words[at]! & node.fromLoMask) << node.fromLoLeft) >>> node.fromLoRight
    if (node.fromHiMask !== 0) low |= ((this.words[at + 1]! & node.fromHiMask) << node.fromHiLeft) >>> node.fromHiRight
    return (low - this.baseLo) >>> 2
  }

  /** The cached table of the last node for the address, or EMPTY. A tag holds all address bits above the table's span: it proves the range. */
  cached(hi: number, lo: number): number {
    const cache = this.#cache
    if (cache === undefined) return EMPTY
    const i = this.#cacheIndex(hi, lo)
    const hit = cache[i] === (lo & ~this.spanMask) && cache[i + 1] === hi && cache[i + 3] === this.meta[GENERATION]
    return hit ? cache[i + 2]! : EMPTY
  }

  remember(hi: number, lo: number, table: number): void {
    if (this.spanLg === 0) return
    const cache = (this.#cache ??= emptyCache())
    const i = this.#cacheIndex(hi, lo)
    cache[i] = lo & ~this.spanMask
    cache[i + 1] = hi
    cache[i + 2] = table
    cache[i + 3] = this.meta[GENERATION]!
  }

  #cacheIndex(hi: number, lo: number): number {
    return (((lo >>> this.spanLg) | (hi << (32 - this.spanLg))) & (CACHE_ENTRIES - 1)) << 2
  }

  /** Makes the child table of the empty entry at `at` and installs it; another worker that was first wins. */
  install(node: HotNode, child: HotNode, at: number): number {
    const expected = this.rawAt(node, at)
    // What was empty a moment ago may hold another worker's table by now.
    if ((Number(BigInt.asIntN(32, expected)) & node.emptyMask) !== node.emptyValue) return this.#installed(node, at)
    const made = this.alloc(child)
    if (made === undefined) return NO_MEMORY
    const raw = tableRaw(node, this.pool.physOf(made))
    if (this.exchange(node, at, expected, raw)) {
      this.synced(at, 1 << node.entryLg)
      return made >>> 2
    }
    this.#discard(child, made)
    return this.#installed(node, at)
  }

  #installed(node: HotNode, at: number): number {
    return this.isTable(node, at) ? this.tableOf(node, at) : BLOCKED
  }

  /** A table filled with empty entries and synced, or undefined when the memory is exhausted. */
  alloc(node: HotNode): PtPtr | undefined {
    const bytes = node.node.tableBytes
    const below = this.compiled.geometry.tablesBelow
    const ptr = this.#tryAlloc(bytes, below)
    if (ptr === undefined) return undefined
    this.#account(bytes)
    const at = ptr >>> 2
    try {
      if (node.node.empty !== 0n) this.clear(node, at, (bytes / 4) >> node.entryLg)
      else this.synced(at, bytes / 4)
    } catch (error) {
      this.#discard(node, ptr)
      throw error
    }
    return ptr
  }

  /** The allocator may call its `onPressure` hook: changing this table from there is refused. */
  #tryAlloc(bytes: number, below: bigint | undefined): PtPtr | undefined {
    const outer = this.inCallback
    this.inCallback = true
    try {
      return this.pool.alloc(bytes, below === undefined ? { owner: this.owner } : { owner: this.owner, below })
    } catch (error) {
      if (!(error instanceof IoPgtableError) || error.code !== 'ENOMEM') throw error
      this.allocError = error
      return undefined
    } finally {
      this.inCallback = outer
    }
  }

  exchange(node: HotNode, at: number, expected: bigint, raw: bigint): boolean {
    if (node.entryLg === 0)
      return (
        Atomics.compareExchange(this.words, at, Number(BigInt.asIntN(32, expected)), Number(BigInt.asIntN(32, raw))) ===
        Number(BigInt.asIntN(32, expected))
      )
    const want = BigInt.asIntN(64, expected)
    return Atomics.compareExchange(this.pool.cells, at >> 1, want, BigInt.asIntN(64, raw)) === want
  }

  /** The raw descriptor at a word index: cold. */
  rawAt(node: HotNode, at: number): bigint {
    if (node.entryLg === 0) return BigInt(this.words[at]! >>> 0)
    return BigInt.asUintN(64, Atomics.load(this.pool.cells, at >> 1))
  }

  /** Tells a walker's memory about `count` words. */
  synced(at: number, count: number): void {
    if (this.pool.sync !== undefined) this.call(() => this.pool.sync?.(this.pool.base + BigInt(at) * 4n, count * 4))
  }

  /** Clears `n` entries and syncs them. */
  clear(node: HotNode, at: number, n: number): void {
    if (node.entryLg === 1) clear64(this.words, at, n, node.emptyLo, node.emptyHi)
    else fill32(this.words, at, n, node.emptyLo, 0)
    if (this.pool.sync !== undefined) this.synced(at, n << node.entryLg)
  }

  /** How many of the `n` entries are empty before the first that is not. */
  emptyPrefix(node: HotNode, at: number, n: number): number {
    if (node.entryLg === 1) return prefix64(this.words, at, n, node.emptyMask, node.emptyValue)
    return prefix32(this.words, at, n, node.emptyMask, node.emptyValue)
  }

  isTable(node: HotNode, at: number): boolean {
    const d = this.words[at]!
    return (d & node.tableMask) === node.tableValue && (d & node.emptyMask) !== node.emptyValue
  }

  /** Whether any entry of the table, or of the tables below it, translates (or is not a table of ours). */
  hasLeaves(node: HotNode, table: number): boolean {
    const n = 2 ** node.node.bits
    for (let i = this.emptyPrefix(node, table, n); i < n; i++) {
      const at = table + (i << node.entryLg)
      if ((this.words[at]! & node.emptyMask) === node.emptyValue) continue
      if (!this.isTable(node, at) || node.child === undefined || this.hasLeaves(node.child, this.tableOf(node, at))) return true
    }
    return false
  }

  /** Calls `take` with the table and every table below it, and their nodes. */
  forEachTable(node: HotNode, table: number, take: (table: PtPtr, node: HotNode) => void): void {
    take((table * 4) as PtPtr, node)
    if (node.child === undefined) return
    const n = 2 ** node.node.bits
    for (let i = this.emptyPrefix(node, table, n); i < n; i++) {
      const at = table + (i << node.entryLg)
      if (this.isTable(node, at)) this.forEachTable(node.child, this.tableOf(node, at), take)
    }
  }

  /**
   * Takes the table in the entry at `at` out of the tree: clear, sync, flush, free. With a gather its memory waits for the sync. Should
   * the driver's `flushWalk`, or the `sync` hook, throw, the memory is kept (a walker may still be in it) until this worker frees the table.
   */
  removeTable(node: HotNode, at: number, iova: bigint, gather: IotlbGather | undefined): void {
    const child = node.child
    if (child === undefined) throw new Error(`node ${node.node.id} has no tables`)
    const table = this.tableOf(node, at)
    const unlink = (): void => {
      this.pool.bumpGeneration()
      this.clear(node, at, 1)
      this.call(() => this.tlb.flushWalk(iova, 2 ** node.shift, this.compiled.granule))
    }
    if (gather !== undefined) {
      this.forEachTable(child, table, (ptr) => gather.defer(ptr))
      unlink()
      return
    }
    const tables = this.newFreeList()
    this.forEachTable(child, table, (ptr) => tables.add(ptr))
    try {
      unlink()
    } catch (error) {
      this.stranded.push(tables)
      throw error
    }
    this.freed(tables)
  }

  /** The gather of a call whose flush order is `range`: the caller's, or one that ends with the call. */
  rangeGather(gather: IotlbGather | undefined): IotlbGather {
    if (gather !== undefined) return gather
    this.ownGather ??= new IotlbGather()
    this.ownGather.bind(this)
    return this.ownGather
  }

  /** Syncs the call's own gather, if it used one. */
  finish(): void {
    const own = this.ownGather
    if (own === undefined) return
    this.ownGather = undefined
    this.syncOwn(own)
  }

  /** Syncs a gather that ends with its call. Should the driver's `sync` throw, the tables stay allocated until the whole table is freed. */
  syncOwn(own: IotlbGather): void {
    try {
      own.sync()
    } catch (error) {
      const tables = own.abandon()
      if (tables !== undefined) this.stranded.push(tables)
      throw error
    }
  }

  /** Takes an emptied, or replaced, table out of the tree for a flush order of `range`: its memory waits in the gather. */
  detachTable(node: HotNode, at: number, iova: bigint, gather: IotlbGather): void {
    const child = node.child
    if (child === undefined) throw new Error(`node ${node.node.id} has no tables`)
    gather.addRange(iova, 2 ** node.shift, 1)
    const { chain } = this.compiled
    this.forEachTable(child, this.tableOf(node, at), (ptr, made) => {
      gather.defer(ptr)
      gather.tableLevels |= 1 << (chain[chain.indexOf(made) - 1] ?? node).node.level
    })
    this.pool.bumpGeneration()
    this.clear(node, at, 1)
  }

  /** Runs a callback of the driver; changes of this table from inside it are refused. */
  call(callback: () => void): void {
    const outer = this.inCallback
    this.inCallback = true
    try {
      callback()
    } finally {
      this.inCallback = outer
    }
  }

  newFreeList(): PtFreeList {
    return this.pool.freeList()
  }

  syncGather(gather: IotlbGather): void {
    if (this.tlb.sync !== undefined) this.call(() => this.tlb.sync?.(gather))
  }

  freed(list: PtFreeList): void {
    this.#account(-list.bytes)
    list.putBack()
  }

  /** Tells the driver that everything goes, in the way of the flush order. */
  flushEverything(): void {
    if (this.compiled.policy.flushOrder === 'range') this.#flushRange()
    else this.call(() => this.tlb.flushAll())
  }

  #flushRange(): void {
    const gather = new IotlbGather()
    gather.bind(this)
    const { granule, geometry, chain } = this.compiled
    for (const { first, last } of inputRanges(geometry)) gather.addRange(first, granule, Number((last - first + 1n) / BigInt(granule)))
    for (const { node } of chain) {
      gather.leafLevels |= 1 << node.level
      if (node !== this.last.node) gather.tableLevels |= 1 << node.level
    }
    this.syncGather(gather)
  }

  /** Frees everything; the state is dead by then. A root may have taken more memory than its table has bytes. */
  freeTree(): void {
    for (const list of this.stranded.splice(0)) this.freed(list)
    const tables = this.newFreeList()
    this.forEachTable(this.root, this.rootWord, (table) => tables.add(table))
    this.freed(tables)
    this.#account(rootAlloc(this.compiled.root) - this.compiled.root.node.tableBytes)
  }

  get tableBytes(): number {
    return Atomics.load(this.state, STATE_UNITS) * UNIT
  }

  #account(bytes: number): void {
    Atomics.add(this.state, STATE_UNITS, bytes / UNIT)
  }

  /** Whether the entry is a leaf that lies in one mapping of `plan`, cold: somebody else may have written it. */
  isLeafWithin(plan: LeafPlan, at: number): boolean {
    const entry = decode(this.compiled.geometry, plan.node.node, this.rawAt(plan.node, at))
    return entry.type === 'leaf' && entry.size.pgsize <= plan.pgsize
  }

  isEmpty(node: HotNode, at: number): boolean {
    return kindOf(node.node, this.rawAt(node, at)).type === 'empty'
  }
}

/** The index of the address in a table of `node`. */
export function slotIndex(node: HotNode, hi: number, lo: number): number {
  const shift = node.shift
  if (shift >= 32) return (hi >>> (shift - 32)) & node.indexMask
  return ((lo >>> shift) | ((hi << 1) << (31 - shift))) & node.indexMask
}

/** No address has the tag of an unused entry: its low bits are set. */
function emptyCache(): Int32Array {
  return new Int32Array(CACHE_ENTRIES * 4).fill(1)
}

/** Allocates the root table, filled with empty entries and synced, and enters it into the state. @throws `ENOMEM` */
export function makeRoot(pool: PtPool, compiled: Compiled, state: Int32Array, owner: number): PtPtr {
  const { node, emptyLo, emptyHi, entryLg } = compiled.root
  const below = compiled.geometry.tablesBelow
  const bytes = rootAlloc(compiled.root)
  const root = pool.alloc(bytes, { owner, ...(below !== undefined && { below }) })
  if (node.empty !== 0n) {
    if (entryLg === 1) clear64(pool.words, root >>> 2, node.tableBytes / 8, emptyLo, emptyHi)
    else fill32(pool.words, root >>> 2, node.tableBytes / 4, emptyLo, 0)
  }
  try {
    pool.sync?.(pool.physOf(root), node.tableBytes)
  } catch (error) {
    pool.free(root)
    throw error
  }
  state[STATE_ROOT] = (root >>> 2) | compiled.chain.indexOf(compiled.root)
  state[STATE_UNITS] = node.tableBytes / UNIT
  return root
}

/** What a root is asked from the allocator with: blocks are aligned to their size. */
function rootAlloc(node: HotNode): number {
  return Math.max(node.node.tableBytes, node.node.align ?? 0)
}
