/** Part (a) as text. */
import { caption, type RenderOptions } from './render.ts'
import type { BufferReport, DriverReport, TlbEvent, WalkStep } from './report.ts'
import { bytes, type Colors, columns, count, padHex, plural } from './text.ts'

export function renderDriver(report: DriverReport, { colors }: RenderOptions): string[] {
  return [
    ...caption(
      `Format ${report.format}: ${report.ias}-bit input, ${report.oas}-bit output, pages of ${report.pageSizes.map(bytes).join(', ')}`,
      colors,
    ),
    ...columns([['registers', registersText(report.registers)]]),
    ...caption(`Buffers, in ${bytes(report.tableBytes)} of tables`, colors),
    ...columns([['', 'bytes', 'IOVA', 'first descriptor', 'pages', 'prot'].map(colors.dim), ...report.buffers.map(bufferRow)], [1, 4]),
    ...renderTranslation(report, colors),
    ...renderConflict(report, colors),
    ...renderUnmap(report, colors),
    ...caption('The device unbinds', colors),
    ...columns([
      ['TLB', eventsText(report.revoked.events)],
      ['access to the table', report.revoked.access],
      ['use of a kept reference', report.revoked.use],
      ['table memory', `${bytes(report.leakedBytes)} live, ${bytes(report.peakBytes)} at the peak`],
    ]),
  ]
}

function registersText(registers: Readonly<Record<string, unknown>>): string {
  const text = (value: unknown): string =>
    typeof value === 'bigint' ? padHex(value, 0) : typeof value === 'number' ? padHex(BigInt(value), 0) : ''
  const scalars = Object.entries(registers).filter(([, value]) => typeof value !== 'object')
  return scalars.map(([name, value]) => `${name} ${text(value)}`).join(' · ')
}

function bufferRow({ name, iova, size, prot, descriptor, pages }: BufferReport): string[] {
  const sizes = pages.map(({ pgsize, count: n }) => `${count(n)} × ${bytes(pgsize).replace(/ (.)iB$/, '$1')}`).join(' + ')
  return [name, bytes(size), padHex(iova, 8), padHex(descriptor, 8), sizes, prot.join(' ')]
}

function renderTranslation({ translation, batch }: DriverReport, colors: Colors): string[] {
  const { iova, paddr, walk } = translation
  const to = paddr === undefined ? 'nothing' : padHex(paddr, 8)
  const digits = Math.max(...walk.map(({ raw }) => (raw > 0xffff_ffffn ? 16 : 8)))
  const header = ['', 'table', 'index', 'descriptor', 'kind', 'points to'].map(colors.dim)
  const [head = '', ...steps] = columns([header, ...walk.map((step) => stepRow(step, digits, colors))], [2])
  return [
    ...caption(`IOVA ${padHex(iova, 8)} translates to ${to}`, colors),
    head,
    ...walk.flatMap((step, i) => [steps[i] ?? '', ...fieldLines(step, colors)]),
    colors.dim(`    An address in each of ${plural(batch.translated, 'page')} translated in one call: ${count(batch.wrong)} wrong`),
  ]
}

function stepRow({ level, node, table, index, raw, kind, target }: WalkStep, digits: number, colors: Colors): string[] {
  const name = node.toLowerCase() === `level ${level}` ? `level ${level}` : `level ${level}, ${node.toLowerCase()}`
  return [
    name,
    padHex(table, 8),
    String(index),
    colors.yellow(padHex(raw, digits)),
    kind.toLowerCase(),
    target === undefined ? '' : padHex(target, 8),
  ]
}

/** A leaf's fields; of a table those that are set. */
function fieldLines({ type, fields }: WalkStep, { dim, yellow }: Colors): string[] {
  const shown = type === 'table' ? fields.filter(({ value }) => value !== 0n) : fields
  return columns(
    shown.map(({ name, bits, value, meaning }) => [dim(bits), name, value === 0n ? '0' : yellow(String(value)), dim(meaning)]),
    [0, 2],
    8,
  )
}

function renderConflict({ conflict }: DriverReport, colors: Colors): string[] {
  const { pages, taken, error, mapped, warnings } = conflict
  const policy = mapped === 0 ? 'this format checks a run before it writes' : 'this format maps entry by entry, and tells the prefix'
  return [
    ...caption(`Mapping ${pages} pages of which number ${taken} is taken`, colors),
    ...columns([
      ['error', `${error}, ${plural(warnings, 'warning')}`],
      ['mapped', `${bytes(mapped)}: ${policy}`],
    ]),
  ]
}

function renderUnmap({ spanningUnmap }: DriverReport, colors: Colors): string[] {
  const { pgsize, half, granule, unmapped, events, tableBytes } = spanningUnmap
  const pages = `${bytes(granule)} × ${half / granule}`
  return [
    ...caption(`map(0, ${pages}); map(${bytes(half)}, ${pages}); unmap(0, ${bytes(pgsize)} × 1)`, colors),
    ...columns([
      ['unmapped', bytes(unmapped)],
      ['TLB', eventsText(events)],
      [
        'tables',
        `${bytes(tableBytes.before)}, mapped ${bytes(tableBytes.mapped)}, unmapped ${bytes(tableBytes.unmapped)}, after the sync ${bytes(tableBytes.synced)}`,
      ],
    ]),
  ]
}

function eventsText(events: readonly TlbEvent[]): string {
  return events.map(eventText).join(' → ')
}

function eventText({ call, iova, size, granule, count: n }: TlbEvent): string {
  const parts = [
    iova === undefined ? [] : padHex(iova, 0),
    size === undefined ? [] : bytes(size),
    granule === undefined ? [] : bytes(granule),
    n ?? [],
  ]
  return `${call}(${parts.flat().join(', ')})`
}
