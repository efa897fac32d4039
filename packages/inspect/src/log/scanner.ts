/** Reads a log line by line, in linear time, and gives the records that it holds. What is kept is bounded. */
import { IoPgtableError } from '@io-pgtable/core'
import type { FaultReport } from '../fault/report.ts'
import { Facts } from './facts.ts'
import { goesOn, isUnfinished, type LogLine, mayGoOn, stripLine } from './lines.ts'
import type { LoggedLeaf, LoggedWalk, Reading, Source } from './source.ts'
import { SOURCES } from './sources/all.ts'

/** A record of a log. */
export interface LogRecord {
  /** The line of the log in which it begins, counted from 1. */
  readonly line: number
  readonly report: FaultReport
  /** What the log does not say, or contradicts: without it the record is not complete, and no walk is made. */
  readonly missing: readonly string[]
  /** The entries that the log printed. */
  readonly walk?: LoggedWalk
  /** Of a listing of tables: the walks to its leaves. */
  readonly leaves?: readonly LoggedLeaf[]
}

interface Open {
  readonly source: Source
  readonly facts: Facts
  readonly line: number
  readonly caller: string
  left: number
  time: number | undefined
  /** Another report of this source was not over when this one began: lines may be the other's. */
  readonly mixed: boolean
  disordered: boolean
}

/** Reports that may be open at once: of callers that began one and were not heard of again. */
const MOST_OPEN = 64

/** Finds records in a log that is given line by line. */
export class LogScanner {
  readonly #open: Open[] = []
  readonly #found: LogRecord[] = []
  #held: LogLine | undefined
  #before = ''
  #number = 0

  /** The next line, without its end. @returns the records that are over */
  push(line: string): readonly LogRecord[] {
    const number = ++this.#number
    const before = this.#before
    this.#before = line
    const isIdle = this.#held === undefined && this.#open.length === 0
    const isBroken = isIdle && mayGoOn(before, line)
    // nearly all lines of nearly all logs
    if (isIdle && !isBroken && !mayOpen(line)) return NONE
    if (isBroken) this.#held = stripLine(before, number - 1)
    const next = stripLine(line, number)
    const held = this.#held
    if (held !== undefined && goesOn(held, next, opensAny(next.text))) this.#held = { ...held, text: `${held.text} ${next.text}` }
    else {
      if (held !== undefined) this.#line(held)
      this.#held = this.#open.length > 0 || mayOpen(line) ? next : undefined
    }
    return this.#take()
  }

  /** The log has ended. @returns the records that were open */
  end(): readonly LogRecord[] {
    if (this.#held !== undefined) this.#line(this.#held)
    this.#held = undefined
    for (const open of this.#open.splice(0)) this.#close(open)
    return this.#take()
  }

  #take(): readonly LogRecord[] {
    return this.#found.splice(0)
  }

  #line(line: LogLine): void {
    const { text } = line
    const lower = this.#open.length > 0 ? text.toLowerCase() : ''
    for (const source of SOURCES)
      if (source.starts.some((start) => text.includes(start)) || source.hints.some((hint) => lower.includes(hint)))
        this.#offer(source, line)
    for (const open of [...this.#open]) {
      if (line.number > open.line && (open.caller === line.caller || line.caller === '')) open.left--
      if (open.left < 0) this.#finish(open)
    }
  }

  #offer(source: Source, line: LogLine): void {
    const opening = source.opens.exec(line.text)
    const own = this.#open.find((open) => open.source === source && open.caller === line.caller)
    if (opening !== null) {
      const isOpen = own !== undefined && readingOf(own).missing.length > 0
      if (own !== undefined) this.#finish(own)
      this.#begin(source, line, isOpen && source.lines > 0, opening)
      return
    }
    const open = own ?? this.#open.find((each) => each.source === source && (each.caller === '' || line.caller === ''))
    if (open !== undefined) this.#add(open, line)
  }

