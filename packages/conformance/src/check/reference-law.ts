/** The law of the reference: the engine's tables hold what the simplest page table of the same declaration holds, entry by entry. */
import {
  type DecodedTable,
  decode,
  deposit,
  emptyOf,
  hex,
  type IoPageTable,
  type LevelNode,
  nodeOf,
  ReferenceTable,
} from '@io-pgtable/core'
import { seededIntegers } from '../seeded-integers.ts'
import { type Case, iovaOf, leastPaddr, outputBytes, type Size, tableAlign } from './case.ts'
import { Fault, type Law, must, same } from './law.ts'
import { newPool } from './session.ts'
import { plainProt } from './table-laws.ts'

const PAGES = { quick: 60, full: 600 } as const

export const reference: Law = {
  name: 'table/reference',
  says: 'after random maps, of which some are in the way of others, every table has the entries that the reference has; so it is as they go',
  check(c) {
    const table = c.createTable(c.format, { ...c.request, allocator: newPool(c, {}), onWarn() {} })
    const model = new ReferenceTable(c.format, c.config, addresses(c))
    const next = seededIntegers(c.seed)
    const sizes = c.sizes.filter(({ depth }) => depth >= c.top)
    const mapped: { iova: bigint; size: Size }[] = []
    for (let i = 0; i < PAGES[c.effort]; i++) {
      const size = sizes[next(sizes.length)] as Size
      const iova = iovaOf(c.geometry, somewhere(c, sizes, size, next))
      const drawn = ((BigInt(next(2 ** 32)) << 12n) % outputBytes(c, size)) & ~BigInt(size.pgsize - 1)
      const paddr = drawn < leastPaddr(c) ? leastPaddr(c) : drawn
      const prot = plainProt(c, size)
      const done = table.mapPages(iova, paddr, size.pgsize, 1, prot).error === undefined
      same(`whether a page of ${hex(size.pgsize)} bytes is mapped`, done, model.map(iova, paddr, size.pgsize, prot), { iova })
      if (done) mapped.push({ iova, size })
    }
    compare(table, model)
    for (const { iova, size } of mapped) {
      same('where an address leads', table.iovaToPhys(iova), model.walk(iova), { iova })
      same('bytes that are unmapped', table.unmapPages(iova, size.pgsize, 1), model.unmap(iova), { iova })
      same('where an address leads that was unmapped', table.iovaToPhys(iova), undefined, { iova })
    }
    compare(table, model)
    table.free()
    return undefined
  },
}

/** Addresses for the reference's tables, aligned as their nodes want it, from where any of them may be. */
function addresses(c: Case): (node: LevelNode) => bigint {
  const step = BigInt(Math.max(...c.chain.map(tableAlign)))
  let at = 0n
  return () => {
    at += step
    return at
  }
}

/** An offset in one of three places of the addresses that a new root reaches, so that pages are in the way of one another. */
function somewhere(c: Case, sizes: readonly Size[], { pgsize }: Size, next: (limit: number) => number): bigint {
  const root = nodeOf(c.geometry, c.geometry.top)
  const reach = 1n << BigInt(Math.min(c.geometry.ias, root.shift + root.bits))
  const largest = BigInt(Math.max(...sizes.map((size) => size.pgsize)))
  const base = [0n, reach / 2n, reach - largest][next(3)] as bigint
  const offset = base - (base % largest) + BigInt(next(Math.min(32, Number(largest) / pgsize))) * BigInt(pgsize)
  return offset + BigInt(pgsize) <= reach ? offset : 0n
}

/** Goes down both trees side by side. A table that only the reference kept is empty. */
function compare(table: IoPageTable, model: ReferenceTable): void {
  const { geometry } = table
  const side = (node: LevelNode, ours: bigint | undefined, theirs: bigint): void => {
    for (let i = 0; i < 2 ** node.bits; i++) {
      const at = theirs + BigInt(i * node.entryBytes)
      const wanted = model.memory.get(at) ?? emptyOf(node)
      const raw = ours === undefined ? emptyOf(node) : rawAt(table, node, ours, i)
      if (wanted === emptyOf(node) && raw === wanted) continue
      const entry = decode(geometry, node, wanted)
      const own = decode(geometry, node, raw)
      if (entry.type === 'table' && own.type !== 'leaf') {
        side(entry.child, own.type === 'table' ? own.next : undefined, entry.next)
        if (own.type === 'table')
          same('a table descriptor, without its address', raw ^ addressIn(own), wanted ^ addressIn(entry), { node, raw })
      } else must(raw === wanted, `entry ${i}: ${hex(wanted)} expected, got ${hex(raw)}`, { node, raw })
    }
  }
  side(nodeOf(geometry, geometry.top), table.roots[0], model.root)
}

function rawAt({ readMemory }: IoPageTable, { entryBytes }: LevelNode, table: bigint, index: number): bigint {
  const read = readMemory(table + BigInt(index * entryBytes), entryBytes)
  if (read === undefined) throw new Fault(`the table at ${hex(table)} cannot be read`)
  return read.reduce((raw, byte, i) => raw | (BigInt(byte) << BigInt(8 * i)), 0n)
}

/** The descriptor bits that hold a table's address. */
function addressIn({ kind, next }: DecodedTable): bigint {
  return deposit(next, kind.address)
}
