/** Runs the facts and the walks that were recorded from drivers. */
import {
  type Agreed,
  type AnyFmt,
  type ConfigOf,
  type DriverVectorBinding,
  deposit,
  type FormatConfig,
  type Geometry,
  hex,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  nodeOf,
  Prot,
  slotBytes,
  type TableKind,
  type VectorBinding,
  type VectorMembers,
  walkAddress,
} from '@io-pgtable/core'
import { type DriverFactsDocument, type FactList, PAGE_COLUMNS, type RecordedWalk, type WalksDocument } from './driver-document.ts'
import { countOf, hexOf, levelOf, protAt, rawOf } from './fields.ts'
import { canonical, entryText } from './notation.ts'
import { codeOf, ourError, type Place, type Report } from './report.ts'
import type { LeafSlot } from './snapshot.ts'
import { ROW_MEMORY, requestOf, Subject } from './subject.ts'

/** Bytes beside the tables of a row: a flat table may be megabytes. */
const FACT_MEMORY = 4 * ROW_MEMORY

export function runDriverFacts(document: DriverFactsDocument, binding: VectorBinding, report: Report): void {
  if (binding.family !== 'driver') return
  const run = new FactsRun(binding, document.config, report)
  for (const list of document.lists) run.list(list)
  report.leftOut.push(...run.leftOut())
}

/** The rows of a file; those that one table answers are answered by one table. */
class FactsRun {
  readonly #binding: DriverVectorBinding
  readonly #config: VectorMembers
  readonly #report: Report
  readonly #why = new Map<string, number>()
  #rows = 0
  #subject: Subject | undefined

  constructor(binding: DriverVectorBinding, config: VectorMembers, report: Report) {
    this.#binding = binding
    this.#config = config
    this.#report = report
  }

  /** How many rows were not compared, and why. */
  leftOut(): string[] {
    const missing = [...this.#why.values()].reduce((sum, count) => sum + count, 0)
    return missing === 0 ? [] : [`${this.#rows - missing} of ${this.#rows} rows: ${[...this.#why.keys()].join('; ')}`]
  }

  list({ name, columns, rows }: FactList): void {
    this.#rows += rows.length
    for (const [index, row] of rows.entries()) {
      const place = { at: `${name}[${index}]`, index }
      this.#report.guard(place, () => this.#row(name, columns, row, place))
    }
  }

  #row(list: string, columns: readonly string[], row: VectorMembers, place: Place): void {
    const own = this.#binding.facts?.[list]
    if (own !== undefined) this.#own(own(row, this.#config, this.#table()?.table), columns, row, place)
    else if (columns.join() === PAGE_COLUMNS) this.#page(row, place)
    else if (list === 'tables') this.#tableEntry(row, place)
    else if (list === 'roots' && this.#binding.rootRegister !== undefined) this.#root(this.#binding, row, place)
    else this.#report.check(place, 'list', 'facts of the binding', `no ${list} in it`)
  }

  /** A table of the file's configuration; a file of facts may have none. */
  #table(): Subject | undefined {
    if (Object.keys(this.#config).length === 0) return undefined
    this.#subject ??= new Subject(this.#binding, { family: 'driver', values: this.#config }, FACT_MEMORY)
    return this.#subject
  }

  #own(got: bigint | { readonly leftOut: string }, columns: readonly string[], row: VectorMembers, place: Place): void {
    if (typeof got === 'object') {
      this.#why.set(got.leftOut, (this.#why.get(got.leftOut) ?? 0) + 1)
      return
    }
    const answer = columns.findLast((column) => /^(raw|value)\b/.test(column)) ?? ''
    this.#report.check(place, answer, String(row[answer]), hex(got))
  }

  /** A leaf, mapped alone; or encoded alone, where it grants nothing or lies beyond `oas`: a table would refuse it, and the driver did not. */
  #page(row: VectorMembers, place: Place): void {
    const subject = this.#table()
    if (subject === undefined) throw new Error('facts of pages need a config')
    const prot = this.#binding.prot?.(row, subject.table) ?? protAt(row.prot, `${place.at}.prot`)
    const beyond = hexOf(row.paddr, `${place.at}.paddr`) >> BigInt(subject.table.geometry.oas) !== 0n
    const refused = beyond || (prot & (Prot.READ | Prot.WRITE)) === 0
    if (refused && row.raw !== null) this.#encoded(subject, row, prot, place)
    else this.#mapped(subject, row, prot, place)
  }

  #mapped(subject: Subject, row: VectorMembers, prot: Prot, place: Place): void {
    const { table, firstIova: iova } = subject
    const pgsize = countOf(row.pgsize, `${place.at}.pgsize`)
    const { unit = pgsize } = this.#binding
    const got = table.mapPages(iova, hexOf(row.paddr, `${place.at}.paddr`), unit, pgsize / unit, prot)
    const slots = leafSlots(subject, iova, pgsize)
    if (got.mapped > 0) table.unmapPages(iova, unit, pgsize / unit)
    table.trim({ first: iova, last: iova + rootSlot(subject) - 1n })
    const expected = { mapped: row.raw === null ? 0 : pgsize, error: ourError(row.error as string | null, this.#binding.errors) }
    const error = got.error === undefined ? null : codeOf(got.error)
    this.#report.check(place, 'result', canonical(expected), canonical({ mapped: got.mapped, error }))
    const [first] = slots
    this.#report.check(place, 'slots', String(row.raw === null ? 0 : pgsize / (first?.bytes ?? pgsize)), String(slots.length))
    if (row.raw === null) return
    const entry = { iova, level: levelOf(row.level, `${place.at}.level`), raw: rawOf(row.raw, `${place.at}.raw`) }
    this.#report.check(place, 'first slot', entryText(entry), first === undefined ? 'none' : entryText(first))
  }

  #encoded({ table, binding }: Subject, row: VectorMembers, prot: Prot, place: Place): void {
    const { config, geometry } = table
    const pgsize = this.#binding.unit ?? countOf(row.pgsize, `${place.at}.pgsize`)
    const found = leafOf(geometry, pgsize)
    if (found === undefined) return void this.#report.check(place, 'leaf', `one of ${pgsize} bytes`, 'none')
    const { node, kind, size } = found
    const attributes = binding.fmt.encodeLeaf(config, node, kind, prot)
    const raw =
      attributes === undefined ? undefined : attributes | kind.set | (size.or ?? 0n) | deposit(hexOf(row.paddr, place.at), kind.address)
    this.#report.check(place, 'raw', String(row.raw), raw === undefined ? 'none' : hex(raw))
    this.#report.check(place, 'level', String(row.level), String(binding.level(node)))
  }

