/** What a run of one vector file finds. */
import { type ErrorCode, IoPgtableError } from '@io-pgtable/core'
import { canonical } from './notation.ts'

/** One difference between a file and the library, both sides in the notation of the files. */
export interface Mismatch {
  /** Where: `registers`, `ops[3] unmap`, `rows[7]`. */
  readonly at: string
  /** The index of the operation or row; undefined for what precedes or follows them all. */
  readonly index: number | undefined
  /** What differs: `result`, `tlb`, `leaf slot 17`. */
  readonly what: string
  readonly expected: string
  readonly got: string
}

/** The outcome of one file. */
export interface VectorOutcome {
  /** The file's own name; empty when it has none. */
  readonly name: string
  /** The vector format id; empty when the file has none. */
  readonly format: string
  readonly status: 'passed' | 'failed' | 'skipped'
  /** In the order of the file. */
  readonly mismatches: readonly Mismatch[]
  /** Why it was skipped, or not run at all; of a file that passed, what of it was not compared, and why. */
  readonly reason?: string
}

/** Where a comparison stands in the file. */
export type Place = Pick<Mismatch, 'at' | 'index'>

/** Collects the mismatches of a file. */
export class Report {
  readonly mismatches: Mismatch[] = []
  /** Set when the rest of the file cannot tell anything. */
  skipped: string | undefined
  /** What of a file that passes was not compared, and why. */
  readonly leftOut: string[] = []

  /** Compares the texts of both sides. @returns whether they agree */
  check(place: Place, what: string, expected: string, got: string): boolean {
    if (expected === got) return true
    this.mismatches.push({ at: place.at, index: place.index, what, expected, got })
    return false
  }

  /** Runs a comparison; an exception, which nothing in a file expects, is a mismatch too. */
  guard(place: Place, compare: () => void): void {
    try {
      compare()
    } catch (error) {
      this.check(place, 'call', 'no exception', String(error))
    }
  }
}

/** Compares objects member by member, so that a message names the member. */
export function compareMembers(
  report: Report,
  place: Place,
  expected: Readonly<Record<string, unknown>>,
  got: Readonly<Record<string, unknown>>,
): void {
  for (const name of new Set([...Object.keys(expected), ...Object.keys(got)])) {
    report.check(place, name, canonical(expected[name]), canonical(got[name]))
  }
}

/** Linux's error names that have another name here. */
const LINUX_ERRORS: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'EEXIST',
  ENXIO: 'EINVAL',
  EOVERFLOW: 'ERANGE',
  EOPNOTSUPP: 'EINVAL',
}

/** Our code for an error name of the files; a name that has none stays, and equals no code of ours. */
export function ourError(name: string | null, ofBinding: Readonly<Record<string, ErrorCode>> = {}): string | null {
  return name === null ? null : (ofBinding[name] ?? LINUX_ERRORS[name] ?? name)
}

/** The code of what was thrown; for any other exception, which is a fault of the library, its text. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof IoPgtableError ? thrown.code : `exception ${String(thrown)}`
}
