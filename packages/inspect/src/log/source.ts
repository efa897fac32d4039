/** What a grammar of one source of records is: which lines begin a report, which facts its lines hold, and what the facts make together. */
import type { FaultReport } from '../fault/report.ts'
import type { Facts } from './facts.ts'

/** Entries of a walk that a log printed, and the registers that lead there. */
export interface LoggedWalk {
  /** Whose tables: the caller says which format that is. */
  readonly role: LogRole
  /** Raw, as `rootsFromRegs` of the role's format takes them. */
  readonly registers: Readonly<Record<string, unknown>>
  /** From the root's level on; undefined where the log has none. What follows an entry that is no table is left out. */
  readonly entries: readonly (bigint | undefined)[]
  /** The same by name, for people. */
  readonly names: readonly string[]
}

/** The walk to one leaf of a listing. */
export interface LoggedLeaf extends LoggedWalk {
  readonly iova: bigint
}

/** Formats of the walks in logs. */
export type LogRole =
  | 'arm64-stage1'
  | 'arm32-stage1'
  | 'arm-short'
  | 'riscv-stage1'
  | 'riscv32-stage1'
  | 'x86-first-stage'
  | 'x86-32'
  | 'vtd-second-stage'
  | 'amd-host'

export interface Reading {
  readonly kind: string
  /** Undefined where something is missing that it cannot do without. */
  readonly report?: FaultReport
  /** What is known of the address, also without a report. */
  readonly iova?: bigint
  readonly missing: readonly string[]
  readonly walk?: LoggedWalk
  /** Of a listing of tables. */
  readonly leaves?: readonly LoggedLeaf[]
}

export interface Source {
  readonly id: string
  /** A line without any of these opens no report. */
  readonly starts: readonly string[]
  /** A line without any of these has nothing for an open report: lower case. */
  readonly hints: readonly string[]
  readonly opens: RegExp
  /** Facts of the opening line and of those that follow: global patterns with named groups. */
  readonly facts: readonly RegExp[]
  /** How many lines after the opening one a report may last; 0 for one line. */
  readonly lines: number
  /** A report is over when it has all of these. None: it is over at its end. */
  readonly complete?: readonly string[]
  readonly ends?: RegExp
  /** Facts whose order in the log matters. */
  readonly ordered?: boolean
  read(facts: Facts): Reading
}

/** A report of a source whose record is text alone. */
export function plainReport(
  own: Pick<FaultReport, 'kind' | 'manual' | 'name' | 'explanation' | 'facts' | 'access' | 'fault'>,
): FaultReport {
  return { ...own, fields: [], reserved: 0n }
}

/** The names of facts that are not there. */
export function missingOf(facts: Facts, names: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(names).flatMap(([name, text]) => {
    if (facts.has(name)) return []
    return [facts.conflicts.includes(name) ? `${text} (the log contradicts itself)` : text]
  })
}
