/** One table and its model, side by side: every call is made on both, and both must agree in everything that can be seen. */
import { type DebugOptions, hex, type IoPageTable, IoPgtableError, IotlbGather, type TableOptions } from '@io-pgtable/core'
import { type PtMemory, PtPool } from '@io-pgtable/pt-allocator'
import { scratch } from '../scratch.ts'
import { type Case, iovaOf, leafRaw, leastPaddr, type Size, tableAlign, tableLimit, uncarried } from './case.ts'
import { compareEntries } from './compare.ts'
import { Fault, same } from './law.ts'
import { Model, type UnmapStop } from './model.ts'
import { type Operation, operationText } from './operation.ts'

/** What a session's table is made with, beside its configuration. */
export interface SessionOptions extends Pick<TableOptions, 'tlb' | 'debug' | 'onRoot'> {
  readonly sync?: (paddr: bigint, byteLength: number) => void
  /** Most bytes of table memory. */
  readonly memory?: number
  /** How many tables there may be at once, at least. */
  readonly tables?: number
  readonly shared?: boolean
  /** Where the tables are. */
  readonly pool?: PtPool
  readonly debug?: DebugOptions
}

/** A table that was there, with its model, as a session goes on with it. */
export interface Adopted {
  readonly pool: PtPool
  readonly model: Model
  /** Makes the table. `left` is told the bytes of each table that was there and leaves the tree. */
  adopt(left: (bytes: number) => void, onWarn: (warning: IoPgtableError) => void): IoPageTable
}

/** Tables that a test may need at once. */
const TABLES = 300

export class Session {
  readonly c: Case
  readonly pool: PtPool
  readonly table: IoPageTable
  readonly model: Model
  readonly warnings: IoPgtableError[] = []
  /** For the operations whose gather is synced later. */
  gather: IotlbGather | undefined
  /** Bytes of tables that wait in that gather. */
  pending = 0
  /** Bytes of tables that are not the pool's, and not in the table's account. */
  outside = 0
  /** The calls made so far, as text. */
  readonly log: string[] = []

  constructor(c: Case, options: SessionOptions = {}, adopted: Adopted | undefined = undefined) {
    const { sync, memory, shared, pool, tables, ...more } = options
    const onWarn = (warning: IoPgtableError): void => void this.warnings.push(warning)
    this.c = c
    if (adopted !== undefined) {
      this.pool = adopted.pool
      this.model = adopted.model
      this.outside = adopted.model.tableBytes
      this.table = adopted.adopt((bytes) => {
        this.outside -= bytes
      }, onWarn)
      return
    }
    this.pool =
      pool ?? newPool(c, { ...(sync && { sync }), ...(shared && { shared }), ...(memory !== undefined && { ceiling: memory }) }, tables)
    this.table = c.createTable(c.format, {
      ...c.request,
      ...more,
      allocator: this.pool,
      onWarn,
    })
    this.model = new Model(c, memory)
  }

  /** Makes one call on both sides. @throws {@link Fault} where they differ */
  apply(op: Operation): void {
    this.log.push(operationText(op, (offset) => iovaOf(this.c.geometry, offset)))
    this.warnings.length = 0
    if (op.op === 'map') this.#map(op)
    else if (op.op === 'mapRange') this.#mapRange(op)
    else if (op.op === 'unmap') this.#unmap(op)
    else if (op.op === 'unmapRange') this.#unmapRange(op)
    else if (op.op === 'cut') this.#cut(op)
    else if (op.op === 'protect') this.#protect(op)
    else if (op.op === 'trim') this.#trim(op)
    else if (op.op === 'translate') this.translate(op.offset)
    else this.syncGather()
  }

