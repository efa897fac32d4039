/** Part (b), CPUs, as text. */
import { caption, mark, type RenderOptions, ratio, renderNotes, renderProblems, renderRanges } from './render.ts'
import { renderImage } from './render-smmu.ts'
import type { CpuReport, Range, RootReport } from './report.ts'
import { bytes, type Colors, columns, count, padHex, plural } from './text.ts'

export function renderCpu(report: CpuReport, options: RenderOptions): string[] {
  const { colors } = options
  const registers = Object.entries(report.registers).map(([name, value]) => `${name.toUpperCase()} ${padHex(value, 0)}`)
  return [
    ...renderImage(report.image, colors),
    ...columns([
      ['registers', registers.slice(0, 4).join(' · ')],
      ['', registers.slice(4).join(' · ')],
    ]),
    ...report.roots.flatMap((root) => renderRoot(root, options)),
    ...renderProblems(
      report.findings,
      report.roots.map(({ name, mappings }) => [name, mappings]),
      colors,
    ),
  ]
}

function renderRoot(root: RootReport, options: RenderOptions): string[] {
  const { colors } = options
  const where = `${root.name.toUpperCase()} at ${padHex(root.root, 8)}, for ${padHex(root.first, 8)}–${padHex(root.last, 8)}`
  return [
    ...caption(
      `${where}: ${count(root.leaves)} mappings in ${plural(root.ranges.length, 'range')} and ${plural(root.tables, 'table')}`,
      colors,
    ),
    ...renderRanges(root.ranges, kindText, options),
    ...renderAttributes(root, colors),
    ...renderNotes(root.notes, colors),
    ...columns([[mark(root.mappings.differing === 0, colors), `${ratio(root.mappings, colors)} mappings as expected`]]),
  ]
}

function kindText({ kind, fields }: Range): string {
  return fields.Domain === undefined ? kind.toLowerCase() : `${kind.toLowerCase()}, domain ${fields.Domain}`
}

/** The manual's abbreviations. */
function short(words: string): string {
  return words.replace('execute never', 'XN').replace('Write-Back Write-Allocate', 'WBWA').replace('Non-cacheable', 'NC')
}

function renderAttributes({ attributes }: RootReport, { dim }: Colors): string[] {
  const domains = attributes.some(({ domain }) => domain !== undefined)
  const header = ['mappings', 'bytes', 'kind', ...(domains ? ['domain'] : []), 'access', 'memory'].map(dim)
  const rows = attributes.map((group) => [
    count(group.leaves),
    bytes(group.bytes),
    group.kind.toLowerCase(),
    ...(domains ? [String(group.domain ?? '')] : []),
    short(group.access),
    short(group.memory),
  ])
  return ['', ...columns([header, ...rows], domains ? [0, 1, 3] : [0, 1])]
}
