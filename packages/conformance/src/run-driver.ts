/** Runs the operations of a file that was recorded from a driver, on one table, and compares every answer. */
import {
  type DriverVectorBinding,
  hex,
  IotlbGather,
  nodeOf,
  type Prot,
  slotBytes,
  type VectorBinding,
  type VectorMembers,
} from '@io-pgtable/core'
import { type DriverOperationsDocument, dumpOf } from './driver-document.ts'
import { countOf, hexOf, listOf, malformed, protAt, textOf, tupleOf } from './fields.ts'
import { canonical } from './notation.ts'
import { codeOf, ourError, type Place, type Report } from './report.ts'
import { runDriverDumps } from './run-driver-dumps.ts'
import { differenceAt, iovaOf, sizeOf } from './situation.ts'
import { checkEntries, unfold } from './snapshot.ts'
import { FILE_MEMORY, Subject } from './subject.ts'

/** What an operation gave, in the file's words; an `error` may be what was thrown. */
type Answer = Readonly<Record<string, unknown>> | undefined

/**
 * Runs all operations, or those before the first that the binding calls a difference of a feature that the file names. Of a format that only
 * reads, the dumps.
 */
export function runDriverOperations(document: DriverOperationsDocument, binding: VectorBinding, report: Report): void {
  const start = { at: 'registers', index: undefined }
  if (binding.family !== 'driver') return
  if (binding.fmt.writes === false) return void runDriverDumps(document, binding, report)
  let subject: Subject
  try {
    subject = new Subject(binding, { family: 'driver', values: document.config }, FILE_MEMORY)
  } catch (error) {
    report.check(start, 'table', 'created', String(error))
    return
  }
  report.guard(start, () => checkRegisters(document, subject, report, start))
  const run = new DriverRun(subject, binding, report)
  for (const [index, op] of document.ops.entries()) {
    const place = { at: `ops[${index}] ${String(op.op)}`, index }
    const why = run.difference(document.features, op, place)
    if (why !== undefined) {
      report.leftOut.push(`${index} of ${document.ops.length} operations: ${place.at}: ${why}`)
      break
    }
    run.step(op, place)
  }
  for (const [part, why] of Object.entries(binding.leavesOut ?? {})) report.leftOut.push(`${part} not compared: ${why}`)
  run.end({ at: 'end', index: undefined })
}

/** The registers that the file has; a table may have more. */
function checkRegisters(document: DriverOperationsDocument, subject: Subject, report: Report, place: Place): void {
  const got = subject.registers()
  for (const [name, value] of Object.entries(document.registers)) report.check(place, name, canonical(value), canonical(got[name]))
}

class DriverRun {
  readonly #subject: Subject
  readonly #binding: DriverVectorBinding
  readonly #report: Report
  readonly #gather = new IotlbGather()

  constructor(subject: Subject, binding: DriverVectorBinding, report: Report) {
    this.#subject = subject
    this.#binding = binding
    this.#report = report
  }