  #map({ offset, paddr, size, count, prot }: Operation & { op: 'map' }): void {
    const { table, c, model } = this
    const iova = iovaOf(c.geometry, offset)
    let { mapped, error } = table.mapPages(iova, paddr, size.pgsize, count, prot)
    // with `oneTablePerCall` a call may end early, and is then made again with the rest
    while (error === undefined && mapped < size.pgsize * count) {
      const rest = table.mapPages(iova + BigInt(mapped), paddr + BigInt(mapped), size.pgsize, count - mapped / size.pgsize, prot)
      if (rest.mapped === 0 && rest.error === undefined) throw new Fault('mapPages: no error and nothing mapped', { iova })
      mapped += rest.mapped
      error = rest.error
    }
    const known = expressible(c, { paddr, size, count, prot })
    this.#sameMap({ mapped, error }, known ? model.map(offset, paddr, size, count, prot) : { mapped: 0, stop: 'EINVAL' }, iova)
  }

  #mapRange({ offset, paddr, bytes, prot }: Operation & { op: 'mapRange' }): void {
    const { table, c, model } = this
    const result = table.mapRange(iovaOf(c.geometry, offset), paddr, bytes, prot)
    let mapped = 0
    let stop: string | undefined
    for (const { at, size, count } of pieces(c, offset, paddr, bytes)) {
      if (!expressible(c, { paddr: paddr + at, size, count, prot })) stop = 'EINVAL'
      else {
        const part = model.map(offset + at, paddr + at, size, count, prot)
        mapped += part.mapped
        stop = part.stop
      }
      if (stop !== undefined) break
    }
    this.#sameMap(result, { mapped, stop }, iovaOf(c.geometry, offset))
  }

  #sameMap(got: { mapped: number; error: Error | undefined }, wanted: { mapped: number; stop: string | undefined }, iova: bigint): void {
    same('bytes mapped', got.mapped, wanted.mapped, { iova })
    same('error of the map', codeOf(got.error), wanted.stop, { iova })
    const quiet = this.c.config.quirks.includes('NO_WARN')
    if (wanted.stop === 'EEXIST' && !quiet) same('warnings', this.warnings.map((w) => w.code).join(), 'EEXIST', { iova })
    this.#accounted()
  }

  #unmap({ offset, size, count, gather }: Operation & { op: 'unmap' }): void {
    const iova = iovaOf(this.c.geometry, offset)
    const got = this.#gathered(
      gather,
      (g) => this.table.unmapPages(iova, size.pgsize, count, g),
      () => this.model.unmap(offset, size, count),
    )
    this.#sameUnmap(got, iova)
  }

  #unmapRange({ offset, bytes, gather }: Operation & { op: 'unmapRange' }): void {
    const iova = iovaOf(this.c.geometry, offset)
    const got = this.#gathered(
      gather,
      (g) => this.table.unmapRange(iova, bytes, g),
      () => this.#modelUnmapRange(offset, bytes),
    )
    this.#sameUnmap(got, iova)
  }

  #modelUnmapRange(offset: bigint, bytes: number): { unmapped: number; stop: UnmapStop } {
    if (this.c.policy.freeTables === 'covered') return this.model.unmapCovered(offset, bytes)
    let unmapped = 0
    for (const { at, size, count } of pieces(this.c, offset, iovaOf(this.c.geometry, offset), bytes)) {
      const part = this.model.unmap(offset + at, size, count)
      unmapped += part.unmapped
      if (part.stop !== undefined) return { unmapped, stop: part.stop }
    }
    return { unmapped, stop: undefined }
  }

  /** Unmaps on both sides with a gather of that kind. */
  #gathered<T>(mode: string, table: (gather: IotlbGather | undefined) => number, model: () => T): { unmapped: number; wanted: T } {
    const gather = mode === 'none' ? undefined : mode === 'own' ? new IotlbGather() : (this.gather ??= new IotlbGather())
    const unmapped = table(gather)
    const before = this.model.tableBytes
    const wanted = model()
    if (mode === 'later') this.pending += before - this.model.tableBytes
    else gather?.sync()
    return { unmapped, wanted }
  }

  #sameUnmap({ unmapped, wanted }: { unmapped: number; wanted: { unmapped: number; stop: UnmapStop } }, iova: bigint): void {
    same('bytes unmapped', unmapped, wanted.unmapped, { iova })
    const quiet = this.c.config.quirks.includes('NO_WARN')
    same('warnings', this.warnings.length, wanted.stop === 'part' && !quiet ? 1 : 0, { iova })
    this.#accounted()
  }

  #cut({ offset, gather }: Operation & { op: 'cut' }): void {
    const iova = iovaOf(this.c.geometry, offset)
    const got = this.#edited(gather, (g) => this.table.cut(iova, g))
    const { changed, stop } = this.model.cut(offset)
    same('error of the cut', got.code, stop, { iova })
    if (stop === undefined) same('whether a leaf was cut', got.value, changed, { iova })
    this.#accounted()
  }

  #protect({ offset, bytes, prot, cut, gather }: Operation & { op: 'protect' }): void {
    const iova = iovaOf(this.c.geometry, offset)
    const got = this.#edited(gather, (g) => this.table.protect(iova, bytes, prot, { gather: g, cut }))
    const wanted = this.model.protect(offset, bytes, prot, cut, (size) => leafRaw(this.c, size, prot, leastPaddr(this.c)) !== undefined)
    same('error of the protect', got.code, wanted.stop, { iova })
    if (wanted.stop === undefined) same('bytes protected', got.value, wanted.bytes, { iova })
    this.#accounted()
  }

  #trim({ offset, last, gather }: Operation & { op: 'trim' }): void {
    const { geometry } = this.c
    const range = { first: iovaOf(geometry, offset), last: iovaOf(geometry, last) }
    const { unmapped, wanted } = this.#gathered(
      gather,
      (g) => this.table.trim(range, g),
      () => this.model.trim(offset, last),
    )
    same('bytes trimmed', unmapped, wanted, { iova: range.first })
    this.#accounted()
  }

  /** Changes leaves in place with a gather of that kind. */
  #edited<T>(mode: string, change: (gather: IotlbGather | undefined) => T): { value: T | undefined; code: string | undefined } {
    const gather = mode === 'none' ? undefined : mode === 'own' ? new IotlbGather() : (this.gather ??= new IotlbGather())
    try {
      const value = change(gather)
      if (mode === 'own') gather?.sync()
      return { value, code: undefined }
    } catch (error) {
      return { value: undefined, code: codeOf(error) }
    }
  }

  translate(offset: bigint): void {
    const iova = iovaOf(this.c.geometry, offset)
    same('iovaToPhys', this.table.iovaToPhys(iova), this.model.translate(offset), { iova })
  }

  syncGather(): void {
    this.gather?.sync()
    this.gather = undefined
    this.pending = 0
    this.#accounted()
  }

  #accounted(): void {
    same('tableBytes', this.table.tableBytes + this.outside, this.model.tableBytes + this.pending)
  }

  /** Every entry in memory is one that the model has, bit for bit, and the other way round; translations at the edges of each mapping. */
  compare(): void {
    compareEntries(this.table, this.model)
    const end = 1n << BigInt(this.c.geometry.ias)
    const mappings = this.model.mappings()
    // each edge of a run once: what lies inside a long run of pages is in the descriptors
    for (const [i, { offset, size }] of mappings.entries()) {
      const last = offset + BigInt(size.pgsize) - 1n
      this.translate(offset)
      if (mappings[i + 1]?.offset === last + 1n && i % 7 !== 0) continue
      for (const at of [last, offset - 1n, last + 1n]) if (at >= 0n && at < end) this.translate(at)
    }
  }

  /** Frees the table: the pool must be empty after it. */
  end(): void {
    this.syncGather()
    this.compare()
    this.table.free()
    same('tableBytes of a table that is freed', this.table.tableBytes, 0)
    const [leak] = this.pool.leaks()
    if (leak !== undefined) throw new Fault(`a table leaked: ${hex(leak.bytes)} bytes at ${hex(leak.paddr)} of ${leak.owner}`)
  }
}

