/** The engine: `IoPageTable<F>`, one set of page tables of one format, after Linux's io-pgtable and its Rust abstraction. */

import { cut } from '../change/cut.ts'
import { type ReadDirtyFlags, readAndClearDirty } from '../change/dirty.ts'
import { mapRun } from '../change/map.ts'
import { picked, pickPages } from '../change/pgsize.ts'
import { type ProtectOptions, protect } from '../change/protect.ts'
import { trim } from '../change/trim.ts'
import { reportPages, unmapRun } from '../change/unmap.ts'
import { noteRange, unmapCovered } from '../change/unmap-covered.ts'
import { type Compiled, compileFormat } from '../compile/compile.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { type Device, Devres } from '../device/device.ts'
import { LifetimeWatch } from '../device/lifetime.ts'
import { hex, IoPgtableError } from '../errors.ts'
import { agreedConfig } from '../format/config.ts'
import type { Agreed, AnyFmt, ConfigOf, ContextOf, FormatConfig, Geometry, RegsOf } from '../format/format.ts'
import type { Prot } from '../format/prot.ts'
import { advanceHi, advanceLo, join, lanes, split } from '../hot/lanes.ts'
import { mapOne, mapOneMoved, type OnePage, translateOne, unmapOne } from '../hot/one-page.ts'
import { attachPool, freshState, openShared, type TableToken } from '../memory/share.ts'
import { DEAD, LIVE, makeRoot, STATE_STATUS, STATE_WORDS } from '../memory/table-memory.ts'
import type { Decoded } from '../read/decode.ts'
import type { Snapshot } from '../read/snapshot.ts'
import { type EntryPlace, type ReadMemory, walkAddress } from '../read/walk.ts'
import {
  explainPages,
  explainProt,
  explainRange,
  inWindow,
  isAddress,
  isInput,
  isOutput,
  isOutputRange,
  isProt,
  isRange,
  planOf,
} from '../request/arguments.ts'
import { bindGather, busy, dead, failed, noSizes, overlapApart } from '../request/errors.ts'
import { RANGE_LOCK_WORDS, RangeLock } from '../request/range-lock.ts'
import { Request } from '../request/request.ts'
import { NOOP_FLUSH_OPS } from '../tlb/flush.ts'
import { IotlbGather } from '../tlb/gather.ts'
import { forEachLeaf, type Leaf, snapshot } from '../translate/leaves.ts'
import { found, lookup, translateMany } from '../translate/translate.ts'
import type { AddressRange } from '../tree/leaf-range.ts'
import { finishGather, flushEverything, freeTree, strand, syncOwn, unlinkOwn } from '../tree/prune.ts'
import { Tree } from '../tree/tree.ts'
import { type AdoptOptions, type AdoptRequest, adoptTree } from './adopt.ts'
import { describeRoot, type RootView } from './root-view.ts'
import { type AttachOptions, type Hooks, type MapResult, TABLE_OPTIONS, type TableOptions } from './table-options.ts'

/** What a table was made of whose registers could be made. A format that cannot make them is found out with the first table. */
const described = new WeakSet<Compiled>()

/** What a map of nothing returns, to begin with. */
const NOTHING: MapResult = Object.freeze({ mapped: 0, error: undefined })

/**
 * One set of page tables. The caller holds the range that a call works on: calls must not race on overlapping addresses, and may on
 * disjoint ones, from several workers too (see `share`). All addresses are 64-bit bigints, sizes and counts are numbers.
 * Every call on a freed or revoked table throws `ENODEV`; a change from inside one of the table's own callbacks is `EBUSY`.
 */
