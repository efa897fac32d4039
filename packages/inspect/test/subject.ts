/** Small tables to spoil: made by the engine in a pool, and then written to by hand. */
import { type AnyFmt, type ConfigOf, IoPageTable, type ReadMemory } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import type { Tables } from '../src/leaves/tables.ts'

export const BASE = 0x4000_0000n
const SIZE = 0x20_0000

export class Subject<F extends AnyFmt> {
  readonly table: IoPageTable<F>
  readonly #bytes = new Uint8Array(SIZE)
  readonly #view = new DataView(this.#bytes.buffer)
  #scratch = BASE + BigInt(SIZE)

  constructor(format: F, config: ConfigOf<F>) {
    const allocator = new PtPool({ base: BASE, memory: this.#bytes })
    this.table = IoPageTable.createRaw(format, { ...config, allocator })
  }

  map(iova: bigint, paddr: bigint, size: number, prot: number): this {
    this.table.map(iova, paddr, size, prot)
    return this
  }

  /** Physical address of the entry of a level on the way of an address. */
  entry(iova: bigint, level: number): bigint {
    const found = this.table.walk(iova).find(({ node }) => node.level === level)
    if (found === undefined) throw new Error(`no level ${level} on the way`)
    return found.table + BigInt(found.index * found.node.entryBytes)
  }

  peek(paddr: bigint): bigint {
    return this.#view.getBigUint64(Number(paddr - BASE), true)
  }

  poke(paddr: bigint, value: bigint): this {
    this.#view.setBigUint64(Number(paddr - BASE), value, true)
    return this
  }

  poke32(paddr: bigint, change: (value: number) => number): this {
    const at = Number(paddr - BASE)
    this.#view.setUint32(at, change(this.#view.getUint32(at, true)), true)
    return this
  }

  /** Changes an entry. */
  edit(iova: bigint, level: number, change: (value: bigint) => bigint): this {
    const at = this.entry(iova, level)
    return this.poke(at, change(this.peek(at)))
  }

  /** A copy of a table, elsewhere. */
  copy(paddr: bigint, bytes = 4096): bigint {
    this.#scratch -= BigInt(bytes)
    const from = Number(paddr - BASE)
    this.#bytes.copyWithin(Number(this.#scratch - BASE), from, from + bytes)
    return this.#scratch
  }

  readonly read: ReadMemory = (paddr, byteLength) => {
    const at = paddr - BASE
    return at < 0n || at >= BigInt(SIZE) ? undefined : this.#bytes.subarray(Number(at), Math.min(Number(at) + byteLength, SIZE))
  }

  tables(change: Partial<Tables> = {}): Tables {
    const { format, geometry, roots, config } = this.table
    return {
      name: 'root',
      format,
      geometry,
      context: format.context(config as never),
      roots,
      first: 0n,
      last: (1n << 64n) - 1n,
      read: this.read,
      ...change,
    }
  }
}
