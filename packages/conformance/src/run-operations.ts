/** Runs the operations of a vector file on one table, and compares every answer. */
import { hex, IotlbGather, type MapResult, type VectorBinding } from '@io-pgtable/core'
import type { OperationsDocument } from './document.ts'
import { canonical, eventsText, invalidationText } from './notation.ts'
import type {
  DumpOperation,
  FreeOperation,
  MapOperation,
  MapRangeOperation,
  Operation,
  TlbEvent,
  TranslateOperation,
  UnmapOperation,
  UnmapRangeOperation,
} from './operations.ts'
import { codeOf, compareMembers, ourError, type Place, type Report } from './report.ts'
import { freedBeforeAddressInUse, freedBeforeConflict } from './skip.ts'
import { checkEntries, unfold } from './snapshot.ts'
import { FILE_MEMORY, Subject } from './subject.ts'

/** Runs all operations, or up to one after which the file cannot be compared: `report.skipped` is then set. */
export function runOperations(document: OperationsDocument, binding: VectorBinding, report: Report): void {
  const start = { at: 'registers', index: undefined }
  let subject: Subject
  try {
    subject = new Subject(binding, document.config, FILE_MEMORY)
  } catch (error) {
    report.check(start, 'table', 'created', String(error))
    return
  }
  report.guard(start, () => compareMembers(report, start, document.registers, subject.registers()))
  const run = new Run(subject, document.features, report)
  for (const [index, op] of document.ops.entries()) {
    run.step(op, { at: `ops[${index}] ${op.op}`, index })
    if (report.skipped !== undefined) return
  }
  run.end({ at: 'end', index: undefined })
}

class Run {
  readonly #subject: Subject
  readonly #features: readonly string[]
  readonly #report: Report
  /** One for the whole file: a gather may be used again after its sync. */
  readonly #gather = new IotlbGather()

  constructor(subject: Subject, features: readonly string[], report: Report) {
    this.#subject = subject
    this.#features = features
    this.#report = report
  }

  step(op: Operation, place: Place): void {
    this.#report.guard(place, () => this.#perform(op, place))
    this.#subject.log.takeEvents()
    this.#subject.log.takeSyncs()
  }

  /** What no file says: the memory of a freed table is back in its allocator. */
  end(place: Place): void {
    this.#report.guard(place, () => this.#subject.table[Symbol.dispose]())
    this.#report.check(place, 'live bytes of the allocator', '0', String(this.#subject.pool.stats().live))
  }

