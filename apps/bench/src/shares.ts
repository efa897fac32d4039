/** Which rows two versions have in common, and which process measures them. */
import type { Column } from './judgement.ts'
import type { Row } from './row.ts'

/** A row as another process tells of it. */
export type Listed = Omit<Row, 'prepare'>

/** What one process measures. */
export interface Share {
  readonly column: Column
  /** The format that is in use; undefined: every one. */
  readonly format?: string
  readonly rows: readonly Listed[]
}

/** Rows by whether both versions have them; a row that was redefined is another one. */
export interface Matched {
  readonly common: readonly Listed[]
  readonly onlyHere: readonly string[]
  readonly onlyRef: readonly string[]
  readonly unlike: readonly string[]
}

export function matched(here: readonly Listed[], ref: readonly Listed[]): Matched {
  const ours = new Set(here.map(({ id }) => id))
  const theirs = new Map(ref.map((row) => [row.id, row]))
  const both = here.filter(({ id }) => theirs.has(id))
  const same = ({ id, title, units }: Listed): boolean => title === theirs.get(id)?.title && units === theirs.get(id)?.units
  return {
    common: both.filter(same),
    onlyHere: here.filter(({ id }) => !theirs.has(id)).map(({ id }) => id),
    onlyRef: ref.filter(({ id }) => !ours.has(id)).map(({ id }) => id),
    unlike: both.filter((row) => !same(row)).map(({ id }) => id),
  }
}

/**
 * One process for each format's rows, and one for those with every format in use, the references too; rows that burden the heap are apart from
 * the others.
 */
export function sharesOf(rows: readonly Listed[], columns: readonly Column[]): Share[] {
  const formatOf = ({ id }: Listed): string => id.split('/')[0] ?? ''
  const formats = new Set(rows.filter(({ id }) => id.includes('/')).map(formatOf))
  const shares: Record<Column, Share[]> = {
    one: [...formats].map((format) => {
      return { column: 'one', format, rows: rows.filter((row) => formatOf(row) === format && row.everyFormat !== true) }
    }),
    all: [false, true].map((heavy) => ({ column: 'all', rows: rows.filter(({ ballast = false }) => ballast === heavy) })),
  }
  return columns.flatMap((column) => shares[column]).filter((share) => share.rows.length > 0)
}
