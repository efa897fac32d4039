/** A scenario on the GPU as text: its steps with the VA space after each, the tables as a tree, the totals. */
import { protNames } from '@io-pgtable/core'
import type { GpuReport, GpuStepReport } from './gpu/gpu-report.ts'
import { CELLS, SIGNS } from './gpu/va-bar.ts'
import { caption, mark, type RenderOptions } from './render.ts'
import type { WalkStep } from './report.ts'
import { bytes, type Colors, columns, count, padHex, plural, wrapped } from './text.ts'

/** Runs of leaves of a table that are shown unless all are wanted. */
const RUNS = 3

/** Everything of the first format; of the others, on which the same happened, the tables and the totals. */
export function renderGpu([first, ...others]: readonly GpuReport[], options: RenderOptions): string[] {
  if (first === undefined) return []
  return [...renderSteps(first, options), ...renderEnd(first, options), ...others.flatMap((other) => renderEnd(other, options))]
}

function renderSteps(report: GpuReport, { colors, ranges }: RenderOptions): string[] {
  const { steps, scenario, letters } = report
  const shown = steps.slice(0, Math.max(40, ranges))
  let before: GpuStepReport['bars'] = []
  const lines = shown.flatMap((step) => {
    const changed = step.bars.filter(({ cells }, i) => cells !== before[i]?.cells)
    before = step.bars
    return [...renderStep(step, report, colors), ...barLines(changed, report, colors)]
  })
  const more = steps.length - shown.length
  const legend = Object.entries(letters).map(([name, letter]) => `${paint(letter, report, colors)} ${name}`)
  const signs = `${SIGNS.kernel} the kernel's  ${SIGNS.several} several  ${SIGNS.evicted} evicted`
  return [
    ...(scenario.about === '' ? [] : ['', ...wrapped(`${scenario.about}.`, 2)]),
    '',
    `  ${legend.join('  ')}`,
    colors.dim(`  ${signs}; upper case: the whole cell`),
    ...lines,
    ...(more > 0 ? [colors.dim(`    … and ${plural(more, 'more step')} (--all shows every one)`)] : []),
  ]
}

function renderStep(step: GpuStepReport, report: GpuReport, colors: Colors): string[] {
  const { dim, yellow, bold, red } = colors
  const wrong = step.asExpected ? '' : `  ${mark(false, colors)} ${step.outcome} was not expected`
  const refused = /^E/.test(step.outcome) ? wrapped(step.message ?? step.outcome, 8).map(yellow) : []
  return [
    '',
    `${String(step.number).padStart(4)}  ${bold(textOf(step, report))}${wrong}`,
    ...(step.note === undefined ? [] : wrapped(`${step.note}`, 8).map(dim)),
    ...(step.commands ?? []).map((command) => `        ${commandText(command)}`),
    ...step.plans.flat().flatMap((line) => wrapped(line, 8)),
    ...refused,
    ...faultLines(step, colors),
    ...(step.outcome === 'wrong' ? [`        ${red(step.message ?? '')}`] : []),
  ]
}

function textOf({ op, buffer, at, size, prot, vm }: GpuStepReport, { vms }: GpuReport): string {
  const where = vms.length > 1 && vm !== undefined ? `${vm}: ` : ''
  const range = `${at === undefined ? '' : padHex(at, 0)}, ${size === undefined ? '' : bytes(Number(size))}`
  if (op === 'evict' || op === 'restore') return `${op} ${buffer}`
  if (op === 'unmap') return `${where}unmap ${range}`
  if (op === 'job') return `${where}job`
  return `${where}${op} ${buffer} at ${range}, ${protNames(prot ?? 0).join(' ')}`
}

function commandText(command: NonNullable<GpuStepReport['commands']>[number]): string {
  const range = `${padHex(command.at, 0)}, ${bytes(command.size)}`
  if (command.op === 'copy') return `copy to ${range} from ${padHex(command.from, 0)}`
  return command.op === 'fill'
    ? `fill ${range} with ${padHex(BigInt(command.value), 0)}`
    : `expect ${padHex(BigInt(command.value), 0)} in ${range}`
}

/** Each fault, the first one with the descriptors on its way. */
function faultLines({ faults, outcome }: GpuStepReport, colors: Colors): string[] {
  const { red, green, dim } = colors
  return faults.flatMap(({ address, access, level, why, walk, fix }, i) => [
    ...wrapped(
      `fault: the ${access} of ${padHex(address, 0)} ends at ${level === undefined ? 'no level' : `level ${level}`}: ${why}`,
      8,
    ).map(red),
    ...(i === 0 ? walkLines(walk, colors) : []),
    ...(fix === undefined ? [dim(`        ${outcome === 'fault' ? 'no heap is there: the job is ended' : ''}`)] : []),
    ...(fix ?? []).flatMap((line) => wrapped(`fixed: ${line}, and tried again`, 8).map(green)),
  ])
}