  #perform(op: Operation, place: Place): void {
    if (op.op === 'map') this.#map(op, place)
    else if (op.op === 'unmap') this.#unmap(op, place)
    else if (op.op === 'mapRange') this.#mapRange(op, place)
    else if (op.op === 'unmapRange') this.#unmapRange(op, place)
    else if (op.op === 'translate') this.#translate(op, place)
    else if (op.op === 'dump') this.#dump(op, place)
    else this.#free(op, place)
  }

  #map(op: MapOperation, place: Place): void {
    const { table, log } = this.#subject
    const same = this.#checkMapped(op, place, table.mapPages(op.iova, op.paddr, op.pgsize, op.pgcount, op.prot))
    const got = log.takeEvents()
    const { tlb } = op
    if (tlb === null || eventsText(tlb) === eventsText(got)) return
    if (same && this.#skips(place, () => freedBeforeConflict(this.#subject, this.#features, { ...op, tlb }, got))) return
    this.#report.check(place, 'tlb', eventsText(tlb), eventsText(got))
  }

  #mapRange(op: MapRangeOperation, place: Place): void {
    const { table, log, topLevel } = this.#subject
    const same = this.#checkMapped(op, place, table.mapRange(op.iova, op.paddr, op.size, op.prot))
    const grown = this.#subject.topLevel === topLevel ? null : this.#subject.topLevel
    const rootsSame = this.#report.check(place, 'newTopLevel', String(op.newTopLevel), String(grown))
    this.#report.check(place, 'tlb', '[]', eventsText(log.takeEvents()))
    const got = log.takeSyncs()
    const { sync } = op
    if (sync === null) return
    const [expectedText, gotText] = [sync, got].map((syncs) => `[${syncs.map(invalidationText).join()}]`) as [string, string]
    if (expectedText === gotText) return
    if (same && rootsSame && this.#skips(place, () => freedBeforeAddressInUse(this.#subject, this.#features, { ...op, sync }, got))) return
    this.#report.check(place, 'sync', expectedText, gotText)
  }

  #checkMapped(op: MapOperation | MapRangeOperation, place: Place, got: MapResult): boolean {
    const error = ourError(op.error, this.#subject.binding.errors)
    const gotError = got.error === undefined ? null : codeOf(got.error)
    return this.#report.check(place, 'result', canonical({ mapped: op.mapped, error }), canonical({ mapped: got.mapped, error: gotError }))
  }

  /** Ends the run when this operation, the first that differs, is one after which the file cannot be compared. */
  #skips(place: Place, reason: () => string | undefined): boolean {
    if (this.#report.mismatches.length > 0) return false
    const why = reason()
    if (why !== undefined) this.#report.skipped = `${place.at}: ${why}`
    return why !== undefined
  }

  #unmap(op: UnmapOperation, place: Place): void {
    const { table, log } = this.#subject
    const unmapped = table.unmapPages(op.iova, op.pgsize, op.pgcount, this.#gather)
    this.#gather.sync()
    this.#report.check(place, 'result', canonical({ unmapped: op.unmapped }), canonical({ unmapped }))
    this.#checkEvents(op, place, log.takeEvents())
  }

  #unmapRange(op: UnmapRangeOperation, place: Place): void {
    const gather = this.#gather
    const unmapped = this.#subject.table.unmapRange(op.iova, op.size, gather)
    const nothing = gather.empty && gather.pendingTables === 0
    const got = nothing ? 'null' : invalidationText(this.#subject.log.invalidationOf(gather))
    gather.sync()
    this.#report.check(place, 'result', canonical({ unmapped: op.unmapped }), canonical({ unmapped }))
    if (op.gather !== undefined) this.#report.check(place, 'gather', op.gather === null ? 'null' : invalidationText(op.gather), got)
    this.#report.check(place, 'tlb', '[]', eventsText(this.#subject.log.takeEvents()))
  }

  #translate(op: TranslateOperation, place: Place): void {
    const got = this.#subject.table.iovaToPhys(op.iova)
    this.#report.check(place, 'result', op.result === null ? 'null' : hex(op.result), got === undefined ? 'null' : hex(got))
  }

  #dump(op: DumpOperation, place: Place): void {
    const subject = this.#subject
    const { leaves, tables, broken } = subject.snapshot()
    const slots = unfold(op.leaves, (level) => subject.slotBytes(level), leaves)
    checkEntries(this.#report, place, 'leaf slot', slots, leaves)
    checkEntries(this.#report, place, 'table descriptor', op.tables, tables)
    this.#report.check(place, 'broken entries', '[]', canonical(broken))
    this.#report.check(place, 'tableBytes', String(op.tableBytes), String(subject.table.tableBytes))
    if (op.topLevel !== null) this.#report.check(place, 'topLevel', String(op.topLevel), String(subject.topLevel))
  }

  /** Compares events where they were recorded. */
  #checkEvents({ tlb }: UnmapOperation | FreeOperation, place: Place, got: readonly TlbEvent[]): void {
    if (tlb !== null) this.#report.check(place, 'tlb', eventsText(tlb), eventsText(got))
  }

  #free(op: FreeOperation, place: Place): void {
    const { table, log } = this.#subject
    table.free()
    this.#checkEvents(op, place, log.takeEvents())
    this.#report.check(place, 'tableBytes', String(op.tableBytes), String(table.tableBytes))
  }
}
