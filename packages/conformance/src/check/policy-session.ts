/**
 * A driver's whole flush policy on a modelled device: the driver maps and unmaps as it likes, flushes when it likes, and says when addresses
 * may be given out again. The device remembers every translation and every table that it could ever have seen, until it is told to forget.
 */
import { hex, type IoPageTable, slotBytes, type TlbFlushOps } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { type Case, iovaOf, offsetOf } from './case.ts'
import type { DeviceTlb } from './flush-ops.ts'
import { type CachedEntry, Iotlb } from './iotlb.ts'
import { Fault, same } from './law.ts'
import { newPool } from './session.ts'
import { isLive } from './tlb-session.ts'

/** The device as the driver of a policy commands it. */
export interface PolicyDevice extends DeviceTlb {
  /** Until `unlock` the device makes no access to these addresses, whatever its TLB holds. */
  lock(first: bigint, last: bigint): void
  unlock(): void
}

/** A driver under test. Sizes are bytes; every range is whole pages, and an unmap is of a range that one map made. */
export interface PolicyDriver {
  /** A request begins that changes addresses `first` to `last`, in several steps. */
  begin?(first: bigint, last: bigint): void
  map(iova: bigint, paddr: bigint, size: number): void
  unmap(iova: bigint, size: number): void
  /** The request is over: the device may use the addresses. */
  end?(): void
  /** Flushes what waits, and frees the table. */
  close(): void
}

/** What a driver is made of. */
export interface PolicySetup {
  readonly device: PolicyDevice
  readonly createTable: (tlb?: TlbFlushOps) => IoPageTable
  /** Addresses that were unmapped may be given out again. */
  readonly release: (iova: bigint, size: number) => void
}

export type MakePolicy = (setup: PolicySetup) => PolicyDriver

interface Request {
  readonly page: number
  readonly pages: number
  readonly paddr: bigint
}

/** What an address is to the driver: it may be mapped; it is; it was, and may not be used again yet. */
const FREE = 0
const LIVE = 1
const HELD = 2

/** Tables of the last level that the addresses of a session take. */
const TABLES = 3

export class PolicySession {
  readonly log: string[] = []
  readonly #c: Case
  readonly #driver: PolicyDriver
  readonly #iotlb: Iotlb
  readonly #pool: PtPool
  readonly #granule: number
  /** Pages that one table of the last level translates. */
  readonly #span: number
  readonly #state: Uint8Array
  readonly #paddrs: Float64Array
  readonly #live: Request[] = []
  #table: IoPageTable | undefined
  #locked: { readonly first: bigint; readonly last: bigint } | undefined

