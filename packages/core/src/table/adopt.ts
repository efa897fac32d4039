/** Adopting: opening a table that something else built, in memory that the caller owns, as one that can be changed. */
import type { PtPool } from '@io-pgtable/pt-allocator'
import { type Compiled, compileFormat } from '../compile/compile.ts'
import type { HotNode } from '../compile/hot-node.ts'
import { hex, IoPgtableError } from '../errors.ts'
import type { AnyFmt, ConfigOf, HardwareOf } from '../format/format.ts'
import type { ReadMemory } from '../format/hardware.ts'
import type { FormatConfig } from '../format/policy.ts'
import { AdoptedMemory, type AdoptMemory } from '../memory/adopted-memory.ts'
import { rootSpare, STATE_ROOT, STATE_UNITS, UNIT } from '../memory/table-memory.ts'
import { decode } from '../read/decode.ts'
import { NOOP_FLUSH_OPS } from '../tlb/flush.ts'
import { Tree } from '../tree/tree.ts'
import { adoptRegisters, adoptRoots } from './adopt-format.ts'
import { newState, type Parts, partsOf, requireWrites } from './create.ts'
import { checkHooks, type TableOptions } from './table-options.ts'

/** What a table is adopted with, beside the members of its configuration that registers do not tell. */
export interface AdoptOptions<F> extends Omit<TableOptions, 'debug'> {
  readonly debug?: Omit<NonNullable<TableOptions['debug']>, 'lifetime'>
  /** Where the tables are that exist: default, and always a part of it, the allocator's memory. */
  readonly memory?: AdoptMemory
  /** The device's raw registers. */
  readonly registers?: HardwareOf<F>
  /** Which of the registers' tables, by its register's name, where they lead to several. */
  readonly root?: string
  /** Instead of registers: the physical address of each root table; the configuration must then be whole. */
  readonly roots?: readonly bigint[]
  /**
   * A table that was there left the tree, and was flushed: its memory is its owner's again, as many bytes as a table of its level takes.
   * `free` leaves them, and does not call it.
   */
  readonly onForeign?: (paddr: bigint, bytes: number) => void
}

export type AdoptRequest<F extends AnyFmt> = AdoptOptions<F> & Partial<ConfigOf<F>>

/** Finds and checks the table. @throws `EINVAL`, `EFAULT`: see `IoPageTable.adopt` */
export function adoptTable(format: AnyFmt, request: AdoptOptions<AnyFmt> & Partial<FormatConfig>): Parts {
  checkHooks('adopt', request)
  const { allocator, memory, registers, root, roots, onForeign, tlb, onWarn, onRoot, debug, name, ...given } = request
  if (!(allocator?.words instanceof Int32Array)) throw new IoPgtableError('EINVAL', 'adopt', 'allocator: a PtPool expected')
  if ((registers === undefined) === (roots === undefined)) throw new IoPgtableError('EINVAL', 'adopt', 'either registers or roots expected')
  requireWrites('adopt', format)
  const region = new AdoptedMemory(allocator, memory, onForeign)
  const adopted =
    roots === undefined
      ? adoptRegisters(format, { registers, root, read: readerOf(region) }, given)
      : adoptRoots(format, roots, given as FormatConfig)
  const compiled = compileFormat(adopted.format, adopted.config)
  const state = newState(allocator, debug)
  state[STATE_ROOT] = rootWord(compiled, region, adopted.roots) | compiled.chain.indexOf(compiled.root)
  const tree = new Tree(region, compiled, state, allocator.owner(name ?? format.FORMAT), tlb ?? NOOP_FLUSH_OPS)
  state[STATE_UNITS] = new Survey(tree, region, allocator).run() / UNIT
  return partsOf(tree, { onWarn, onRoot, debug })
}

/** Reads the memory that tables are in: for roots that registers lead to by way of it. */
function readerOf({ base, size, words }: AdoptedMemory): ReadMemory {
  return (paddr, byteLength) => {
    const offset = Number(paddr - base)
    if (offset < 0 || offset >= size) return undefined
    return new Uint8Array(words.buffer, words.byteOffset + offset, Math.min(byteLength, size - offset))
  }
}

