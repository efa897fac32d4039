/**
 * The memory that the tables of one IoPageTable are in: its entries as words, its allocation and accounting, the hook that a walker's
 * memory is told by, and the driver's callbacks around it.
 */
import type { AllocOptions, PtPool, PtPtr } from '@io-pgtable/pt-allocator'
import type { Compiled } from '../compile/compile.ts'
import type { HotNode } from '../compile/hot-node.ts'
import { laneHi, laneLo } from '../compile/lane-pieces.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { IoPgtableError } from '../errors.ts'
import { kernelOf, type RunKernel } from '../hot/accelerator.ts'
import { clear64, fill32, fullPrefix32, fullPrefix64, prefix32, prefix64 } from '../hot/hot.ts'
import { lanes, lanes64 } from '../hot/lanes.ts'
import { decode, kindOf } from '../read/decode.ts'
import type { TlbFlushOps } from '../tlb/flush.ts'
import type { IotlbGather, TableList } from '../tlb/gather.ts'
import type { TablePool } from './adopted-memory.ts'
import { Owed, oweMemory, tellMemory, tellOwed } from './owed.ts'

/** Words of a table's shared state: its status, the word index of its root, its table bytes in units of 64. */
export const STATE_STATUS = 0
export const STATE_ROOT = 1
export const STATE_UNITS = 2
export const STATE_WORDS = 16
/** Low bits of the root's word that hold its place in the chain of nodes: tables are aligned to 16 words. */
export const ROOT_NODE_MASK = 15

export const LIVE = 0
export const DEAD = 1
/** Bytes in a unit of a table's account. */
export const UNIT = 64
/** Words from which on the call of TypedArray.fill pays. */
const LONG = 64

/** There is no memory for a table, whose allocator says why. What was thrown by a callback is another thing, whatever it is. */
export class NoTableMemory extends Error {
  override readonly cause: IoPgtableError

  constructor(cause: IoPgtableError) {
    super(cause.message)
    this.cause = cause
  }
}

/** What mapping, unmapping and translating a table share; {@link Tree} adds the tree. */
export class TableMemory {
  readonly pool: TablePool
  words: Int32Array
  /** That memory again, with one 64-bit entry an element. */
  doubles: Float64Array
  /** What does bulk runs instead of the loops, where the memory is a WebAssembly's. */
  readonly kernel: RunKernel | undefined
  readonly meta: Int32Array
  readonly baseLo: number
  readonly baseHi: number
  readonly compiled: Compiled
  readonly state: Int32Array
  readonly owner: number
  readonly tlb: TlbFlushOps
  readonly #zeroed: AllocOptions
  readonly #bare: AllocOptions
  /** A callback of the driver is running. */
  inCallback = false
  /** That callback is the pool's `onPressure`, which may sync gathers. */
  underPressure = false
  /** What callbacks that threw left undone; undefined while there is nothing. */
  owed: Owed | undefined = undefined
  /** Tables whose flush failed: they wait for that of the next gather. */
  readonly stranded: TableList[] = []

  constructor(pool: TablePool, compiled: Compiled, state: Int32Array, owner: number, tlb: TlbFlushOps) {
    this.pool = pool
    this.words = pool.words
    this.doubles = pool.doubles
    this.kernel = kernelOf(pool)
    this.meta = pool.meta
    this.baseLo = laneLo(pool.base)
    this.baseHi = laneHi(pool.base)
    this.compiled = compiled
    this.state = state
    this.owner = owner
    this.tlb = tlb
    const { tablesBelow: below } = compiled.geometry
    this.#zeroed = { owner, below, zero: true }
    this.#bare = { owner, below, zero: false }
  }

