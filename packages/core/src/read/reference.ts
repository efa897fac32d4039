/**
 * A page table in its simplest form: map, unmap and walk, entry by entry, with bigints. It explains what the engine does, and is what tests
 * compare the engine with. It follows the declaration alone: no policy, no flushes, no sharing, and tables are never freed.
 */
import { deposit } from '../format/bits.ts'
import {
  type AnyFmt,
  emptyOf,
  type Geometry,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  nodeOf,
  slotBytes,
  type TableKind,
} from '../format/format.ts'
import { type Prot, protLimit } from '../format/prot.ts'
import { decode } from './decode.ts'

/** A leaf kind that is written, with one of its sizes, and the node that has it. */
interface PageSize {
  readonly node: LevelNode
  readonly kind: LeafKind
  readonly size: LeafSize
}

export class ReferenceTable {
  readonly #format: AnyFmt
  readonly #config: ReturnType<AnyFmt['configure']>
  readonly #geometry: Geometry
  readonly #newTable: (node: LevelNode) => bigint
  /** Physical address of the root table. */
  readonly root: bigint
  /** Entries that were written, by physical address. All others have their node's empty value. */
  readonly memory: Map<bigint, bigint> = new Map()

  /** @param config as agreed @param newTable gives the physical address of a new table of a node; the root is asked for first */
  constructor(format: AnyFmt, config: ReturnType<AnyFmt['configure']>, newTable: (node: LevelNode) => bigint) {
    this.#format = format
    this.#config = config
    this.#geometry = format.geometry(format.params(config))
    this.#newTable = newTable
    this.root = newTable(nodeOf(this.#geometry, this.#geometry.top))
  }

  /** Maps one page of `pgsize` bytes. False where a mapping, or a table, is in the way: nothing is written then. */
  map(iova: bigint, paddr: bigint, pgsize: number, prot: Prot): boolean {
    const page = this.#pageSize(pgsize)
    const attributes = page && prot < protLimit(page.kind) ? this.#format.encodeLeaf(this.#config, page.node, page.kind, prot) : undefined
    if (page === undefined || attributes === undefined) return false
    const { node, kind, size } = page
    const table = this.#descend(iova, node)
    if (table === undefined) return false
    const places = Array.from({ length: size.slots }, (_, i) => this.#entryAt(node, table, iova + BigInt(i * slotBytes(node))))
    if (places.some((place) => this.#read(node, place) !== emptyOf(node))) return false
    places.forEach((place, i) => {
      const step = size.stepsAddress === true ? BigInt(i * slotBytes(node)) : 0n
      this.memory.set(place, attributes | kind.set | (size.or ?? 0n) | deposit(paddr + step, kind.address))
    })
    return true
  }

  /** Empties every entry of the leaf that translates an address. Returns its bytes; 0 where nothing is mapped. */
  unmap(iova: bigint): number {
    const leaf = this.#find(iova)
    if (leaf === undefined) return 0
    const { node, table, size } = leaf
    const first = iova & ~(BigInt(size.pgsize) - 1n)
    for (let i = 0; i < size.slots; i++) this.memory.delete(this.#entryAt(node, table, first + BigInt(i * slotBytes(node))))
    return size.pgsize
  }

  /** The physical address of an input address; undefined where nothing is mapped. */
  walk(iova: bigint): bigint | undefined {
    const leaf = this.#find(iova)
    if (leaf === undefined) return undefined
    const { node, size, paddr } = leaf
    const span = size.stepsAddress === true ? slotBytes(node) : size.pgsize
    return paddr + (iova & (BigInt(span) - 1n))
  }

  /** The leaf that translates an address, and the table that it is in. */
  #find(iova: bigint): { node: LevelNode; table: bigint; size: LeafSize; paddr: bigint } | undefined {
    let node = nodeOf(this.#geometry, this.#geometry.top)
    let table = this.root
    for (;;) {
      const entry = decode(this.#geometry, node, this.#read(node, this.#entryAt(node, table, iova)))
      if (entry.type === 'leaf') return { node, table, size: entry.size, paddr: entry.paddr }
      if (entry.type !== 'table') return undefined
      node = entry.child
      table = entry.next
    }
  }

  /** The table of a node that an address leads to. Missing tables are made; undefined where a leaf is in the way. */
  #descend(iova: bigint, target: LevelNode): bigint | undefined {
    let node = nodeOf(this.#geometry, this.#geometry.top)
    let table = this.root
    while (node !== target) {
      const place = this.#entryAt(node, table, iova)
      if (this.#read(node, place) === emptyOf(node)) this.memory.set(place, this.#newEntry(node))
      const entry = decode(this.#geometry, node, this.#read(node, place))
      if (entry.type !== 'table') return undefined
      node = entry.child
      table = entry.next
    }
    return table
  }

  /** The descriptor of a new, empty table. */
  #newEntry(node: LevelNode): bigint {
    const kind = node.kinds.find((k): k is TableKind => k.type === 'table' && k.encode !== false)
    if (kind === undefined) throw new Error(`node ${node.id} has no table that is written`)
    const bits = this.#format.encodeTable(this.#config, node, kind) | kind.set
    const { child } = decode(this.#geometry, node, bits) as { child: LevelNode }
    return bits | deposit(this.#newTable(child), kind.address)
  }

  #entryAt({ shift, bits, entryBytes }: LevelNode, table: bigint, iova: bigint): bigint {
    const index = (BigInt.asUintN(this.#geometry.ias, iova) >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n)
    return table + index * BigInt(entryBytes)
  }

  #read(node: LevelNode, place: bigint): bigint {
    return this.memory.get(place) ?? emptyOf(node)
  }

  #pageSize(pgsize: number): PageSize | undefined {
    const all = this.#geometry.nodes.flatMap((node) =>
      node.kinds.flatMap((kind) => (kind.type === 'leaf' ? kind.sizes.map((size) => ({ node, kind, size })) : [])),
    )
    return all.find(({ size }) => size.pgsize === pgsize && size.encode !== false)
  }
}