/** The word index of the root block: separate roots must lie one after the other. */
function rootWord({ root, geometry }: Compiled, { base, size }: AdoptedMemory, roots: readonly bigint[]): number {
  const count = geometry.roots ?? 1
  const { tableBytes } = root.node
  const [first = -1n] = roots
  const together = roots.length === count && roots.every((paddr, i) => paddr === first + BigInt((tableBytes / count) * i))
  if (!together) {
    const text = `roots at ${roots.map((paddr) => hex(paddr)).join(', ')}: ${count} expected, one after the other`
    throw new IoPgtableError('EINVAL', 'adopt', text, { value: first })
  }
  const offset = Number(first - base)
  const bytes = 2 ** root.node.bits * root.node.entryBytes
  if (offset < 0 || offset + bytes > size) throw outside('the root', first)
  if (offset % 64 !== 0)
    throw new IoPgtableError('EINVAL', 'adopt', `the root at ${hex(first)}: a multiple of 64 expected`, { value: first })
  return offset / 4
}

function outside(what: string, paddr: bigint): IoPgtableError {
  return new IoPgtableError('EFAULT', 'adopt', `${what} at ${hex(paddr)} is not in memory`, { value: paddr })
}

/** Looks at every table once, notes whose it is, and refuses what the engine cannot work on. Work is bounded by the memory. */
class Survey {
  readonly #t: Tree
  readonly #region: AdoptedMemory
  readonly #pool: PtPool
  readonly #seen: Set<number> = new Set()
  /** Blocks of the pool that are in use, by their offset in the region: bytes. */
  readonly #live: Map<number, number>
  #ownBytes = 0

  constructor(t: Tree, region: AdoptedMemory, pool: PtPool) {
    this.#t = t
    this.#region = region
    this.#pool = pool
    this.#live = new Map(pool.leaks().map(({ paddr, bytes }) => [Number(paddr - region.base), bytes]))
  }

  /** Bytes of the tables that are the pool's. */
  run(): number {
    this.#visit(this.#t.root, this.#t.rootWord)
    return this.#ownBytes
  }

  #visit(node: HotNode, table: number): void {
    const t = this.#t
    this.#enter(node, table)
    const slots = node.indexMask + 1
    for (let i = t.emptyPrefix(node, table, slots); i < slots; i++) {
      const at = table + (i << node.entryLg)
      const entry = decode(t.compiled.geometry, node.node, t.rawAt(node, at))
      if (entry.type !== 'table') continue
      const { child } = node
      if (child === undefined || entry.child !== child.node || !t.isTable(node, at)) {
        const text = `the entry ${hex(entry.raw)} at ${hex(this.#paddr(at))} leads to a table in a way that the engine does not write (it skips a level, or its kind is only read)`
        throw new IoPgtableError('EINVAL', 'adopt', text, { value: entry.raw })
      }
      const offset = entry.next - this.#region.base
      const bytes = BigInt(2 ** child.node.bits * child.node.entryBytes)
      if (offset < 0n || offset + bytes > BigInt(this.#region.size)) throw outside(`the table of entry ${hex(this.#paddr(at))}`, entry.next)
      this.#visit(child, t.tableOf(node, at))
    }
  }

  /** Whose a table is: a block of the pool, or foreign; never memory that the pool may hand out. */
  #enter(node: HotNode, table: number): void {
    const ptr = table * 4
    const paddr = this.#paddr(table)
    if (this.#seen.has(ptr)) {
      const text = `the table at ${hex(paddr)} is reached twice: tables of a tree must be its own, and not lead back`
      throw new IoPgtableError('EFAULT', 'adopt', text, { value: paddr })
    }
    this.#seen.add(ptr)
    const { tableBytes } = node.node
    const spare = node === this.#t.root ? rootSpare(node) : 0
    if (this.#live.get(ptr) === node.tableBytes) this.#ownBytes += node.tableBytes - spare
    else if (this.#mayBeHandedOut(ptr, tableBytes)) {
      const text = `the table at ${hex(paddr)} lies in memory that the allocator may hand out: keep them apart, or allocate what holds it`
      throw new IoPgtableError('EINVAL', 'adopt', text, { value: paddr })
    } else this.#region.foreign.set(ptr, node.tableBytes)
  }

  #mayBeHandedOut(ptr: number, bytes: number): boolean {
    const start = Number(this.#pool.base - this.#region.base)
    if (ptr + bytes <= start || ptr >= start + this.#pool.size) return false
    return ![...this.#live].some(([from, size]) => from <= ptr && ptr + bytes <= from + size)
  }

  #paddr(word: number): bigint {
    return this.#region.base + BigInt(word) * 4n
  }
}
