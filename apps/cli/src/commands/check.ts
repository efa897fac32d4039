/** `iopt check`: what is wrong with tables. The one command whose exit code says what it found. */
import { CHECK_CODES, Check, type CheckPolicy, type CheckResult, type Finding, parsePolicy, type Severity } from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, TARGET, tableOptions } from '../options.ts'
import type { Result } from '../program.ts'
import { Progress } from '../progress.ts'
import { openTargets, type Target, type TargetOptions, type Targets, targetName } from '../targets.ts'
import { findingJson, findingLine } from '../text.ts'
import { readText } from '../text-file.ts'
import { noteNothing } from './dump.ts'

interface Options extends TargetOptions {
  readonly policy?: string
  readonly json?: true
}

const SEVERITIES: readonly Severity[] = ['note', 'warning', 'error']

export function addCheck(program: Command, io: Io, result: Result): void {
  const command = program
    .command('check')
    .argument('<target>', TARGET)
    .description('findings with severity and place; exits with 1 when there is an error')
    .option('--policy <file>', 'JSON: other severities, forbidden ranges, which severity fails')
    .action(async (name: string, options: Options) => {
      result.code = await run(io, name, options)
    })
  jsonOption(tableOptions(imageOptions(command)), 'one object a finding: severity, code, message, place, and where it is')
  examples(
    command,
    'iopt check vtd --image vmcore --rtaddr 0x564d000',
    'iopt check arm64-lpae-s1 --image vmcore --ttbr1 0x41853000 --tcr 0x74b5503510 --mair 0x40044ffff --policy policy.json',
  )
  command.addHelpText('after', policyHelp())
}

function policyHelp(): string {
  const codes = Object.entries(CHECK_CODES).map(([code, { severity, what }]) => `  ${code.padEnd(24)} ${severity.padEnd(8)} ${what}`)
  return `\nFindings:\n${codes.join('\n')}\n
A policy: {"severity": {"table-shared": "off"}, "failOn": "warning",
           "forbidden": [{"name": "firmware", "paddr": "0xe000000", "size": "16M", "prot": ["WRITE"]}]}`
}

async function run(io: Io, name: string, options: Options): Promise<number> {
  const policy = options.policy === undefined ? {} : parsePolicy(readText(options.policy), options.policy)
  const found = await openTargets(name, options)
  const results = [scanResult(found.findings)]
  for (const group of groups(found.targets)) results.push(await checkGroup(io, found, group, policy))
  const findings = results.flatMap((each) => each.findings)
  for (const finding of findings)
    if (options.json) io.out(`${JSON.stringify(findingJson(finding))}\n`)
    else io.out(`${findingLine(finding, io.color)}\n`)
  noteNothing(io, found)
  io.err(`${totals(results)}\n`)
  return fails(results, policy) ? 1 : 0
}

/** What was found while the streams were found. */
function scanResult(findings: readonly Finding[]): CheckResult {
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length
  return {
    findings,
    counts: { error: count('error'), warning: count('warning'), note: count('note') },
    tables: 0,
    mappings: 0,
    complete: true,
  }
}

/** Tables whose output addresses are of one space: physical, or each stream's own of a stage 1 below a stage 2. */
function groups(targets: readonly Target[]): readonly (readonly Target[])[] {
  const nested = targets.filter(({ tables, stream }) => (stream?.stages.length ?? 1) > 1 && tables.stage === 1)
  const physical = targets.filter((target) => !nested.includes(target))
  return [physical, ...nested.map((target) => [target])].filter((group) => group.length > 0)
}

async function checkGroup(io: Io, found: Targets, group: readonly Target[], policy: CheckPolicy): Promise<CheckResult> {
  const progress = new Progress(io, 'tables')
  const tables = group.map((target) => ({ ...target.tables, name: targetName(target) }))
  const check = new Check(tables, { policy, onTable: (count) => progress.at(count) })
  try {
    return await found.image.loading(() => check.run())
  } finally {
    progress.end()
  }
}

function totals(results: readonly CheckResult[]): string {
  const sum = (of: (result: CheckResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const found = SEVERITIES.map((severity) => `${sum(({ counts }) => counts[severity])} ${severity}s`).reverse()
  return `${sum(({ tables }) => tables)} tables, ${sum(({ mappings }) => mappings)} merged mappings: ${found.join(', ')}`
}

function fails(results: readonly CheckResult[], { failOn = 'error' }: CheckPolicy): boolean {
  const severities = SEVERITIES.slice(SEVERITIES.indexOf(failOn))
  return results.some(({ counts }) => severities.some((severity) => counts[severity] > 0))
}
