/** Part (b), SMMUv3, as text. */
import { caption, mark, type RenderOptions, ratio, renderNotes, renderProblems, renderRanges } from './render.ts'
import type { ImageReport, Range, SmmuReport, StreamReport } from './report.ts'
import { bytes, type Colors, columns, count, padHex, plural } from './text.ts'

export function renderSmmu(report: SmmuReport, options: RenderOptions): string[] {
  const { colors } = options
  const { table, entries } = report
  const kinds = Object.entries(entries).filter(([name, n]) => name !== 'total' && n > 0)
  return [
    ...renderImage(report.image, colors),
    ...columns([
      ['STRTAB_BASE', `${padHex(report.strtabBase, 16)}: the stream table is at ${padHex(table.base, 8)}`],
      ['STRTAB_BASE_CFG', `${padHex(report.strtabBaseCfg, 8)}: ${formatText(table)}, StreamIDs of ${table.sidBits} bits`],
      [
        'stream table',
        `${plural(entries.total ?? 0, 'entry').replace('entrys', 'entries')}: ${kinds.map(([name, n]) => `${count(n)} ${name}`).join(', ')}`,
      ],
    ]),
    ...caption('Streams: STE → context descriptor → TTB0, TCR fields, MAIR', colors),
    ...renderStreams(report.streams, colors),
    ...report.streams.flatMap((stream) => renderStream(stream, options)),
    ...caption('Compared with what is expected, rebuilt by the engine from the ranges, and compared again', colors),
    ...renderComparisons(report.streams, colors),
    ...renderProblems(report.findings, report.streams.flatMap(comparisonsOf), colors),
  ]
}

export function renderImage({ file, what, kernel, segments, knownBytes }: ImageReport, colors: Colors): string[] {
  return [
    ...caption(what, colors),
    ...columns([
      ['image', `${file}: ${plural(segments, 'segment')}, ${bytes(knownBytes)} of physical memory known`],
      ['kernel', kernel],
    ]),
  ]
}

function formatText({ format, split }: SmmuReport['table']): string {
  return format === 'linear' ? 'linear' : `2-level, split at bit ${split}`
}

function renderStreams(streams: readonly StreamReport[], { dim }: Colors): string[] {
  const header = ['stream', 'STE at', 'CD at', 'ASID', 'TTB0', 'input', 'output', 'granule', 'MAIR', 'tables', 'leaves'].map(dim)
  const rows = streams.map((s) => [
    String(s.sid),
    padHex(s.steAddress, 8),
    padHex(s.cdAddress, 8),
    String(s.asid),
    padHex(s.ttb, 8),
    `${s.inputBits} bits`,
    `${s.outputBits} bits`,
    bytes(s.granule),
    padHex(s.mair & 0xffff_ffffn, 8),
    String(s.tables),
    count(s.leaves),
  ])
  return columns([header, ...rows], [0, 3, 9, 10])
}

function renderStream({ sid, leaves, ranges, notes }: StreamReport, options: RenderOptions): string[] {
  const title = `Stream ${sid}: ${plural(leaves, 'leaf').replace('leafs', 'leaves')} in ${plural(ranges.length, 'range')}`
  return [...caption(title, options.colors), ...renderRanges(ranges, fieldsText, options), ...renderNotes(notes, options.colors)]
}

/** The fields that are set, as the manual names them. */
function fieldsText({ fields }: Range): string {
  return Object.entries(fields)
    .map(([name, value]) => (value === 1 ? name : `${name}=${value}`))
    .join(' ')
}

function renderComparisons(streams: readonly StreamReport[], colors: Colors): string[] {
  const header = ['', 'stream', 'facts', 'mappings', 'rebuilt bit-identical', 'registers', 'tables: kernel, ours'].map(colors.dim)
  const rows = streams.map((s) => [
    mark(
      comparisonsOf(s).every(([, { differing }]) => differing === 0),
      colors,
    ),
    String(s.sid),
    ratio(s.facts, colors),
    ratio(s.mappings, colors),
    ratio(s.rebuilt, colors),
    ratio(s.rebuilt.registers, colors),
    `${s.tables}, ${s.rebuilt.tables}`,
  ])
  return columns([header, ...rows], [1])
}

function comparisonsOf({ sid, facts, mappings, rebuilt }: StreamReport): [string, StreamReport['facts']][] {
  return [
    [`stream ${sid} facts`, facts],
    [`stream ${sid} mappings`, mappings],
    [`stream ${sid} rebuilt`, rebuilt],
    [`stream ${sid} registers`, rebuilt.registers],
  ]
}
