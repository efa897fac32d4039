/** What a run found, as JSON and as a table. */
import { cpus } from 'node:os'
import type { Measured } from './measure.ts'
import type { HeapRow } from './row.ts'

export interface Machine {
  readonly cpu: string
  readonly cpus: number
  readonly node: string
  readonly v8: string
  readonly platform: string
}

export interface Figure extends Measured {
  /** Median by the median of `fill`, in the same process. */
  readonly ratio: number
}

export interface HeapFigure extends Omit<HeapRow, 'measure'> {
  readonly bytes: number
}

export interface Report {
  readonly machine: Machine
  readonly mode: 'quick' | 'full'
  /** Each row in a process of its own. */
  readonly isolated: boolean
  readonly rows: readonly Figure[]
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
  const fill = rows.find(({ id }) => id === 'fill')?.ns.median ?? Number.NaN
  return rows.map((row) => ({ ...row, ratio: row.ns.median / fill }))
}

export function renderReport(report: Report): string {
  const { cpu, cpus: count, node, v8, platform } = report.machine
  const how = report.isolated ? 'each row in a fresh process' : 'all rows in one process, interleaved'
  const rows = report.rows.map((row) => [row.id, ns(row.ns.median), ns(row.ns.min), ns(row.ns.spread), ratio(row.ratio), row.title])
  const lines = [
    `${cpu}, ${count} CPUs, ${platform}, Node ${node}, V8 ${v8}`,
    `${report.mode}, ${how}, ${report.rows[0]?.ns.runs ?? 0} runs; nanoseconds a unit; × fill: median by the median of fill`,
    '',
    ...columns([['row', 'median', 'minimum', '±', '× fill', 'what (a unit: a descriptor, address, call or table)'], ...rows]),
  ]
  if (report.heap.length > 0) {
    const heap = report.heap.map(({ id, bytes, unit, title }) => [id, whole(bytes), unit, title])
    lines.push('', ...columns([['heap', 'bytes', '', 'what'], ...heap]))
  }
  return `${lines.join('\n')}\n`
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const cell = (text: string, column: number, row: readonly string[]): string => {
    if (column === row.length - 1) return text
    const width = widths[column] ?? 0
    return /^[\d.]+$|^[a-z×±][a-z ×]*$/.test(text) && column > 0 ? text.padStart(width) : text.padEnd(width)
  }
  return rows.map((row) => row.map((text, column) => cell(text, column, row)).join('  '))
}

function ns(value: number): string {
  if (value >= 1000) return whole(value)
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}

function ratio(value: number): string {
  return value >= 100 ? whole(value) : value.toFixed(value >= 10 ? 1 : 2)
}

function whole(value: number): string {
  return String(Math.round(value))
}
