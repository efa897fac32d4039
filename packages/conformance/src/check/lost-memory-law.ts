/** The law of memory that goes away under a table: of a buffer that is detached, and of a `WebAssembly.Memory` that grows. */
import type { IoPageTable, Prot } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { type Case, iovaOf, leastPaddr, pagesFrom, type Size } from './case.ts'
import { type Law, must, same } from './law.ts'
import { codeOf, newPool, poolSize } from './session.ts'
import { plainProt } from './table-laws.ts'

/** Tables that these tests need at once, at most. */
const TABLES = 24

export const lostMemory: Law = {
  name: 'table/lost-memory',
  says: 'without its memory every call is EFAULT; where the memory is elsewhere after a growth, every call goes on there',
  check(c) {
    const size = c.sizes[0] as Size
    if (pagesFrom(c, size, 0n) < 2) return { skipped: 'fewer than two pages fit' }
    withoutMemory(c, size, plainProt(c, size))
    return undefined
  },
}

function withoutMemory(c: Case, size: Size, prot: Prot): void {
  const buffer = new ArrayBuffer(poolSize(c, TABLES))
  const table = mapped(c, size, prot, newPool(c, { memory: buffer }, TABLES))
  structuredClone(buffer, { transfer: [buffer] })
  for (const [name, call] of callsOf(c, size, prot)) same(`${name} without memory`, codeOf(thrown(() => call(table))), 'EFAULT')
  if (typeof WebAssembly === 'undefined') return
  for (const [name, call] of callsOf(c, size, prot)) afterGrowth(c, size, prot, name, call)
}

function mapped(c: Case, size: Size, prot: Prot, allocator: PtPool): IoPageTable {
  const table = c.createTable(c.format, { ...c.request, allocator })
  // the first page, and where the second is, known to the fast path
  must(table.mapPages(iovaOf(c.geometry, 0n), leastPaddr(c), size.pgsize, 1, prot).error === undefined, 'no page can be mapped')
  table.iovaToPhys(iovaOf(c.geometry, BigInt(size.pgsize)))
  return table
}

/** Calls on the page that is mapped, and on the one beside it, one page at a time and not. */
function callsOf(c: Case, size: Size, prot: Prot): [string, (table: IoPageTable) => unknown][] {
  const { pgsize } = size
  const [first, second] = [iovaOf(c.geometry, 0n), iovaOf(c.geometry, BigInt(pgsize))]
  const count = Math.min(16, pagesFrom(c, size, BigInt(pgsize)))
  const seen = { leaves: 0 }
  return [
    ['iovaToPhys', (t) => t.iovaToPhys(first)],
    ['iovaToPhys of a hole', (t) => t.iovaToPhys(second)],
    ['iovaToPhysMany', (t) => t.iovaToPhysMany(BigUint64Array.of(first), new BigUint64Array(1))],
    ['mapPages of a page', (t) => t.mapPages(second, leastPaddr(c), pgsize, 1, prot)],
    ['mapPages', (t) => t.mapPages(second, leastPaddr(c), pgsize, count, prot)],
    ['mapRange', (t) => t.mapRange(second, leastPaddr(c), pgsize, prot)],
    ['unmapPages', (t) => t.unmapPages(first, pgsize, 1)],
    ['unmap', (t) => t.unmap(first, pgsize)],
    ['protect', (t) => t.protect(first, pgsize, prot)],
    ['cut', (t) => t.cut(second)],
    ['trim', (t) => t.trim()],
    ['walk', (t) => t.walk(first)],
    ['forEachLeaf', (t) => t.forEachLeaf(undefined, () => void seen.leaves++)],
    ['snapshot', (t) => t.snapshot()],
    ['free', (t) => t.free()],
  ]
}

/** The call finds the page that was mapped before the memory grew, and leaves a table that another one can be mapped in. */
function afterGrowth(c: Case, size: Size, prot: Prot, name: string, call: (table: IoPageTable) => unknown): void {
  const memory = new WebAssembly.Memory({ initial: poolSize(c, TABLES) / 65_536 })
  const pool = newPool(c, { memory }, TABLES)
  const table = mapped(c, size, prot, pool)
  const before = codeOf(thrown(() => call(mapped(c, size, prot, newPool(c, {}, TABLES)))))
  memory.grow(1)
  same(`error of ${name} after the memory grew`, codeOf(thrown(() => call(table))), before)
  if (name !== 'free') {
    const [first, second] = [iovaOf(c.geometry, 0n), iovaOf(c.geometry, BigInt(size.pgsize))]
    same(`iovaToPhys after ${name}`, table.iovaToPhys(first), name.startsWith('unmap') ? undefined : leastPaddr(c), { iova: first })
    table.unmap(second, size.pgsize)
    memory.grow(1)
    same(`bytes mapped after ${name}`, table.mapPages(second, leastPaddr(c), size.pgsize, 1, prot).mapped, size.pgsize, { iova: second })
    same(`iovaToPhys of it`, table.iovaToPhys(second), leastPaddr(c), { iova: second })
    table.free()
  }
  same(`bytes of tables after ${name} and free`, pool.stats().live, 0)
}

function thrown(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