  /** The word index of the table that the entry at `at` points to. The pool is at most 4 GiB: the low lane of the address tells. */
  tableOf(node: HotNode, at: number): number {
    let low = ((this.words[at]! & node.fromLoMask) << node.fromLoLeft) >>> node.fromLoRight
    if (node.fromHiMask !== 0) low |= ((this.words[at + 1]! & node.fromHiMask) << node.fromHiLeft) >>> node.fromHiRight
    return (low - this.baseLo) >>> 2
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

  /** The memory from a physical address on, and less of it where it ends; undefined outside. */
  bytesAt(paddr: bigint, byteLength: number): Uint8Array | undefined {
    const { words, base, size } = this.pool
    if (typeof paddr !== 'bigint' || !Number.isSafeInteger(byteLength) || byteLength < 0) {
      const text = `${String(byteLength)} bytes at ${String(paddr)}: a number of bytes, and an address that is a bigint, expected`
      throw new IoPgtableError('EINVAL', 'readMemory', text)
    }
    const offset = paddr - base
    if (offset < 0n || offset >= BigInt(size)) return undefined
    return new Uint8Array(words.buffer, words.byteOffset + Number(offset), Math.min(byteLength, size - Number(offset)))
  }

  /**
   * The raw descriptor at a word index: cold. Both sizes leave by one load: where two 64-bit bigints without a sign meet, V8 11 (Node 20) ends
   * the process when it compiles what is computed from them.
   */
  rawAt(node: HotNode, at: number): bigint {
    if (node.entryLg === 0) {
      lanes[0] = this.words[at]!
      lanes[1] = 0
    } else lanes64[0] = Atomics.load(this.pool.cells, at >> 1)
    return lanes64[0]!
  }

  /** Tells a walker's memory about `count` words. Should the hook throw, it is told before anything else is. */
  synced(at: number, count: number): void {
    if (this.pool.sync === undefined) return
    try {
      if (this.owed !== undefined) tellMemory(this, this.owed)
      this.tell(at, count)
    } catch (error) {
      oweMemory(this, at, count)
      throw error
    }
  }

  /** Goes on in the memory that the pool has now: a `WebAssembly.Memory` that grew is elsewhere. @throws `EFAULT` where it is gone */
  regain(op: string): void {
    const { words, doubles } = this.pool
    if (words.length === 0)
      throw new IoPgtableError('EFAULT', op, 'the memory of the tables is gone: its buffer was detached, or is too small now')
    this.words = words
    this.doubles = doubles
  }

  /** {@link TableMemory.synced} for memory that nothing leads to: it may as well be forgotten. */
  tell(at: number, count: number): void {
    this.call(() => this.pool.sync?.(this.pool.base + BigInt(at) * 4n, count * 4))
  }

  /** Clears `n` entries and syncs them. */
  clear(node: HotNode, at: number, n: number): void {
    const words = n << node.entryLg
    // On shared memory `fill` is three times as slow as a loop.
    if (words >= LONG && node.uniform && !this.pool.shared) this.words.fill(node.emptyLo, at, at + words)
    else if (node.entryLg === 1) clear64(this.words, at, n, node.emptyLo, node.emptyHi)
    else fill32(this.words, at, n, node.emptyLo, 0)
    if (this.pool.sync !== undefined) this.synced(at, words)
  }

  /** How many of the `n` entries are empty before the first that is not. */
  emptyPrefix(node: HotNode, at: number, n: number): number {
    if (node.entryLg === 1) return prefix64(this.words, at, n, node.emptyMask, node.emptyValue)
    return prefix32(this.words, at, n, node.emptyMask, node.emptyValue)
  }

  /** How many of the entries from `at` on surely are this leaf, for a `simple` plan. */
  leafPrefix(plan: LeafPlan, at: number, slots: number): number {
    const { node, matchMask, matchValue } = plan
    if (node.entryLg === 0)
      return plan.checkEmpty
        ? fullPrefix32(this.words, at, slots, matchMask, matchValue, node.emptyMask, node.emptyValue)
        : prefix32(this.words, at, slots, matchMask, matchValue)
    const n = plan.checkEmpty
      ? fullPrefix64(this.words, at, slots, matchMask, matchValue, node.emptyMask, node.emptyValue)
      : prefix64(this.words, at, slots, matchMask, matchValue)
    return plan.matchMaskHi === 0 ? n : prefix64(this.words, at + 1, n, plan.matchMaskHi, plan.matchValueHi)
  }

  isTable(node: HotNode, at: number): boolean {
    const d = this.words[at]!
    return (d & node.tableMask) === node.tableValue && (d & node.emptyMask) !== node.emptyValue && !this.differsHigh(node, at)
  }

  /** Whether the high lane says that an entry is no table, though its low one may be a table's. */
  differsHigh(node: HotNode, at: number): boolean {
    return node.tableMaskHi !== 0 && (this.words[at + 1]! & node.tableMaskHi) !== node.tableValueHi
  }

  /** Whether the entry is a leaf that lies in one mapping of `plan`, cold: somebody else may have written it. */
  isLeafWithin(plan: LeafPlan, at: number): boolean {
    const entry = decode(this.compiled.geometry, plan.node.node, this.rawAt(plan.node, at))
    return entry.type === 'leaf' && entry.size.pgsize <= plan.pgsize
  }

  isEmpty(node: HotNode, at: number): boolean {
    return kindOf(node.node, this.rawAt(node, at)).type === 'empty'
  }

  /** A table filled with empty entries and synced. @throws {@link NoTableMemory} */
  alloc(node: HotNode): PtPtr {
    const ptr = this.#allocBy(node, this.#zeroed)
    const at = ptr >>> 2
    try {
      if ((node.emptyLo | node.emptyHi) !== 0) this.clear(node, at, (node.indexMask + 1) | 0)
      else if (this.pool.sync !== undefined) this.tell(at, node.node.tableBytes / 4)
    } catch (error) {
      this.discard(node, ptr)
      throw error
    }
    return ptr
  }

  /** A table whose entries are anything, for a caller that writes all of them before it links it. @throws {@link NoTableMemory} */
  allocBare(node: HotNode): PtPtr {
    return this.#allocBy(node, this.#bare)
  }

  /** The allocator may call its `onPressure` hook: changing this table from there is refused. */
  #allocBy(node: HotNode, options: AllocOptions): PtPtr {
    const outer = this.inCallback
    this.inCallback = true
    this.underPressure = true
    try {
      const ptr = this.pool.alloc(node.tableBytes, options)
      this.account(node.tableBytes)
      if (this.words.length === 0) this.regain('alloc')
      return ptr
    } catch (error) {
      throw error instanceof IoPgtableError && error.code === 'ENOMEM' ? new NoTableMemory(error) : error
    } finally {
      this.underPressure = false
      this.inCallback = outer
    }
  }