  #begin(source: Source, line: LogLine, mixed: boolean, opening: RegExpExecArray): void {
    const { number, caller, time } = line
    const open: Open = { source, facts: new Facts(), line: number, caller, left: source.lines, time, mixed, disordered: false }
    open.facts.add(opening.groups ?? {})
    if (this.#open.length >= MOST_OPEN) this.#finish(this.#open[0] as Open)
    this.#open.push(open)
    this.#read(open, line)
  }

  #add(open: Open, line: LogLine): void {
    if (line.time !== undefined && open.time !== undefined && line.time < open.time) open.disordered = true
    open.time = line.time ?? open.time
    this.#read(open, line)
  }

  #read(open: Open, line: LogLine): void {
    const { source, facts } = open
    for (const pattern of source.facts)
      for (const { groups } of line.text.matchAll(pattern)) {
        facts.add(groups ?? {})
        // what was not in the opening line may be of the report before
        if (open.mixed && line.number !== open.line) for (const key of Object.keys(groups ?? {})) facts.refuse(key.slice(0, -2))
      }
    if (isComplete(open) || (source.ends?.test(line.text) ?? false)) this.#finish(open)
  }

  #finish(open: Open): void {
    const at = this.#open.indexOf(open)
    if (at < 0) return
    this.#open.splice(at, 1)
    this.#close(open)
  }

  #close(open: Open): void {
    const { source, line, mixed, disordered } = open
    const { kind, report, missing, walk, leaves, iova } = readingOf(open)
    const all = [
      ...missing,
      ...(mixed && missing.length > 0 ? ['lines of two reports are mixed'] : []),
      ...(disordered && source.ordered ? ['the lines are not in the order of their times'] : []),
    ]
    const isWhole = report !== undefined && !(disordered && source.ordered)
    this.#found.push({
      line,
      report: isWhole ? report : incomplete(kind, iova, all),
      missing: all,
      ...(walk !== undefined && isWhole && { walk }),
      ...(leaves !== undefined && isWhole && { leaves }),
    })
  }
}

const NONE: readonly LogRecord[] = []
const STARTS = [...new Set(SOURCES.flatMap(({ starts }) => starts))]

function opensAny(text: string): boolean {
  return mayOpen(text) && SOURCES.some(({ opens }) => opens.test(text))
}

/** Whether a line, or what it is the first part of, can open a report. */
function mayOpen(line: string): boolean {
  return STARTS.some((start) => line.includes(start)) || isUnfinished(line)
}

/** What the facts make together; of values that no record has, what is wrong with them. */
function readingOf({ source, facts }: Open): Reading {
  try {
    return source.read(facts)
  } catch (error) {
    if (!(error instanceof IoPgtableError)) throw error
    return { kind: source.id, missing: [`a value that a record can have (${error.message})`] }
  }
}

function isComplete({ source: { complete }, facts }: Open): boolean {
  return complete?.every((name) => facts.has(name)) ?? false
}

/** A record of which the log does not say enough. */
function incomplete(kind: string, iova: bigint | undefined, missing: readonly string[]): FaultReport {
  return {
    kind,
    manual: 'the log',
    name: 'incomplete',
    explanation: `missing: ${missing.join(', ')}`,
    facts: {},
    access: { ...(iova !== undefined && { iova }) },
    fault: {},
    fields: [],
    reserved: 0n,
  }
}

/** All records of a text, in the order of their lines. */
export function scanLog(text: string): readonly LogRecord[] {
  const scanner = new LogScanner()
  const records: LogRecord[] = []
  let from = 0
  while (from <= text.length) {
    const end = text.indexOf('\n', from)
    const line = text.slice(from, end < 0 ? text.length : end)
    records.push(...scanner.push(line.endsWith('\r') ? line.slice(0, -1) : line))
    if (end < 0) break
    from = end + 1
  }
  records.push(...scanner.end())
  return records.sort((a, b) => a.line - b.line)
}
