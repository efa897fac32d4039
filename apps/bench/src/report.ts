/** What the runs found, as JSON and as a table. */
import { cpus } from 'node:os'
import type { Measured } from './measure.ts'
import type { HeapRow } from './row.ts'
import type { Summary } from './stats.ts'

export interface Machine {
  readonly cpu: string
  readonly cpus: number
  readonly node: string
  readonly v8: string
  readonly platform: string
}

/** A figure in nanoseconds a unit, and what it is of `fill` in the same process: medians, and minima. */
export interface Cell extends Summary {
  readonly ratio: number
  readonly minRatio: number
}

export interface Figure extends Omit<Measured, 'ns'>, Cell {}

export interface HeapFigure extends Omit<HeapRow, 'measure'> {
  readonly bytes: number
}

/** What one process measured. */
export interface Column {
  readonly rows: readonly Figure[]
  readonly heap: readonly HeapFigure[]
}

/** A row with both its figures: in a process that used its format alone, and in one that used every format first. */
export interface RowReport extends Omit<Measured, 'ns'> {
  readonly one?: Cell
  readonly all?: Cell
}

export interface Report {
  readonly machine: Machine
  readonly mode: 'quick' | 'full'
  /** Every row of the column `one` in a process of its own. */
  readonly isolated: boolean
  readonly rows: readonly RowReport[]
  readonly heap: readonly HeapFigure[]
}

export function machine(): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cpus: all.length,
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform} ${process.arch}`,
  }
}

/** The figures with their ratios to `fill`, which is among the rows. */
export function figures(rows: readonly Measured[]): Figure[] {
  const fill = rows.find(({ id }) => id === 'fill')?.ns
  return rows.map(({ ns, ...row }) => ({
    ...row,
    ...ns,
    ratio: ns.median / (fill?.median ?? Number.NaN),
    minRatio: ns.min / (fill?.min ?? Number.NaN),
  }))
}

/** Rows of both columns by their names, in the order of those that are given. */
export function joined(order: readonly { readonly id: string }[], one: readonly Figure[], all: readonly Figure[]): RowReport[] {
  return order.flatMap(({ id }) => {
    const left = one.find((row) => row.id === id)
    const right = all.find((row) => row.id === id)
    const row = left ?? right
    if (row === undefined) return []
    const { title, unit, units } = row
    return [{ id, title, unit, units, ...(left && { one: cellOf(left) }), ...(right && { all: cellOf(right) }) }]
  })
}

function cellOf({ runs, median, min, spread, ratio, minRatio }: Figure): Cell {
  return { runs, median, min, spread, ratio, minRatio }
}

const HEAD = ['row', 'median', 'min', '× fill', 'median', 'min', '× fill', 'what (a unit: a descriptor, address, call or table)']

export function renderReport(report: Report): string {
  const { cpu, cpus: count, node, v8, platform } = report.machine
  const rows = report.rows.map((row) => [row.id, ...cells(row.one), ...cells(row.all), row.title])
  const runs = (report.rows[0]?.one ?? report.rows[0]?.all)?.runs ?? 0
  const lines = [
    `${cpu}, ${count} CPUs, ${platform}, Node ${node}, V8 ${v8}`,
    `${report.mode}, ${runs} runs; nanoseconds a unit; × fill: median by the median of fill in the same process`,
    `first ${report.isolated ? 'each row in a process of its own' : 'with one format in use'}, then with every format used before`,
    '',
    ...columns([HEAD, ...rows]),
  ]
  if (report.heap.length > 0) {
    const heap = report.heap.map(({ id, bytes, unit, title }) => [id, bytes.toFixed(bytes < 10 ? 2 : 0), unit, title])
    lines.push('', ...columns([['memory', 'value', '', 'what'], ...heap]))
  }
  return `${lines.join('\n')}\n`
}

function cells(cell: Cell | undefined): string[] {
  return cell === undefined ? ['', '', ''] : [ns(cell.median), ns(cell.min), ratio(cell.ratio)]
}

/** Lines whose cells stand below each other. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const cell = (text: string, column: number, row: readonly string[]): string => {
    if (column === row.length - 1) return text
    const width = widths[column] ?? 0
    return /^[\d.]+$|^[a-z×±][a-z ×]*$/.test(text) && column > 0 ? text.padStart(width) : text.padEnd(width)
  }
  return rows.map((row) => row.map((text, column) => cell(text, column, row)).join('  '))
}

/** Nanoseconds with three digits. */
export function ns(value: number): string {
  if (value >= 1000) return String(Math.round(value))
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}

function ratio(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2)
}
