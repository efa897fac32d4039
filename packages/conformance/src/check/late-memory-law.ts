/**
 * The law of walkers that see memory late, with several workers: a page that is mapped can be reached, whoever made the tables above it. Two
 * views of one table take turns in one thread, so that nothing depends on luck.
 */
import { hex, IoPageTable, walkAddress } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { type Case, iovaOf, leastPaddr, pagesFrom, type Size, shareIn } from './case.ts'
import { type Law, must, same } from './law.ts'
import { newPool } from './session.ts'
import { plainProt } from './table-laws.ts'

export const lateMemory: Law = {
  name: 'workers/late-memory',
  says: 'a page that was mapped can be reached by a walker that sees memory late, also below a table that another worker has not told it of yet',
  check(c) {
    if (typeof SharedArrayBuffer === 'undefined') return { skipped: 'there is no SharedArrayBuffer here' }
    const size = c.sizes[0] as Size
    const bench = new Bench(c, size)
    for (const [first, second] of shareIn(c, pairsOf(c, size))) {
      for (const looks of [false, true]) for (let turn = 1; bench.takeTurns(first, second, turn, looks); turn++);
    }
    return undefined
  },
}

/** Pages of one table, and of two tables of one upper table, at both ends of the input addresses. */
function pairsOf(c: Case, size: Size): (readonly [bigint, bigint])[] {
  const page = BigInt(size.pgsize)
  const table = 1n << BigInt(size.node.shift + size.node.bits)
  const last = (1n << BigInt(c.geometry.ias)) - page
  const pairs = [0n, last].flatMap((first) => [page, table].map((step) => [first, first === 0n ? step : first - step] as const))
  return pairs.filter(([, second]) => second >= 0n && second <= last && pagesFrom(c, size, second) > 0)
}

class Bench {
  readonly #c: Case
  readonly #size: Size
  readonly #pool: PtPool
  /** What the walker sees: both workers' hooks copy to it. */
  readonly #seen: Uint8Array

  constructor(c: Case, size: Size) {
    this.#c = c
    this.#size = size
    this.#pool = newPool(c, { shared: true, sync: this.#tell })
    this.#seen = new Uint8Array(this.#pool.size)
  }

  readonly #tell = (paddr: bigint, bytes: number): void => {
    const { words, base } = this.#pool
    const at = Number(paddr - base)
    this.#seen.set(new Uint8Array(words.buffer, words.byteOffset + at, bytes), at)
  }

  /**
   * One worker maps its page; when it is about to tell the walker of memory for the n-th time, the other one maps its own. `looks`: that one
   * has translated its address before, which may have told it where the table is.
   * @returns false where there is no n-th time
   */
  takeTurns(first: bigint, second: bigint, turn: number, looks: boolean): boolean {
    // what was seen before must not stand for what is not told
    this.#seen.fill(0x5a, 0, this.#pool.stats().committed)
    const { format, request, geometry } = this.#c
    const later = this.#c.createTable(format, { ...request, allocator: this.#pool })
    let times = 0
    const earlier = IoPageTable.attach(format, later.share(), {
      sync: (paddr, bytes) => {
        if (++times === turn) {
          if (looks) same('iovaToPhys before the map', later.iovaToPhys(iovaOf(geometry, second)), undefined)
          this.#map(later, second)
        }
        this.#tell(paddr, bytes)
      },
    })
    this.#map(earlier, first)
    if (times >= turn) this.#reached(later, second)
    later.free()
    same('bytes of tables after free', this.#pool.stats().live, 0)
    return times >= turn
  }

  #map(table: IoPageTable, offset: bigint): void {
    const { pgsize } = this.#size
    const iova = iovaOf(this.#c.geometry, offset)
    const { mapped, error } = table.mapPages(iova, leastPaddr(this.#c), pgsize, 1, plainProt(this.#c, this.#size))
    must(error === undefined && mapped === pgsize, () => `mapPages beside another worker: ${mapped} bytes, ${error?.message}`, { iova })
    this.#reached(table, offset)
  }

  #reached(table: IoPageTable, offset: bigint): void {
    const iova = iovaOf(this.#c.geometry, offset)
    const read = (paddr: bigint, bytes: number): Uint8Array | undefined => {
      const at = Number(paddr - this.#pool.base)
      return at >= 0 && at < this.#seen.length ? this.#seen.subarray(at, at + bytes) : undefined
    }
    const way = walkAddress(table.geometry, table.roots, read, iova)
    const end = way.at(-1)
    const text = `mapPages answered success, and the walker, which sees what was synced, finds no way to the page: ${end?.type ?? 'unknown memory'} at entry ${hex(end?.index ?? 0)}`
    must(end?.type === 'leaf', text, { iova, ...(end !== undefined && { entry: end }) })
  }
}
