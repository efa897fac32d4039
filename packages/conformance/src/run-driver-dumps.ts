/**
 * Runs a file of operations for a format that only reads: the tables of each dump are laid out in memory and walked, and the translations that
 * were recorded between the changes before and after it are asked of them. Leaves must say what the `map` that made them was given.
 */
import {
  type Agreed,
  type DriverVectorBinding,
  type FormatConfig,
  hex,
  nodeOf,
  type ReadVectorTable,
  type VectorEntry,
  type VectorMembers,
  walkAddress,
  walkTables,
} from '@io-pgtable/core'
import { type DriverOperationsDocument, dumpOf } from './driver-document.ts'
import { countOf, hexOf } from './fields.ts'
import { canonical, entryText } from './notation.ts'
import type { LeafFold, TableEntry } from './operations.ts'
import { RecordedTables } from './recorded-tables.ts'
import type { Place, Report } from './report.ts'
import { checkEntries, unfold } from './snapshot.ts'
import { requestOf } from './subject.ts'

/** A page that was mapped. */
interface Mapped {
  readonly paddr: bigint
  readonly op: VectorMembers
}

export function runDriverDumps(document: DriverOperationsDocument, binding: DriverVectorBinding, report: Report): void {
  const run = new DumpsRun(document, binding, report)
  const start = { at: 'registers', index: undefined }
  report.guard(start, () => run.registers(document.registers, start))
  for (const [index, op] of document.ops.entries()) {
    const place = { at: `ops[${index}] ${String(op.op)}`, index }
    report.guard(place, () => run.step(op, place))
  }
  run.end()
}

class DumpsRun {
  readonly #binding: DriverVectorBinding
  readonly #report: Report
  readonly #config: Agreed<FormatConfig>
  readonly #geometry
  /** By their input address; the last map of an address counts. */
  readonly #mapped = new Map<bigint, Mapped>()
  /** Translations since the last change, and the tables since then. */
  #asked: (readonly [op: VectorMembers, place: Place])[] = []
  #tables: ReadVectorTable | undefined
  #dumps = 0
  #answered = 0
  #translations = 0

  constructor(document: DriverOperationsDocument, binding: DriverVectorBinding, report: Report) {
    this.#binding = binding
    this.#report = report
    this.#config = binding.fmt.configure(requestOf(binding, { family: 'driver', values: document.config })) as Agreed<FormatConfig>
    this.#geometry = binding.fmt.geometry(binding.fmt.params(this.#config))
  }

  registers(expected: Readonly<Record<string, unknown>>, place: Place): void {
    const geometry = this.#geometry
    const root = nodeOf(geometry, geometry.top)
    const usual = { rootEntries: 2 ** root.bits, rootBytes: root.tableBytes, startLevel: this.#binding.level(root) }
    const got = { ...usual, ...this.#binding.registers(this.#layOut().table) }
    for (const [name, value] of Object.entries(expected))
      this.#report.check(place, name, canonical(value), canonical(got[name as 'rootBytes']))
  }

  step(op: VectorMembers, place: Place): void {
    if (op.op === 'translate') {
      this.#translations++
      this.#asked.push([op, place])
      return
    }
    if (op.op !== 'dump') this.#answer()
    if (op.op === 'dump') this.#dump(op, place)
    if (op.op === 'map') this.#map(op, place)
  }

  end(): void {
    this.#answer()
    this.#report.check({ at: 'end', index: undefined }, 'a dump', 'true', String(this.#dumps > 0))
    this.#report.leftOut.push(
      `${this.#dumps} dumps and ${this.#answered} of ${this.#translations} translations read: changes are not made, the format only reads`,
    )
  }

  /** The translations of the moment in which the tables were as they are laid out. */
  #answer(): void {
    const { translated } = this.#binding
    for (const [op, place] of this.#tables === undefined ? [] : this.#asked) {
      const { op: _, iova: __, result, ...rest } = op
      const tables = this.#tables as ReadVectorTable
      const iova = this.#iova(op)
      const got = tables.iovaToPhys(iova)
      this.#report.check(place, 'result', result === null ? 'null' : String(result), got === undefined ? 'null' : hex(got))
      this.#answered++
      if (translated === undefined && this.#binding.iova !== undefined) continue
      this.#report.check(place, 'beside the address', canonical(rest), canonical(translated?.(tables, iova) ?? {}))
    }
    this.#asked = []
    this.#tables = undefined
  }

  #iova(op: VectorMembers): bigint {
    return this.#binding.iova?.(op) ?? hexOf(op.iova, 'iova')
  }

