/** The engine: `IoPageTable<F>`, one set of page tables of one format, after Linux's io-pgtable and its Rust abstraction. */
import { cut } from '../change/cut.ts'
import { type ReadDirtyFlags, readAndClearDirty, type VisitDirty } from '../change/dirty.ts'
import { mapPages, mapRange } from '../change/map.ts'
import { type ProtectOptions, protect } from '../change/protect.ts'
import { trim } from '../change/trim.ts'
import { unmap, unmapPages, unmapRange } from '../change/unmap.ts'
import type { Device, Devres } from '../device/device.ts'
import type { AnyFmt, ConfigOf, ContextOf, Geometry, RegsOf } from '../format/format.ts'
import type { ReadMemory } from '../format/hardware.ts'
import type { Agreed, FormatConfig } from '../format/policy.ts'
import type { Prot } from '../format/prot.ts'
import { mapOne, mapOneMoved, type OnePage, translateOne, unmapOne } from '../hot/one-page.ts'
import type { TableToken } from '../memory/share.ts'
import type { Decoded } from '../read/decode.ts'
import type { Snapshot } from '../read/snapshot.ts'
import type { AddressRange, EntryPlace } from '../read/walk.ts'
import { type MapResult, Request } from '../request/request.ts'
import type { IotlbGather } from '../tlb/gather.ts'
import { forEachLeaf, type Leaf, snapshot } from '../translate/leaves.ts'
import { iovaToPhysMany } from '../translate/many.ts'
import { iovaToPhys, walk } from '../translate/one.ts'
import { rootView } from '../tree/root-view.ts'
import type { Tree } from '../tree/tree.ts'
import { type AdoptOptions, type AdoptRequest, adoptTable } from './adopt.ts'
import { attachTable, createBound, createTable, freeTable, isLive, type Parts, shareTable } from './create.ts'
import type { AttachOptions, TableOptions } from './table-options.ts'

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
  /** Its calls, one after the other. */
  readonly #request: Request
  readonly #fastTranslate: OnePage | undefined
  readonly #fastMap: OnePage | undefined
  readonly #fastUnmap: OnePage | undefined
  readonly #lifetime: Parts['lifetime']

  private constructor({ tree, hooks, fast, lifetime }: Parts) {
    const { format, config, context } = tree.compiled
    this.format = format as F
    this.config = config as Agreed<ConfigOf<F>>
    this.context = context as ContextOf<F>
    this.#tree = tree
    this.#request = new Request(tree, hooks, false)
    this.#fastTranslate = fast.translate
    this.#fastMap = fast.change
    this.#fastUnmap = fast.quiet
    this.#lifetime = lifetime
  }

  /**
   * A table whose lifetime is the caller's: stop the device's use of `regs` before `free`, and free it before the device unbinds.
   * @throws `EINVAL` for a configuration that the hardware cannot have, `ENOMEM` when there is no memory for the root.
   */
  static createRaw<F extends AnyFmt>(format: F, request: TableOptions & ConfigOf<F>): IoPageTable<F> {
    return createTable(format, request as TableOptions & FormatConfig, (parts) => new IoPageTable<F>(parts))
  }

  /** A table that lives no longer than the device's binding: unbinding revokes access and frees it. @throws `ENODEV` when it is not bound. */
  static create<F extends AnyFmt>(device: Device, format: F, request: TableOptions & ConfigOf<F>): Devres<IoPageTable<F>> {
    return createBound(device, () => IoPageTable.createRaw(format, request))
  }

  /** Opens in this worker a table that another one shared. @throws `EINVAL` when the token is of another format, `ENODEV` when it is freed. */
  static attach<F extends AnyFmt>(format: F, token: TableToken, options: AttachOptions = {}): IoPageTable<F> {
    return new IoPageTable<F>(attachTable(format, token, options))
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
    return new IoPageTable(adoptTable(format, request as AdoptOptions<AnyFmt>))
  }

  /** A token for `attach`, which can be posted to a worker. @throws `EINVAL` when the pool's memory is not shared. */
  share(): TableToken {
    const token = shareTable(this.#request)
    this.#lifetime?.shared()
    return token
  }

  /**
   * Maps `pgcount` pages of `pgsize` bytes. All errors about the arguments and the table are returned: `EINVAL`, `ERANGE`, `EEXIST` for a
   * mapping in the way, `ENOMEM`, `EBUSY`. A mapped prefix stays mapped. A success result is frozen and may be shared between calls.
   */
  mapPages(iova: bigint, paddr: bigint, pgsize: number, pgcount: number, prot: Prot): MapResult {
    const t = this.#tree
    const one = this.#fastMap
    if (one !== undefined && pgcount === 1 && pgsize === one.pgsize && t.inCallback === false)
      if (one.moves === undefined ? mapOne(t, one, iova, paddr, prot) : mapOneMoved(t, one, iova, paddr, prot)) return one.mapped
    return mapPages(this.#request, iova, paddr, pgsize, pgcount, prot)
  }

  /**
   * Unmaps `pgcount` mappings of `pgsize` bytes, whatever calls made them; a slot of that size that holds a table is taken down whole and
   * counted whole. Tables taken down return to the pool in `gather.sync()`, or at once, after their `flushWalk`, without a gather.
   * @returns bytes unmapped: a prefix, up to the first empty slot or the first part of a larger leaf. By the policy `covered` of some
   * formats, more than asked when the last mapping is a larger leaf whose head lies in the range. @throws `EINVAL`, `ERANGE`, `EBUSY`
   */
  unmapPages(iova: bigint, pgsize: number, pgcount: number, gather?: IotlbGather): number {
    const t = this.#tree
    const one = this.#fastUnmap
    if (gather === undefined && one !== undefined && pgcount === 1 && pgsize === one.pgsize && t.inCallback === false)
      if (unmapOne(t, one, iova)) return pgsize
    return unmapPages(this.#request, iova, pgsize, pgcount, gather)
  }

  /** Maps any range of whole pages with the page sizes that `pickPages` chooses; answers as `mapPages`. */
  mapRange(iova: bigint, paddr: bigint, size: number, prot: Prot): MapResult {
    return mapRange(this.#request, iova, paddr, size, prot)
  }

  /** Unmaps a range as `unmapPages` does, by the sizes of `mapRange`: it ends before the first page of those that has a hole. @returns bytes: see `unmapPages` */
  unmapRange(iova: bigint, size: number, gather?: IotlbGather): number {
    return unmapRange(this.#request, iova, size, gather)
  }

  /** Maps a range or nothing: on an error the prefix is unmapped and flushed, and the error thrown. What a callback of the driver throws passes through, and the prefix stays. */
  map(iova: bigint, paddr: bigint, size: number, prot: Prot): void {
    const { mapped, error } = this.mapRange(iova, paddr, size, prot)
    if (error === undefined) return
    if (mapped > 0) this.unmap(iova, mapped)
    throw error
  }

  /** `unmapRange`; without a gather it uses and syncs its own. @returns bytes unmapped @throws `EINVAL` for a part of a larger leaf, which stays */
  unmap(iova: bigint, size: number, gather?: IotlbGather): number {
    return unmap(this.#request, iova, size, gather)
  }

  /** The physical address of a mapped address, or undefined. @throws `EINVAL` for what is no bigint, `ERANGE` outside the input addresses. */
  iovaToPhys(iova: bigint): bigint | undefined {
    if (this.#fastTranslate !== undefined) {
      const paddr = translateOne(this.#tree, this.#fastTranslate, iova)
      if (paddr !== undefined) return paddr
    }
    return iovaToPhys(this.#request, iova)
  }

  /**
   * Translates many addresses: `out[i]` is the physical address of `iovas[i]`, 2^64 - 1 where nothing is mapped. `out` may be `iovas` itself.
   * @returns number of addresses that are mapped
   * @throws `EINVAL` when `out` is shorter or overlaps `iovas` otherwise, `ERANGE` when any address is outside the input addresses; nothing is written then
   */
  iovaToPhysMany(iovas: BigUint64Array, out: BigUint64Array): number {
    return iovaToPhysMany(this.#request, iovas, out)
  }

  /** Every descriptor on the way of an address, level by level; the last one is a leaf where it is mapped. @throws `EINVAL`, `ERANGE` */
  walk(iova: bigint): readonly (Decoded & EntryPlace)[] {
    return walk(this.#request, iova, this.readMemory)
  }

  /**
   * Visits the leaves of a range that the device wrote to, whole leaves in order, and makes them clean unless `ReadDirty.NO_CLEAR` is set.
   * What a TLB holds of a cleaned leaf must be invalidated: pass a gather and sync it.
   * @throws `EINVAL` without dirty tracking in the configuration, and at a hole, after the leaves before it were visited
   */
  readAndClearDirty(iova: bigint, size: number, visit: VisitDirty, flags: ReadDirtyFlags = 0, gather?: IotlbGather): void {
    readAndClearDirty(this.#request, iova, size, visit, flags, gather)
  }

  /**
   * Makes a boundary between two mappings at an address: the leaf that the address lies in gives way to smaller ones, the largest that fit,
   * and to no more tables than it takes. Every translation stays as it is; where the format says `breakBeforeMake`, the leaf's range
   * translates to nothing for a moment, and is flushed then. Elsewhere the larger leaf is noted in the gather, which must be synced before
   * its parts change; without one it is flushed before the call ends.
   * @returns whether something changed: not where there is a boundary, or nothing is mapped
   * @throws `EINVAL`, `ERANGE`, `ENOMEM`, `EBUSY`: nothing has changed then. What callbacks throw: the leaf may be cut; what to flush is owed
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

  /** Visits the leaves that touch a range, or all, in order: each mapping once, and whole. The visitor may read the table; false ends the visit, and is the answer. */
  forEachLeaf(range: AddressRange | undefined, visit: (leaf: Leaf) => unknown): boolean {
    return forEachLeaf(this.#request, range, visit)
  }

  /** All that the table translates now, as plain data; {@link diffSnapshots} compares two. */
  snapshot(): Snapshot {
    return snapshot(this.#request)
  }

  /** The tree as it is now: its top is another node once the root grew. */
  get geometry(): Geometry {
    return rootView(this.#tree).geometry
  }

  /** Physical addresses of the root tables. */
  get roots(): readonly bigint[] {
    return rootView(this.#tree).roots
  }

  /** What the device's registers get. */
  get regs(): RegsOf<F> {
    return rootView(this.#tree).regs as RegsOf<F>
  }

  /** Bytes of table memory, with the alignment of tables below the root; tables that wait in a gather count until its sync. */
  get tableBytes(): number {
    return this.#tree.tableBytes
  }

  /** Reads the memory that the tables are in; for `walkTables(table.geometry, table.roots, table.readMemory, ...)`. */
  readonly readMemory: ReadMemory = (paddr, byteLength) => this.#request.live('readMemory').bytesAt(paddr, byteLength)

  /**
   * `flushAll` (by a flush order of `range`: `sync` with a gather of everything), then frees every table.
   * @throws `ENODEV` when it is freed already, `EBUSY` from inside a callback, and what the callback throws (then nothing is freed)
   */
  free(): void {
    freeTable(this.#request)
    this.#lifetime?.freed()
  }

  /** `free`, and nothing for a table that is freed already. */
  [Symbol.dispose](): void {
    if (isLive(this.#request)) this.free()
  }
}
