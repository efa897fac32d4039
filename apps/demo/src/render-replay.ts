/** Replayed traces as text: one at length, or several in a table. */
import { hex } from '@io-pgtable/core'
import { caption, mark, type RenderOptions, ratio, renderNotes, renderProblems } from './render.ts'
import type { ReplayReport } from './report.ts'
import { bytes, columns, count, padHex, plural } from './text.ts'

const CELLS = 64

export function renderReplay(report: ReplayReport, options: RenderOptions): string[] {
  const { colors } = options
  const { totals, flushes, image } = report
  const of = report.streams === 1 ? '' : `, of ${report.streams} streams the one that fits best`
  return [
    ...caption(`${report.trace}: ${plural(totals.maps + totals.unmaps, 'event')} in ${report.seconds.toFixed(1)} s`, colors),
    ...columns([
      ['kernel', image.kernel],
      ['stream', `${hex(report.sid)}${of}`],
      ['table', `${report.format}, pages of ${report.pageSizes.map(bytes).join(', ')}`],
      ['maps', `${count(totals.maps)}, ${bytes(totals.mappedBytes)}`],
      ['unmaps', `${count(totals.unmaps)}, ${bytes(totals.unmappedBytes)}; most at once ${bytes(report.mostBytes)}`],
      ['flushes', `${plural(flushes.syncs, 'sync')}, ${plural(flushes.walks, 'walk')}, ${plural(flushes.pages, 'page')}`],
      [
        'tables',
        `${count(report.tables.ours)} at the end, the kernel's ${count(report.tables.kernel)}; ${bytes(report.peakBytes)} at the peak`,
      ],
      ['leaves', report.sizes.map(({ pgsize, count: n }) => `${count(n)} × ${bytes(pgsize)}`).join(' + ')],
      ["as the kernel's", ratio(report.kernel, colors)],
    ]),
    ...barLines(report, options),
    ...report.problems.map(({ line, message }) => `    ${mark(false, colors)} line ${line}: ${message}`),
    ...renderProblems(
      report.findings,
      [
        ["the kernel's tables", report.kernel],
        ['the independent walk', report.independent],
      ],
      colors,
    ),
    ...renderNotes(report.skipped === 0 ? [] : [`${plural(report.skipped, 'event')} of other kinds passed over`], colors),
  ]
}

/** Where the leaves are, from the first one to the last. */
function barLines({ leaves }: ReplayReport, { colors }: RenderOptions): string[] {
  const first = leaves[0]?.iova ?? 0n
  const last = leaves.at(-1)
  if (last === undefined) return []
  const range = Number(last.iova - first) + last.size
  const mapped = Array.from({ length: CELLS }, () => 0)
  for (const { iova, size } of leaves) {
    const from = (Number(iova - first) / range) * CELLS
    const to = ((Number(iova - first) + size) / range) * CELLS
    for (let cell = Math.floor(from); cell < to && cell < CELLS; cell++)
      mapped[cell] = (mapped[cell] ?? 0) + Math.min(to, cell + 1) - Math.max(from, cell)
  }
  const shades = mapped.map((part) => '·░▒▓█'[Math.ceil(part * 4 - 1e-9)] ?? '█').join('')
  return [`    ${colors.dim(padHex(first, 8))} ${colors.green(shades)} ${colors.dim(padHex(first + BigInt(range) - 1n, 8))}`]
}

/** A line for each trace. */
export function renderReplays(reports: readonly ReplayReport[], options: RenderOptions): string[] {
  const { colors } = options
  const head = ['', 'events', 'stream', 'table', 'leaves', "as the kernel's"].map(colors.dim)
  const rows = reports.map((one) => [
    one.trace,
    count(one.totals.maps + one.totals.unmaps),
    hex(one.sid),
    one.format,
    one.sizes.map(({ pgsize, count: n }) => `${count(n)} × ${bytes(pgsize)}`).join(' + '),
    ratio(one.kernel, colors),
  ])
  return [
    ...caption('Maps and unmaps as ftrace printed them, done again; then every leaf against those of the kernel', colors),
    ...columns([head, ...rows], [1]),
    ...reports.flatMap(({ findings, kernel, trace }) => renderProblems(findings, [[trace, kernel]], colors)),
  ]
}
