/** A table, its model, and a device whose TLB and walk cache remember everything, side by side. */
import { hex, type IotlbGather, type TlbFlushOps } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { type Case, iovaOf, offsetOf } from './case.ts'
import { type DeviceTlb, leafOnly, type MakeFlushOps } from './flush-ops.ts'
import { Iotlb } from './iotlb.ts'
import { Fault } from './law.ts'
import type { Operation } from './operation.ts'
import { Session, type SessionOptions } from './session.ts'

/** A session whose TLB is checked after every call. */
export class TlbSession {
  readonly session: Session
  readonly iotlb: Iotlb
  readonly #c: Case
  readonly #before: () => void
  /** Ranges whose translations may be stale: unmapped with a gather that is not synced. */
  #allowed: { readonly first: bigint; readonly last: bigint }[] = []

  /** @param before called before each callback, which does nothing when it throws */
  constructor(
    c: Case,
    make: MakeFlushOps,
    { before = () => {}, ...limits }: Pick<SessionOptions, 'memory' | 'tables'> & { before?: () => void } = {},
  ) {
    this.#c = c
    this.#before = before
    let iotlb: Iotlb | undefined
    const early: [bigint, number][] = []
    const device: DeviceTlb = {
      remove: (which) => iotlb?.remove(which),
      removeAll: () => iotlb?.removeAll(),
      removeAt: (iova, step, count, which) => iotlb?.removeAt(offsetOf(c.geometry, iova), step, count, which),
    }
    this.session = new Session(c, {
      tlb: this.#watched(make(device)),
      onRoot: () => this.#newRoot(),
      ...limits,
      sync: (paddr, byteLength) => {
        before()
        if (iotlb === undefined) early.push([paddr, byteLength])
        else iotlb.sync(paddr, byteLength)
      },
    })
    const { pool, table } = this.session
    iotlb = new Iotlb(table.geometry, pool, c.policy.breakBeforeMake)
    this.iotlb = iotlb
    for (const [paddr, byteLength] of early) iotlb.sync(paddr, byteLength)
    iotlb.setRoots(rootOf(c, table.geometry.top), table.roots)
  }

  /** The callbacks, after each of which no freed table may be in the walk cache. */
  #watched(ops: TlbFlushOps): TlbFlushOps {
    const { addPages, sync } = ops
    return {
      flushAll: () => ops.flushAll(),
      flushWalk: (iova, size, granule) => {
        this.#before()
        this.#checkLive('before flushWalk')
        ops.flushWalk(iova, size, granule)
      },
      ...(addPages !== undefined && {
        addPages: (...args: Parameters<typeof addPages>) => {
          this.#before()
          addPages.apply(ops, args)
        },
      }),
      ...(sync !== undefined && {
        sync: (gather: IotlbGather) => {
          this.#before()
          this.#checkLive('before the gather was synced')
          sync.call(ops, gather)
        },
      }),
    }
  }

  apply(op: Operation): void {
    const { session } = this
    const unmaps = op.op === 'unmap' || op.op === 'unmapRange'
    if (unmaps) this.#allow(op)
    if (op.op === 'cut' || op.op === 'protect') this.#allowEdit(op)
    session.apply(op)
    if (unmaps) this.#ownDuty(op)
    if (op.op === 'sync') this.#allowed = []
    this.check()
  }

  /** Until a gather is synced, the TLB may hold what was unmapped with it. */
  #allow(op: Operation & { op: 'unmap' | 'unmapRange' }): void {
    if (op.gather === 'later') this.#allowed.push(this.#rangeOf(op))
  }

  /** So it may hold what was cut, or had other permissions: the whole leaves. */
  #allowEdit(op: Operation & { op: 'cut' | 'protect' }): void {
    if (op.gather !== 'later') return
    const last = op.op === 'cut' ? op.offset : op.offset + BigInt(op.bytes) - 1n
    const [from, to] = [op.offset, last].map((offset) => this.session.model.at(offset))
    const end = to === undefined ? last : to.offset + BigInt(to.size.pgsize) - 1n
    this.#allowed.push({ first: from?.offset ?? op.offset, last: end })
  }

  /** A caller that unmaps without a gather, where pages are then not reported, must invalidate the range himself. */
  #ownDuty(op: Operation & { op: 'unmap' | 'unmapRange' }): void {
    const { flushOrder, addPagesWithoutGather } = this.#c.policy
    if (op.gather !== 'none' || flushOrder === 'range' || addPagesWithoutGather) return
    const range = this.#rangeOf(op)
    this.iotlb.remove((entry) => leafOnly(entry) && entry.first <= range.last && entry.last >= range.first)
  }

  #rangeOf(op: Operation & { op: 'unmap' | 'unmapRange' }): { first: bigint; last: bigint } {
    const bytes = op.op === 'unmap' ? op.size.pgsize * op.count : op.bytes
    const largest = this.#c.policy.freeTables === 'covered' ? BigInt(this.#c.sizes.at(-1)?.pgsize ?? 0) : 0n
    return { first: op.offset, last: op.offset + BigInt(bytes) + largest - 1n }
  }

  /** The device gets the registers of a root that grew. Until now it walked the old one. */
  #newRoot(): void {
    const { table, c } = this.session
    this.#checkLive('before the device was told of the new root')
    this.iotlb.setRoots(rootOf(c, table.geometry.top), table.roots)
  }

  /** Nothing stale is left but what a pending gather is for; a walker that follows it still finds live memory. */
  check(): void {
    const { iotlb, session } = this
    this.#checkLive('and the walk cache still leads to it')
    for (const entry of iotlb.stale) {
      if (entry.type === 'leaf' && this.#allowed.some(({ first, last }) => entry.first <= last && entry.last >= first)) continue
      if (entry.type === 'table' && session.gather !== undefined && session.gather.pendingTables > 0) continue
      const what =
        entry.type === 'leaf'
          ? 'the TLB still answers with a translation that is gone'
          : 'the walk cache still leads to a table that is gone'
      throw new Fault(what, { node: entry.node, iova: iovaOf(this.#c.geometry, entry.first), raw: entry.raw })
    }
  }

  /** No entry of the walk cache leads to memory that was given back to the pool. */
  #checkLive(when: string): void {
    const { pool } = this.session
    const [root] = this.iotlb.roots
    if (root !== undefined && !isLive(pool, root)) throw new Fault(`the root at ${hex(root)} is free, ${when}`)
    for (const { type, entry, node, first, raw } of this.iotlb.stale) {
      if (type !== 'table' || entry.type !== 'table') continue
      if (isLive(pool, entry.next)) continue
      throw new Fault(`the table at ${hex(entry.next)} is free, ${when}`, { node, iova: iovaOf(this.#c.geometry, first), raw })
    }
  }

  end(): void {
    this.apply({ op: 'sync' })
    this.iotlb.checkSynced()
    this.session.end()
  }
}

/** Whether a block that is in use starts at an address. */
export function isLive(pool: PtPool, address: bigint): boolean {
  try {
    pool.ptrAt(address)
    return true
  } catch {
    return false
  }
}

function rootOf({ chain }: Case, id: string): Case['chain'][number] {
  return chain.find((node) => node.id === id) as Case['chain'][number]
}
