// `node scripts/performance.mjs REPORT`: writes the figures of a report (`npm run bench -- --full --out REPORT`), beside the targets of
// apps/bench/targets.json, into docs/PERFORMANCE.md, between its two marks.
import { readFileSync, writeFileSync } from 'node:fs'
import { ROOT } from './workspace.mjs'

/**
 * @typedef {{ median: number, min: number, ratio: number, minRatio: number, runs: number }} Cell
 * @typedef {{ id: string, title: string, unit: string, one?: Cell, all?: Cell }} Row
 * @typedef {{ ratio?: number, ns?: number, row?: string, times?: number, c?: number, rust?: number }} Target
 * @typedef {{ machine: Record<string, string | number>, mode: string, rows: Row[], heap: { id: string, title: string, unit: string, bytes: number }[] }} Report
 * @typedef {{ rows: Record<string, Target>, formats: { reference: string, times: number } }} Targets
 */

const DOC = `${ROOT}docs/PERFORMANCE.md`
const [file = ''] = process.argv.slice(2)
/** @type {Report} */
const report = JSON.parse(readFileSync(file, 'utf8'))
/** @type {Targets} */
const targets = JSON.parse(readFileSync(`${ROOT}apps/bench/targets.json`, 'utf8'))
const rows = new Map(report.rows.map((row) => [row.id, row]))

/** @param {number} n */
const short = (n) => (n >= 1000 ? Math.round(n).toLocaleString('en') : n.toFixed(n >= 100 ? 0 : n >= 10 ? 1 : 2))

/** The target of a row; that of a format's configuration is relative to the same operation of the reference. @param {string} id @returns {Target} */
function targetOf(id) {
  const own = targets.rows[id]
  if (own !== undefined) return own
  const { reference, times } = targets.formats
  const operation = id.split('/').slice(2).join('/')
  return isOfFormats(id) && !id.startsWith(reference) ? { row: `${reference}/${operation}`, times } : {}
}

/** Rows of every format's configurations have the configuration's name in theirs. @param {string} id */
function isOfFormats(id) {
  const row = rows.get(id)
  return row !== undefined && row.one === undefined && row.all !== undefined && id.includes('/')
}

/** The most nanoseconds that meet the target, in the conditions of the cell. @param {string} id @param {'one' | 'all'} column */
function limit(id, column) {
  const { ratio, ns, row, times = 1 } = targetOf(id)
  const fill = rows.get('fill')?.[column]
  if (ns !== undefined) return ns
  if (row !== undefined) return (rows.get(row)?.[column]?.median ?? Number.NaN) * times
  const cell = rows.get(id)?.[column]
  return ratio === undefined || cell === undefined || fill === undefined ? Number.NaN : (ratio * cell.median) / cell.ratio
}

/** @param {Row} row @param {'one' | 'all'} column */
function cells(row, column) {
  const cell = row[column]
  if (cell === undefined) return ['', '', '']
  const missed = cell.median > limit(row.id, column)
  const ratio = short(cell.ratio)
  return [short(cell.median), short(cell.min), missed ? `**${ratio}**` : ratio]
}

/** @param {string} id */
function targetText(id) {
  const { ratio, ns, row, times } = targetOf(id)
  if (ratio !== undefined) return `${ratio} ×`
  if (ns !== undefined) return `${ns / 1000} µs`
  return row === undefined ? '' : `${times} × \`${row.replace(/^[^/]+\//, '')}\``
}

/** @param {Row} row */
function line(row) {
  const { c, rust } = targetOf(row.id)
  return `| ${[row.id, ...cells(row, 'one'), ...cells(row, 'all'), targetText(row.id), c ?? '', rust ?? ''].join(' | ')} |`
}

const head = [
  '| row | one format: median | min | × fill | all formats: median | min | × fill | target | C | Rust |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |',
]
const { cpu, cpus, platform, node } = report.machine
const runs = (report.rows[0]?.one ?? report.rows[0]?.all)?.runs
const text = [
  `${cpu}, ${cpus} CPUs, ${platform}, Node ${node}; ${report.mode}, ${runs} runs. Nanoseconds a descriptor, address, call or table; × fill by medians.`,
  'A ratio in bold misses its target.',
  '',
  ...head,
  ...report.rows.filter(({ id }) => !isOfFormats(id)).map(line),
  '',
  'The same operations in every format, all of them in use:',
  '',
  '| row | median | min | × fill | target |',
  '| --- | ---: | ---: | ---: | --- |',
  ...report.rows.filter(({ id }) => isOfFormats(id)).map((row) => `| ${[row.id, ...cells(row, 'all'), targetText(row.id)].join(' | ')} |`),
  '',
  '| memory | value | |',
  '| --- | ---: | --- |',
  ...report.heap.map(({ id, title, unit, bytes }) => `| ${id} | ${bytes.toFixed(bytes < 10 ? 2 : 0)} | ${unit}: ${title} |`),
].join('\n')

const marks = /(<!-- figures -->\n)[\s\S]*?(<!-- end of figures -->)/
const doc = readFileSync(DOC, 'utf8')
if (!marks.test(doc)) throw new Error('docs/PERFORMANCE.md has not the two marks')
writeFileSync(
  DOC,
  doc.replace(marks, (_, begin, end) => `${begin}\n${text}\n\n${end}`),
)
