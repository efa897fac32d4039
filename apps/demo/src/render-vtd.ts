/** Part (b), VT-d, as text: the ranges of a table only where all are asked for. */
import { caption, mark, type RenderOptions, ratio, renderNotes, renderProblems, renderRanges } from './render.ts'
import { renderImage } from './render-smmu.ts'
import type { VtdReport, VtdStreamReport } from './report.ts'
import { type Colors, columns, count, padHex, plural } from './text.ts'

export function renderVtd(report: VtdReport, options: RenderOptions): string[] {
  const { colors } = options
  const registers = Object.entries(report.registers).map(([name, value]) => `${name.toUpperCase()} ${padHex(value, 0)}`)
  const kinds = Object.entries(report.entries).filter(([, n]) => n > 0)
  return [
    ...renderImage(report.image, colors),
    ...columns([
      ['registers', registers.join(' · ')],
      [
        'root table',
        `at ${padHex(report.root, 8)}: ${plural(report.buses, 'bus')}, context entries: ${kinds.map(([name, n]) => `${count(n)} ${name}`).join(', ')}`,
      ],
    ]),
    ...caption('Streams: root entry → context entry → second stage, compared with what is expected', colors),
    ...renderStreams(report.streams, colors),
    ...(Number.isFinite(options.ranges) ? [] : report.streams.flatMap((stream) => renderStream(stream, options))),
    ...renderProblems(report.findings, report.streams.flatMap(comparisonsOf), colors),
  ]
}

function renderStreams(streams: readonly VtdStreamReport[], colors: Colors): string[] {
  const header = ['', 'stream', 'requester', 'domain', 'root', 'input', 'tables', 'facts', 'mappings', 'ranges'].map(colors.dim)
  const rows = streams.map((s) => [
    mark(
      comparisonsOf(s).every(([, { differing }]) => differing === 0),
      colors,
    ),
    String(s.sid),
    requester(s.sid),
    String(s.domain),
    padHex(s.root, 8),
    `${s.inputBits} bits`,
    String(s.tables),
    ratio(s.facts, colors),
    ratio(s.mappings, colors),
    count(s.ranges.length),
  ])
  return columns([header, ...rows], [1, 3, 6, 9])
}

/** Bus, device and function as people write them. */
function requester(sid: number): string {
  return `${(sid >> 8).toString(16).padStart(2, '0')}:${((sid >> 3) & 31).toString(16).padStart(2, '0')}.${sid & 7}`
}

function renderStream({ sid, ranges, notes }: VtdStreamReport, options: RenderOptions): string[] {
  const title = `Stream ${sid}: ${plural(ranges.length, 'range')}`
  return [...caption(title, options.colors), ...renderRanges(ranges, ({ kind }) => kind, options), ...renderNotes(notes, options.colors)]
}

function comparisonsOf({ sid, facts, mappings }: VtdStreamReport): [string, VtdStreamReport['facts']][] {
  return [
    [`stream ${sid} facts`, facts],
    [`stream ${sid} mappings`, mappings],
  ]
}