/** Bytes of a pool with room for so many tables. */
export function poolSize(c: Case, tables: number = TABLES): number {
  const largest = Math.max(...c.chain.map((node) => tableAlign(node)))
  const unit = tables < TABLES ? 2 ** 16 : 2 ** 21
  return Math.min(2 ** 28, Math.ceil((tables * largest) / unit) * unit)
}

/** A pool where the format's tables may lie, as high as it can reach. */
export function newPool(c: Case, options: Omit<ConstructorParameters<typeof PtPool>[0], 'base' | 'size'>, tables: number = TABLES): PtPool {
  const size = poolSize(c, tables)
  const end = tableLimit(c) < 1n << 52n ? tableLimit(c) : 1n << 52n
  const pattern = 0x5_5a5a_5a40_0000n % end
  const room = end - BigInt(size)
  const base = pattern + BigInt(size) <= end ? pattern : room > 0n ? room - (room % 0x20_0000n) : 0n
  if (options.shared === true) return padded(c, new PtPool({ base, size, name: 'conformance', ...options }))
  return padded(c, new PtPool({ base, name: 'conformance', memory: memoryOf(size), size, ...options }))
}

/** Behind tables that are smaller than their blocks are ones: whoever reads them as entries finds leaves, or nonsense. */
function padded({ chain }: Case, pool: PtPool): PtPool {
  const entries = Math.max(...chain.map(({ tableBytes }) => (tableBytes < BLOCK ? tableBytes : 0)))
  if (entries === 0 || chain.some(({ tableBytes }) => tableBytes === BLOCK)) return pool
  const alloc = pool.alloc.bind(pool)
  pool.alloc = (bytes, how) => {
    const ptr = alloc(bytes, how)
    if (bytes === BLOCK) pool.words.fill(-1, (ptr + entries) / 4, (ptr + BLOCK) / 4)
    return ptr
  }
  return pool
}