function walkLines(walk: readonly WalkStep[], { dim, yellow }: Colors): string[] {
  const digits = Math.max(0, ...walk.map(({ raw }) => (raw > 0xffff_ffffn ? 16 : 8)))
  return columns(
    walk.map(({ level, table, index, raw, type, kind }) => [
      dim(`level ${level}`),
      padHex(table, 8),
      `[${index}]`,
      yellow(padHex(raw, digits)),
      type === 'empty' ? type : kind.toLowerCase(),
    ]),
    [2],
    10,
  )
}

/** VA spaces as bars. */
function barLines(bars: GpuStepReport['bars'], report: GpuReport, colors: Colors): string[] {
  const width = Math.max(...report.vms.map(({ name }) => name.length))
  return bars.map(({ vm, cells }) => {
    const { start, range } = report.vms.find(({ name }) => name === vm) ?? { start: 0n, range: 0n }
    const bar = [...cells].map((cell) => paint(cell, report, colors)).join('')
    const ends = `${padHex(start, 0)}, ${bytes(Number(range) / CELLS)} each`
    return `        ${vm.padEnd(width)} ${colors.dim('│')}${bar}${colors.dim('│')} ${colors.dim(ends)}`
  })
}

function paint(cell: string, { letters }: GpuReport, colors: Colors): string {
  const palette = [colors.green, colors.cyan, colors.magenta, colors.yellow, colors.blue, colors.red]
  const at = Object.values(letters).indexOf(cell.toLowerCase())
  return at < 0 ? colors.dim(cell) : (palette[at % palette.length] ?? colors.dim)(cell)
}

type Line = GpuReport['tree'][number]['lines'][number]
/** Runs of leaves that were left out of a table. */
type Rest = Pick<Line, 'depth' | 'count'> & { readonly type: 'rest' }

/** Of each table the first runs of leaves, and how many more there are. */
function shortened(lines: readonly Line[]): (Line | Rest)[] {
  const short: (Line | Rest)[] = []
  let run = 0
  for (const [i, line] of lines.entries()) {
    run = line.type === 'leaves' && lines[i - 1]?.type === 'leaves' && lines[i - 1]?.depth === line.depth ? run + 1 : 0
    const next = lines[i + 1]
    const ends = next?.type !== 'leaves' || next.depth !== line.depth
    if (run < RUNS || (run === RUNS && ends)) short.push(line)
    else if (ends) short.push({ type: 'rest', depth: line.depth, count: run - RUNS + 1 })
  }
  return short
}

function renderEnd(report: GpuReport, options: RenderOptions): string[] {
  const { colors, ranges } = options
  const { totals } = report
  const pages = report.pageSizes.map(bytes).join(', ')
  const commands = totals.byAddress.pages + totals.byAddress.walks
  return [
    ...caption(`Format ${report.format}: ${report.ias}-bit input, pages of ${pages}. The tables at the end`, colors),
    ...report.tree.flatMap(({ vm, lines }) =>
      (Number.isFinite(ranges) ? shortened(lines) : lines).map((line) => treeLine(line, vm, colors)),
    ),
    ...caption('Totals', colors),
    ...columns([
      ['requests', `${plural(totals.requests, 'request')} in ${plural(totals.steps, 'step')}, ${count(totals.refused)} refused`],
      ['splits', `${plural(totals.cuts, 'block')} cut, ${bytes(totals.keptBytes)} kept as they were`],
      ['faults', `${count(totals.faults)}, TLB ${count(totals.tlbHits)} hits and ${plural(totals.tlbWalks, 'walk')}`],
      ['tables', `${count(totals.tables)}, ${bytes(totals.tableBytes)}, at the peak ${bytes(totals.peakBytes)}`],
      ['flushes', `${count(totals.flushes)} of a locked range; a slot changed hands ${plural(totals.switches, 'time')}`],
      ['saved by batching', `${count(commands - totals.flushes)}: by address there are ${plural(commands, 'invalidation')}`],
      ['unbind', `a kept table gives ${report.afterUnbind}, ${bytes(report.leakedBytes)} leaked`],
    ]),
    ...report.differences.flatMap((difference) => wrapped(`✘ ${difference}`, 4)).map(colors.red),
  ]
}

function treeLine(line: Line | Rest, vm: string, { dim, cyan }: Colors): string {
  const indent = '   '.repeat(line.depth)
  if (line.type === 'rest') return dim(`    ${indent}… and ${plural(line.count, 'more run')} (--all shows every one)`)
  const { depth, level, type, index, iova, paddr, kind, pgsize, count: n, prot } = line
  const slot = index === undefined ? '' : `[${index}] `
  if (type === 'table') {
    const name = depth === 0 ? `${vm}: root` : 'table'
    return `    ${indent}${slot}${cyan(name)} ${padHex(paddr, 8)} ${dim(`level ${level}, ${bytes(pgsize)} from ${padHex(iova, 0)}`)}`
  }
  return `    ${indent}${slot}${padHex(iova, 8)} → ${padHex(paddr, 8)} ${count(n)} × ${bytes(pgsize)} ${dim(`${kind.toLowerCase()} ${prot.join(' ')}`)}`
}