export class IoPageTable<F extends AnyFmt = AnyFmt> implements Disposable {
  readonly format: F
  /** The configuration as agreed: narrowed to what the hardware can do. */
  readonly config: Agreed<ConfigOf<F>>
  /** What decoding this table's leaves needs. */
  readonly context: ContextOf<F>
  readonly #tree: Tree
  readonly #onWarn: ((warning: IoPgtableError) => void) | undefined
  readonly #single: boolean
  readonly #lock: RangeLock | undefined
  readonly #request: Request
  readonly #onRoot: ((regs: unknown) => void) | undefined
  /**
   * The short way for one page a call: for translations, for changes, and for an unmap without a gather. Undefined where it is not: changes in
   * memory that is synced, unmaps of which somebody is to be told.
   */
  readonly #one: OnePage | undefined
  readonly #changeOne: OnePage | undefined
  readonly #quietOne: OnePage | undefined
  readonly #ranged: boolean
  /** Whether a change has something to do at its end: see {@link IoPageTable.#finish}. */
  readonly #finishes: boolean
  /** Made when it is asked for: registers are bigints put together, which take longer than all the rest of a table. */
  #root: RootView | undefined = undefined
  /** The root that the driver knows of. */
  #reportedRoot: number
  readonly #debug: TableToken['debug']
  #lifetime: LifetimeWatch | undefined
  /** Why the last run ended early, when it is for an error. */
  #error: IoPgtableError | undefined = undefined
  #ok: MapResult = NOTHING

  private constructor(tree: Tree, hooks: Hooks) {
    const { format, config, context } = tree.compiled
    this.format = format as F
    this.config = config as Agreed<ConfigOf<F>>
    this.context = context as ContextOf<F>
    this.#tree = tree
    const { lifetime: _, ...debug } = hooks.debug ?? {}
    this.#debug = debug
    this.#onWarn = config.quirks.includes('NO_WARN') ? undefined : hooks.onWarn
    this.#single = this.#debug.oneTablePerCall ?? false
    this.#lock = this.#debug.rangeLock ? new RangeLock(tree.state, STATE_WORDS) : undefined
    this.#request = new Request(tree, this.#lock, false)
    this.#onRoot = hooks.onRoot
    this.#finishes = tree.compiled.grows || tree.compiled.policy.flushOrder === 'range'
    this.#reportedRoot = tree.rootState
    if (!described.has(tree.compiled)) {
      this.#view()
      described.add(tree.compiled)
    }
    this.#one = this.#lock === undefined ? tree.compiled.onePage : undefined
    this.#changeOne = tree.pool.sync === undefined ? this.#one : undefined
    const { flushOrder, addPagesWithoutGather } = tree.compiled.policy
    this.#ranged = flushOrder === 'range'
    const quiet = flushOrder !== 'range' && (!addPagesWithoutGather || tree.tlb === NOOP_FLUSH_OPS || tree.tlb.addPages === undefined)
    this.#quietOne = quiet ? this.#changeOne : undefined
  }

  /**
   * A table whose lifetime is the caller's: stop the device's use of `regs` before `free`, and free it before the device unbinds.
   * @throws `EINVAL` for a configuration that the hardware cannot have, `ENOMEM` when there is no memory for the root.
   */
  static createRaw<F extends AnyFmt>(format: F, request: TableOptions & ConfigOf<F>): IoPageTable<F> {
    const { allocator, tlb, onWarn, onRoot, debug, name, ...wanted } = request as TableOptions & FormatConfig
    if (!(allocator?.words instanceof Int32Array)) throw new IoPgtableError('EINVAL', 'createRaw', 'allocator: a PtPool expected')
    const config = agreedConfig(format, wanted, TABLE_OPTIONS)
    const compiled = compileFormat(format, config)
    const owner = allocator.owner(name ?? format.FORMAT)
    const state = freshState(allocator.shared, STATE_WORDS + (debug?.rangeLock ? RANGE_LOCK_WORDS : 0))
    const root = makeRoot(allocator, compiled, state, owner)
    try {
      const tree = new Tree(allocator, compiled, state, owner, tlb ?? NOOP_FLUSH_OPS)
      const table = new IoPageTable<F>(tree, { onWarn, onRoot, debug })
      if (debug?.lifetime) table.#lifetime = new LifetimeWatch(table, { name: name ?? format.FORMAT, state }, debug.lifetime)
      return table
    } catch (error) {
      allocator.free(root)
      throw error
    }
  }

  /** A table that lives no longer than the device's binding: unbinding revokes access and frees it. @throws `ENODEV` when it is not bound. */
  static create<F extends AnyFmt>(device: Device, format: F, request: TableOptions & ConfigOf<F>): Devres<IoPageTable<F>> {
    device.requireBound('create')
    return new Devres(device, IoPageTable.createRaw(format, request))
  }

