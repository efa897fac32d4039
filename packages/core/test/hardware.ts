/**
 * What a device with Toy tables does with an address: plain shifts on plain memory, by the first lines of toy-format.ts. It shares nothing
 * with the engine or the declaration, so that a fault which both have is seen.
 */
import type { PtPool } from '@io-pgtable/pt-allocator'
import type { Shape } from './toy-format.ts'

/** Physical memory from `base` on. */
export interface Memory {
  readonly base: bigint
  readonly bytes: Uint8Array
}

export interface Translation {
  readonly paddr: bigint
  /** The leaf's bits 6:2: what `Prot` calls READ, WRITE, CACHE, NOEXEC and MMIO. */
  readonly prot: number
  readonly level: number
  /** Physical addresses of the tables on the way, the root first. */
  readonly tables: readonly bigint[]
}

/** The pool's memory as a device sees it. */
export function memoryOf(pool: PtPool): Memory {
  return { base: pool.base, bytes: new Uint8Array(pool.words.buffer, pool.words.byteOffset, pool.size) }
}

/** The translation of an address, or why there is none. `ias`: of the table, to know the root's index bits. */
export function deviceWalk(shape: Partial<Shape>, ias: number, memory: Memory, root: bigint, iova: bigint): Translation | string {
  const { levels = 3, indexBits = 4, entryBytes = 8, inverted = false, skips = false } = shape
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.byteLength)
  const tables: bigint[] = []
  let table = root
  for (let level = 1 + (shape.grows ?? 0); ; ) {
    tables.push(table)
    const shift = BigInt(12 + indexBits * (levels - level))
    const bits = level === 1 ? ias - Number(shift) : indexBits
    const index = BigInt.asUintN(bits, iova >> shift)
    const at = Number(table - memory.base + index * BigInt(entryBytes))
    if (at < 0 || at + entryBytes > memory.bytes.length) return `level ${level}: no memory at ${table.toString(16)}`
    const raw = entryBytes === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true))
    if ((raw & 1n) === (inverted ? 1n : 0n)) return 'empty'
    if ((raw & 2n) === 0n) return leaf(shape, raw, level, shift, iova, tables)
    if (level === levels) return `level ${level}: invalid`
    table = addressOf(shape, raw) & ~(BigInt(Math.max(64, entryBytes * 2 ** indexBits)) - 1n)
    level = skips ? Number((raw >> 4n) & 7n) : level + 1
  }
}

function leaf(shape: Partial<Shape>, raw: bigint, level: number, shift: bigint, iova: bigint, tables: readonly bigint[]): Translation {
  const large = level === (shape.levels ?? 3) && ((raw >> 8n) & 3n) === 1n
  const offset = (large ? 0x4000n : 1n << shift) - 1n
  return { paddr: (addressOf(shape, raw) & ~offset) | (iova & offset), prot: Number((raw >> 2n) & 31n), level, tables }
}

function addressOf({ scattered = false, entryBytes = 8 }: Partial<Shape>, raw: bigint): bigint {
  const high = entryBytes === 8 ? 52n : 32n
  if (!scattered) return ((raw % (1n << high)) >> 6n) << 6n
  return (((raw % (1n << high)) >> 16n) << 16n) | (((raw >> 52n) & 15n) << 12n)
}
