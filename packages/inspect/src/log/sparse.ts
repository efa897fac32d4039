/** A memory of the few entries that a log printed, and the tables in it. */
import { type AnyFmt, decode, hex, IoPgtableError, type LevelNode, nodeOf, type ReadMemory } from '@io-pgtable/core'
import { type Tables, tablesAt } from '../leaves/tables.ts'
import type { LoggedWalk, LogRole } from './source.ts'

/** Formats by what their tables are to a log; a role without one is not walked. */
export type LogFormats = Readonly<Partial<Record<LogRole, AnyFmt>>>

/** Entries that a sparse memory takes. */
export const SPARSE_LIMIT: number = 2 ** 16

/** Memory of single words, little-endian; everything else is unknown. */
export class SparseMemory {
  readonly #words: Map<bigint, Uint8Array> = new Map()

  /** @throws `EINVAL` for more entries than it takes, and where a word is there already with another value */
  set(paddr: bigint, value: bigint, bytes: number): void {
    const word = Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
    const before = this.#words.get(paddr)
    if (before !== undefined && (before.length !== bytes || before.some((byte, i) => byte !== word[i])))
      throw new IoPgtableError('EINVAL', 'log', `${hex(paddr)} has two values`, { value: paddr })
    if (this.#words.size >= SPARSE_LIMIT)
      throw new IoPgtableError('EINVAL', 'log', `more than ${SPARSE_LIMIT} entries`, { value: SPARSE_LIMIT })
    this.#words.set(paddr, word)
  }

  readonly read: ReadMemory = (paddr, byteLength) => this.#words.get(paddr)?.subarray(0, byteLength)
}

export interface LoggedTables {
  readonly tables: Tables
  /** The entry that the log does not have, and that the walk would need; undefined where it goes to its end. */
  readonly missing?: string
}

/**
 * The tables of a walk that a log printed: its entries are placed where the walk of `iova` reads them.
 * @returns undefined where no format is given for the role, or no root translates the address
 * @throws `EINVAL` for registers that no hardware accepts, and for entries that contradict each other
 */
export function loggedTables({ role, registers, entries, names }: LoggedWalk, iova: bigint, formats: LogFormats): LoggedTables | undefined {
  const format = formats[role]
  if (format === undefined) return undefined
  const memory = new SparseMemory()
  const all = format.rootsFromRegs(registers as never, memory.read).map((found) => tablesAt(format, found, memory.read))
  const tables = all.find(({ first, last }) => iova >= first && iova <= last) ?? all[0]
  const [root] = tables?.roots ?? []
  if (tables === undefined || root === undefined) return undefined
  const { geometry } = tables
  let node: LevelNode = nodeOf(geometry, geometry.top)
  let table = root
  for (const [i, value] of entries.entries()) {
    if (value === undefined) return { tables, missing: names[i] ?? 'an entry' }
    const index = BigInt.asUintN(node.bits, iova >> BigInt(node.shift))
    memory.set(table + index * BigInt(node.entryBytes), value, node.entryBytes)
    const entry = decode(geometry, node, value)
    if (entry.type !== 'table') return { tables }
    node = entry.child
    table = entry.next
  }
  return { tables, missing: 'the entry of the next level' }
}