  /** Why the file ends before this operation. */
  difference(features: readonly string[], op: VectorMembers, place: Place): string | undefined {
    let why: string | undefined
    this.#report.guard(place, () => {
      why = differenceAt(this.#subject, features, op)
    })
    return why
  }

  step(op: VectorMembers, place: Place): void {
    this.#report.guard(place, () => this.#perform(op, place))
    this.#subject.log.takeEvents()
    this.#subject.log.takeSyncs()
  }

  /** What no file says: the memory of a freed table is back in its allocator. */
  end(place: Place): void {
    this.#report.guard(place, () => this.#subject.table[Symbol.dispose]())
    this.#report.check(place, 'live bytes of the allocator', '0', String(this.#subject.pool.stats().live))
  }

  #perform(op: VectorMembers, place: Place): void {
    const name = textOf(op.op, `${place.at}.op`)
    const own = this.#binding.operations?.[name]
    if (own !== undefined) this.#checkResult(op, place, own(this.#subject.table, op))
    else if (name === 'translate') this.#translate(op, place)
    else if (name === 'dump') this.#dump(op, place)
    else if (name === 'free') this.#free(op, place)
    else this.#checkResult(op, place, this.#change(name, op, place))
  }

  #change(name: string, op: VectorMembers, place: Place): Answer {
    const known = OPERATIONS[name]
    if (known === undefined) throw malformed(place.at, 'an operation that the binding or the runner has', name)
    this.#checkKnown(op, place, known)
    return this[known.run](op, place)
  }

  /** Without a `prot` of the binding's own nobody reads a member that the runner does not know. */
  #checkKnown(op: VectorMembers, place: Place, { members, maps }: KnownOperation): void {
    if (maps && this.#binding.prot !== undefined) return
    const also = this.#binding.iova === undefined ? [] : Object.keys(op)
    for (const name of Object.keys(op))
      if (![...ALWAYS_KNOWN, ...members, ...also].includes(name)) throw malformed(`${place.at}.${name}`, 'no such member', op[name])
  }

  #checkResult(op: VectorMembers, place: Place, got: Answer): void {
    const { result } = op
    const { errors } = this.#binding
    const expected = isObject(result) && 'error' in result ? { ...result, error: ourError(result.error as string | null, errors) } : result
    const answer = got !== undefined && 'error' in got ? { ...got, error: errorOf(got.error) } : got
    this.#report.check(place, 'result', canonical(expected), canonical(answer))
  }

  #prot(op: VectorMembers, place: Place): Prot {
    return this.#binding.prot?.(op, this.#subject.table) ?? protAt(op.prot, `${place.at}.prot`)
  }

  map(op: VectorMembers, place: Place): Answer {
    const { table } = this.#subject
    const { unit } = this.#binding
    const iova = iovaOf(this.#subject, op)
    const paddr = hexOf(op.paddr, `${place.at}.paddr`)
    const pgsize = countOf(op.pgsize, `${place.at}.pgsize`)
    const pgcount = countOf(op.pgcount, `${place.at}.pgcount`)
    const prot = this.#prot(op, place)
    if (unit === undefined) return inTurn(1, () => table.mapPages(iova, paddr, pgsize, pgcount, prot))
    return inTurn(pgcount, (i) =>
      table.mapPages(iova + BigInt(i) * BigInt(pgsize), paddr + BigInt(i) * BigInt(pgsize), unit, pgsize / unit, prot),
    )
  }

  /** Every page of the run gets the same address. */
  mapRepeat(op: VectorMembers, place: Place): Answer {
    const { table } = this.#subject
    const iova = iovaOf(this.#subject, op)
    const paddr = hexOf(op.paddr, `${place.at}.paddr`)
    const pgsize = countOf(op.pgsize, `${place.at}.pgsize`)
    const prot = this.#prot(op, place)
    const pgcount = countOf(op.pgcount, `${place.at}.pgcount`)
    return inTurn(pgcount, (i) => table.mapPages(iova + BigInt(i) * BigInt(pgsize), paddr, pgsize, 1, prot))
  }

  /** One address, or segments that follow each other. */
  mapRange(op: VectorMembers, place: Place): Answer {
    const { table } = this.#subject
    const prot = this.#prot(op, place)
    let next = iovaOf(this.#subject, op)
    const segments = 'sg' in op ? segmentsOf(op.sg, `${place.at}.sg`) : [[hexOf(op.paddr, `${place.at}.paddr`), sizeOf(op)] as const]
    return inTurn(segments.length, (i) => {
      const [paddr, size] = segments[i] as readonly [bigint, number]
      next += BigInt(size)
      return table.mapRange(next - BigInt(size), paddr, size, prot)
    })
  }

  unmap(op: VectorMembers, place: Place): Answer {
    if (this.#binding.unmapsFound !== undefined) return this.#unmapFound(op, place)
    const { unit = countOf(op.pgsize, `${place.at}.pgsize`) } = this.#binding
    const iova = iovaOf(this.#subject, op)
    return this.#unmapped(iova, this.#subject.table.unmapPages(iova, unit, sizeOf(op) / unit, this.#gather))
  }

  /** Ends an unmap, as the driver does. */
  #unmapped(iova: bigint, unmapped: number): Answer {
    const { table } = this.#subject
    if (this.#binding.trims && unmapped > 0) {
      const { geometry } = table
      const slot = BigInt(slotBytes(nodeOf(geometry, geometry.top)))
      const last = iova + BigInt(unmapped) - 1n
      table.trim({ first: iova - (iova % slot), last: last - (last % slot) + slot - 1n }, this.#gather)
    }
    this.#gather.sync()
    return { unmapped }
  }

  /** Mapping by mapping, up to a hole, a part of one, or one that is too large. */
  #unmapFound(op: VectorMembers, place: Place): Answer {
    const { table } = this.#subject
    const iova = iovaOf(this.#subject, op)
    const size = sizeOf(op)
    const pgsize = countOf(op.pgsize, `${place.at}.pgsize`)
    let unmapped = 0
    while (unmapped < size) {
      const next = iova + BigInt(unmapped)
      const leaf = table.walk(next).at(-1)
      if (leaf?.type !== 'leaf' || next % BigInt(leaf.size.pgsize) !== 0n) break
      if (leaf.size.pgsize > (this.#binding.unmapsFound === 'pgsize' ? pgsize : size - unmapped)) break
      unmapped += table.unmapPages(next, leaf.size.pgsize, 1, this.#gather)
    }
    return this.#unmapped(iova, unmapped)
  }

  unmapRange(op: VectorMembers): Answer {
    const iova = iovaOf(this.#subject, op)
    return this.#unmapped(iova, this.#subject.table.unmapRange(iova, sizeOf(op), this.#gather))
  }

  /** New permissions for the mapped pages of a range; the others are passed over. */
  reprot(op: VectorMembers, place: Place): Answer {
    const { table } = this.#subject
    const pgsize = BigInt(countOf(op.pgsize, `${place.at}.pgsize`))
    const prot = this.#prot(op, place)
    const iova = iovaOf(this.#subject, op)
    const end = iova + BigInt(sizeOf(op))
    for (let at = iova; at < end; ) at += BigInt(table.protect(at, Number(end - at), prot)) || pgsize
    return { error: null }
  }

  #translate(op: VectorMembers, place: Place): void {
    const { op: _, iova: __, result, ...rest } = op
    const { table } = this.#subject
    const iova = iovaOf(this.#subject, op)
    const got = table.iovaToPhys(iova)
    this.#report.check(place, 'result', result === null ? 'null' : String(result), got === undefined ? 'null' : hex(got))
    const { translated } = this.#binding
    // what an `iova` of the binding's own reads belongs to the question
    if (translated === undefined && this.#binding.iova !== undefined) return
    this.#report.check(place, 'beside the address', canonical(rest), canonical(translated?.(table, iova) ?? {}))
  }

  #dump(op: VectorMembers, place: Place): void {
    const subject = this.#subject
    const { leavesOut, row = (same) => same, tableBytes } = this.#binding
    const expected = dumpOf(op, place.at, row)
    const { leaves, tables, broken } = subject.snapshot()
    const slots = unfold(expected.leaves, (level) => subject.slotBytes(level), leaves)
    checkEntries(this.#report, place, 'leaf slot', slots, leaves)
    if (leavesOut?.tables === undefined) checkEntries(this.#report, place, 'table descriptor', expected.tables, tables)
    this.#report.check(place, 'broken entries', '[]', canonical(broken))
    if (leavesOut?.tableBytes !== undefined) return
    const bytes = tableBytes?.(subject.table) ?? subject.table.tableBytes
    this.#report.check(place, 'tableBytes', String(expected.tableBytes), String(bytes))
  }

  #free(op: VectorMembers, place: Place): void {
    const { table } = this.#subject
    table.free()
    this.#report.check(place, 'tableBytes', String(op.tableBytes), String(table.tableBytes))
  }
}

/** What every operation may have: register writes depend on the driver, and are not compared. */
const ALWAYS_KNOWN = ['op', 'iova', 'result', 'mmio', 'tlb']

interface KnownOperation {
  readonly run: 'map' | 'mapRepeat' | 'mapRange' | 'unmap' | 'unmapRange' | 'reprot'
  readonly members: readonly string[]
  /** Whether it gives permissions, by which a binding reads what is the format's own. */
  readonly maps: boolean
}

const PAGES = ['pgsize', 'pgcount']
const OPERATIONS: Readonly<Record<string, KnownOperation | undefined>> = {
  map: { run: 'map', members: ['paddr', 'prot', ...PAGES], maps: true },
  mapRepeat: { run: 'mapRepeat', members: ['paddr', 'prot', ...PAGES], maps: true },
  mapRange: { run: 'mapRange', members: ['paddr', 'sg', 'prot', 'size'], maps: true },
  reprot: { run: 'reprot', members: ['prot', ...PAGES], maps: true },
  unmap: { run: 'unmap', members: PAGES, maps: false },
  unmapRange: { run: 'unmapRange', members: ['size'], maps: false },
}

/** Calls that follow each other until one fails. */
function inTurn(count: number, call: (i: number) => { readonly mapped: number; readonly error?: unknown }): Answer {
  let mapped = 0
  for (let i = 0; i < count; i++) {
    const result = call(i)
    mapped += result.mapped
    if (result.error !== undefined) return { mapped, error: result.error }
  }
  return { mapped, error: null }
}

function segmentsOf(value: unknown, at: string): readonly (readonly [bigint, number])[] {
  return listOf(value, at, (item, place) => {
    const [paddr, bytes] = tupleOf(item, place, 2)
    return [hexOf(paddr, place), countOf(bytes, place)] as const
  })
}

function errorOf(error: unknown): string | null {
  if (error === undefined || error === null) return null
  return typeof error === 'string' ? error : codeOf(error)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