  #map(op: VectorMembers, place: Place): void {
    const pgsize = BigInt(countOf(op.pgsize, `${place.at}.pgsize`))
    const { mapped } = op.result as { readonly mapped?: number }
    const iova = this.#iova(op)
    const paddr = hexOf(op.paddr, `${place.at}.paddr`)
    for (let at = 0n; at < BigInt(mapped ?? 0); at += pgsize) this.#mapped.set(iova + at, { paddr: paddr + at, op })
  }

  #dump(op: VectorMembers, place: Place): void {
    this.#dumps++
    const { row = (same) => same, leavesOut } = this.#binding
    const { holes = [], ...rest } = op
    const expected = dumpOf(rest, place.at, row)
    const void_ = dumpOf({ ...rest, leaves: holes }, place.at, row)
    const { tables, table } = this.#layOut()
    const slots = (folds: readonly LeafFold[]): TableEntry[] => unfold(folds, (level) => tables.slotBytes(level), [])
    for (const entry of expected.tables) tables.table(entry)
    const leaves = slots(expected.leaves)
    for (const entry of [...leaves, ...slots(void_.leaves)]) tables.entry(entry)
    this.#checkTree(tables, table, leaves, place)
    if (leavesOut?.tableBytes === undefined) this.#report.check(place, 'tableBytes', String(expected.tableBytes), String(tables.bytes))
    this.#tables = table
  }

  #layOut(): { readonly tables: RecordedTables; readonly table: ReadVectorTable } {
    const { fmt, tableMemory } = this.#binding
    const geometry = this.#geometry
    const tables = new RecordedTables(geometry, this.#binding, tableMemory?.(this.#config) ?? 0x8000_0000n)
    const roots = [tables.root]
    const walk = (iova: bigint) => walkAddress(geometry, roots, tables.read, iova)
    const iovaToPhys = (iova: bigint): bigint | undefined => {
      const end = walk(iova).at(-1)
      return end?.type === 'leaf' ? end.paddr + ((iova - end.iova) % BigInt(end.size.pgsize)) : undefined
    }
    return { tables, table: { config: this.#config, regs: fmt.regs(this.#config, roots, geometry.top), geometry, roots, walk, iovaToPhys } }
  }

  /** The walker finds every table, and every leaf, and each is what its map asked for. */
  #checkTree(tables: RecordedTables, { geometry, roots }: ReadVectorTable, expected: readonly TableEntry[], place: Place): void {
    const leaves: TableEntry[] = []
    const broken: string[] = []
    const reached = new Set<string>()
    const entry = ({ iova, node, raw }: VectorEntry): TableEntry => ({ iova, level: this.#binding.level(node), raw })
    walkTables(geometry, roots, tables.read, {
      table: ({ next }) => void reached.add(hex(next)),
      leaf: (leaf) => {
        leaves.push(entry(leaf))
        this.#checkLeaf(leaf, place)
      },
      invalid: (bad) => void broken.push(entryText(entry(bad))),
      unknown: ({ table }) => void broken.push(`table ${hex(table)} outside the memory`),
    })
    checkEntries(this.#report, place, 'leaf slot', byIova(expected), leaves)
    this.#report.check(place, 'broken entries', '[]', canonical(broken))
    this.#report.check(place, 'tables', canonical([...tables.below].map(hex).sort()), canonical([...reached].sort()))
  }

  #checkLeaf(leaf: VectorEntry & { readonly paddr: bigint }, place: Place): void {
    const mapped = this.#mapped.get(leaf.iova)
    this.#report.check(place, `address of ${hex(leaf.iova)}`, mapped === undefined ? 'not mapped' : hex(mapped.paddr), hex(leaf.paddr))
    for (const [name, value] of Object.entries(this.#binding.mappedBy?.(leaf) ?? {}))
      this.#report.check(place, `${name} of ${hex(leaf.iova)}`, canonical(mapped?.op[name]), canonical(value))
  }
}

function byIova<E extends TableEntry>(entries: readonly E[]): E[] {
  return [...entries].sort((a, b) => (a.iova < b.iova ? -1 : a.iova > b.iova ? 1 : 0))
}