  constructor(c: Case, make: MakePolicy) {
    this.#c = c
    const leafNode = c.chain.at(-1)!
    this.#granule = slotBytes(leafNode)
    this.#span = 2 ** leafNode.bits
    this.#state = new Uint8Array(TABLES * this.#span)
    this.#paddrs = new Float64Array(TABLES * this.#span)
    let iotlb: Iotlb | undefined
    const early: [bigint, number][] = []
    const sync = (paddr: bigint, byteLength: number): void => {
      if (iotlb === undefined) return void early.push([paddr, byteLength])
      this.#checkReuse(paddr, byteLength)
      iotlb.sync(paddr, byteLength)
    }
    this.#pool = newPool(c, { sync })
    this.#driver = make({
      device: {
        remove: (which) => iotlb?.remove(which),
        removeAll: () => iotlb?.removeAll(),
        removeAt: (iova, step, count, which) => iotlb?.removeAt(offsetOf(c.geometry, iova), step, count, which),
        lock: (first, last) => void (this.#locked = { first: offsetOf(c.geometry, first), last: offsetOf(c.geometry, last) }),
        unlock: () => void (this.#locked = undefined),
      },
      createTable: (tlb) => this.#createTable(tlb),
      release: (iova, size) => this.#release(iova, size),
    })
    if (this.#table === undefined) throw new Fault('the driver made no table')
    iotlb = new Iotlb(this.#table.geometry, this.#pool)
    this.#iotlb = iotlb
    for (const [paddr, byteLength] of early) iotlb.sync(paddr, byteLength)
    iotlb.setRoots(c.chain[c.top]!, this.#table.roots)
  }

  #createTable(tlb: TlbFlushOps | undefined): IoPageTable {
    this.#table = this.#c.createTable(this.#c.format, { ...this.#c.request, allocator: this.#pool, ...(tlb && { tlb }) })
    return this.#table
  }

  /** One request of a few steps, in a part of the addresses. */
  request(below: (n: number) => number): void {
    const first = below(TABLES) * this.#span
    const pages = (1 + below(TABLES - first / this.#span)) * this.#span
    const { begin, end } = this.#driver
    if (begin !== undefined)
      this.#do(`begin(${this.#iova(first)}, ${this.#iova(first + pages)} - 1)`, () =>
        begin.call(this.#driver, this.#at(first), this.#at(first + pages) - 1n),
      )
    for (let step = below(5); step >= 0; step--) {
      if (below(2) === 0) this.#map(below, first, pages)
      else this.#unmap(below, first, pages)
    }
    if (end !== undefined) this.#do('end()', () => end.call(this.#driver))
    if (this.#locked !== undefined) throw new Fault('the request is over, and the device is still locked')
    this.#translations()
  }

  close(): void {
    this.#do('close()', () => this.#driver.close())
    const [stale] = this.#iotlb.stale
    if (stale !== undefined) this.#fault('closed, and the TLB still holds what was unmapped', stale)
    const [leak] = this.#pool.leaks()
    if (leak !== undefined) throw new Fault(`a table leaked: ${hex(leak.bytes)} bytes at ${hex(leak.paddr)}`)
  }

  /** A whole table's range, a few pages, or pages over a table's end. */
  #map(below: (n: number) => number, first: number, pages: number): void {
    const whole = below(3) === 0
    const count = whole ? this.#span : 1 + below(Math.min(24, this.#span))
    const page = first + (whole ? below(pages / this.#span) * this.#span : below(pages - count + 1))
    for (let i = page; i < page + count; i++) if (this.#state[i] !== FREE) return
    // where the low bits are those of the input address, large pages are used; else a table of small ones
    const paddr = BigInt((1 + below(15)) * TABLES * this.#span + page + below(2)) * BigInt(this.#granule)
    const size = count * this.#granule
    if (paddr + BigInt(size) > 1n << BigInt(this.#c.geometry.oas)) return
    for (let i = 0; i < count; i++) {
      this.#state[page + i] = LIVE
      this.#paddrs[page + i] = Number(paddr) + i * this.#granule
    }
    this.#live.push({ page, pages: count, paddr })
    this.#do(`map(${this.#iova(page)}, ${hex(paddr)}n, ${hex(size)})`, () => this.#driver.map(this.#at(page), paddr, size))
  }

  #unmap(below: (n: number) => number, first: number, pages: number): void {
    const near = this.#live.filter((request) => request.page >= first && request.page + request.pages <= first + pages)
    const request = near[below(near.length)]
    if (request === undefined) return
    this.#live.splice(this.#live.indexOf(request), 1)
    this.#state.fill(HELD, request.page, request.page + request.pages)
    const size = request.pages * this.#granule
    this.#do(`unmap(${this.#iova(request.page)}, ${hex(size)})`, () => this.#driver.unmap(this.#at(request.page), size))
  }

  #release(iova: bigint, size: number): void {
    const page = Number(offsetOf(this.#c.geometry, iova)) / this.#granule
    for (let i = page; i < page + size / this.#granule; i++) {
      if (this.#state[i] !== HELD)
        throw new Fault('an address is released that was not unmapped, or that was released before', { iova: this.#at(i) })
      this.#state[i] = FREE
    }
  }

  #do(what: string, call: () => void): void {
    this.log.push(what)
    call()
    this.#check()
  }

  /** No address that is mapped or may be given out translates by something stale; no table that is gone is walked. */
  #check(): void {
    for (const stale of this.#iotlb.stale) {
      const { entry } = stale
      if (entry.type === 'table') this.#checkTable(stale, entry.next)
      else if (entry.type === 'leaf') this.#checkLeaf(stale, entry.paddr)
    }
  }

  #checkTable(stale: CachedEntry, next: bigint): void {
    if (!this.#isLocked(stale.first, stale.last) && !isLive(this.#pool, next))
      this.#fault(`the table at ${hex(next)} is free, and the walk cache still leads to it`, stale)
  }

  #checkLeaf(stale: CachedEntry, paddr: bigint): void {
    const step = BigInt(this.#granule)
    for (let offset = stale.first; offset <= stale.last; offset += step) {
      const page = Number(offset / step)
      if (this.#isLocked(offset, offset + step - 1n) || this.#state[page] === HELD) continue
      if (this.#state[page] === LIVE && this.#paddrs[page] === Number(paddr + offset - stale.first)) continue
      const what = this.#state[page] === LIVE ? 'is mapped to something else' : 'may be given out again'
      this.#fault(`the TLB still answers with a translation that is gone, and the address ${what}`, stale)
    }
  }

  /** Memory that the walk cache leads to is written for something else: what is free now may have been in use when it was freed. */
  #checkReuse(paddr: bigint, byteLength: number): void {
    for (const stale of this.#iotlb.stale) {
      const { entry } = stale
      if (entry.type !== 'table' || this.#isLocked(stale.first, stale.last)) continue
      if (paddr < entry.next + BigInt(entry.child.tableBytes) && entry.next < paddr + BigInt(byteLength))
        this.#fault(`the table at ${hex(entry.next)} was freed and is used again, and the walk cache still leads to it`, stale)
    }
  }

  /** What is mapped translates, first page and last. */
  #translations(): void {
    for (const { page, pages, paddr } of this.#live) {
      for (const i of [0, pages - 1]) {
        const iova = this.#at(page + i)
        same('iovaToPhys', this.#table?.iovaToPhys(iova), paddr + BigInt(i * this.#granule), { iova })
      }
    }
  }

  #isLocked(first: bigint, last: bigint): boolean {
    return this.#locked !== undefined && this.#locked.first <= first && last <= this.#locked.last
  }

  #fault(message: string, { node, first, raw }: CachedEntry): never {
    throw new Fault(message, { node, iova: iovaOf(this.#c.geometry, first), raw })
  }

  #at(page: number): bigint {
    return iovaOf(this.#c.geometry, 0n) + BigInt(page) * BigInt(this.#granule)
  }

  #iova(page: number): string {
    return `${hex(this.#at(page))}n`
  }
}
