/** The text of docs/VERIFICATION.md. */
import type { AnyFmt } from '@io-pgtable/core'
import type { Outcome } from '../machine/index.ts'
import type { Evidence } from './collect.ts'
import { METHOD, UNCHECKED } from './notes.ts'

const HEAD = `# Verification

<!-- made by scripts/verification.mjs from what the oracles' runs found: do not edit -->

By what each format and configuration is verified, with the counts of one run, and what is not.`

/** The document. @param evidence of every format, in the order of the text */
export function verificationText(evidence: readonly Evidence[]): string {
  const versions = [...new Set(evidence.flatMap(({ outcomes }) => outcomes.map(({ qemu }) => qemu)))].sort()
  return [
    HEAD,
    `## How\n\n${METHOD}`,
    `QEMU ${versions.join(', ')}. \`node scripts/verification.mjs\` runs the oracles and writes this page; with \`--check\` it compares.`,
    `## Overview\n\n${table(OVERVIEW, evidence.map(overview))}`,
    ...evidence.map(section),
    `## Limits of the models\n\n${limits(evidence.flatMap(({ outcomes }) => outcomes))}`,
    '',
  ].join('\n\n')
}

const OVERVIEW = [
  'format',
  'vectors: files, calls',
  'IOMMU model: configurations, answers',
  'CPU MMU: configurations, answers',
  'wrong, caught',
  'real dumps: leaves',
]

function overview({ format, vectors, outcomes, dumps }: Evidence): readonly string[] {
  const [cpu, iommu] = [outcomes.filter(isCpu), outcomes.filter((outcome) => !isCpu(outcome))]
  return [
    `\`${format.FORMAT}\``,
    vectors.files === 0 ? '–' : `${vectors.files}, ${number(vectors.operations)}`,
    answers(iommu),
    answers(cpu),
    number(total(outcomes, 'wrong')) || '–',
    dumps.map(({ name, leaves }) => `${name}: ${number(leaves)}`).join('; ') || '–',
  ]
}

function isCpu({ oracle }: Outcome): boolean {
  return / MMU$/.test(oracle)
}

function answers(outcomes: readonly Outcome[]): string {
  return outcomes.length === 0 ? '–' : `${outcomes.length}, ${number(total(outcomes, 'translations') + total(outcomes, 'faults'))}`
}

type Count = 'mappings' | 'translations' | 'faults' | 'wrong' | 'flushes'

function total(outcomes: readonly Outcome[], count: Count): number {
  return outcomes.reduce((sum, outcome) => sum + (outcome[count] ?? 0), 0)
}

function section({ format, folder, vectors, outcomes, dumps }: Evidence): string {
  const lines = [
    vectors.files > 0 &&
      `Golden vectors: ${vectors.files} files with ${number(vectors.operations)} calls, ${vectors.configs} configurations.`,
    ...dumps.map(({ name, what, leaves }) => `Real dump \`${name}\`, ${number(leaves)} leaves: ${what}.`),
    outcomes.length > 0 && table(WALKS, outcomes.map(walk)),
    withoutWalker(format, outcomes),
    `Not verified by any of these:\n\n${missingOf(format, outcomes.length + vectors.files + dumps.length > 0)
      .map((text) => `- ${text}`)
      .join('\n')}`,
  ]
  return [`## ${format.FORMAT}`, `[${format.title}](../${folder}).`, ...lines.filter((line) => line !== false && line !== '')].join('\n\n')
}

function missingOf({ FORMAT }: AnyFmt, isVerified: boolean): readonly string[] {
  if (!isVerified && UNCHECKED[FORMAT] === undefined) return ['All of it: there is no walker in QEMU, no vector and no dump.']
  return UNCHECKED[FORMAT] ?? ['Nothing is known to be missing.']
}

const WALKS = ['configuration', 'walker', 'mappings', 'translations', 'faults', 'wrong', 'flushes']

function walk({ config, oracle, mappings, translations, faults, wrong, flushes }: Outcome): readonly string[] {
  return [config, oracle, ...[mappings, translations, faults, wrong, flushes].map((count) => (count === undefined ? '–' : number(count)))]
}

/** The declared configurations that no outcome names. IOMMU models have configurations of their own. */
function withoutWalker({ configs }: AnyFmt, outcomes: readonly Outcome[]): string {
  const names = configs.map(({ name }) => name).filter((name) => !outcomes.some(({ config }) => config === name))
  if (names.length === 0) return ''
  return `Declared configurations that no walker above has under that name: ${names.join('; ')}.`
}

/** What each model does not check, or gets wrong, as its runs said. */
function limits(outcomes: readonly Outcome[]): string {
  const byOracle = new Map<string, Set<string>>()
  for (const { oracle, limits: found } of outcomes)
    for (const limit of found) byOracle.set(oracle, (byOracle.get(oracle) ?? new Set()).add(limit))
  return [...byOracle]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([oracle, found]) => `**${oracle}**\n\n${[...found].map((limit) => `- ${limit}`).join('\n')}`)
    .join('\n\n')
}

function number(value: number): string {
  return value === 0 ? '' : value.toString().replace(/\B(?=(\d{3})+$)/g, ',')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const numeric = (_: string, column: number): boolean => rows.every((row) => /^[\d,–]*$/.test(row[column] ?? ''))
  return [line(head), `|${head.map((name, i) => (numeric(name, i) ? ' ---: |' : ' --- |')).join('')}`, ...rows.map(line)].join('\n')
}
