/** The report as text: the frame, the summary, and what the parts have in common. */

import { renderCpu } from './render-cpu.ts'
import { renderDriver } from './render-driver.ts'
import { renderGpu } from './render-gpu.ts'
import { renderReplays } from './render-replay.ts'
import { renderSmmu } from './render-smmu.ts'
import { renderVtd } from './render-vtd.ts'
import type { Check, Comparison, DemoReport, Finding, Range } from './report.ts'
import { bytes, type Colors, columns, count, padHex, plural } from './text.ts'

/** How much to show, and how. */
export interface RenderOptions {
  readonly colors: Colors
  /** Ranges of a table to show at most. */
  readonly ranges: number
}

/** The whole report, without a line break at its end. */
export function renderDemo(report: DemoReport, options: RenderOptions): string {
  const { colors } = options
  const parts = [
    {
      title: `A GPU driver at work: ${report.gpu[0]?.scenario.name}`,
      lines: renderGpu(report.gpu, options),
      checks: report.gpuChecks,
    },
    ...report.driver.map((driver) => ({
      title: `A GPU driver's page tables: ${driver.title}`,
      lines: renderDriver(driver, options),
      checks: driver.checks,
    })),
    { title: "A real kernel's tables: SMMUv3", lines: renderSmmu(report.smmuv3, options), checks: report.smmuv3.checks },
    { title: "A real kernel's tables: ARMv7 CPU", lines: renderCpu(report.armv7, options), checks: report.armv7.checks },
    { title: "A real kernel's tables: AArch64 CPU", lines: renderCpu(report.aarch64, options), checks: report.aarch64.checks },
    { title: "A real kernel's tables: VT-d", lines: renderVtd(report.vtd, options), checks: report.vtd.checks },
    {
      title: "Real kernels' traces, replayed",
      lines: renderReplays(report.traces, options),
      checks: report.traces.flatMap(({ trace, checks }) => checks.map((check) => ({ ...check, name: `${trace}: ${check.name}` }))),
    },
  ]
  const sections = parts.flatMap(({ title, lines }, i) => ['', heading(`${i + 1}  ${title}`, colors), ...lines])
  const summary = ['', heading('Summary', colors), ...parts.flatMap(({ title, checks }) => [`  ${title}`, ...renderChecks(checks, colors)])]
  return [...sections, ...summary, '', verdict(report, colors)].join('\n').trimStart()
}

/** One part alone. */
export function renderOne(title: string, lines: readonly string[], checks: readonly Check[], { colors }: RenderOptions): string {
  const passed = checks.filter(({ ok }) => ok).length
  const end = `${mark(passed === checks.length, colors)} ${colors.bold(`${passed} of ${checks.length} checks`)}`
  return [heading(title, colors), ...lines, '', ...renderChecks(checks, colors), '', end].join('\n')
}

function heading(title: string, { bold, cyan, dim }: Colors): string {
  return `${bold(cyan(title))} ${dim('─'.repeat(Math.max(0, 100 - title.length)))}`
}

/** A line that says what the next ones are. */
export function caption(text: string, { bold }: Colors): string[] {
  return ['', `  ${bold(text)}`]
}

export function mark(ok: boolean, { green, red }: Colors): string {
  return ok ? green('✔') : red('✘')
}

function renderChecks(checks: readonly Check[], colors: Colors): string[] {
  return columns(checks.map(({ name, ok, detail }) => [mark(ok, colors), name, colors.dim(detail)]))
}

function verdict({ ok, totals }: DemoReport, colors: Colors): string {
  const facts = [
    `${totals.passed} of ${totals.checks} checks`,
    plural(totals.mappings, 'mapping'),
    `${count(totals.identical)} of ${count(totals.leaves)} descriptors bit-identical`,
    plural(totals.differences, 'difference'),
    `${bytes(totals.leakedBytes)} leaked`,
  ]
  return `${mark(ok, colors)} ${colors.bold(facts.join(' · '))}`
}

/** `17 of 17`, in red where sides differ. */
export function ratio({ identical, expected, differing }: Comparison, { red }: Colors): string {
  const text = `${count(identical)} of ${count(expected)}`
  return differing === 0 ? text : red(text)
}

/** The first ranges of a table; the others are counted. */
export function renderRanges(
  ranges: readonly Range[],
  detail: (range: Range) => string,
  { ranges: most, colors }: RenderOptions,
): string[] {
  const shown = ranges.slice(0, most)
  const rows = shown.map((range) => [
    `${padHex(range.first, 8)}–${lastOf(range)}`,
    `→ ${padHex(range.paddr, 8)}`,
    `${count(range.pgcount)} × ${bytes(range.pgsize)}`,
    range.prot.join(' '),
    colors.dim(detail(range)),
  ])
  const more = ranges.length - shown.length
  return [...columns(rows, [2]), ...(more > 0 ? [colors.dim(`    … and ${plural(more, 'more range')} (--all shows every one)`)] : [])]
}

/** Of a long address the part that may differ. */
function lastOf({ first, last }: Range): string {
  const long = first >> 48n !== 0n && first >> 32n === last >> 32n
  return long ? `…${padHex(BigInt.asUintN(32, last), 8).slice(2)}` : padHex(last, 8)
}

/** What is wrong, if anything: findings, and the first differences of each comparison. */
export function renderProblems(
  findings: readonly Finding[],
  comparisons: readonly (readonly [string, Comparison])[],
  colors: Colors,
): string[] {
  const found = findings
    .slice(0, 20)
    .map(({ place, message, value }) => [colors.red('✘'), place, message, value === undefined ? '' : padHex(value, 0)])
  const more = findings.length > 20 ? [[colors.red('✘'), '…', `${count(findings.length - 20)} more`, '']] : []
  const different = comparisons.flatMap(([name, { differences }]) =>
    differences.map(({ where, column, expected, got }) => [
      colors.red('✘'),
      `${name}, ${where}`,
      `${column}: expected ${expected}`,
      `got ${got}`,
    ]),
  )
  return columns([...found, ...more, ...different])
}

export function renderNotes(notes: readonly string[], { dim }: Colors): string[] {
  return notes.map((note) => dim(`    Note: ${note}`))
}