  /** `[root address, register, value]`. */
  #root({ fmt, rootRegister }: DriverVectorBinding, row: VectorMembers, place: Place): void {
    const table = this.#table()?.table
    if (table === undefined || rootRegister === undefined) throw new Error('facts of roots need a config')
    const regs = fmt.regs(table.config, [hexOf(row['root address'], place.at)], table.geometry.top)
    this.#report.check(place, 'value', String(row.value), hex(rootRegister(regs)))
  }

  /** `[level, table address, raw]`: the entry that leads to a table there. */
  #tableEntry(row: VectorMembers, place: Place): void {
    const subject = this.#table()
    if (subject === undefined) throw new Error('facts of tables need a config')
    const { config, geometry } = subject.table
    const node = geometry.nodes.find((n) => this.#binding.level(n) === row.level && n.kinds.some(isWrittenTable))
    const kind = node?.kinds.find(isWrittenTable)
    if (node === undefined || kind === undefined) return void this.#report.check(place, 'level', String(row.level), 'no tables there')
    const bits = this.#binding.fmt.encodeTable(config, node, kind)
    const raw = bits | kind.set | deposit(hexOf(row['table address'], place.at), kind.address)
    this.#report.check(place, 'raw', String(row.raw), hex(raw))
  }
}

/** The slots of leaves from an address on, up to the first that is none: one more than a page has would be seen. */
function leafSlots({ table, binding }: Subject, iova: bigint, pgsize: number): LeafSlot[] {
  const slots: LeafSlot[] = []
  for (let at = iova; at <= iova + BigInt(pgsize) && at < iova + (1n << BigInt(table.geometry.ias)); ) {
    const leaf = table.walk(at).at(-1)
    if (leaf?.type !== 'leaf') break
    const bytes = slotBytes(leaf.node)
    slots.push({ iova: leaf.iova, level: binding.level(leaf.node), raw: leaf.raw, bytes })
    at += BigInt(bytes)
  }
  return slots
}

/** Bytes that an entry of the root translates. */
function rootSlot({ table: { geometry } }: Subject): bigint {
  return BigInt(slotBytes(nodeOf(geometry, geometry.top)))
}

function isWrittenTable(kind: LevelNode['kinds'][number]): kind is TableKind {
  return kind.type === 'table' && kind.encode !== false
}

/** The first leaf of that size that is written. */
function leafOf(
  { nodes }: Geometry,
  pgsize: number,
): { readonly node: LevelNode; readonly kind: LeafKind; readonly size: LeafSize } | undefined {
  for (const node of nodes) {
    for (const kind of node.kinds) {
      const size = kind.type === 'leaf' ? kind.sizes.find((s) => s.pgsize === pgsize && s.encode !== false) : undefined
      if (kind.type === 'leaf' && size !== undefined) return { node, kind, size }
    }
  }
  return undefined
}

/** Walks of a memory that is no table of ours: the cold walker reads it. */
export function runWalks(document: WalksDocument, binding: VectorBinding, report: Report): void {
  if (binding.family !== 'driver') return
  const { fmt } = binding
  const config = fmt.configure(requestOf(binding, { family: 'driver', values: document.config })) as Agreed<FormatConfig>
  const geometry = fmt.geometry(fmt.params(config))
  const read = readerOf(document.memory)
  for (const [index, walk] of document.walks.entries()) {
    const place = { at: `walks[${index}]`, index }
    report.guard(place, () => {
      const way = walkAddress(geometry, [document.root], read, walk.iova)
      checkWalk(binding, config, walk, way, report, place)
    })
  }
}

function checkWalk(
  binding: DriverVectorBinding,
  config: Agreed<ConfigOf<AnyFmt>>,
  walk: RecordedWalk,
  way: ReturnType<typeof walkAddress>,
  report: Report,
  place: Place,
): void {
  const leaf = way.at(-1)
  const got = leaf?.type === 'leaf' ? leaf.paddr + ((walk.iova - leaf.iova) % BigInt(leaf.size.pgsize)) : undefined
  report.check(place, 'result', walk.result === null ? 'null' : hex(walk.result), got === undefined ? 'null' : hex(got))
  report.check(place, 'beside the address', canonical(walk.rest), canonical(binding.walked?.(way, config) ?? {}))
}

/** Memory of 8-byte words; those that are not listed are zero. */
function readerOf(words: ReadonlyMap<bigint, bigint>): (paddr: bigint, byteLength: number) => Uint8Array {
  return (paddr, byteLength) => {
    const first = paddr & ~7n
    const view = new DataView(new ArrayBuffer(Number(paddr - first) + byteLength + 8))
    for (let at = 0; at + 8 <= view.byteLength; at += 8) view.setBigUint64(at, words.get(first + BigInt(at)) ?? 0n, true)
    return new Uint8Array(view.buffer, Number(paddr - first), byteLength)
  }
}