  /** Opens in this worker a table that another one shared. @throws `EINVAL` when the token is of another format, `ENODEV` when it is freed. */
  static attach<F extends AnyFmt>(format: F, token: TableToken, options: AttachOptions = {}): IoPageTable<F> {
    const { config, debug, state, owner } = openShared(format, token)
    const pool = attachPool(token, options)
    const tree = new Tree(pool, compileFormat(format, config), state, owner, options.tlb ?? NOOP_FLUSH_OPS)
    const table = new IoPageTable<F>(tree, { onWarn: options.onWarn, onRoot: options.onRoot, debug })
    table.#live('attach')
    return table
  }

  /**
   * Opens a table that something else built, in memory that the caller owns, as one that can be read and changed: by the device's registers,
   * or by its roots and the whole configuration. What registers do not tell is as the caller says. New tables come from the allocator; those
   * that are there, and are no blocks of it, are never freed: `onForeign` tells which of them left the tree, and `free` leaves them as they
   * are, without what was added. A prot is `EINVAL` that the device's memory attributes do not have as this library codes them. `regs` are
   * those of a new table with this configuration, not the device's. Whoever built the table must not change it meanwhile.
   * @throws `EINVAL` for registers that lead to no table or tell too little, and a table that the engine cannot change (levels are skipped,
   * roots lie apart, it lies where the allocator may put others); `EFAULT` for tables outside of the memory, or reached twice
   */
  static adopt<F extends AnyFmt>(format: F, request: AdoptRequest<F>): IoPageTable<F> {
    const { onWarn, onRoot, debug } = request as AdoptOptions<F>
    const tree = adoptTree(format, request as AdoptOptions<AnyFmt>)
    return new IoPageTable(tree, { onWarn, onRoot, debug })
  }