/** Bytes of the smallest block of a pool. */
const BLOCK = 64

let accelerated: WebAssembly.Memory | undefined
let sessions = 0

/** Every other session is on a WebAssembly's memory, where there is WebAssembly: the engine then writes bulk runs by other means, and nothing may differ. */
function memoryOf(size: number): PtMemory {
  sessions++
  if (sessions % 2 === 0 && typeof WebAssembly !== 'undefined') return (accelerated = wasmMemory(accelerated, size))
  return scratch(size)
}

/** Not one that grows: the sessions that have it would go on elsewhere. */
function wasmMemory(before: WebAssembly.Memory | undefined, size: number): WebAssembly.Memory {
  return before !== undefined && before.buffer.byteLength >= size ? before : new WebAssembly.Memory({ initial: Math.ceil(size / 65_536) })
}

/** Whether the format has descriptors for a run: for its prot, and for each of its output addresses. */
function expressible(c: Case, { paddr, size, count, prot }: Pick<Operation & { op: 'map' }, 'paddr' | 'size' | 'count' | 'prot'>): boolean {
  if (leafRaw(c, size, prot, leastPaddr(c)) === undefined) return false
  const missing = uncarried(c, size)
  if (missing === 0n) return true
  return Array.from({ length: count }, (_, i) => paddr + BigInt(i) * BigInt(size.pgsize)).every((page) => (page & missing) === 0n)
}

/** The code of an error; for what has none, its text. */
export function codeOf(error: unknown): string | undefined {
  if (error === undefined) return undefined
  return error instanceof IoPgtableError ? error.code : String(error)
}

/** A range page by page: always the largest size that fits and that both addresses are aligned to; equal ones that follow make one call. */
export function pieces(c: Case, offset: bigint, paddr: bigint, bytes: number): { at: bigint; size: Size; count: number }[] {
  const found: { at: bigint; size: Size; count: number }[] = []
  const iova = iovaOf(c.geometry, offset)
  for (let done = 0; done < bytes; ) {
    const at = BigInt(done)
    const fits = ({ pgsize }: Size): boolean => pgsize <= bytes - done && ((iova + at) | (paddr + at)) % BigInt(pgsize) === 0n
    const size = c.sizes.findLast(fits)
    if (size === undefined) throw new Error(`no page size fits ${bytes - done} bytes`)
    const last = found.at(-1)
    if (last?.size === size) last.count++
    else found.push({ at, size, count: 1 })
    done += size.pgsize
  }
  return found
}
