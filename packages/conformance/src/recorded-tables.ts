/** The tables of a recorded dump, laid out in a memory: for formats that only read, which make none themselves. */
import {
  type DriverVectorBinding,
  decode,
  deposit,
  emptyOf,
  entryOffset,
  type Geometry,
  type LevelNode,
  nodeOf,
  ones,
  type ReadMemory,
  slotBytes,
  type VectorLevel,
} from '@io-pgtable/core'
import { Fault } from './check/law.ts'
import type { TableEntry } from './operations.ts'

const PAGE_BYTES = 4096
const PAGE = BigInt(PAGE_BYTES)

interface Table {
  readonly node: LevelNode
  readonly level: VectorLevel
  readonly iova: bigint
  readonly paddr: bigint
}

/** Entries come in any order in which a table's own entry is before what is in it. */
export class RecordedTables {
  readonly root: bigint
  readonly #geometry: Geometry
  readonly #binding: DriverVectorBinding
  readonly #tables: Table[] = []
  readonly #pages = new Map<bigint, Uint8Array>()
  #next: bigint

  constructor(geometry: Geometry, binding: DriverVectorBinding, base: bigint) {
    this.#geometry = geometry
    this.#binding = binding
    this.#next = base
    this.root = this.#add(nodeOf(geometry, geometry.top), geometry.base ?? 0n)
  }

  /** Addresses of all tables but the root. */
  get below(): readonly bigint[] {
    return this.#tables.slice(1).map(({ paddr }) => paddr)
  }

  /** Bytes of all tables. */
  get bytes(): number {
    return this.#tables.reduce((sum, { node }) => sum + node.tableBytes, 0)
  }

  readonly read: ReadMemory = (paddr, byteLength) => {
    if (paddr + BigInt(byteLength) > this.#next) return undefined
    const first = Number(paddr % PAGE)
    if (first + byteLength <= PAGE_BYTES) return this.#pages.get(paddr / PAGE)?.subarray(first, first + byteLength)
    const bytes = new Uint8Array(byteLength)
    for (let at = 0; at < byteLength; ) {
      const page = this.#pages.get((paddr + BigInt(at)) / PAGE)
      if (page === undefined) return undefined
      const from = Number((paddr + BigInt(at)) % PAGE)
      const part = page.subarray(from, from + byteLength - at)
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }

  /** Writes a directory entry that was recorded without addresses: each of its halves that has a table gets one. */
  table(entry: TableEntry): void {
    const place = this.#placeOf(entry)
    let { raw } = entry
    for (const half of this.#halves(place.node)) {
      const low = BigInt(8 * (half.offset ?? 0))
      const found = decode(this.#geometry, half, (entry.raw >> low) & ones(8 * half.entryBytes - 1))
      if (found.type === 'table') raw |= deposit(this.#add(found.child, entry.iova), found.kind.address) << low
    }
    this.#write(place, entry.iova, raw)
  }

  /** Writes a leaf, or an entry that translates nothing. */
  entry(entry: TableEntry): void {
    this.#write(this.#placeOf(entry), entry.iova, entry.raw)
  }

  /** Bytes that a slot of a level translates. */
  slotBytes(level: VectorLevel): number | undefined {
    const node = this.#geometry.nodes.find((one) => this.#binding.level(one) === level)
    return node && slotBytes(node)
  }

  #halves(node: LevelNode): LevelNode[] {
    return node.next === undefined ? [node] : [node, ...this.#halves(nodeOf(this.#geometry, node.next))]
  }

  #placeOf({ iova, level }: TableEntry): Table {
    const found = this.#tables.find(
      (table) =>
        table.level === level && iova >= table.iova && iova < table.iova + (BigInt(slotBytes(table.node)) << BigInt(table.node.bits)),
    )
    if (found === undefined) throw new Fault(`no table of ${level} for 0x${iova.toString(16)}`)
    return found
  }

  #add(node: LevelNode, iova: bigint): bigint {
    const align = BigInt(Math.max(node.align ?? 0, node.tableBytes))
    const paddr = ((this.#next + align - 1n) / align) * align
    this.#next = paddr + BigInt(node.tableBytes)
    for (let page = paddr / PAGE; page * PAGE < this.#next; page++)
      if (!this.#pages.has(page)) this.#pages.set(page, new Uint8Array(PAGE_BYTES))
    this.#tables.push({ node, level: this.#binding.level(node), iova, paddr })
    if (node.empty !== undefined && node.empty !== 0n)
      for (let index = 0; index < 2 ** node.bits; index++) this.#store(paddr + BigInt(entryOffset(node, index)), node, emptyOf(node))
    return paddr
  }

  #write({ node, iova: first, paddr }: Table, iova: bigint, raw: bigint): void {
    const index = Number((iova - first) / BigInt(slotBytes(node)))
    this.#store(paddr + BigInt(index * (node.stride ?? node.entryBytes)), node, raw)
  }

  #store(paddr: bigint, node: LevelNode, raw: bigint): void {
    const bytes = node.stride ?? node.entryBytes
    const page = this.#pages.get(paddr / PAGE)
    const from = Number(paddr % PAGE)
    for (let i = 0; i < bytes; i++) {
      const at = node.byteOrder === 'big' ? bytes - 1 - i : i
      if (page !== undefined) page[from + at] = Number((raw >> BigInt(8 * i)) & 0xffn)
    }
  }
}