  /** A token for `attach`, which can be posted to a worker. @throws `EINVAL` when the pool's memory is not shared. */
  share(): TableToken {
    const t = this.#live('share')
    const pool = t.pool.token()
    this.#lifetime?.shared()
    return { format: this.format.FORMAT, config: this.#tree.compiled.config, debug: this.#debug, pool, state: t.state, owner: t.owner }
  }

  /**
   * Maps `pgcount` pages of `pgsize` bytes. All errors about the arguments and the table are returned: `EINVAL`, `ERANGE`, `EEXIST` for a
   * mapping in the way, `ENOMEM`, `EBUSY`. A mapped prefix stays mapped. A success result is frozen and may be shared between calls.
   */
  mapPages(iova: bigint, paddr: bigint, pgsize: number, pgcount: number, prot: Prot): MapResult {
    const t = this.#tree
    const one = this.#changeOne
    if (one !== undefined && pgcount === 1 && pgsize === one.pgsize && t.inCallback === false)
      if (one.moves === undefined ? mapOne(t, one, iova, paddr, prot) : mapOneMoved(t, one, iova, paddr, prot)) return one.mapped
    return this.#mapPages(iova, paddr, pgsize, pgcount, prot)
  }

  #mapPages(iova: bigint, paddr: bigint, pgsize: number, pgcount: number, prot: Prot): MapResult {
    const t = this.#live('mapPages')
    const plan = planOf(t.compiled, pgsize)
    if (plan === undefined || !isAddress(iova) || !isAddress(paddr))
      return failed(0, this.#explain('mapPages', iova, paddr, pgsize, pgcount))
    split(iova, paddr)
    const result = this.#answer(this.#mapLanes(plan, lanes[1]!, lanes[0]!, lanes[3]!, lanes[2]!, pgcount, prot))
    if (this.#finishes) this.#finish()
    return result
  }

  /** Checks and maps one run of equal pages at addresses of 64 bits. Returns the bytes mapped; when they are not all, `#error` may say why. */
  #mapLanes(plan: LeafPlan, hi: number, lo: number, pHi: number, pLo: number, pgcount: number, prot: Prot): number {
    const t = this.#tree
    if (!isInput(t.compiled, plan, hi, lo, pgcount) || !isOutput(t.compiled, plan, pHi, pLo, pgcount))
      return this.#stop(this.#explain('mapPages', join(hi, lo), join(pHi, pLo), plan.pgsize, pgcount))
    if (!this.#expressible(plan, prot)) return this.#stop(explainProt('mapPages', prot))
    if (t.inCallback) return this.#stop(busy('mapPages'))
    const mapped = plan.pgsize * this.#mapRun(plan, hi, lo, pHi, pLo, pgcount, prot)
    // After the run: a call from inside one of its callbacks was refused, and told so here.
    this.#error = t.mapStop === '' ? undefined : this.#mapError(join(hi, lo) + BigInt(mapped), plan.pgsize)
    return mapped
  }

  #stop(error: IoPgtableError): 0 {
    this.#error = error
    return 0
  }

  #answer(mapped: number): MapResult {
    if (this.#error !== undefined) return failed(mapped, this.#error)
    if (this.#ok.mapped !== mapped) this.#ok = Object.freeze({ mapped, error: undefined })
    return this.#ok
  }

  /**
   * Unmaps `pgcount` mappings of `pgsize` bytes, whatever calls made them; a slot of that size that holds a table is taken down whole and
   * counted whole. Tables taken down return to the pool in `gather.sync()`, or at once, after their `flushWalk`, without a gather.
   * @returns bytes unmapped: a prefix, up to the first empty slot or the first part of a larger leaf. By the policy `covered` of some
   * formats, more than asked when the last mapping is a larger leaf whose head lies in the range.
   * @throws `EINVAL`, `ERANGE`, `EBUSY`
   */
  unmapPages(iova: bigint, pgsize: number, pgcount: number, gather?: IotlbGather): number {
    const t = this.#tree
    const one = this.#quietOne
    if (gather === undefined && one !== undefined && pgcount === 1 && pgsize === one.pgsize && t.inCallback === false)
      if (unmapOne(t, one, iova)) return pgsize
    return this.#unmapPages(iova, pgsize, pgcount, gather)
  }

  // One method, and a large one: V8 does not inline it into the short way, which is then small enough to be inlined itself.
  #unmapPages(iova: bigint, pgsize: number, pgcount: number, gather: IotlbGather | undefined): number {
    const one = this.#changeOne
    if (gather !== undefined && one !== undefined && pgcount === 1 && pgsize === one.pgsize && this.#tree.inCallback === false) {
      bindGather('unmapPages', gather, this.#tree)
      if (unmapOne(this.#tree, one, iova)) {
        if (this.#ranged) noteRange(this.#tree, gather, iova)
        // its address is in the lanes
        else reportPages(this.#tree, one.plan, lanes[1]!, lanes[0]!, 1, gather)
        return pgsize
      }
    }
    const t = this.#changing('unmapPages')
    const plan = planOf(t.compiled, pgsize)
    if (plan === undefined || !isAddress(iova)) throw this.#explain('unmapPages', iova, undefined, pgsize, pgcount)
    split(iova, 0n)
    const lo = lanes[0]!
    const hi = lanes[1]!
    if (!isInput(t.compiled, plan, hi, lo, pgcount)) throw this.#explain('unmapPages', iova, undefined, pgsize, pgcount)
    bindGather('unmapPages', gather, t)
    if (t.compiled.policy.freeTables === 'covered') return this.#unmapCovered(iova, hi, lo, pgsize * pgcount, gather)
    return this.#unmapRun(plan, hi, lo, pgcount, gather)
  }

  /** Unmaps one run of equal pages at an address that was checked. Returns the bytes. */
  #unmapRun(plan: LeafPlan, hi: number, lo: number, pgcount: number, gather: IotlbGather | undefined): number {
    const t = this.#tree
    const count =
      this.#lock === undefined ? unmapRun(t, plan, hi, lo, pgcount, gather) : this.#lockedUnmap(this.#lock, plan, hi, lo, pgcount, gather)
    const bytes = count * plan.pgsize
    if (count < pgcount && t.stoppedAtLeaf) this.#warnPart(join(hi, lo) + BigInt(bytes), plan.pgsize)
    return bytes
  }

  #unmapCovered(iova: bigint, hi: number, lo: number, bytes: number, gather: IotlbGather | undefined): number {
    const t = this.#tree
    const sweep = (): number => unmapCovered(t, hi, lo, bytes, gather)
    const unmapped = this.#lock === undefined ? sweep() : this.#lock.hold('unmapPages', iova, bytes, sweep)
    finishGather(t)
    if (t.stoppedAtLeaf) this.#warnPart(iova + BigInt(unmapped), t.compiled.granule)
    return unmapped
  }

  /** Maps any range of whole pages with the page sizes that `pickPages` chooses; answers as `mapPages`. */
  mapRange(iova: bigint, paddr: bigint, size: number, prot: Prot): MapResult {
    const t = this.#live('mapRange')
    if (!isRange(t.compiled, iova, size) || !isOutputRange(t.compiled, paddr, size)) {
      const wrong = explainRange(t.compiled, 'mapRange', iova, paddr, size, t.compiled.granule)
      if (wrong !== undefined) return failed(0, wrong)
    }
    if (!isProt(prot)) return failed(0, explainProt('mapRange', prot))
    if (t.compiled.plans.length === 0) return failed(0, noSizes('mapRange'))
    const result = this.#mapRuns(t, iova, paddr, size, prot)
    if (this.#finishes) this.#finish()
    return result
  }

  #mapRuns(t: Tree, iova: bigint, paddr: bigint, size: number, prot: Prot): MapResult {
    split(iova, paddr)
    let lo = lanes[0]!
    let hi = lanes[1]!
    let pLo = lanes[2]!
    let pHi = lanes[3]!
    for (let left = size; ; ) {
      const plan = pickPages(t.compiled.plans, hi | pHi, lo | pLo, hi ^ pHi, lo ^ pLo, left)
      const mapped = this.#mapLanes(plan, hi, lo, pHi, pLo, picked.pgcount, prot)
      left -= mapped
      if (left === 0 || this.#error !== undefined) return this.#answer(size - left)
      hi = advanceHi(hi, lo, mapped)
      lo = advanceLo(lo, mapped)
      pHi = advanceHi(pHi, pLo, mapped)
      pLo = advanceLo(pLo, mapped)
    }
  }

  /**
   * The end of a change: syncs the gather of a `range` flush order that the caller did not give, and reports a root that grew. A change
   * that was refused inside a callback has no end: the call around it has.
   */
  #finish(): void {
    const t = this.#tree
    if (t.inCallback) return
    // The device learns of a new root before the sync frees tables: the old root may be among them, replaced by a large page.
    if (this.#reportedRoot !== t.rootState) {
      this.#reportedRoot = t.rootState
      t.call(() => this.#onRoot?.(this.#view().regs))
    }
    finishGather(t)
  }

  /** Unmaps a range of whole pages as `unmapPages` does, size by size. @returns bytes unmapped, a prefix (or more: see `unmapPages`) */
  unmapRange(iova: bigint, size: number, gather?: IotlbGather): number {
    const t = this.#changing('unmapRange')
    if (!isRange(t.compiled, iova, size)) {
      const wrong = explainRange(t.compiled, 'unmapRange', iova, undefined, size, t.compiled.granule)
      if (wrong !== undefined) throw wrong
    }
    if (t.compiled.plans.length === 0) throw noSizes('unmapRange')
    bindGather('unmapRange', gather, t)
    split(iova, 0n)
    let lo = lanes[0]!
    let hi = lanes[1]!
    if (t.compiled.policy.freeTables === 'covered') return this.#unmapCovered(iova, hi, lo, size, gather)
    for (let left = size; ; ) {
      const plan = pickPages(t.compiled.plans, hi, lo, 0, 0, left)
      const wanted = plan.pgsize * picked.pgcount
      const bytes = this.#unmapRun(plan, hi, lo, picked.pgcount, gather)
      left -= bytes
      if (left === 0 || bytes < wanted) return size - left
      hi = advanceHi(hi, lo, bytes)
      lo = advanceLo(lo, bytes)
    }
  }

  /** Maps a range or nothing: on an error the prefix is unmapped and flushed, and the error thrown. What a callback of the driver throws passes through, and the prefix stays. */
  map(iova: bigint, paddr: bigint, size: number, prot: Prot): void {
    const { mapped, error } = this.mapRange(iova, paddr, size, prot)
    if (error === undefined) return
    if (mapped > 0) this.unmap(iova, mapped)
    throw error
  }

  /** `unmapRange`; without a gather it uses one of its own and syncs it. @returns bytes unmapped, a prefix */
  unmap(iova: bigint, size: number, gather?: IotlbGather): number {
    if (gather !== undefined) return this.unmapRange(iova, size, gather)
    const own = new IotlbGather()
    let unmapped: number
    try {
      unmapped = this.unmapRange(iova, size, own)
    } catch (error) {
      strand(this.#tree, own)
      throw error
    }
    syncOwn(this.#tree, own)
    return unmapped
  }

  /** The physical address of a mapped address, or undefined. @throws `EINVAL` for what is no bigint, `ERANGE` outside the input addresses. */
  iovaToPhys(iova: bigint): bigint | undefined {
    const t = this.#tree
    if (this.#one !== undefined) {
      const paddr = translateOne(t, this.#one, iova)
      if (paddr !== undefined) return paddr
    }
    return this.#iovaToPhys(iova)
  }

  #iovaToPhys(iova: bigint): bigint | undefined {
    const t = this.#live('iovaToPhys')
    if (!isAddress(iova)) throw this.#explain('iovaToPhys', iova, undefined, t.compiled.granule, 1)
    split(iova, 0n)
    const lo = lanes[0]!
    const hi = lanes[1]!
    if (!inWindow(t.compiled, hi, lo)) throw this.#explain('iovaToPhys', iova, undefined, t.compiled.granule, 1)
    const hit = this.#lock === undefined || t.inCallback ? lookup(t, hi, lo) : this.#lockedLookup(this.#lock, hi, lo)
    return hit ? join(found.hi, found.lo) : undefined
  }

  /**
   * Translates many addresses: `out[i]` is the physical address of `iovas[i]`, 2^64 - 1 where nothing is mapped. `out` may be `iovas` itself.
   * @returns number of addresses that are mapped
   * @throws `EINVAL` when `out` is shorter or overlaps `iovas` otherwise, `ERANGE` when any address is outside the input addresses; nothing is written then
   */
  iovaToPhysMany(iovas: BigUint64Array, out: BigUint64Array): number {
    const t = this.#live('iovaToPhysMany')
    if (!(iovas instanceof BigUint64Array) || !(out instanceof BigUint64Array) || out.length < iovas.length)
      throw new IoPgtableError('EINVAL', 'iovaToPhysMany', `out must be a BigUint64Array of at least ${iovas?.length} elements`, {
        value: Number(out?.length),
      })
    if (overlapApart(iovas, out))
      throw new IoPgtableError(
        'EINVAL',
        'iovaToPhysMany',
        'out overlaps iovas at another offset: the same array, or memory apart from it, expected',
      )
    return translateMany(t, iovas, out, (iova) => {
      throw this.#explain('iovaToPhysMany', iova, undefined, t.compiled.granule, 1)
    })
  }

  /** Every descriptor on the way of an address, level by level; the last one is a leaf where it is mapped. @throws `EINVAL`, `ERANGE` */
  walk(iova: bigint): readonly (Decoded & EntryPlace)[] {
    const t = this.#live('walk')
    const wrong = explainRange(t.compiled, 'walk', iova, undefined, 1, 1)
    if (wrong !== undefined) throw wrong
    const walk = (): (Decoded & EntryPlace)[] => walkAddress(this.geometry, this.roots, this.readMemory, iova)
    return this.#lock === undefined || t.inCallback ? walk() : this.#lock.hold('walk', iova, 1, walk)
  }

  /**
   * Visits the leaves of a range that the device wrote to, whole leaves in order, and makes them clean unless `ReadDirty.NO_CLEAR` is set.
   * What a TLB holds of a cleaned leaf must be invalidated: pass a gather and sync it.
   * @throws `EINVAL` without dirty tracking in the configuration, and at a hole, after the leaves before it were visited
   */
  readAndClearDirty(
    iova: bigint,
    size: number,
    visit: (iova: bigint, pgsize: number) => void,
    flags: ReadDirtyFlags = 0,
    gather?: IotlbGather,
  ): void {
    const t = this.#changing('readAndClearDirty')
    const wrong = explainRange(t.compiled, 'readAndClearDirty', iova, undefined, size, t.compiled.granule)
    if (wrong !== undefined) throw wrong
    bindGather('readAndClearDirty', gather, t)
    const read = (): void => readAndClearDirty(t, iova, size, visit, flags, gather)
    if (this.#lock === undefined) read()
    else this.#lock.hold('readAndClearDirty', iova, size, read)
  }

  /**
   * Makes a boundary between two mappings at an address: the leaf that the address lies in gives way to smaller ones, the largest that fit,
   * and to no more tables than it takes. Every translation stays as it is; where the format says `breakBeforeMake`, the leaf's range
   * translates to nothing for a moment, and is flushed then. Elsewhere the larger leaf is noted in the gather, which must be synced before
   * its parts change; without one it is flushed before the call ends.
   * @returns whether something changed: not where there is a boundary, or nothing is mapped
   * @throws `EINVAL`, `ERANGE`, `ENOMEM`, `EBUSY`, and what callbacks throw: nothing has changed then
   */
  cut(iova: bigint, gather?: IotlbGather): boolean {
    return cut(this.#request, iova, gather)
  }

  /**
   * Changes what mapped leaves grant, in place, up to the first hole. Their addresses and sizes stay, and whether the device wrote to them,
   * as far as the new permissions can say it.
   * @returns bytes from the start of the range on: less than its size where there is a hole
   * @throws `EINVAL` for a range that covers a part of a leaf, unless `cut` is set, and for a prot that a leaf cannot have: nothing has
   * changed then. `ERANGE`; `ENOMEM` for a cut; `EBUSY`
   */
  protect(iova: bigint, size: number, prot: Prot, options: ProtectOptions = {}): number {
    return protect(this.#request, iova, size, prot, options)
  }

  /**
   * Frees the tables that translate nothing, which page by page unmaps leave behind, and which lie wholly in the range: by default all. No
   * call on an address that such a table translates may run at the same time.
   * @returns bytes of tables; with a gather they wait in it
   */
  trim(range?: AddressRange, gather?: IotlbGather): number {
    return trim(this.#request, range, gather)
  }

  /**
   * Visits the leaves that touch a range, or all, in order: each mapping once, and whole. The visitor may read the table, and ends the visit
   * by returning false.
   * @returns false when the visitor ended it
   */
  forEachLeaf(range: AddressRange | undefined, visit: (leaf: Leaf) => unknown): boolean {
    return forEachLeaf(this.#request, range, visit)
  }

  /** All that the table translates now, as plain data; {@link diffSnapshots} compares two. */
  snapshot(): Snapshot {
    return snapshot(this.#request)
  }

  /** The tree as it is now: its top is another node once the root grew. */
  get geometry(): Geometry {
    return this.#view().geometry
  }

  /** Physical addresses of the root tables. */
  get roots(): readonly bigint[] {
    return this.#view().roots
  }

  /** What the device's registers get. */
  get regs(): RegsOf<F> {
    return this.#view().regs as RegsOf<F>
  }

  #view(): RootView {
    const t = this.#tree
    if (t.compiled.grows) t.refresh()
    if (this.#root?.state !== t.rootState) this.#root = describeRoot(t)
    return this.#root as RootView
  }

  /**
   * Bytes of table memory, alignment of all tables but the first root included; tables that wait in a gather count until its sync.
   */
  get tableBytes(): number {
    return this.#tree.tableBytes
  }

  /** Reads the memory that the tables are in; for `walkTables(table.geometry, table.roots, table.readMemory, ...)`. */
  readonly readMemory: ReadMemory = (paddr, byteLength) => {
    const { words, base, size } = this.#live('readMemory').pool
    const offset = paddr - base
    if (offset < 0n || offset >= BigInt(size)) return undefined
    return new Uint8Array(words.buffer, words.byteOffset + Number(offset), Math.min(byteLength, size - Number(offset)))
  }

  /**
   * `flushAll` (by a flush order of `range`: `sync` with a gather of everything), then frees every table.
   * @throws `ENODEV` when it is freed already, `EBUSY` from inside a callback, and what the callback throws (then nothing is freed)
   */
  free(): void {
    const t = this.#changing('free')
    unlinkOwn(t)
    flushEverything(t)
    if (Atomics.compareExchange(t.state, STATE_STATUS, LIVE, DEAD) !== LIVE) throw dead('free', this.format.FORMAT)
    // ends the short ways, which look at the generation only
    t.pool.bumpGeneration()
    freeTree(t)
    this.#lifetime?.freed()
  }

  /** `free`, and nothing for a table that is freed already. */
  [Symbol.dispose](): void {
    if (Atomics.load(this.#tree.state, STATE_STATUS) === LIVE) this.free()
  }

  #live(op: string): Tree {
    const t = this.#tree
    if (t.state[STATE_STATUS] !== LIVE) throw dead(op, this.format.FORMAT)
    if (t.compiled.grows) t.refresh()
    return t
  }

  #changing(op: string): Tree {
    const t = this.#live(op)
    if (t.inCallback) throw busy(op)
    return t
  }

  #mapRun(plan: LeafPlan, hi: number, lo: number, pHi: number, pLo: number, pgcount: number, prot: Prot): number {
    const lock = this.#lock
    if (lock === undefined) return mapRun(this.#tree, plan, hi, lo, pHi, pLo, pgcount, prot, this.#single)
    return this.#lockedMap(lock, plan, hi, lo, pHi, pLo, pgcount, prot)
  }

  // Apart, since a closure's variables cost every call of the function that holds it.
  #lockedMap(lock: RangeLock, plan: LeafPlan, hi: number, lo: number, pHi: number, pLo: number, pgcount: number, prot: Prot): number {
    return lock.hold('mapPages', join(hi, lo), plan.pgsize * pgcount, () =>
      mapRun(this.#tree, plan, hi, lo, pHi, pLo, pgcount, prot, this.#single),
    )
  }

  #lockedUnmap(lock: RangeLock, plan: LeafPlan, hi: number, lo: number, pgcount: number, gather: IotlbGather | undefined): number {
    return lock.hold('unmapPages', join(hi, lo), plan.pgsize * pgcount, () => unmapRun(this.#tree, plan, hi, lo, pgcount, gather))
  }

  #lockedLookup(lock: RangeLock, hi: number, lo: number): boolean {
    return lock.hold('iovaToPhys', join(hi, lo), 1, () => lookup(this.#tree, hi, lo))
  }

  /** Whether the plan can express `prot`; the attribute bits are cached from the first time on. */
  #expressible(plan: LeafPlan, prot: Prot): boolean {
    if (!isProt(prot)) return false
    return plan.attrs[(prot << 2) | 2] === prot || plan.resolve(this.format, this.#tree.compiled.config, prot)
  }

  #explain(op: string, iova: bigint, paddr: bigint | undefined, pgsize: number, pgcount: number): IoPgtableError {
    return (
      explainPages(this.#tree.compiled, op, iova, paddr, pgsize, pgcount) ??
      new IoPgtableError('EINVAL', op, `iova ${iova}: refused`, { value: iova })
    )
  }

  #mapError(iova: bigint, pgsize: number): IoPgtableError {
    const t = this.#tree
    if (t.mapStop === 'ENOMEM')
      return new IoPgtableError('ENOMEM', 'mapPages', `no memory for a table at iova ${hex(iova)}: ${t.allocError?.message}`, {
        value: iova,
        cause: t.allocError,
      })
    const error = new IoPgtableError(
      'EEXIST',
      'mapPages',
      `a mapping is in the way of ${hex(pgsize)} bytes at iova ${hex(iova)} (or of the run that starts there)`,
      { value: iova },
    )
    this.#warn(error)
    return error
  }

  #warn(warning: IoPgtableError): void {
    this.#tree.call(() => this.#onWarn?.(warning))
  }

  #warnPart(iova: bigint, pgsize: number): void {
    this.#warn(
      new IoPgtableError('EINVAL', 'unmapPages', `${hex(pgsize)} bytes at iova ${hex(iova)} are a part of a larger leaf, which stays`, {
        value: iova,
      }),
    )
  }
}