  /** Gives back a table that never came into the tree. */
  discard(node: HotNode, made: PtPtr): void {
    this.account(-node.tableBytes)
    this.pool.free(made)
  }

  /** Runs a callback of the driver; changes of this table from inside it are refused. */
  call(callback: () => void): void {
    const outer = this.inCallback
    const pressure = this.underPressure
    this.inCallback = true
    this.underPressure = false
    try {
      callback()
    } finally {
      this.inCallback = outer
      this.underPressure = pressure
    }
    if (this.words.length === 0) this.regain('callback')
  }

  newFreeList(): TableList {
    return this.pool.freeList()
  }

  /** Has the driver invalidate what the gather noted, and what is owed. @throws `EBUSY` from inside a callback but `onPressure` */
  syncGather(gather: IotlbGather): void {
    if (this.inCallback && !this.underPressure)
      throw new IoPgtableError('EBUSY', 'gather', 'a gather must not be synced from inside a callback of its own table')
    if (this.owed !== undefined) tellOwed(this, this.owed, gather)
    if (this.tlb.sync !== undefined) this.call(() => this.tlb.sync?.(gather))
    this.owed = undefined
  }

  /** Gives tables back. Should the owner of foreign ones throw, what he was not told of yet is with the next gather. */
  freed(lists: readonly TableList[]): void {
    let done = 0
    try {
      for (const list of lists) {
        const { bytes } = list
        try {
          this.call(() => list.putBack())
        } finally {
          this.account(list.bytes - bytes)
        }
        done++
      }
    } catch (error) {
      this.stranded.push(...lists.slice(done))
      this.owed ??= new Owed()
      throw error
    }
  }

  get tableBytes(): number {
    return Atomics.load(this.state, STATE_UNITS) * UNIT
  }

  account(bytes: number): void {
    // Atomics are calls.
    if (this.pool.shared) Atomics.add(this.state, STATE_UNITS, bytes / UNIT)
    else this.state[STATE_UNITS] = this.state[STATE_UNITS]! + bytes / UNIT
  }
}

/** Allocates the root table, filled with empty entries and synced, and enters it into the state. @throws `ENOMEM` */
export function makeRoot(pool: PtPool, compiled: Compiled, state: Int32Array, owner: number): PtPtr {
  const { node, tableBytes, emptyLo, emptyHi, entryLg } = compiled.root
  const below = compiled.geometry.tablesBelow
  const root = pool.alloc(tableBytes, { owner, ...(below !== undefined && { below }) })
  if ((emptyLo | emptyHi) !== 0) {
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
  state[STATE_UNITS] = (tableBytes - rootSpare(compiled.root)) / UNIT
  return root
}

/** What the block of a root has beside the table for its alignment: as kernels do, a table does not count that of its own root. */
export function rootSpare({ tableBytes, node }: HotNode): number {
  return tableBytes - Math.max(node.tableBytes, UNIT)
}
