/** Tables as a tree, descriptor by descriptor: for people, and for small tables. Each table is entered once at each level. */
import { type Decoded, decode, type EntryPlace, type LevelNode, nodeOf } from '@io-pgtable/core'
import { type LaneNode, laneNodes } from '@io-pgtable/core/compiled'
import { type Finding, Findings } from '../finding.ts'
import { joined } from './joined.ts'
import { type RootPart, rootParts } from './root-parts.ts'
import { TableWords } from './table-words.ts'
import type { Tables } from './tables.ts'

export interface TreeEntry {
  /** Tables above that of the entry. */
  readonly depth: number
  readonly entry: Decoded & EntryPlace
  /** The table that it points to was entered before: what is in it is not said again. */
  readonly seen: boolean
}

export interface TreeOptions {
  /** First and last input address that are wanted. */
  readonly first?: bigint
  readonly last?: bigint
  /** Entries that are given before the walk ends, with a finding. Default 1,000,000. */
  readonly limit?: number
  /** Empty entries, too. Default false. */
  readonly empty?: boolean
}

export interface TreeResult {
  readonly entries: number
  readonly complete: boolean
  readonly findings: readonly Finding[]
}

/** Takes an entry. False ends the walk. */
export type TreeSink = (entry: TreeEntry) => boolean | undefined | void

/** Gives every descriptor that is not empty, a table's before those in it. @throws what reading throws */
export function walkTree(tables: Tables, sink: TreeSink, options: TreeOptions = {}): TreeResult {
  return new TreeWalk(tables, options).run(sink)
}

const LIMIT = 1_000_000
const MAX_DEPTH = 12

/** An entry of a table; the halves of one entry follow each other. */
interface TableEntry {
  readonly node: LevelNode
  readonly index: number
  readonly raw: bigint
}

interface TreeFrame {
  readonly table: number
  readonly base: number
  readonly entries: readonly TableEntry[]
  at: number
}

/** The same, to be run again after a page miss: it goes on where it was. */
export class TreeWalk {
  readonly #tables: Tables
  readonly #options: TreeOptions
  readonly #memory: TableWords
  readonly #findings: Findings = new Findings()
  readonly #seen: Set<string> = new Set()
  readonly #stack: TreeFrame[] = []
  readonly #parts: RootPart[]
  readonly #root: LaneNode
  #part: RootPart | undefined
  #entries = 0
  #ended = false

  constructor(tables: Tables, options: TreeOptions = {}) {
    this.#tables = tables
    this.#options = options
    this.#memory = new TableWords(tables.read)
    this.#root = laneNodes(tables.geometry)
    this.#parts = [...rootParts(tables, this.#root, options.first ?? 0n, options.last ?? (1n << 64n) - 1n)]
  }

  run(sink: TreeSink): TreeResult {
    while (!this.#ended) {
      const frame = this.#stack.at(-1)
      if (frame !== undefined) this.#goOn(frame, sink)
      else if (this.#parts.length > 0) this.#openRoot()
      else break
    }
    return { entries: this.#entries, complete: !this.#ended, findings: this.#findings.list }
  }

  #openRoot(): void {
    const part = this.#parts[0] as RootPart
    this.#part = part
    this.#open(this.#root.node, part.table, part.base, this.#root.entries / this.#tables.roots.length)
    this.#parts.shift()
  }

  #open(node: LevelNode, table: number, base: number, entries: number): void {
    const { first, end } = this.#part as RootPart
    const slot = 2 ** node.shift
    const [least, most] = node.exists ?? [0, entries]
    const from = Math.max(least, Math.floor((first - base) / slot))
    const to = Math.min(most, entries, Math.ceil((end - base) / slot))
    if (from >= to) return
    const raws = this.#raws(node, table, from, to)
    if (raws.length < to - from) this.#unknown(node, table, base + (from + raws.length) * slot, (to - from - raws.length) * node.entryBytes)
    const own = raws.map((raw, i) => ({ node, index: from + i, raw }))
    this.#stack.push({ table, base, entries: node.next === undefined ? own : this.#withHalves(own, table, node), at: 0 })
  }

  #raws(node: LevelNode, table: number, from: number, to: number): readonly bigint[] {
    const known = this.#memory.find(node, table, from, to)
    const { words, at } = this.#memory
    const wide = node.entryBytes === 8
    return Array.from({ length: known }, (_, i) =>
      wide ? joined(words[at + 2 * i] ?? 0, words[at + 2 * i + 1] ?? 0) : BigInt((words[at + i] ?? 0) >>> 0),
    )
  }

  /** Entries with the other halves of each, in the order in which a walk tries them. */
  #withHalves(entries: readonly TableEntry[], table: number, { next }: LevelNode): readonly TableEntry[] {
    const [first] = entries
    const half = next === undefined ? undefined : nodeOf(this.#tables.geometry, next)
    if (half === undefined || first === undefined) return entries
    const raws = this.#raws(half, table, first.index, first.index + entries.length)
    const halves = this.#withHalves(
      raws.map((raw, i) => ({ node: half, index: first.index + i, raw })),
      table,
      half,
    )
    return entries.flatMap((entry) => [entry, ...halves.filter(({ index }) => index === entry.index)])
  }

  #goOn(frame: TreeFrame, sink: TreeSink): void {
    for (let next = frame.entries[frame.at]; next !== undefined; next = frame.entries[frame.at]) {
      const { node, index, raw } = next
      const entry = decode(this.#tables.geometry, node, raw)
      if (entry.type === 'empty' && this.#options.empty !== true) frame.at++
      else if (
        this.#visit(frame, { ...entry, iova: BigInt(frame.base + index * 2 ** node.shift), table: BigInt(frame.table), index }, sink)
      )
        return
    }
    this.#stack.pop()
  }

  /** @returns whether the walk goes on elsewhere, or ends */
  #visit(frame: TreeFrame, entry: Decoded & EntryPlace, sink: TreeSink): boolean {
    const key = entry.type === 'table' ? `${entry.child.id} ${entry.next}` : ''
    const seen = key !== '' && this.#seen.has(key)
    const depth = this.#stack.length - 1
    const before = this.#stack.length
    // First what may miss a page: nothing has been given then
    if (entry.type === 'table' && !seen && depth < MAX_DEPTH)
      this.#open(entry.child, Number(entry.next), Number(entry.iova), 2 ** entry.child.bits)
    if (key !== '') this.#seen.add(key)
    frame.at++
    if (this.#entries >= (this.#options.limit ?? LIMIT)) this.#limited()
    else {
      this.#entries++
      if (sink({ depth, entry, seen }) === false) this.#ended = true
    }
    return this.#ended || this.#stack.length > before
  }

  #limited(): void {
    this.#ended = true
    const message = `ended after ${this.#entries} entries; there are more: give a range of addresses, or a higher limit`
    this.#findings.add({ severity: 'warning', code: 'limit', place: this.#tables.name, message })
  }

  #unknown({ level }: LevelNode, table: number, iova: number, bytes: number): void {
    const message = `${bytes} bytes of the level ${level} table at 0x${table.toString(16)} are not in the image`
    const place = { place: this.#tables.name, iova: BigInt(iova), table: BigInt(table), level }
    this.#findings.add({ severity: 'error', code: 'unknown-memory', message, ...place })
  }
}
